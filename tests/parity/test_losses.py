"""Geometry and losses on the reference's inputs give the reference's values, some by their `reference` convention.

Contexts come first in the golden arrays: `context` [N, B, 3, H, W], `pose_mat` and `gt_pose` [N, B, 4, 4].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import pytest
import torch
from present import present
from torch import Tensor

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import synthesize
from packdepth.objectives.photometric import Photometric
from packdepth.objectives.scales import Scales
from packdepth.objectives.smoothness import Smoothness
from packdepth.objectives.supervised import Supervised, SupervisedKind
from packdepth.objectives.velocity import velocity_loss
from packdepth.records import Batch, Outputs

Values = dict[str, Tensor]


@pytest.fixture(scope="module")
def values(golden: Path) -> Values:
    with np.load(golden / "losses.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def batch(values: Values) -> Batch:
    image, context, truth = values["image"], values["context"].transpose(0, 1), values["gt_inv_depth"]
    return Batch(
        names=[str(number) for number in range(len(image))],
        offsets=tuple(range(1, context.shape[1] + 1)),
        camera=Camera.from_matrix(values["K"], image.shape[-1], image.shape[-2]),
        image=image,
        context=context,
        network_image=image,
        network_context=context,
        truth=torch.where(truth > 0, 1 / truth, 0),
    )


def outputs(values: Values, scales: Scales) -> Outputs:
    """Inverse depths at full size or at their own sizes, the finest with a gradient."""
    if scales == "full":
        inv_depths = list(values["inv_depths"])
    else:
        names = takewhile(values.__contains__, (f"inv_depths_multi_{s}" for s in count()))
        inv_depths = [values[name] for name in names]
    return Outputs([inv_depths[0].clone().requires_grad_(), *inv_depths[1:]], values["pose_mat"].transpose(0, 1))


def test_unprojection(values: Values, batch: Batch) -> None:
    depth = 1 / values["inv_depths"][0].clamp(min=1e-6)
    torch.testing.assert_close(batch.camera.unproject(depth), values["points"], rtol=1e-5, atol=1e-4)


def test_view_synthesis_where_it_is_defined(values: Values, batch: Batch) -> None:
    depth = 1 / values["inv_depths"][0].clamp(min=1e-6)
    synthesis = synthesize(values["context"][0], depth, values["pose_mat"][0], batch.camera)
    assert 0.3 < synthesis.valid.float().mean() < 1
    valid = synthesis.valid.expand_as(synthesis.image)
    torch.testing.assert_close(synthesis.image[valid], values["warped"][valid], rtol=1e-4, atol=2e-4)


def test_view_synthesis_everywhere_with_the_padding_of_the_reference(values: Values, batch: Batch) -> None:
    depth = 1 / values["inv_depths"][0].clamp(min=1e-6)
    synthesis = synthesize(values["context"][0], depth, values["pose_mat"][0], batch.camera, padding="zeros")
    torch.testing.assert_close(synthesis.image, values["warped"], rtol=1e-4, atol=2e-4)


@dataclass(frozen=True)
class Setting:
    """Terms of ours that do what the reference does in one of its settings."""

    photometric: Photometric
    smoothness: Smoothness
    weight: float  # of the smoothness
    scales: Scales


SETTINGS = {
    "paper": Setting(
        Photometric(convention="reference"), Smoothness(scales="full", convention="reference"), 1e-3, "full"
    ),
    "multiscale": Setting(
        Photometric(scales="own", convention="reference"), Smoothness(scales="own", convention="reference"), 1e-3, "own"
    ),
    "mean_clip_border": Setting(
        Photometric(minimum=False, automask=False, convention="reference", padding="border", clip=0.5),
        Smoothness(scales="full", convention="reference"),
        0.1,
        "full",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_photometric_loss_its_parts_and_its_gradient(values: Values, batch: Batch, name: str) -> None:
    setting, predicted = SETTINGS[name], outputs(values, SETTINGS[name].scales)
    photometric = setting.photometric(predicted, batch)
    smoothness = setting.weight * setting.smoothness(predicted, batch)
    total = photometric + smoothness
    total.backward()

    expected = values[f"photometric_{name}"].squeeze()
    expected_smoothness = values[f"photometric_{name}_smoothness_loss"].squeeze()
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(smoothness, expected_smoothness, rtol=1e-4, atol=1e-9)
    # What the reference records as `photometric_loss` is the sum: it adds the smoothness to the same tensor later.
    torch.testing.assert_close(photometric, expected - expected_smoothness, rtol=1e-4, atol=1e-8)
    gradient, expected_gradient = present(predicted.inv_depths[0].grad), values[f"photometric_{name}_grad0"]
    # A pixel whose minimum is a tie may go either way.
    close = (gradient - expected_gradient).abs() < 1e-3 * expected_gradient.abs().max()
    assert close.float().mean() > 0.999


def test_the_default_convention_differs(values: Values, batch: Batch) -> None:
    """It leaves pixels out of view out of the mean."""
    predicted = outputs(values, "full")
    ours, reference = Photometric()(predicted, batch), SETTINGS["paper"].photometric(predicted, batch)
    assert (ours - reference).abs() > 1e-3 * reference


SUPERVISED: dict[str, SupervisedKind] = {
    "sparse-l1": "sparse_l1",
    "sparse-mse": "mse",
    "sparse-berhu": "berhu",
    "sparse-silog": "silog",
    "sparse-abs_rel": "abs_rel",
}


@pytest.mark.parametrize("name", SUPERVISED)
def test_supervised_losses(values: Values, batch: Batch, name: str) -> None:
    term = Supervised(kind=SUPERVISED[name], convention="reference")
    expected = values[f"supervised_{name}"].squeeze()
    torch.testing.assert_close(term(outputs(values, "full"), batch), expected, rtol=1e-4, atol=1e-7)


def test_every_supervised_loss_of_the_reference_has_its_term(values: Values) -> None:
    assert {name.removeprefix("supervised_") for name in values if name.startswith("supervised_")} <= set(SUPERVISED)


def test_velocity(values: Values) -> None:
    distance = se3.inverse(values["gt_pose"])[..., :3, 3].norm(dim=-1)
    torch.testing.assert_close(
        velocity_loss(values["pose_mat"], distance), values["velocity"].squeeze(), rtol=1e-5, atol=1e-8
    )
