"""The trajectory of a clip: measured where depth is metric, otherwise predicted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import world

from packdepth.geometry.poses import chained, from_first
from packdepth.inference.predictor import Predictor
from packdepth.inference.trajectory import trajectory, trajectory_origin
from packdepth.sources.open import open_clips

MEASURED = from_first(np.stack([world.pose(index) for index in range(world.FRAMES)]))


def test_measured_poses_are_used_and_without_them_motion_is_predicted(predictor: Predictor, moving_clip: Path) -> None:
    (clip,) = open_clips(moving_clip)
    assert np.allclose(list(trajectory(predictor, clip, clip.camera)), MEASURED)
    assert trajectory_origin(predictor, clip, clip.camera) == "measured poses"
    bare = dataclasses.replace(clip, frames=tuple(dataclasses.replace(frame, pose=None) for frame in clip.frames))
    motions = predictor.motions(frame.image.read() for frame in bare.frames)
    assert np.allclose(list(trajectory(predictor, bare, None)), chained(motions))
    assert trajectory_origin(predictor, bare, None) == "predicted motion, not aligned with depth"
    assert trajectory_origin(predictor, bare, clip.camera) == "predicted motion, aligned with predicted depth"
