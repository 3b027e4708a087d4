"""Segmentation networks of transformers, built from configurations and saved to folders."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from packdepth.errors import InputError
from packdepth.segmentation.transformers_network import load_pretrained

needs_transformers = pytest.mark.skipif(
    not importlib.util.find_spec("transformers"), reason="the extra `transformers` is not installed"
)


def segformer(folder: Path) -> Any:
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1] * 4,
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        decoder_hidden_size=16,
        id2label={0: "road", 1: "sky", 2: "car"},
    )
    model = transformers.SegformerForSemanticSegmentation(config)
    model.save_pretrained(folder)
    return model.eval()


def mask2former(folder: Path) -> Any:
    import transformers

    torch.manual_seed(0)
    backbone = transformers.SwinConfig(  # type: ignore[call-arg]  # out_features is a property of it
        embed_dim=12,
        depths=[1] * 4,
        num_heads=[1, 2, 3, 4],
        window_size=4,
        out_features=[f"stage{i}" for i in range(1, 5)],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=5,
        id2label={0: "road", 1: "sky"},
    )
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    model.save_pretrained(folder)
    return model.eval()


@needs_transformers
def test_a_segformer_from_a_folder_gives_its_own_logits(tmp_path: Path) -> None:
    model = segformer(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}'
    )
    network = load_pretrained(str(tmp_path))
    assert network.classes == ("road", "sky", "car")
    assert network.strides == (4, 8, 16, 32)
    assert network.channels == (8, 16, 24, 32)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(network(image).logits, model(pixel_values=(image - 0.5) / 0.25).logits)
        assert network(image[..., :50, :70]).logits.shape == (1, 3, 13, 18)


@needs_transformers
def test_a_mask2former_gives_the_classes_of_its_queries(tmp_path: Path) -> None:
    pytest.importorskip("scipy")  # which its loss asks for
    mask2former(tmp_path)
    network = load_pretrained(str(tmp_path))
    with torch.no_grad():
        result = network(torch.rand(1, 3, 64, 96))
    assert network.strides == (8, 16, 32)
    assert result.logits.shape == (1, 2, 16, 24)
    assert 0 < result.logits.min() < result.logits.max()


@needs_transformers
def test_a_copy_gives_the_same(tmp_path: Path) -> None:
    segformer(tmp_path / "model")
    network = load_pretrained(str(tmp_path / "model"))
    (tmp_path / "copy").mkdir()
    network.save(tmp_path / "copy")
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(load_pretrained(str(tmp_path / "copy"))(image).logits, network(image).logits)


@needs_transformers
def test_what_is_no_segmentation_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: is no folder here"):
        load_pretrained(str(tmp_path / "nowhere"))
    segformer(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("ForSemanticSegmentation", "ForImageClassification"))
    with pytest.raises(InputError, match="is no segmentation network"):
        load_pretrained(str(tmp_path))


@needs_transformers
def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = segformer(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_pretrained(str(tmp_path))


def test_without_the_extra_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'packdepth\[transformers\]'"):
        load_pretrained("nvidia/segformer-b0-finetuned-cityscapes-1024-1024")
