"""The feature pyramid: feature maps at its strides, logits over the image, and a checkpoint that loads again."""

from __future__ import annotations

from pathlib import Path

import pytest
import segmenter
import torch

from packdepth.errors import InputError
from packdepth.segmentation.fpn import FPN, load_fpn


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_the_pyramid_gives_features_at_its_strides_and_logits_over_the_image(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = FPN(("road", "sky", "car"), layers=18, width=16).eval()
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        result = network(image)
        labels = network.labels(image)
    assert [tuple(feature.shape) for feature in result.features] == [(2, 16, 64 // s, 96 // s) for s in network.strides]
    assert result.logits.shape == (2, 3, -(-size[0] // 4), -(-size[1] // 4))
    assert labels.shape == (2, *size)
    assert labels.max() < 3


def test_a_saved_copy_predicts_the_same(tmp_path: Path) -> None:
    network = load_fpn(segmenter.write(tmp_path / "network")).eval()
    (tmp_path / "copy").mkdir()
    network.save(tmp_path / "copy")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_fpn(tmp_path / "copy").eval()(image).logits, network(image).logits)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = segmenter.write(tmp_path / "network")
    (folder / "run.yaml").write_text((folder / "run.yaml").read_text().replace("width: 8", "width: 16"))
    with pytest.raises(InputError, match=r"weights\.safetensors: its weights do not fit"):
        load_fpn(folder)
