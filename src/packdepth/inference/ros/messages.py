"""Predictions as messages of ROS: depth images, calibrations and point clouds. Neither ROS nor torch is needed.

The functions fill messages through `make(kind, **fields)`, which returns a message of a type: in `recording`,
one that rosbags writes; in the node of `ros2/packdepth_ros`, one that rclpy publishes. Arrays are numpy's.

Conventions: REP 103 (frames of cameras: x right, y down, z forward), REP 118 (depth images).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.voxels import Cloud
from packdepth.inference.options import DepthEncoding, PointOptions, RecordingOptions
from packdepth.records import Prediction
from packdepth.sources.ros_messages import IMAGE, INFO, NANOSECONDS, Header

Make = Callable[..., Any]
"""A function of a message's type, such as "sensor_msgs/msg/Image", and its fields, that returns the message."""

CLOUD, TEXT = "sensor_msgs/msg/PointCloud2", "std_msgs/msg/String"
DEPTH_TOPIC, INFO_TOPIC, CLOUD_TOPIC = "depth/image_raw", "depth/camera_info", "depth/points"  # below a camera's own
MAX_RANGE = 80.0  # metres: end of a cloud without another limit, which is that of KITTI's evaluation
MILLIMETRES = 1000  # in a metre
LAST_MILLIMETRE = 65535  # largest value of 16 bits
FLOAT32 = 7  # code of PointField


class DepthMessages(NamedTuple):
    """The messages of one image. They have its time and its frame."""

    image: Any  # sensor_msgs/msg/Image, depth
    info: Any  # sensor_msgs/msg/CameraInfo of the depth image
    cloud: Any  # sensor_msgs/msg/PointCloud2


def depth_messages(
    make: Make,
    header: Header,
    prediction: Prediction,
    points: PointOptions,
    options: RecordingOptions,
) -> DepthMessages:
    """Return the depth image, its calibration and the point cloud of a prediction.

    Args:
        make: makes messages.
        header: time and frame of the image.
        prediction: the prediction, with a camera.
        points: the points of the cloud. Without `max_depth`, the cloud ends at `MAX_RANGE`.
        options: the depth image.

    Raises InputError if depth is not in metres, which messages of ROS are in, and without a camera.
    """
    if not prediction.metric or prediction.camera is None:
        what = (
            "its camera is not known" if prediction.metric else "it is known up to a factor, or its camera is foreign"
        )
        raise InputError(f"depth of this image cannot be a message of ROS, which is in metres: {what}")
    max_depth = MAX_RANGE if points.max_depth is None else points.max_depth
    reliable = not points.all_points
    depth = prediction.depth
    if options.cut_depth:
        depth = np.where(prediction.kept(max_depth, reliable, points.min_confidence), depth, np.float32(np.nan))
    filled = header_message(make, header)
    return DepthMessages(
        image=depth_image(make, filled, depth, options.depth_encoding),
        info=camera_info(make, filled, prediction.camera),
        cloud=point_cloud(make, filled, prediction.cloud(max_depth, reliable, points.thin, points.min_confidence)),
    )


def header_message(make: Make, header: Header) -> Any:
    """Return a `std_msgs/msg/Header`.

    Args:
        make: makes messages.
        header: time and frame.

    >>> header_message(lambda kind, **fields: fields, Header(1_500_000_000, "camera"))
    {'stamp': {'sec': 1, 'nanosec': 500000000}, 'frame_id': 'camera'}
    """
    seconds, nanoseconds = divmod(header.stamp, NANOSECONDS)
    stamp = make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=header.frame_id)


def depth_image(make: Make, header: Any, depth: np.ndarray, encoding: DepthEncoding) -> Any:
    """Return a `sensor_msgs/msg/Image` of depth.

    Pixels without a depth are NaN in 32FC1 and 0 in 16UC1. Depth beyond 65.535 m does not fit into 16UC1: it is 0, too.

    Args:
        make: makes messages.
        header: the header, as a message.
        depth: z-depth [H, W] in metres; not finite or not positive where unknown.
        encoding: the encoding.

    >>> image = depth_image(lambda kind, **fields: fields, None, np.array([[2.0, 70.0, 0.0]]), "16UC1")
    >>> image["data"].view("<u2").tolist()
    [2000, 0, 0]
    """
    known = np.isfinite(depth) & (depth > 0)
    if encoding == "32FC1":
        values = np.where(known, depth, np.nan).astype("<f4")
    else:
        millimetres = np.rint(np.where(known, depth, 0) * MILLIMETRES)
        values = np.where(millimetres <= LAST_MILLIMETRE, millimetres, 0).astype("<u2")
    height, width = depth.shape
    return make(
        IMAGE,
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * values.itemsize,
        data=values.reshape(-1).view(np.uint8),
    )


def camera_info(make: Make, header: Any, camera: Camera) -> Any:
    """Return the `sensor_msgs/msg/CameraInfo` of images without distortion.

    Args:
        make: makes messages.
        header: the header, as a message.
        camera: the camera.

    >>> info = camera_info(lambda kind, **fields: fields, None, Camera(100.0, 90.0, 49.5, 24.5, width=100, height=50))
    >>> info["p"].reshape(3, 4).tolist()
    [[100.0, 0.0, 49.5, 0.0], [0.0, 90.0, 24.5, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    fx, fy, cx, cy = (float(value) for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    roi = make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        INFO,
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=K.ravel(),
        r=np.eye(3).ravel(),
        p=np.pad(K, ((0, 0), (0, 1))).ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def point_cloud(make: Make, header: Any, cloud: Cloud) -> Any:
    """Return a `sensor_msgs/msg/PointCloud2` with the fields x, y, z, rgb and, if it is known, confidence.

    Colors are packed into a float, as PCL does: its bytes are blue, green, red and 0.

    Args:
        make: makes messages.
        header: the header, as a message.
        cloud: N points in metres, with colors.

    >>> cloud = Cloud(np.ones((2, 3), np.float32), np.full((2, 3), 255, np.uint8), None)
    >>> message = point_cloud(lambda kind, **fields: fields, None, cloud)
    >>> message["width"], message["point_step"], [field["name"] for field in message["fields"]]
    (2, 16, ['x', 'y', 'z', 'rgb'])
    """
    count = len(cloud.points)
    names = ["x", "y", "z", "rgb"] + ([] if cloud.confidence is None else ["confidence"])
    rows = np.zeros((count, len(names)), "<f4")
    rows[:, :3] = cloud.points
    rows.view(np.uint8)[:, 12:15] = cloud.colors[:, ::-1]
    if cloud.confidence is not None:
        rows[:, 4] = cloud.confidence
    fields = [
        make("sensor_msgs/msg/PointField", name=name, offset=4 * place, datatype=FLOAT32, count=1)
        for place, name in enumerate(names)
    ]
    step = 4 * len(names)
    return make(
        CLOUD,
        header=header,
        height=1,
        width=count,
        fields=fields,
        is_bigendian=False,
        point_step=step,
        row_step=step * count,
        data=rows.reshape(-1).view(np.uint8),
        is_dense=True,
    )
