"""Adjusting intrinsics: exactly known views of a rendered world, with and without turns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import world
from fill import smooth_image

from packdepth.geometry import se3
from packdepth.geometry.camera import Camera
from packdepth.geometry.warp import sample
from packdepth.training import calibration
from packdepth.training.calibration import (
    ASPECT_DEVIATION,
    CENTER_DEVIATION,
    FOCAL_DEVIATION,
    Part,
    View,
    adjust,
    combined,
    ground,
    normal_equations,
    prior,
)

CAMERA = Camera(fx=150.0, fy=150.0, cx=127.5, cy=63.5, width=256, height=128)
NO_CHANGE = torch.zeros(4, dtype=torch.float64)
EVERYWHERE = torch.ones(16 * 32, dtype=torch.float64)


@cache
def view(turn: float, forward: float = 0.5, camera: Camera = CAMERA) -> View:
    """A textured view with one context frame, `forward` metres on and turned by `turn` radians.

    The target is made from the context frame by the true camera, depth and motion.
    """
    depth = torch.from_numpy(world.render(2, CAMERA)[1])[None, None].double()
    T = se3.from_vector(torch.tensor([[0, 0, -forward, 0, -turn, 0]], dtype=torch.float64))
    context = torch.from_numpy(smooth_image("calibration", (1, 3, 128, 256), coarse=4)).double()
    pixels, _ = camera.project(se3.transform(T, camera.unproject(depth)))
    return View(sample(context, pixels), context, depth, T)


def blank() -> View:
    gray = torch.full((1, 3, 128, 256), 0.5, dtype=torch.float64)
    return view(0.05)._replace(image=gray, context=gray)


def stretched(factor: float) -> Camera:
    return replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor)


def deviation(turn: float, views: int) -> float:
    return adjust([view(turn)] * views, CAMERA, NO_CHANGE, rounds=1).deviation


def test_motion_straight_ahead_tells_nothing() -> None:
    assert adjust([blank()], CAMERA, NO_CHANGE).deviation == pytest.approx(FOCAL_DEVIATION)
    assert deviation(0.0, 10) > 0.7 * FOCAL_DEVIATION


def test_turns_tell_the_focal_length_and_more_views_tell_it_better() -> None:
    deviations = [deviation(turn, 10) for turn in (0.005, 0.02, 0.05)]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[-1] < 0.05
    assert deviation(0.005, 40) == pytest.approx(deviations[0] / 2, rel=0.25)


def test_a_true_camera_stays() -> None:
    solution = adjust([view(0.05)] * 10, CAMERA, NO_CHANGE, rounds=2)
    np.testing.assert_allclose(solution.change.numpy(), 0, atol=1e-3)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_wrong_camera_is_set_right_in_turns(factor: float) -> None:
    views = [view(turn) for turn in (-0.05, 0.05)] * 3
    solution = adjust(views, stretched(factor), NO_CHANGE)
    assert solution.change[:2].numpy() == pytest.approx(-np.log(factor), abs=0.03)


def test_ground_that_may_tilt_tells_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leans in a bend looks like another focal length."""
    tilting = deviation(0.02, 10)
    monkeypatch.setattr(calibration, "TILT_DEVIATION", 1e-6)
    assert deviation(0.02, 10) < 0.9 * tilting


def test_motions_are_adjusted_too() -> None:
    """What the pose network gets wrong, and the scale of depth, do not bend the camera."""
    right = view(0.05)
    turned = se3.from_vector(torch.tensor([[0.02, 0, 0, 0, 0.01, 0]], dtype=torch.float64))
    wrong = right._replace(motions=turned @ right.motions, depth=1.1 * right.depth)
    solution = adjust([wrong] * 2, CAMERA, NO_CHANGE)
    assert solution.change[:2].numpy() == pytest.approx(0, abs=0.03)


def test_only_the_ground_counts() -> None:
    """The network is wrong about what rises above it, each time otherwise."""
    right = view(0.05)
    above = torch.arange(128)[:, None] < 64
    views = [
        right._replace(depth=torch.where(above, factor * right.depth, right.depth))
        for factor in (0.4, 0.6, 1.0, 1.7, 2.5)
    ]
    assert adjust(views, CAMERA, NO_CHANGE).change[:2].numpy() == pytest.approx(0, abs=0.03)


def test_ground_that_leans_in_bends_is_set_upright() -> None:
    """As a network sees it that learned with a wrong camera; its straights are right."""
    leaning = 1 + torch.linspace(-0.1, 0.1, 256, dtype=torch.float64)
    views = [view(0.0)] * 3
    for turn, lean in ((0.05, leaning), (-0.05, leaning.flip(0))):
        views.append(view(turn)._replace(depth=lean * view(turn).depth))
    assert adjust(views, CAMERA, NO_CHANGE).change[:2].numpy() == pytest.approx(0, abs=0.03)


def test_ground_is_where_depth_is_the_same_in_all_views() -> None:
    """At the left it is not; in one view a car stands at the right."""
    depths = torch.full((5, 1, 16, 24), 10.0, dtype=torch.float64)
    depths[:, ..., :8] *= torch.tensor([0.5, 0.7, 1.0, 1.4, 2.0])[:, None, None, None]
    depths[3, ..., 8:, 16:] = 6
    usual, is_ground = ground(depths)
    assert (usual == 10).all()
    expected = torch.ones(5, 2, 3)
    expected[:, :, 0] = 0
    expected[3, 1, 2] = 0
    torch.testing.assert_close(is_ground.view(5, 2, 3), expected.double())


def test_known_depth_tells_what_free_depth_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a circle with the camera along its tangent (Sturm, CVPR 2001)."""
    known = deviation(0.05, 10)
    monkeypatch.setattr(calibration, "DEPTH_DEVIATION", 10.0)
    assert deviation(0.05, 10) > 2 * known


def test_where_nothing_is_told_a_camera_returns_to_its_guess() -> None:
    change = torch.tensor([0.1, 0.12, 0.01, -0.02], dtype=torch.float64)
    torch.testing.assert_close(adjust([blank()], CAMERA, change).change, NO_CHANGE)
    torch.testing.assert_close(adjust([blank()], CAMERA, 5 * change).change, NO_CHANGE)


def test_a_focal_length_beyond_belief_is_not_believed() -> None:
    """A video that seems to say so has misled the networks: a straight road with cars that move along did."""
    views = [view(turn) for turn in (-0.05, 0.05)] * 3
    assert adjust(views, stretched(1.25), NO_CHANGE).deviation < FOCAL_DEVIATION / 2
    solution = adjust(views, stretched(1.25), torch.tensor([-1.3, -1.3, 0, 0], dtype=torch.float64), rounds=1)
    torch.testing.assert_close(solution.change, NO_CHANGE)
    assert solution.deviation == FOCAL_DEVIATION


def test_steps_that_have_not_become_small_are_no_solution() -> None:
    """What they reach depends on their number: a dashcam's camera was "within 8.3 %" after six of them."""
    views = [view(turn) for turn in (-0.05, 0.05)] * 2
    early, late = (adjust(views, stretched(1.5), NO_CHANGE, rounds=rounds) for rounds in (2, 15))
    assert early.deviation == FOCAL_DEVIATION
    torch.testing.assert_close(early.change, NO_CHANGE)
    assert float(late.change[:2].mean()) == pytest.approx(-np.log(1.5), abs=0.03)


def test_a_principal_point_beyond_belief_is_not_believed() -> None:
    """It would have to move by 13 % of the width, where 2 % is the deviation of the prior."""
    views = [view(turn) for turn in (-0.05, 0.05)] * 4
    for shift, held in ((3.0, False), (-60.0, True)):
        solution = adjust(views, replace(CAMERA, cx=CAMERA.cx + shift), NO_CHANGE)
        assert (solution.deviation == FOCAL_DEVIATION) == held
        assert (solution.change == 0).all() == held


def test_parts_of_the_video_that_disagree_tell_less() -> None:
    """Two cameras, 22 % apart: each half of the video is sure of its own, the whole must not be."""
    turns = [-0.05, 0.05, -0.04, 0.04]
    one, other = ([view(turn, camera=stretched(factor)) for turn in turns] for factor in (0.9, 1.1))
    sure, unsure = adjust(one, CAMERA, NO_CHANGE), adjust([*one, *other], CAMERA, NO_CHANGE)
    assert float(sure.change[:2].mean()) == pytest.approx(np.log(0.9), abs=2 * sure.deviation)
    assert sure.deviation < 0.03
    assert 0.05 < unsure.deviation < 0.15
    assert abs(float(unsure.change[:2].mean())) < 2 * unsure.deviation


@pytest.mark.parametrize("bend", [-0.4, 0.4])
def test_wrong_depth_on_a_straight_road_does_not_bend_the_camera(bend: float) -> None:
    """All views share the error, as those of a network that has not learned yet do."""
    across = torch.linspace(-1, 1, 256, dtype=torch.float64)
    views = [view(0.0)._replace(depth=(bend * across**2).exp() * view(0.0).depth)] * 8
    solution = adjust(views, CAMERA, NO_CHANGE)
    assert solution.deviation == FOCAL_DEVIATION
    torch.testing.assert_close(solution.change, NO_CHANGE)


def test_the_spread_of_parts_is_that_of_their_mean() -> None:
    """Parts that are as sure of themselves as can be deviate as samples of one mean do."""
    offsets = torch.tensor([-0.03, 0.01, 0.04, -0.02], dtype=torch.float64)
    pulls = torch.tensor([1.0, 1, 0, 0], dtype=torch.float64)
    parts = [Part(offset * pulls, 1e9 * torch.eye(4, dtype=torch.float64)) for offset in offsets]
    solution = combined(parts)
    assert float(solution.change[0]) == pytest.approx(0, abs=1e-6)
    assert solution.deviation == pytest.approx(float(offsets.std()) / 2, rel=1e-3)


def test_the_prior_counts_once() -> None:
    part = Part(torch.zeros(4, dtype=torch.float64), prior())
    assert combined([part] * 4).deviation == pytest.approx(FOCAL_DEVIATION)
    sure = Part(torch.full((4,), 0.1, dtype=torch.float64), 5 * prior())
    alone, again = combined([sure]), combined([sure, part, part])
    torch.testing.assert_close(alone.change, sure.change)
    torch.testing.assert_close(again.change, sure.change)
    assert alone.deviation == pytest.approx(FOCAL_DEVIATION / np.sqrt(5))


def test_what_stands_out_is_left_out() -> None:
    """A car that moves by itself, on a fifth of the image: it would pull the focal length by 0.2."""
    still = view(0.05)
    image = still.image.clone()
    image[..., 48:, 60:140] = image[..., 48:, 62:142]
    solution = adjust([still._replace(image=image)] * 10, CAMERA, NO_CHANGE, rounds=2)
    np.testing.assert_allclose(solution.change[:2].numpy(), 0, atol=0.05)


def test_the_prior_counts_standard_deviations() -> None:
    for change, expected in (
        ([FOCAL_DEVIATION, FOCAL_DEVIATION, 0, 0], 1),
        ([ASPECT_DEVIATION / 2, -ASPECT_DEVIATION / 2, 0, 0], 1),
        ([0, 0, 2 * CENTER_DEVIATION, 0], 4),
        ([0, 0, 0, -CENTER_DEVIATION], 1),
    ):
        vector = torch.tensor(change, dtype=torch.float64)
        assert float(vector @ prior() @ vector) == pytest.approx(expected)


def test_images_without_texture_tell_nothing() -> None:
    system = normal_equations(blank(), EVERYWHERE, CAMERA, NO_CHANGE)
    torch.testing.assert_close(system.information, torch.zeros(4, 4, dtype=torch.float64))
    torch.testing.assert_close(system.pull, torch.zeros(4, dtype=torch.float64))


def test_information_is_that_of_a_covariance() -> None:
    information = normal_equations(view(0.02), EVERYWHERE, CAMERA, NO_CHANGE).information
    torch.testing.assert_close(information, information.T, rtol=1e-6, atol=1e-9 * float(information.abs().max()))
    assert np.linalg.eigvalsh(information.numpy()).min() > -1e-9 * float(information.abs().max())
