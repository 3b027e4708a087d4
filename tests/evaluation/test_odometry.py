"""Trajectory metrics: closed forms, and a second implementation written from the definitions."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from packdepth.errors import InputError
from packdepth.evaluation.odometry import (
    ate,
    drift,
    odometry_errors,
    rpe,
    scale_drift,
    segment_errors,
    snippet_ate,
    stretched,
    umeyama,
)
from packdepth.evaluation.odometry_page import PathFromAbove, verdict
from packdepth.evaluation.odometry_report import OdometryReport
from packdepth.evaluation.trajectory_files import write_kitti, write_tum
from packdepth.geometry.poses import chained, from_first


def rigid(rotvec: np.ndarray, translation: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_rotvec(rotvec).as_matrix(), translation
    return T


def walk(count: int, seed: int = 0, noise: float = 0.0) -> np.ndarray:
    """Poses T_world_camera [N, 4, 4] of a winding drive of about 1.1 metres a frame; `noise` is another driver's."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    poses = [rigid(rng.standard_normal(3), 10 * rng.standard_normal(3))]
    for _ in range(count - 1):
        turn = 0.02 * rng.standard_normal(3) + 0.02 * noise * other.standard_normal(3)
        step = [0, 0, 1.1] + 0.1 * rng.standard_normal(3) + noise * other.standard_normal(3)
        poses.append(poses[-1] @ rigid(turn, step))
    return np.stack(poses)


def straight(count: int, step: float = 1.0) -> np.ndarray:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 2, 3] = step * np.arange(count)
    return poses


# --- closed forms -------------------------------------------------------------------------------------------------


def test_ground_truth_has_no_error_in_any_world_frame() -> None:
    true = walk(900)
    found = odometry_errors(rigid(np.array([0.3, -1.0, 2.0]), np.array([5.0, 6.0, 7.0])) @ true, true)
    assert found.scale == pytest.approx(1)
    for name in ("ate", "ate_scaled", "snippet_ate", "snippet_ate_scaled", "rpe_translation", "t_rel", "t_rel_scaled"):
        assert getattr(found, name) == pytest.approx(0, abs=1e-8), name
    assert (found.rpe_rotation, found.r_rel) == pytest.approx((0, 0), abs=1e-5)
    assert found.distance == pytest.approx(np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1).sum())


def test_a_wrong_unit_in_closed_form() -> None:
    """A straight line of 1 m steps, predicted as 1.1 m: a tenth too long, and straight."""
    true, predicted = straight(301), straight(301, 1.1)
    found = odometry_errors(predicted, true)
    assert found.scale == pytest.approx(1 / 1.1)
    assert found.ate_scaled == pytest.approx(0, abs=1e-9)
    assert found.ate == pytest.approx(0.1 * np.arange(301).std())
    assert found.snippet_ate == pytest.approx(0.1 * np.sqrt(0 + 1 + 4 + 9 + 16) / 5)
    assert found.snippet_ate_scaled == pytest.approx(0, abs=1e-9)
    assert (found.rpe_translation, found.rpe_rotation) == pytest.approx((0.1, 0))
    # A segment ends at the first frame beyond its length: after 101, 201 and never 301 metres.
    starts = {100: range(0, 200, 10), 200: range(0, 100, 10)}
    shares = [10 * (length + 1) / length for length, group in starts.items() for _ in group]
    assert found.segments == len(shares)
    assert found.t_rel == pytest.approx(np.mean(shares))
    assert found.t_rel_scaled == pytest.approx(0, abs=1e-9)
    assert found.r_rel == pytest.approx(0, abs=1e-6)


def test_a_steady_turn_in_closed_form() -> None:
    """Hundredths of a degree a metre of yaw that are not there."""
    true, turn = straight(150), rigid(np.radians([0, 0.01, 0]), np.zeros(3))
    predicted = chained([np.linalg.inv(rigid(np.zeros(3), np.array([0, 0, 1.0])) @ turn)] * 149)
    assert rpe(predicted, true) == (pytest.approx(0, abs=1e-9), pytest.approx(0.01))
    assert segment_errors(predicted, true).r_rel == pytest.approx(0.01 * 101)


def test_the_divisor_of_snippets_is_sfmlearners() -> None:
    true = straight(5)
    predicted = true.copy()
    predicted[4, 0, 3] = 0.5
    assert snippet_ate(predicted, true, scaled=False) == pytest.approx([0.5 / 5])  # not 0.5 / sqrt(5)


def test_drift_is_where_the_end_is_and_how_the_scale_changes() -> None:
    true = straight(201)
    assert drift(straight(201, 1.1), true) == pytest.approx(10)
    assert scale_drift(straight(201, 1.1), true) == pytest.approx(0, abs=1e-9)  # too long, but evenly
    uneven = true.copy()
    uneven[:, 2, 3] = np.concatenate([1.2 * np.arange(101), 120 + 0.8 * np.arange(1, 101)])
    assert drift(uneven, true) == pytest.approx(0)
    assert scale_drift(uneven, true) == pytest.approx(20)  # 1.2, 1.2, 0.8, 0.8
    turned = rigid(np.array([0.3, -1.0, 2.0]), np.array([5.0, 6.0, 7.0])) @ true
    assert drift(turned, true) == pytest.approx(0, abs=1e-6)
    assert np.isnan([scale_drift(true[:90], true[:90]), drift(straight(9, 0.0), straight(9, 0.0))]).all()


def test_short_trajectories_tell_less() -> None:
    found = odometry_errors(straight(3), straight(3))
    assert np.isnan([found.snippet_ate, found.snippet_ate_scaled, found.t_rel, found.r_rel, found.t_rel_scaled]).all()
    assert (found.segments, found.ate) == (0, pytest.approx(0))


def test_standing_still() -> None:
    found = odometry_errors(straight(6, 0.0), straight(6))
    assert found.scale == 1  # no factor brings a point to a line
    assert (found.ate, found.ate_scaled) == pytest.approx([np.arange(6).std()] * 2)
    assert found.snippet_ate_scaled == pytest.approx(np.sqrt(0 + 1 + 4 + 9 + 16) / 5)
    assert found.rpe_translation == pytest.approx(1)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 5e-3])
def test_a_camera_that_stands_by_its_poses_has_no_errors_relative_to_its_path(noise: float) -> None:
    """Noise of millimetres adds up to a path of 20 metres in 2000 frames."""
    true, predicted = straight(2000, 0.0), straight(2000)
    true[:, :3, 3] += noise * np.random.default_rng(0).standard_normal((2000, 3))
    found = asdict(odometry_errors(predicted, true))
    unknown = {name for name, value in found.items() if np.isnan(value)}
    scaled = {"scale", "ate_scaled", "snippet_ate_scaled", "snippet_ate_scaled_std", "t_rel_scaled"}
    assert unknown == scaled | {"t_rel", "r_rel", "drift", "scale_drift"}
    assert found["ate"] == pytest.approx(np.arange(2000).std(), rel=1e-3)
    assert found["rpe_translation"] == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("metric", [False, True])
def test_the_report_on_a_camera_that_stands_says_so(metric: bool) -> None:
    true, predicted = straight(6, 1e-6), straight(6)
    errors, times = odometry_errors(predicted, true), [0.1 * index for index in range(6)]
    report = OdometryReport(
        "best", "clip", metric, "none", "unknown", 6, 6, 5.0, errors.distance, errors, times, predicted
    )
    assert "the camera stands by its poses, so no errors that are scaled or relative to its path" in report.text()
    assert report.length() == f"length 5.00 {'m' if metric else 'units'}, measured 0.00 m"
    assert verdict(report, true).startswith("Not judged: by what was measured, the camera stands; ")
    np.testing.assert_allclose(PathFromAbove.of(report, true).lines[-1].points[-1], [0, 5], atol=1e-9)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_alignment_finds_the_similarity(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((12, 3))
    R, t = Rotation.random(rng=rng).as_matrix(), rng.standard_normal(3)
    found = umeyama(points, scale * points @ R.T + t, with_scale=True)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(found.rotation, R, atol=1e-9)
    np.testing.assert_allclose(found.translation, t, atol=1e-8)


def test_alignment_never_mirrors() -> None:
    points = np.random.default_rng(0).standard_normal((12, 3))
    found = umeyama(points, points * [1, 1, -1], with_scale=False)
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_chaining_undoes_the_motions() -> None:
    poses = walk(20)
    motions = np.linalg.inv(poses[1:]) @ poses[:-1]  # T_next_current
    np.testing.assert_allclose(chained(motions), from_first(poses), atol=1e-9)


# --- a second implementation --------------------------------------------------------------------------------------


def position(T: np.ndarray) -> np.ndarray:
    return T[:3, 3]


def best_fit(source: list[np.ndarray], target: list[np.ndarray], scaled: bool) -> list[np.ndarray]:
    """Source moved onto target: centerd, turned by scipy's solution of Wahba's problem, scaled by least squares."""
    a, b = np.array(source), np.array(target)
    a0, b0 = a - a.mean(0), b - b.mean(0)
    turned = Rotation.align_vectors(b0, a0)[0].apply(a0)
    factor = (turned * b0).sum() / (turned**2).sum() if scaled else 1.0
    return list(factor * turned + b.mean(0))


def ate_by_definition(P: np.ndarray, Q: np.ndarray, scaled: bool) -> float:
    moved = best_fit([position(T) for T in P], [position(T) for T in Q], scaled)
    return float(np.sqrt(np.mean([np.sum((a - position(T)) ** 2) for a, T in zip(moved, Q, strict=True)])))


def snippets_by_definition(P: np.ndarray, Q: np.ndarray) -> list[float]:
    errors = []
    for start in range(len(Q) - 4):
        p = [position(np.linalg.inv(P[start]) @ P[start + k]) for k in range(5)]
        q = [position(np.linalg.inv(Q[start]) @ Q[start + k]) for k in range(5)]
        scale = sum(a @ b for a, b in zip(p, q, strict=True)) / sum(a @ a for a in p)
        errors.append(np.sqrt(sum(np.sum((scale * a - b) ** 2) for a, b in zip(p, q, strict=True))) / 5)
    return errors


def segments_by_definition(P: np.ndarray, Q: np.ndarray) -> tuple[float, float, int]:
    along = [0.0]
    for a, b in itertools.pairwise(Q):
        along.append(along[-1] + float(np.linalg.norm(position(b) - position(a))))
    metres, radians = [], []
    for first in range(0, len(Q), 10):
        for length in range(100, 801, 100):
            last = next((k for k in range(first, len(Q)) if along[k] > along[first] + length), None)
            if last is None:
                continue
            error = np.linalg.inv(np.linalg.inv(P[first]) @ P[last]) @ (np.linalg.inv(Q[first]) @ Q[last])
            metres.append(np.linalg.norm(position(error)) / length)
            radians.append(Rotation.from_matrix(error[:3, :3]).magnitude() / length)
    return 100 * float(np.mean(metres)), 100 * float(np.degrees(np.mean(radians))), len(metres)


@pytest.mark.parametrize("seed", [0, 10])
def test_against_the_definitions(seed: int) -> None:
    true, predicted = walk(900, seed), stretched(walk(900, seed, noise=0.1), 0.7)
    assert ate(predicted, true, "se3") == pytest.approx(ate_by_definition(predicted, true, scaled=False))
    assert ate(predicted, true, "sim3") == pytest.approx(ate_by_definition(predicted, true, scaled=True))
    np.testing.assert_allclose(snippet_ate(predicted, true, scaled=True), snippets_by_definition(predicted, true))
    found = segment_errors(predicted, true)
    assert (found.t_rel, found.r_rel, found.segments) == pytest.approx(segments_by_definition(predicted, true))
    assert found.segments > 100
    errors = [
        Rotation.from_matrix((np.linalg.inv(a) @ b)[:3, :3].T @ (np.linalg.inv(c) @ d)[:3, :3]).magnitude()
        for a, b, c, d in zip(predicted[:-1], predicted[1:], true[:-1], true[1:], strict=True)
    ]
    assert rpe(predicted, true)[1] == pytest.approx(np.degrees(np.sqrt(np.mean(np.square(errors)))))


# --- files --------------------------------------------------------------------------------------------------------


def test_files_hold_the_poses(tmp_path: Path) -> None:
    poses, times = walk(7), [0.1 * index for index in range(7)]
    write_tum(tmp_path / "tum.txt", times, poses)
    write_kitti(tmp_path / "kitti.txt", poses)
    tum, kitti = np.loadtxt(tmp_path / "tum.txt"), np.loadtxt(tmp_path / "kitti.txt")
    np.testing.assert_allclose(tum[:, 0], times)
    np.testing.assert_allclose(tum[:, 1:4], poses[:, :3, 3], rtol=1e-7)
    np.testing.assert_allclose(Rotation.from_quat(tum[:, 4:]).as_matrix(), poses[:, :3, :3], atol=1e-7)
    np.testing.assert_allclose(kitti.reshape(7, 3, 4), poses[:, :3], rtol=1e-7, atol=1e-8)


# --- input that is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ["SE3", "rigid", None])
def test_an_alignment_that_does_not_exist_is_refused(alignment: Any) -> None:
    with pytest.raises(InputError, match=f"alignment cannot be {alignment!r}: valid names are se3, sim3"):
        ate(straight(5), straight(5), alignment)


@pytest.mark.parametrize(
    ("poses", "message"),
    [
        (straight(6)[:, :3], r"found \[6, 3, 4\]; append the row 0 0 0 1"),
        (straight(6)[0], r"found \[4, 4\]"),
        (straight(1), r"of two or more frames; found \[1, 4, 4\]"),
        (np.where(np.arange(6)[:, None, None] == 3, np.nan, straight(6)), "NaN or infinity, first at index 3"),
        (np.where(np.arange(6)[:, None, None] >= 4, np.inf, straight(6)), "NaN or infinity, first at index 4"),
    ],
)
def test_what_is_no_trajectory_is_refused(poses: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"predicted poses.*{message}"):
        odometry_errors(poses, straight(6))
    with pytest.raises(InputError, match=f"true poses.*{message}"):
        odometry_errors(straight(6), poses)


def test_trajectories_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="6 predicted poses come with 5 true ones; give one of both for each frame"):
        odometry_errors(straight(6), straight(5))
