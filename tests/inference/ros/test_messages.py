"""Depth images, calibrations and clouds as messages, compared with depth and with the formulas of ROS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference.options import PointOptions, RecordingOptions
from packdepth.inference.ros.messages import MAX_RANGE, camera_info, depth_image, depth_messages
from packdepth.records import Prediction
from packdepth.sources.ros_messages import Header

CAMERA = Camera(fx=50.0, fy=40.0, cx=7.0, cy=5.0, width=16, height=12)
HEADER = Header(1_700_000_000_123_456_789, "front_optical")
RNG = np.random.default_rng(0)
DEPTH = RNG.uniform(1.0, 120.0, (12, 16)).astype(np.float32)
IMAGE = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
ALL = PointOptions(all_points=True)


def make(kind: str, **fields: Any) -> Any:
    return SimpleNamespace(kind=kind, **fields)


def prediction(**changes: Any) -> Prediction:
    values: dict[str, Any] = {"camera": CAMERA, "metric": True} | changes
    return Prediction(DEPTH, 1 / DEPTH, scale_source="speed", image=IMAGE, **values)


def columns(cloud: Any) -> np.ndarray:
    """The points of a PointCloud2 as a structured array."""
    names = [field.name for field in cloud.fields]
    assert all(field.datatype == 7 and field.count == 1 for field in cloud.fields)
    offsets = [field.offset for field in cloud.fields]
    layout = {"names": names, "formats": ["<f4"] * len(names), "offsets": offsets, "itemsize": cloud.point_step}
    return np.frombuffer(cloud.data.tobytes(), np.dtype(layout))  # type: ignore[call-overload]


def test_the_points_of_a_cloud_are_the_pixels_of_the_depth_image_seen_by_its_calibration() -> None:
    image, info, cloud = depth_messages(make, HEADER, prediction(), ALL, RecordingOptions())
    depth = image.data.view("<f4").reshape(image.height, image.width)
    v, u = np.nonzero(depth <= MAX_RANGE)
    P = info.p.reshape(3, 4)
    points = columns(cloud)
    assert len(points) == len(u) < depth.size
    z = depth[v, u]
    np.testing.assert_array_equal(points["z"], z)
    np.testing.assert_allclose(points["x"], (u - P[0, 2]) / P[0, 0] * z, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(points["y"], (v - P[1, 2]) / P[1, 1] * z, rtol=1e-5, atol=1e-5)
    packed = points["rgb"].copy().view("<u4")
    shown = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=-1)
    np.testing.assert_array_equal(shown, IMAGE[v, u])
    assert (cloud.height, cloud.width, cloud.row_step, cloud.is_dense) == (1, len(u), 16 * len(u), True)


def test_all_messages_have_the_time_and_the_frame_of_the_image() -> None:
    for message in depth_messages(make, HEADER, prediction(), ALL, RecordingOptions()):
        stamp = message.header.stamp
        assert (stamp.sec, stamp.nanosec, message.header.frame_id) == (1_700_000_000, 123_456_789, "front_optical")


def test_the_calibration_is_that_of_rectified_images() -> None:
    info = camera_info(make, None, CAMERA)
    assert (info.width, info.height, info.distortion_model) == (16, 12, "plumb_bob")
    assert info.k.tolist() == [50, 0, 7, 0, 40, 5, 0, 0, 1]
    assert info.p.tolist() == [50, 0, 7, 0, 0, 40, 5, 0, 0, 0, 1, 0]
    assert (info.d.tolist(), info.r.tolist()) == ([0] * 5, np.eye(3).ravel().tolist())


def test_millimetres_are_unknown_where_16_bits_end() -> None:
    depth = np.array([[0.0004, 1.2346, 65.535, 65.536, np.nan, np.inf, -1.0]], dtype=np.float64)
    image = depth_image(make, None, depth, "16UC1")
    assert image.data.view("<u2").tolist() == [0, 1235, 65535, 0, 0, 0, 0]
    assert (image.encoding, image.step, image.is_bigendian) == ("16UC1", 14, 0)


def test_unknown_depth_is_nan_in_floats() -> None:
    image = depth_image(make, None, np.array([[2.5, 0.0, np.inf]], dtype=np.float32), "32FC1")
    np.testing.assert_array_equal(image.data.view("<f4"), np.array([2.5, np.nan, np.nan], np.float32))


def test_what_the_cloud_leaves_out_can_be_unknown_in_the_depth_image() -> None:
    points = PointOptions(max_depth=60.0)
    whole, _, _ = depth_messages(make, HEADER, prediction(), points, RecordingOptions())
    cut, _, cloud = depth_messages(make, HEADER, prediction(), points, RecordingOptions(cut_depth=True))
    kept = prediction().kept(60.0, reliable=True)
    np.testing.assert_array_equal(whole.data.view("<f4"), DEPTH.ravel())
    np.testing.assert_array_equal(cut.data.view("<f4"), np.where(kept, DEPTH, np.nan).ravel())
    np.testing.assert_array_equal(columns(cloud)["z"], DEPTH[kept])


def test_confidence_is_a_field_of_the_cloud() -> None:
    confidence = RNG.uniform(size=DEPTH.shape).astype(np.float32)
    points = PointOptions(all_points=True, max_depth=1000.0, min_confidence=0.5)
    _, _, cloud = depth_messages(make, HEADER, prediction(confidence=confidence), points, RecordingOptions())
    np.testing.assert_array_equal(columns(cloud)["confidence"], confidence[confidence >= 0.5])


def test_a_cloud_without_points_is_a_message_too() -> None:
    _, _, cloud = depth_messages(make, HEADER, prediction(), PointOptions(max_depth=0.1), RecordingOptions())
    assert (cloud.width, cloud.row_step, len(cloud.data)) == (0, 0, 0)


@pytest.mark.parametrize("changes", [{"metric": False}, {"camera": None}])
def test_depth_that_is_not_in_metres_is_no_message(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="in metres"):
        depth_messages(make, HEADER, prediction(**changes), ALL, RecordingOptions())
