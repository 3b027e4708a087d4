from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from present import present

from packdepth.classes import UNLABELED
from packdepth.data.targets import target_indices
from packdepth.sources.camvid import CLASSES, CamVid


def source(root: Path, **changes: Any) -> CamVid:
    return CamVid(kind="camvid", root=root, **changes)


@pytest.fixture
def root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    for name in ("a", "b"):
        write_image(tmp_path / f"train/{name}.jpg")
    write_image(tmp_path / "trainannot/b.png", mode="L")
    return tmp_path


def test_clip(root: Path) -> None:
    assert CamVid.recognizes(root)
    (clip,) = source(root).clips()
    assert (clip.name, clip.independent) == ("camvid/train", True)
    assert (clip.camera.width, clip.camera.height, clip.camera.cx) == (40, 12, 19.5)
    assert [frame.semantic is not None for frame in clip.frames] == [False, True]
    assert present(clip.frames[1].semantic).read().shape == (12, 40)
    assert clip.class_names == clip.classes == CLASSES
    assert target_indices(clip, (-1, 1)) == []


def test_a_camera_of_ones_own(root: Path) -> None:
    (root / "camera.yaml").write_text("width: 40\nheight: 12\nfx: 30\nfy: 31\ncx: 19\ncy: 5\n")
    (clip,) = source(root, camera=root / "camera.yaml").clips()
    assert (clip.camera.fx, clip.camera.fy) == (30, 31)


def test_errors(root: Path, complaint: Callable[..., None], write_image: Callable[..., Path]) -> None:
    complaint(source(root, parts=["val"]).clips, root / "val", "not found")
    write_image(root / "trainannot/c.png", mode="L")
    complaint(source(root).clips, "trainannot/c.png", "no image")
    (root / "trainannot/c.png").unlink()
    write_image(root / "trainannot/b.png", 6, 20, mode="L")
    complaint(source(root).clips, "trainannot/b.png", "20x6")
    image = root / "train/b.jpg"
    image.write_bytes(image.read_bytes()[:-30])
    complaint(source(root).clips, image, "truncated")


def test_real_images(data: Path) -> None:
    train, val = source(data / "camvid", parts=["train", "val"]).clips()
    assert (len(train.frames), len(val.frames)) == (76, 101)
    assert all(frame.semantic is not None for frame in (*train.frames, *val.frames))
    labels = present(val.frames[0].semantic).read()
    assert labels.shape == (360, 480)
    assert set(np.unique(labels)) <= {*range(len(CLASSES)), UNLABELED}
    assert CLASSES[np.bincount(labels[-40:, 150:330].ravel()).argmax()] == "road"
