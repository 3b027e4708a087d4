"""Recordings of ROS 1 and ROS 2, written message by message."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 40, 3), dtype=np.uint8)
START = 1_700_000_000 * 10**9  # nanoseconds
K = [30.0, 0, 19.5, 0, 31, 5.5, 0, 0, 1]
P = [28.0, 0, 19, 0, 0, 28, 5, 0, 0, 0, 1, 0]


class Recording:
    """Messages of ROS 1 or ROS 2, filed 50 ms after their stamps."""

    def __init__(self, writer: Any, ros: int) -> None:
        self.writer, self.ros = writer, ros
        self.connections: dict[str, Any] = {}
        self.types = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        if ros == 1:
            transforms = "geometry_msgs/TransformStamped[] transforms"
            self.types.register(get_types_from_msg(transforms, "tf2_msgs/msg/TFMessage"))

    def make(self, kind: str, **fields: Any) -> Any:
        return self.types.types[kind](**fields)

    def header(self, time: int, frame_id: str = "camera") -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)
        number = {"seq": 0} if self.ros == 1 else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id, **number)

    def advertise(self, topic: str, kind: str = "sensor_msgs/msg/Image") -> None:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.types)

    def add(self, topic: str, time: int, message: Any) -> None:
        kind = message.__msgtype__
        self.advertise(topic, kind)
        serialize = self.types.serialize_ros1 if self.ros == 1 else self.types.serialize_cdr
        self.writer.write(self.connections[topic], time + 50_000_000, bytes(serialize(message, kind)))

    def image(
        self,
        topic: str,
        time: int,
        pixels: np.ndarray = PIXELS,
        encoding: str = "rgb8",
        pad: int = 0,
        frame_id: str = "camera",
        stamp: int | None = None,
    ) -> None:
        """Add an image that is filed at a time, and has its stamp or another one."""
        rows = np.pad(pixels.reshape(len(pixels), -1), ((0, 0), (0, pad)))
        message = self.make(
            "sensor_msgs/msg/Image",
            header=self.header(time if stamp is None else stamp, frame_id),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=rows.shape[1],
            data=rows.ravel(),
        )
        self.add(topic, time, message)

    def compressed(self, topic: str, time: int, cut: int = 0) -> None:
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, "PNG")
        data = np.frombuffer(buffer.getvalue()[: -cut or None], dtype=np.uint8)
        kind = "sensor_msgs/msg/CompressedImage"
        self.add(topic, time, self.make(kind, header=self.header(time), format="png", data=data))

    def info(
        self,
        topic: str,
        distortion: float = 0.0,
        model: str = "plumb_bob",
        count: int = 5,
        time: int = START,
        K: Sequence[float] = K,
        size: tuple[int, int] = (12, 40),
        part: Sequence[int] = (0,) * 6,
    ) -> None:
        """Add a calibration; `part` is left, top, width and height of the roi, and the binning along x and y."""
        left, top, width, height, binning_x, binning_y = part
        sides = {"x_offset": left, "y_offset": top, "width": width, "height": height}
        roi = self.make("sensor_msgs/msg/RegionOfInterest", **sides, do_rectify=False)
        arrays = {"d": [distortion] * count, "k": K, "r": list(np.eye(3).ravel()), "p": P}
        values = {(n.upper() if self.ros == 1 else n): np.array(v, dtype=np.float64) for n, v in arrays.items()}
        message = self.make(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(time),
            height=size[0],
            width=size[1],
            distortion_model=model,
            binning_x=binning_x,
            binning_y=binning_y,
            roi=roi,
            **values,
        )
        self.add(topic, time, message)

    def transform(self, topic: str, time: int, x: float) -> None:
        """A transform from the robot to the camera, x metres ahead of it."""
        moved = self.make(
            "geometry_msgs/msg/Transform",
            translation=self.make("geometry_msgs/msg/Vector3", x=x, y=0.0, z=0.0),
            rotation=self.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        )
        stamped = self.make(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(time, "base_link"),
            child_frame_id="camera",
            transform=moved,
        )
        self.add(topic, time, self.make("tf2_msgs/msg/TFMessage", transforms=[stamped]))

    def twist(self, topic: str, time: int, x: float, y: float = 0.0) -> None:
        zero = self.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
        linear = self.make("geometry_msgs/msg/Vector3", x=x, y=y, z=0.0)
        twist = self.make("geometry_msgs/msg/Twist", linear=linear, angular=zero)
        kind = "geometry_msgs/msg/TwistStamped"
        self.add(topic, time, self.make(kind, header=self.header(time), twist=twist))


Fill = Callable[[Recording], None]


def write_bag(kind: str, folder: Path, fill: Fill) -> Path:
    """Write a recording of what a function adds: "ros1", "ros2-sqlite3" or "ros2-mcap"."""
    if kind == "ros1":
        path = folder / "drive.bag"
        writer: Any = Writer1(path)
    else:
        path = folder / "drive"
        plugin = StoragePlugin.MCAP if kind.endswith("mcap") else StoragePlugin.SQLITE3
        writer = Writer2(path, version=9, storage_plugin=plugin)
    with writer:
        fill(Recording(writer, 1 if kind == "ros1" else 2))
    return path
