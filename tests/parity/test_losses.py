"""Geometry and losses on the reference's inputs give the reference's values, where the conventions are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.objectives.smoothness import smoothness
from packdepth.objectives.velocity import velocity_loss


@pytest.fixture(scope="module")
def values(golden: Path) -> dict[str, Tensor]:
    with np.load(golden / "losses.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def camera(values: dict[str, Tensor]) -> Camera:
    height, width = values["image"].shape[-2:]
    return Camera.from_matrix(values["K"], width, height)


def test_unprojection(values: dict[str, Tensor]) -> None:
    depth = 1 / values["inv_depths"][0].clamp(min=1e-6)
    torch.testing.assert_close(camera(values).unproject(depth), values["points"], rtol=1e-5, atol=1e-4)


def test_view_synthesis_where_it_is_defined(values: dict[str, Tensor]) -> None:
    depth = 1 / values["inv_depths"][0].clamp(min=1e-6)
    synthesis = synthesize(values["context"][0], depth, values["pose_mat"][0], camera(values))
    assert 0.3 < synthesis.valid.float().mean() < 1
    valid = synthesis.valid.expand_as(synthesis.image)
    torch.testing.assert_close(synthesis.image[valid], values["warped"][valid], rtol=1e-4, atol=2e-4)


def test_smoothness(values: dict[str, Tensor]) -> None:
    terms = [smoothness(inv_depth, values["image"]) / 2**s for s, inv_depth in enumerate(values["inv_depths"])]
    expected = values["photometric_paper_smoothness_loss"]
    torch.testing.assert_close(1e-3 * torch.stack(terms).mean(), expected.squeeze(), rtol=1e-4, atol=1e-9)


def test_velocity(values: dict[str, Tensor]) -> None:
    distance = se3.inverse(values["gt_pose"])[..., :3, 3].norm(dim=-1)
    torch.testing.assert_close(
        velocity_loss(values["pose_mat"], distance), values["velocity"].squeeze(), rtol=1e-5, atol=1e-8
    )
