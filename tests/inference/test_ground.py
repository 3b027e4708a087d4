"""The filter of infinite depth: what it keeps, what it writes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.errors import InputError
from packdepth.inference.ground import FrameCount, filter_ground
from packdepth.inference.predictor import Predictor
from packdepth.records import Clip, Readable
from packdepth.sources.folder import Folder, read_clip

META = Meta(
    packdepth="0", created="", epoch=1, step=1, metric=False, scale_source="none", clips=[], frames=0, cameras=[]
)


class Seer:
    """Predictor of the exact inverse depth of the rendered world, with a hole in the road of some frames."""

    def __init__(self, clip: Clip, holes: Sequence[int]) -> None:
        self.images = [frame.image.read().astype(int) for frame in clip.frames]
        self.depths = [frame.depth.read() for frame in clip.frames if frame.depth is not None]
        self.holes = holes
        self.meta = META

    def labels(self, image: Readable, semantic: Readable | None) -> None:
        """Return None: no label maps guide it."""

    def inv_depth(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        pixels = (images[0].permute(1, 2, 0) * 255).round().int().numpy()
        index = int(np.argmin([np.abs(other - pixels).sum() for other in self.images]))
        inv_depth = 1 / torch.from_numpy(self.depths[index].copy())[None, None]
        if index in self.holes:
            inv_depth[..., 38:44, 40:50] /= 4
        return 0.01 * inv_depth  # of unknown scale


def filter_with(
    seer: Seer, clips: Sequence[Clip], output: Path, **options: Any
) -> tuple[list[FrameCount], list[FrameCount]]:
    return filter_ground(
        Path("best"), clips, output, load_predictor=lambda checkpoint: cast(Predictor, seer), **options
    )


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    return read_clip(moving_clip)


def test_drops_the_frames_with_a_hole(clip: Clip, tmp_path: Path, moving_clip: Path) -> None:
    kept, dropped = filter_with(Seer(clip, (1, 4)), [clip], tmp_path)
    assert [found.frame.name for found in dropped] == [clip.frames[1].name, clip.frames[4].name]
    assert [found.below for found in dropped] == [60, 60]
    assert [found.frame.name for found in kept] == [clip.frames[index].name for index in (0, 2, 3, 5)]
    (selected,) = Folder(kind="folder", root=moving_clip, split_file=tmp_path / "kept.txt").clips()
    assert selected.targets == {found.frame.name for found in kept}
    assert [frame.name for frame in selected.frames] == [frame.name for frame in clip.frames]  # dropped ones too
    with (tmp_path / "counts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kept"] for row in rows] == ["1", "0", "1", "1", "0", "1"]
    with Image.open(tmp_path / "dropped.jpg") as sheet:
        assert sheet.size == (2 * clip.camera.width, 2 * clip.camera.height)
        red = np.asarray(sheet)[38:44, clip.camera.width + 40 : clip.camera.width + 50].astype(int)
    assert (red[..., 0] > red[..., 1] + 100).mean() > 0.8


def test_only_targets_are_filtered_by_the_threshold(clip: Clip, tmp_path: Path) -> None:
    names = [frame.name for frame in clip.frames[:3]]
    some = replace(clip, targets=frozenset(names))
    kept, dropped = filter_with(Seer(clip, (1, 4)), [some], tmp_path, threshold=59)
    assert [found.frame.name for found in kept] == [names[0], names[2]]
    assert [found.frame.name for found in dropped] == [names[1]]
    kept, dropped = filter_with(Seer(clip, (1, 4)), [some], tmp_path, threshold=60)
    assert [found.frame.name for found in kept] == names
    assert dropped == []
    assert not (tmp_path / "dropped.jpg").exists()


def test_frames_without_their_context_are_no_targets(clip: Clip, tmp_path: Path) -> None:
    kept, dropped = filter_with(Seer(clip, (0, 4)), [clip], tmp_path, context=(-1, 1))
    assert [found.frame.name for found in kept] == [frame.name for frame in clip.frames[1:4]]
    assert [found.frame.name for found in dropped] == [clip.frames[4].name]


def test_no_target_is_an_error_before_anything_is_predicted(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no frame has context frames at \[-9, 9\]; give longer clips"):
        filter_ground(Path("nowhere"), [clip], tmp_path / "out", context=(-9, 9))
    assert not (tmp_path / "out").exists()


def test_unrelated_images_need_no_context(clip: Clip, tmp_path: Path) -> None:
    kept, _ = filter_with(Seer(clip, ()), [replace(clip, independent=True)], tmp_path, context=(-1, 1))
    assert [found.frame for found in kept] == list(clip.frames)


def test_all_dropped_is_an_error(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"best: .* in every frame"):
        filter_with(Seer(clip, range(6)), [clip], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_camera_is_replaced_by_the_learned_one(clip: Clip, tmp_path: Path) -> None:
    seer, known = Seer(clip, (1,)), clip.camera
    guess = replace(known, fx=3 * float(known.fx), cy=0.0)
    unknown = replace(clip, camera=guess, missing_camera=tmp_path / "camera.yaml")
    with pytest.raises(InputError, match="has no calibration of clip"):
        filter_with(seer, [unknown], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    numbers = {name: float(getattr(known, name)) for name in ("fx", "fy", "cx", "cy")}
    learned = LearnedCamera(width=known.width, height=known.height, focal_deviation=0.01, **numbers)
    seer.meta = META.model_copy(update={"cameras": [learned]})
    _, dropped = filter_with(seer, [unknown], tmp_path / "out")
    assert [found.frame.name for found in dropped] == [clip.frames[1].name]
