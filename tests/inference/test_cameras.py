"""The camera of an image beside those of the training."""

from __future__ import annotations

from typing import Any

import pytest
from described import described
from hypothesis import given
from hypothesis import strategies as st

from packdepth.checkpoint import LearnedCamera, Meta, TrainedCamera
from packdepth.geometry.camera import Camera
from packdepth.inference.cameras import MAX_SHIFT, MAX_ZOOM, match_camera

TRAINED = Camera(fx=550.0, fy=550.0, cx=703.5, cy=187.5, width=1408, height=376)

LEARNED = LearnedCamera(width=1408, height=376, fx=550.0, fy=550.0, cx=703.5, cy=187.5, focal_deviation=0.01)


def meta_of(**changes: Any) -> Meta:
    trained = TrainedCamera(width=1408, height=376, fx=550.0, fy=550.0, cx=703.5, cy=187.5)
    return described(**{"trained_cameras": [trained]} | changes)


def test_the_trained_camera_matches_exactly() -> None:
    match = match_camera(TRAINED, 376, 1408, meta_of())
    assert (match.factor, match.is_metric, match.warning) == (1.0, True, None)


def test_the_trained_camera_at_another_size_matches() -> None:
    match = match_camera(TRAINED.resized(188, 704), 188, 704, meta_of())
    assert match.factor == pytest.approx(1.0)
    assert match.is_metric


@given(zoom=st.floats(0.3, 4.0))
def test_depth_is_corrected_by_the_focal_length_and_metric_only_if_that_is_near(zoom: float) -> None:
    camera = Camera(550.0 * zoom, 550.0 * zoom, 703.5, 187.5, 1408, 376)
    match = match_camera(camera, 376, 1408, meta_of())
    assert match.factor == pytest.approx(zoom)
    near = 1 / MAX_ZOOM <= zoom <= MAX_ZOOM
    assert match.is_metric == near
    assert (match.warning is None) == near


def test_images_of_another_shape_are_not_metric() -> None:
    match = match_camera(Camera(550.0, 550.0, 479.5, 269.5, 960, 540), 540, 960, meta_of())
    assert not match.is_metric
    assert "stretched by" in str(match.warning)


@given(down=st.floats(-0.3, 0.3), right=st.floats(-0.3, 0.3))
def test_images_cropped_at_the_top_or_the_bottom_are_not_metric(down: float, right: float) -> None:
    camera = Camera(550.0, 550.0, 703.0 + right * 1408, 187.5 + down * 376, 1408, 376)
    match = match_camera(camera, 376, 1408, meta_of())
    assert match.factor == pytest.approx(1.0)
    assert match.is_metric == (abs(down) <= MAX_SHIFT)
    if not match.is_metric:
        assert f"of the image's height {'lower' if down > 0 else 'higher'} than" in str(match.warning)
        assert f"cropped at the {'bottom' if down > 0 else 'top'}" in str(match.warning)


def test_a_field_of_view_alone_is_named_as_the_cause() -> None:
    trained = TrainedCamera(width=1408, height=376, fx=552.6, fy=552.6, cx=682.0, cy=238.8)
    match = match_camera(Camera.from_fov(103.8, 1408, 376), 376, 1408, meta_of(trained_cameras=[trained]))
    assert match.warning == (
        "its principal point is 14% of the image's height higher than that of the training, as it is in the middle, "
        "where a field of view alone puts it; name the camera's calibration, or train on this camera"
    )


def test_the_days_of_kitti_are_one_camera() -> None:
    first = TrainedCamera(width=1242, height=375, fx=721.5, fy=721.5, cx=609.6, cy=172.9)  # 2011_09_26
    other = Camera(707.1, 707.1, 601.9, 183.1, 1226, 370)  # 2011_09_30
    assert match_camera(other, 370, 1226, meta_of(trained_cameras=[first])).is_metric


def test_a_learned_principal_point_says_nothing_about_others() -> None:
    meta = meta_of(trained_cameras=[], cameras=[LEARNED])
    camera = Camera(550.0, 550.0, 703.5, 240.0, 1408, 376)
    assert match_camera(camera, 376, 1408, meta).is_metric


def test_of_several_trained_cameras_the_nearest_counts() -> None:
    cropped = TrainedCamera(width=1408, height=376, fx=550.0, fy=550.0, cx=703.5, cy=240.0)
    both = meta_of(trained_cameras=[*meta_of().trained_cameras, cropped])
    assert match_camera(Camera(550.0, 550.0, 703.5, 238.0, 1408, 376), 376, 1408, both).is_metric
    assert match_camera(TRAINED, 376, 1408, both).is_metric


def test_an_unknown_camera_is_taken_for_the_trained_one_only_at_its_size() -> None:
    assert match_camera(None, 376, 1408, meta_of()).is_metric
    match = match_camera(None, 540, 960, meta_of())
    assert not match.is_metric
    assert "960x540 pixels where the networks were trained on 1408x376" in str(match.warning)


def test_a_checkpoint_that_records_no_camera_matches_any_image() -> None:
    assert match_camera(None, 540, 960, meta_of(trained_cameras=[])).is_metric
