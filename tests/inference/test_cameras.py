"""The camera of an image beside those of the training."""

from __future__ import annotations

from typing import Any

import pytest
from described import described
from hypothesis import given
from hypothesis import strategies as st

from packdepth.checkpoint import Meta, TrainedCamera
from packdepth.geometry.camera import Camera
from packdepth.inference.cameras import MAX_ZOOM, match_camera

TRAINED = Camera(fx=550.0, fy=550.0, cx=703.5, cy=187.5, width=1408, height=376)


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


def test_an_unknown_camera_is_taken_for_the_trained_one_only_at_its_size() -> None:
    assert match_camera(None, 376, 1408, meta_of()).is_metric
    match = match_camera(None, 540, 960, meta_of())
    assert not match.is_metric
    assert "960x540 pixels where the networks were trained on 1408x376" in str(match.warning)


def test_a_checkpoint_that_records_no_camera_matches_any_image() -> None:
    assert match_camera(None, 540, 960, meta_of(trained_cameras=[])).is_metric
