"""Tiny networks of transformers with random weights: depth networks of each family, and backbones for encoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

NECK: dict[str, Any] = {"neck_hidden_sizes": [4, 6, 8, 8], "fusion_hidden_size": 8}
VIT: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
TAPS: dict[str, Any] = {"out_indices": [1, 2, 3, 4], "apply_layernorm": True}
HEAD: dict[str, Any] = {"patch_size": 14, "reassemble_hidden_size": 16, "head_hidden_size": 4}
STAGES: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}


def dinov2() -> Any:
    import transformers

    return transformers.Dinov2Config(
        **VIT, **TAPS, mlp_ratio=2, image_size=28, patch_size=14, reshape_hidden_states=False
    )


def beit() -> Any:
    import transformers

    return transformers.BeitConfig(
        **VIT,
        **STAGES,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
    )


def depth_anything(**options: Any) -> Any:
    import transformers

    return transformers.DepthAnythingConfig(backbone_config=dinov2(), **HEAD, **NECK, **options)


def depth_anything_metric() -> Any:
    return depth_anything(depth_estimation_type="metric", max_depth=80)


def prompt_depth_anything() -> Any:
    import transformers

    return transformers.PromptDepthAnythingConfig(backbone_config=dinov2(), **HEAD, **NECK)


def dpt() -> Any:
    import transformers

    return transformers.DPTConfig(**VIT, **NECK, intermediate_size=32, image_size=32, backbone_out_indices=[0, 1, 2, 3])


def dpt_swin() -> Any:
    import transformers

    swin = transformers.Swinv2Config(
        **STAGES, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, image_size=64
    )
    return transformers.DPTConfig(backbone_config=swin, neck_hidden_sizes=[8, 16, 32, 64], fusion_hidden_size=8)


def dpt_beit() -> Any:
    import transformers

    return transformers.DPTConfig(backbone_config=beit(), hidden_size=16, **NECK)


def zoedepth(heads: int = 1) -> Any:
    import transformers

    bins = [{"n_bins": 4, "min_depth": 1e-3, "max_depth": 80.0, "name": name} for name in ("kitti", "nyu")]
    return transformers.ZoeDepthConfig(
        backbone_config=beit(),
        bottleneck_features=8,
        num_relative_features=4,
        bin_embedding_dim=8,
        num_attractors=[2, 2, 1, 1],
        bin_configurations=bins[:heads],
        num_patch_transformer_layers=4 if heads > 1 else None,
        patch_transformer_hidden_size=128 if heads > 1 else None,
        patch_transformer_intermediate_size=16 if heads > 1 else None,
        patch_transformer_num_attention_heads=2 if heads > 1 else None,
        **NECK,
    )


def zoedepth_two_heads() -> Any:
    return zoedepth(heads=2)


def glpn() -> Any:
    import transformers

    return transformers.GLPNConfig(
        depths=[1] * 4,
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
        mlp_ratios=[2] * 4,
        drop_path_rate=0.2,
    )


def depth_pro() -> Any:
    import transformers

    def encoder() -> Any:
        return transformers.Dinov2Config(**VIT | {"num_hidden_layers": 2}, mlp_ratio=2, image_size=32, patch_size=8)

    return transformers.DepthProConfig(
        image_model_config=encoder(),
        patch_model_config=encoder(),
        fov_model_config=encoder(),
        patch_size=32,
        fusion_hidden_size=8,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[8, 8, 8],
        merge_padding_value=0,
    )


def chmv2() -> Any:
    import transformers

    encoder: dict[str, Any] = VIT | TAPS | {"model_type": "dinov3_vit", "intermediate_size": 32, "image_size": 32}
    encoder |= {"patch_size": 16, "reshape_hidden_states": True, "return_class_token": True}
    return transformers.CHMv2Config(
        backbone_config=encoder,
        post_process_channels=[4, 6, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        number_output_channels=8,
    )


def tipsv2_dpt() -> Any:
    import transformers

    encoder = VIT | TAPS | {"model_type": "tipsv2_vision_model", "intermediate_size": 32, "image_size": 28}
    encoder |= {"patch_size": 14, "reshape_hidden_states": False}
    return transformers.Tipsv2DptConfig(backbone_config=encoder, num_depth_bins=8, **NECK)


FAMILIES: dict[str, tuple[Callable[[], Any], str]] = {  # configuration, and what such a model predicts
    "depth_anything": (depth_anything, "inverse"),
    "depth_anything_metric": (depth_anything_metric, "metric"),
    "prompt_depth_anything": (prompt_depth_anything, "depth"),
    "dpt": (dpt, "inverse"),
    "dpt_swin": (dpt_swin, "inverse"),
    "dpt_beit": (dpt_beit, "inverse"),
    "zoedepth": (zoedepth, "metric"),
    "zoedepth_two_heads": (zoedepth_two_heads, "metric"),
    "glpn": (glpn, "metric"),
    "depth_pro": (depth_pro, "inverse"),
    "chmv2": (chmv2, "metric"),
    "tipsv2_dpt": (tipsv2_dpt, "metric"),
}


def model(config: Any) -> Any:
    """The model of a configuration, with weights so large that its output differs between pixels and is positive."""
    import transformers

    torch.manual_seed(0)
    network = transformers.AutoModelForDepthEstimation.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1 and parameter.numel():
                torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        last = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][-1]
        if last.out_channels == 1 and last.bias is not None:
            last.bias.fill_(1.0)
    return network.eval()


def save(config: Any, folder: Path, mean: float = 0.5, std: float = 0.25) -> Path:
    """A folder with such a model, as the Hub has it."""
    model(config).save_pretrained(folder)
    _save_normalization(folder, mean, std)
    return folder


BACKBONES = ("resnet", "convnext", "swin", "dinov2", "dinov3_vit", "hgnet_v2")


def backbone(family: str) -> Any:
    """Return the configuration of a small backbone."""
    import transformers

    sizes: dict[str, Any] = {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]}
    vit: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56}
    options: dict[str, dict[str, Any]] = {
        "resnet": sizes | {"embedding_size": 8, "layer_type": "basic"},
        "convnext": sizes,
        "swin": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4},
        "dinov2": vit | {"patch_size": 14},
        "dinov3_vit": vit | {"intermediate_size": 32},
        "hgnet_v2": {
            "stem_channels": [3, 8, 8],
            "stage_in_channels": [8, 16, 32, 48],
            "stage_mid_channels": [8, 8, 8, 8],
            "stage_out_channels": [16, 32, 48, 64],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [1, 1, 1, 1],
        },
    }
    return transformers.AutoConfig.for_model(family, **options[family])


def save_backbone(family: str, folder: Path) -> Any:
    """Return a small backbone, after writing it to a folder as the Hub has it."""
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoBackbone.from_config(backbone(family))
    model.save_pretrained(folder)
    _save_normalization(folder)
    return model


def _save_normalization(folder: Path, mean: float = 0.5, std: float = 0.25) -> None:
    content = {"image_mean": [mean] * 3, "image_std": [std] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
