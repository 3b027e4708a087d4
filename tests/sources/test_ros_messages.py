"""Messages of ROS that are any objects with the right fields; ROS and rosbags are not needed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.sources.ros_messages import calibration_of

K = (300.0, 0, 319.5, 0, 300.0, 95.5, 0, 0, 1)


def info(zoom: float = 1.0, shift: float = 0.0, d: tuple[float, ...] = (0.0,) * 5) -> Any:
    """A camera_info whose P is K with another focal length, and a principal point moved by a share of the width."""
    fx, _, cx, _, fy, cy, *_ = K
    P = (fx * zoom, 0, cx + shift * 640, -50.0, 0, fy * zoom, cy, 0, 0, 0, 1, 0)
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    sizes = {"width": 640, "height": 192, "binning_x": 0, "binning_y": 0}
    return SimpleNamespace(k=K, p=P, d=d, distortion_model="plumb_bob", roi=roi, **sizes)


RECTIFIED_TOPICS = pytest.mark.parametrize("topic", ["/left/image_rect", "/left/image_rect_color", "/left/undistorted"])


@RECTIFIED_TOPICS
@pytest.mark.parametrize(("zoom", "shift"), [(0.93, 0.0), (1.05, 0.0), (1.0, 0.02), (1.0, -0.02)])
def test_a_rectified_topic_whose_p_is_another_camera_than_k_asks_which_holds(
    complaint: Callable[..., None], topic: str, zoom: float, shift: float
) -> None:
    """Rectifying a stereo pair changes the camera of images without distortion, too."""
    message = info(zoom, shift)
    complaint(
        lambda: calibration_of(message, "x.bag: /left/camera_info", topic, None),
        "x.bag: /left/camera_info has the camera 640x192 (fx, fy, cx, cy 300, 300, 319.5, 95.5) for raw images (K)",
        "for rectified ones (P)",
        topic,
        "give 'rectified': true to use P, or 'rectified': false to use K",
    )
    assert calibration_of(message, "", topic, True).camera.fx == pytest.approx(300 * zoom)
    assert calibration_of(message, "", topic, True).camera.cx == pytest.approx(319.5 + shift * 640)
    assert calibration_of(message, "", topic, False).camera.numbers == (300, 300, 319.5, 95.5)


@RECTIFIED_TOPICS
@pytest.mark.parametrize("zoom", [1.0, 1.002, 0.0, float("nan")])
def test_a_rectified_topic_whose_p_is_k_or_no_camera_has_the_camera_k(topic: str, zoom: float) -> None:
    assert calibration_of(info(zoom), "", topic, None).camera.numbers == (300, 300, 319.5, 95.5)


@given(st.floats(0.5, 2.0), st.floats(-0.2, 0.2))
def test_raw_images_have_the_camera_k_whatever_p_is(zoom: float, shift: float) -> None:
    assert calibration_of(info(zoom, shift), "", "/left/image_raw", None).camera.fx == 300


@given(st.floats(0.5, 2.0), st.floats(-0.2, 0.2))
def test_no_camera_of_rectified_images_is_off_by_more_than_a_percent_without_a_word(zoom: float, shift: float) -> None:
    try:
        camera = calibration_of(info(zoom, shift), "", "/left/image_rect", None).camera
    except InputError:
        assert abs(1 / zoom - 1) > 0.0099 or abs(shift) > 0.0099
    else:
        assert camera.fx == pytest.approx(300 * zoom, rel=0.0101)
        assert camera.cx == pytest.approx(319.5 + shift * 640, abs=6.5)
