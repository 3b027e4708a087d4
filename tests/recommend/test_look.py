"""Measurements of data, on a rendered world whose motion and depth are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import world
from arrays import Array
from formats import keep_columns

from packdepth.recommend.look import look, measured_median, pair_motion
from packdepth.sources.open import open_clips


def test_a_drive_is_forward_and_its_step_and_depth_are_those_of_the_world(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    bare = replace(clip, frames=tuple(replace(frame, depth=None) for frame in clip.frames))
    looked = look([bare])
    assert looked.step == pytest.approx(world.STEP, rel=1e-3)
    assert looked.path == pytest.approx(world.STEP * (world.FRAMES - 1), rel=1e-3)
    assert looked.is_forward
    assert looked.static == 0
    true = np.median([world.render(i)[1] for i in range(world.FRAMES)])
    assert looked.depth == pytest.approx(true, rel=0.3)


def test_without_poses_depth_follows_from_the_growth_of_the_image(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    frames = tuple(replace(frame, pose=None, depth=None) for frame in clip.frames)
    pair = pair_motion(replace(clip, frames=frames), 2)
    assert pair.step is not None
    assert pair.depth == pytest.approx(pair.step / pair.expansion)
    with_poses = pair_motion(clip, 2)
    assert pair.depth == pytest.approx(with_poses.depth, rel=0.25)


def test_without_speed_and_poses_there_is_no_depth_in_metres(moving_clip: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(moving_clip, tmp_path / "clip")
    shutil.rmtree(folder / "depth")
    (clip,) = open_clips(keep_columns(folder, "frame", "time_s"))
    looked = look([clip])
    assert (looked.step, looked.depth, looked.path) == (None, None, None)
    assert looked.expansion > 0


def test_a_camera_that_stands_is_seen_to_stand(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    same = tuple(replace(frame, image=clip.frames[0].image) for frame in clip.frames)
    assert look([replace(clip, frames=same)]).static == 1


def test_the_median_of_measured_depth_is_that_of_the_maps(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    medians = [np.median(frame.depth.read()) for frame in clip.frames if frame.depth is not None]
    assert measured_median([clip]) == pytest.approx(np.median(medians))


def test_lidar_beside_and_behind_the_image_does_not_count(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    seen = np.array([[0.0, 0.0, 9.0], [0.5, 0.1, 11.0], [-0.5, 0.1, 10.0]], dtype=np.float32)
    around = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32) * [40, 0.1, 2]
    around = around[np.abs(around[:, 0]) > 10 * np.abs(around[:, 2])]
    scan = Array(np.concatenate([seen, around.astype(np.float32)]))
    frames = tuple(replace(frame, depth=None, lidar=scan) for frame in clip.frames)
    assert measured_median([replace(clip, frames=frames)]) == pytest.approx(10.0)


def test_what_is_left_after_clips_are_left_out_is_not_measured_again(moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    still = replace(
        clip, name="still", frames=tuple(replace(frame, image=clip.frames[0].image) for frame in clip.frames)
    )
    both, alone = look([clip, still]), look([clip])
    assert both.still == {"still"}
    assert both.static > 0
    assert both.restricted_to([clip]) == alone
    assert both.restricted_to([clip]).pairs[clip.name] is both.pairs[clip.name]
