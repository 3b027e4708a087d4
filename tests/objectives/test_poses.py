"""Supervision by poses: closed form, what other terms see, what a clip must have, and how its poses are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import make_batch, make_outputs
from present import present

from packdepth.data.dataset import ClipDataset
from packdepth.data.fields import check_offers
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.objectives import Photometric, Poses
from packdepth.objectives.objective import Objective
from packdepth.records import Clip
from packdepth.sources.folder import Folder


@pytest.fixture(scope="module")
def clip(moving_clip: Path) -> Clip:
    return Folder(kind="folder", root=moving_clip).clips()[0]


def test_translation_counts_in_metres_and_rotation_by_its_lever() -> None:
    batch = make_batch(dtype=torch.float64)
    outputs = make_outputs(batch)
    off = torch.tensor([0.3, 0.0, 0.0, 0.0, 0.1, 0.0], dtype=torch.float64)
    batch = replace(batch, motion=outputs.T_context_target @ se3.inverse(se3.from_vector(off)))
    expected = 0.3 + 5 * 2 * np.sin(0.05)
    assert Poses(lever=5)(outputs, batch).item() == pytest.approx(expected)
    batch = replace(batch, motion=outputs.T_context_target)
    assert Poses()(outputs, batch).item() == pytest.approx(0, abs=1e-7)


def test_imposed_poses_are_the_motion_of_all_other_terms_and_train_the_ego_motion_alone() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    predicted = outputs.T_context_target.requires_grad_()
    batch = replace(batch, motion=outputs.T_context_target.detach().roll(1, 0))
    values = Objective([Photometric(), Poses(impose=True)])(outputs, batch)[1]
    right = Photometric()(replace(outputs, T_context_target=present(batch.motion)), batch)
    assert values["photometric"] == right
    assert values["photometric"] != Photometric()(outputs, batch)
    for weight in (0.0, 0.1):
        loss, _ = Objective([Photometric(), Poses(impose=True, weight=weight)])(outputs, batch)
        (gradient,) = torch.autograd.grad(loss, predicted)
        assert bool(gradient.any()) == (weight > 0)


def test_a_sample_holds_the_motion_of_its_poses(clip: Clip) -> None:
    sample = ClipDataset([clip], (24, 48), (-1, 1), frozenset({"distance", "motion"}))[1]
    point = np.array([1.0, 2.0, 5.0, 1.0])  # in the camera of the target
    world = present(clip.frames[2].pose) @ point
    for index, motion in zip((1, 3), present(sample.motion), strict=True):
        seen = np.linalg.inv(present(clip.frames[index].pose)) @ world
        np.testing.assert_allclose(motion.numpy() @ point, seen, atol=1e-5)


def test_a_clip_without_poses_is_refused(clip: Clip) -> None:
    fields = {"poses": Poses.needs}
    check_offers([clip], fields)
    bare = replace(clip, frames=tuple(replace(frame, pose=None) for frame in clip.frames))
    with pytest.raises(
        InputError, match=r"'poses' needs the measured motion between frames.*no poses, or poses of fewer"
    ):
        check_offers([bare], fields)
