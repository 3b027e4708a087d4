"""Frames that a run uses with a warning: to validate on although it trains on them or the camera stands, stretched."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import world

from packdepth.config import DropStatic, Run, parse_run
from packdepth.data.filters import static_frames, without_static
from packdepth.data.held_out import trained_on
from packdepth.errors import InputWarning
from packdepth.objectives.objective import Objective
from packdepth.sources.folder import Folder
from packdepth.training.run import run_clips


def run_of(train: dict[str, Any], **data: Any) -> Run:
    return parse_run(
        {
            "data": {"train": [train], "image_size": [32, 64]} | data,
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric", "scales": "own"}],
            "training": {"epochs": 1},
        },
        "test",
    )


def parked(folder: Path) -> Path:
    """A clip of 24 frames; the camera stands in the second half of them."""
    clip = world.write(folder, frames=12)
    rows = (clip / "frames.csv").read_text().splitlines()
    place = rows[-1].split(",", 3)[3]
    for index in range(12, 24):
        for kind in ("frames", "depth"):
            shutil.copy(clip / kind / "000011.png", clip / kind / f"{index:06d}.png")
        rows.append(f"{index:06d},{index / world.RATE:.4f},0,{place}")
    (clip / "frames.csv").write_text("\n".join(rows) + "\n")
    return clip


def warnings_of(run: Run) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run_clips(run, Objective(run.objective), checked=True)
    return [str(each.message) for each in found if each.category is InputWarning]


@pytest.mark.parametrize(
    ("trained", "validated", "warned"),
    [((0, 6), (0, 6), True), ((0, 4), (3, 6), True), ((0, 3), (3, 6), False)],
)
def test_frames_to_validate_on_that_are_trained_on_are_a_warning(
    moving_clip: Path, trained: Sequence[int], validated: Sequence[int], warned: bool
) -> None:
    source = {"kind": "folder", "root": str(moving_clip)}
    run = run_of(source | {"frames": trained}, val=[source | {"frames": validated}])
    said = [words for words in warnings_of(run) if "is trained on, too" in words]
    assert len(said) == warned
    assert all(words.startswith("data.val: folder/moving_clip is") for words in said)


def test_clips_that_share_frames_but_no_targets_are_apart(moving_clip: Path) -> None:
    (clip,) = Folder(root=moving_clip).clips()
    names = [frame.name for frame in clip.frames]
    first, second = (replace(clip, targets=frozenset(half)) for half in (names[:3], names[3:]))
    assert trained_on([first], [second]) == []
    assert trained_on([first, second], [second]) == [second]


@pytest.mark.parametrize("drop", [None, {"by": "speed"}, {"by": "image"}])
def test_a_held_out_end_in_which_the_camera_stands_is_a_warning(tmp_path: Path, drop: dict[str, str] | None) -> None:
    run = run_of({"kind": "folder", "root": str(parked(tmp_path / "parked"))}, val_tail=0.3, drop_static=drop)
    said = [words for words in warnings_of(run) if "held out" in words]
    assert len(said) == (drop is not None)
    assert all("the camera stands in 8 of the 8 frames held out" in words for words in said)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ([32, 64], []),
        ([32, 80], []),  # 1.25 times as wide
        ([32, 96], ["images of 96x48 are stretched to 96x32, 1.5 times as wide as they are"]),
        ([64, 32], ["images of 96x48 are stretched to 32x64, 4 times as high as they are"]),
    ],
)
def test_images_that_are_stretched_are_a_warning(moving_clip: Path, size: list[int], words: list[str]) -> None:
    source = {"kind": "folder", "root": str(moving_clip)}
    run = run_of(source, val=[source], image_size=size)
    said = [each for each in warnings_of(run) if "stretched" in each]
    assert [each.partition(";")[0] for each in said] == [f"folder/moving_clip: {each}" for each in words]


@pytest.mark.parametrize("by", ["speed", "image"])
def test_unrelated_images_do_not_stand(tmp_path: Path, by: str) -> None:
    """Not even without speeds."""
    clip = world.write(tmp_path / "photos", frames=18)
    rows = [row.split(",")[:2] for row in (clip / "frames.csv").read_text().splitlines()]
    (clip / "frames.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    with (clip / "camera.yaml").open("a") as file:
        file.write("independent: true\n")
    (found,) = Folder(root=clip).clips()
    assert found.independent
    drop = DropStatic.model_validate({"by": by})
    assert not static_frames(found, drop).any()
    assert without_static(found, drop) is found
