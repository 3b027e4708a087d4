"""The node's logic, with fake publishers and messages."""

from __future__ import annotations

import sys
from array import array
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from packdepth_ros.logic import DepthLogic, Settings, load_model, make_message, settings_of

from packdepth.errors import InputError
from packdepth.inference.ros.messages import DepthMessages
from packdepth.sources.ros_messages import IMAGE

SECOND = 10**9
RED = np.arange(12 * 40 * 3, dtype=np.uint8).reshape(12, 40, 3)[..., 0]


def make(kind: str, **fields: Any) -> Any:
    return SimpleNamespace(**fields)


def header(time: int) -> Any:
    return make("", stamp=make("", sec=time // SECOND, nanosec=time % SECOND), frame_id="optical")


def image(time: int = SECOND, encoding: str = "rgb8", width: int = 40) -> Any:
    pixels = np.repeat(RED[:, :width, None], 3, axis=-1)
    data = array("B", pixels.tobytes())  # as rclpy gives it
    return make("", header=header(time), height=12, width=width, encoding=encoding, step=3 * width, data=data)


def info(focal: float = 30.0, d: tuple[float, ...] = (0.0,) * 5, left: int = 0, binning: int = 0) -> Any:
    k = np.array([focal, 0, 19.5, 0, focal, 5.5, 0, 0, 1.0])
    p = np.array([focal, 0, 19.5, 0, 0, focal, 5.5, 0, 0, 0, 1.0, 0])
    roi = make("", x_offset=left, y_offset=0, width=0, height=0)
    lens = {"distortion_model": "plumb_bob", "d": array("d", d)}
    return make("", width=40, height=12, **lens, k=k, p=p, binning_x=binning, binning_y=binning, roi=roi)


class Robot:
    """The node's logic, and what it has published and said."""

    def __init__(self, predictor: Any, topic: str = "/camera/image_raw", **settings: Any) -> None:
        self.published: list[DepthMessages] = []
        self.said: list[str] = []
        chosen = Settings(**{"all_points": True} | settings)
        self.clock = 0  # nanoseconds
        self.logic = DepthLogic(
            predictor, chosen, topic, make, self.published.append, self.said.append, lambda: self.clock
        )

    def see(self, *times: int) -> list[float]:
        """The times of what is published of images at some times, in seconds."""
        for time in times:
            self.logic.on_image(image(time), IMAGE)
        return [each.image.header.stamp.sec + each.image.header.stamp.nanosec / SECOND for each in self.published]


def test_an_image_becomes_depth_a_calibration_and_a_cloud(ramp: Any) -> None:
    robot = Robot(ramp())
    robot.logic.on_info(info())
    robot.logic.on_image(image(5 * SECOND + 7), IMAGE)
    ((depth, calibration, cloud),) = robot.published
    metres = depth.data.view("<f4").reshape(12, 40)
    np.testing.assert_allclose(metres, 1.0 + RED, rtol=1e-5)
    for message in (depth, calibration, cloud):
        assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (5, 7, "optical")
    z = cloud.data.view("<f4").reshape(-1, 4)[:, 2]
    np.testing.assert_array_equal(z, metres[metres <= 80])
    assert calibration.k.tolist() == info().k.tolist()


def test_without_a_calibration_it_says_so_once_and_publishes_nothing(ramp: Any) -> None:
    robot = Robot(ramp())
    assert robot.see(1, 2, 3) == []
    assert robot.said == ["/camera/image_raw: no camera_info has come yet; publish it, or give the parameter 'camera'"]


def test_a_calibration_file_takes_the_place_of_camera_info(ramp: Any, tmp_path: Any) -> None:
    file = tmp_path / "camera.yaml"
    file.write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n")
    robot = Robot(ramp(), camera=str(file))
    robot.logic.on_info(info())
    assert len(robot.see(SECOND)) == 1
    assert robot.published[0].info.k[0] == 29


def test_the_rate_leaves_images_out_and_survives_jitter_and_a_clock_that_starts_again(ramp: Any) -> None:
    robot = Robot(ramp(), rate=10.0)
    robot.logic.on_info(info())
    times = [1.0, 1.033, 1.066, 1.099, 1.133, 1.166, 1.2, 0.5, 0.533]
    assert robot.see(*(round(time * SECOND) for time in times)) == [1.0, 1.099, 1.2, 0.5]


@pytest.mark.parametrize("stamp", [0, 7 * SECOND])
def test_the_rate_counts_the_clock_where_stamps_stand_still(ramp: Any, stamp: int) -> None:
    robot = Robot(ramp(), rate=10.0)
    robot.logic.on_info(info())
    published_at = []
    for milliseconds in (1000, 1033, 1066, 1099, 1133, 1166, 1200, 500, 533):
        robot.clock, before = milliseconds * 10**6, len(robot.published)
        if len(robot.see(stamp)) > before:
            published_at.append(milliseconds)
    assert published_at == [1000, 1099, 1200, 500]


@pytest.mark.parametrize(
    ("message", "calibration", "reason"),
    [
        (image(encoding="bayer_rggb16"), info(), "has the encoding 'bayer_rggb16'"),
        (image(width=20), info(), "an image is 20x12 pixels, but its calibration is for 40x12"),
        (image(), info(focal=60.0), "depth would not be in metres: its focal length is 2.00 times"),
        (image(), info(focal=0.0), "camera_info holds no calibration"),
        (image(), info(left=3), "camera_info: its part of the sensor (roi 0x0 at 3, 0; binning 0x0) is not inside"),
        (image(), info(binning=2), "an image is 40x12 pixels, but its calibration is for 20x6"),
    ],
)
def test_what_would_be_wrong_is_said_and_not_published(ramp: Any, message: Any, calibration: Any, reason: str) -> None:
    robot = Robot(ramp())
    robot.logic.on_info(calibration)
    for _ in range(3):
        robot.logic.on_image(message, IMAGE)
    assert (len(robot.published), len(robot.said)) == (0, 1)
    assert reason in robot.said[0]
    robot.logic.on_info(info(focal=30.5))
    robot.logic.on_image(image(), IMAGE)
    assert len(robot.published) == 1


def test_distorted_images_are_undistorted_first(ramp: Any) -> None:
    robot = Robot(ramp())
    robot.logic.on_info(info(d=(0.01, 0.0, 0.0, 0.0, 0.0)))
    robot.logic.on_image(image(), IMAGE)
    ((depth, calibration, _),) = robot.published
    assert calibration.d.tolist() == [0] * 5
    assert calibration.k[0] != 30
    assert not np.array_equal(depth.data.view("<f4").reshape(12, 40), np.float32(1.0) + RED)


def test_a_rectified_topic_with_distortion_asks_which_holds(ramp: Any) -> None:
    bent = info(d=(0.1, 0.0, 0.0, 0.0, 0.0))
    robot = Robot(ramp(), topic="/camera/image_rect")
    robot.logic.on_info(bent)
    assert robot.see(SECOND) == []
    assert robot.said[0].endswith("that they are rectified; give images:=rectified, or images:=raw to undistort them")
    robot = Robot(ramp(), topic="/camera/image_rect", images="rectified")
    robot.logic.on_info(bent)
    assert len(robot.see(SECOND)) == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rate": -1.0}, "rate: is -1"),
        ({"images": "yes"}, "images: is 'yes'; give auto, rectified, raw"),
        ({"depth_encoding": "mono16"}, "depth_encoding: is 'mono16'; give 32FC1 or 16UC1"),
        ({"max_range": 0.0}, "max-depth 0: is no length"),
    ],
)
def test_parameters_that_cannot_be_used(ramp: Any, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Robot(ramp(), **settings)


def test_whole_numbers_are_taken_for_floats_and_other_types_are_refused() -> None:
    assert settings_of({"max_range": 20, "model": "best"}) == Settings(model="best", max_range=20.0)
    with pytest.raises(InputError, match="flip: is 1; give a value such as False"):
        settings_of({"flip": 1})


def test_models_that_cannot_be_published(ramp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="model: is empty"):
        load_model(Settings())
    monkeypatch.setattr("packdepth_ros.logic.load", lambda *args, **kwargs: ramp(metric=False))
    with pytest.raises(InputError, match="but messages of ROS hold metres"):
        load_model(Settings(model="best"))
    monkeypatch.setattr("packdepth_ros.logic.load", lambda *args, **kwargs: ramp())
    with pytest.raises(InputError, match="predicts no confidence"):
        load_model(Settings(model="best", min_confidence=0.5))
    assert load_model(Settings(model="best")).meta.metric


def test_messages_of_rclpy_get_arrays_of_bytes_and_lists_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sensor_msgs.msg")
    module.Image = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sensor_msgs", ModuleType("sensor_msgs"))
    monkeypatch.setitem(sys.modules, "sensor_msgs.msg", module)
    made = make_message("sensor_msgs/msg/Image", height=2, data=np.arange(3, dtype=np.uint8), k=np.eye(2).ravel())
    assert made == SimpleNamespace(height=2, data=array("B", [0, 1, 2]), k=[1.0, 0.0, 0.0, 1.0])
