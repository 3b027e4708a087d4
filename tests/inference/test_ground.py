"""The filter of infinite depth: what it keeps, what it writes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.errors import InputError
from packdepth.inference import ground
from packdepth.inference.ground import filter_ground
from packdepth.records import Clip, Readable
from packdepth.sources.folder import Folder, read_clip

META = Meta(
    packdepth="0", created="", epoch=1, step=1, metric=False, scale_source="none", clips=[], frames=0, cameras=[]
)


class Seer:
    """Predicts the exact inverse depth of the rendered world, with a hole in the road of some frames."""

    def __init__(self, clip: Clip, holes: Sequence[int]) -> None:
        self.images = [frame.image.read().astype(int) for frame in clip.frames]
        self.depths = [frame.depth.read() for frame in clip.frames if frame.depth is not None]
        self.holes = holes
        self.meta = META

    def labels(self, image: Readable, semantic: Readable | None) -> None:
        """No label maps guide it."""

    def inv_depth(self, image: Tensor, labels: None) -> Tensor:
        pixels = (image[0].permute(1, 2, 0) * 255).round().int().numpy()
        index = int(np.argmin([np.abs(other - pixels).sum() for other in self.images]))
        inv_depth = 1 / torch.from_numpy(self.depths[index].copy())[None, None]
        if index in self.holes:
            inv_depth[..., 38:44, 40:50] /= 4
        return 0.01 * inv_depth  # of unknown scale


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    return read_clip(moving_clip)


def test_drops_the_frames_with_a_hole(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving_clip: Path
) -> None:
    monkeypatch.setattr(ground, "load", lambda checkpoint: Seer(clip, (1, 4)))
    kept, dropped = filter_ground(Path("best"), [clip], tmp_path)
    assert [found.frame.name for found in dropped] == [clip.frames[1].name, clip.frames[4].name]
    assert [found.below for found in dropped] == [60, 60]
    assert len(kept) == len(clip.frames) - 2
    (selected,) = Folder(kind="folder", root=moving_clip, split_file=tmp_path / "kept.txt").clips()
    assert selected.targets == {found.frame.name for found in kept}
    assert len(selected.frames) == len(clip.frames)
    with (tmp_path / "counts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kept"] for row in rows] == ["1", "0", "1", "1", "0", "1"]
    with Image.open(tmp_path / "dropped.jpg") as sheet:
        assert sheet.size == (2 * clip.camera.width, 2 * clip.camera.height)
        red = np.asarray(sheet)[38:44, clip.camera.width + 40 : clip.camera.width + 50].astype(int)
    assert (red[..., 0] > red[..., 1] + 100).mean() > 0.8


def test_targets_alone_are_counted_and_a_threshold_keeps_more(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "load", lambda checkpoint: Seer(clip, (1, 4)))
    some = replace(clip, targets=frozenset(frame.name for frame in clip.frames[:3]))
    kept, dropped = filter_ground(Path("best"), [some], tmp_path)
    assert (len(kept), len(dropped)) == (2, 1)
    kept, dropped = filter_ground(Path("best"), [some], tmp_path, threshold=60)
    assert (len(kept), len(dropped)) == (3, 0)
    assert not (tmp_path / "dropped.jpg").exists()


def test_frames_without_their_context_are_no_targets(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "load", lambda checkpoint: Seer(clip, (0, 4)))
    kept, dropped = filter_ground(Path("best"), [clip], tmp_path, context=(-1, 1))
    assert [found.frame.name for found in kept] == [frame.name for frame in clip.frames[1:4]]
    assert [found.frame.name for found in dropped] == [clip.frames[4].name]


def test_no_target_is_an_error_before_anything_is_predicted(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no frame has context frames at \[-9, 9\]; give longer clips"):
        filter_ground(Path("nowhere"), [clip], tmp_path / "out", context=(-9, 9))
    assert not (tmp_path / "out").exists()


def test_unrelated_images_need_no_context(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "load", lambda checkpoint: Seer(clip, ()))
    kept, _ = filter_ground(Path("best"), [replace(clip, independent=True)], tmp_path, context=(-1, 1))
    assert len(kept) == len(clip.frames)


def test_all_dropped_is_an_error(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "load", lambda checkpoint: Seer(clip, range(6)))
    with pytest.raises(InputError, match="in every frame"):
        filter_ground(Path("best"), [clip], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_camera_that_nobody_knows_is_the_learned_one(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seer, known = Seer(clip, (1,)), clip.camera
    monkeypatch.setattr(ground, "load", lambda checkpoint: seer)
    guess = replace(known, fx=3 * float(known.fx), cy=0.0)
    unknown = replace(clip, camera=guess, missing_camera=tmp_path / "camera.yaml")
    with pytest.raises(InputError, match="not found; it would be the camera of clip"):
        filter_ground(Path("best"), [unknown], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    numbers = {name: float(getattr(known, name)) for name in ("fx", "fy", "cx", "cy")}
    learned = LearnedCamera(width=known.width, height=known.height, focal_deviation=0.01, **numbers)
    seer.meta = META.model_copy(update={"cameras": [learned]})
    _, dropped = filter_ground(Path("best"), [unknown], tmp_path / "out")
    assert [found.frame.name for found in dropped] == [clip.frames[1].name]
