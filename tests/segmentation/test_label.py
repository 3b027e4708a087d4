"""Label maps of a clip: of a network's classes, at the images' size, and never over others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import segmenter
import torch
import yaml

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.inference.predictor import image_tensor
from packdepth.segmentation.fpn import load_fpn
from packdepth.segmentation.label import label_clips
from packdepth.sources.folder import read_clip


def test_a_clip_is_labeled_once(moving_clip: Path, tmp_path: Path) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    network = segmenter.write(tmp_path / "network")
    assert main(["semantics", "label", str(clip), "--network", str(network)]) == 0
    frame = read_clip(clip).frames[1]
    assert frame.semantic is not None
    with torch.no_grad():
        expected = load_fpn(network).eval().labels(image_tensor(frame.image.path))[0]
    assert (torch.from_numpy(frame.semantic.read().copy()) == expected).all()
    assert yaml.safe_load((clip / "semantic.yaml").read_text())["classes"] == list(segmenter.CLASSES)
    with pytest.raises(InputError, match="exists already"):
        label_clips(clip, str(network))


def test_label_maps_are_those_of_the_images_on_disk(moving_clip: Path, tmp_path: Path) -> None:
    """They are undistorted with the images, when they are read."""
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    with (clip / "camera.yaml").open("a") as file:
        file.write("lens: {kind: brown_conrady, coefficients: [-0.2, 0.05, 0, 0]}\n")
    network = segmenter.write(tmp_path / "network")
    label_clips(clip, str(network))
    frame = read_clip(clip).frames[1]
    assert frame.semantic is not None
    with torch.no_grad():
        expected = load_fpn(network).eval().labels(image_tensor(frame.image.path))[0]
    assert (torch.from_numpy(frame.semantic.read().copy()) == expected).all()
