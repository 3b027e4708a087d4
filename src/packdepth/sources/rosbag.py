"""Recordings of ROS 1 (.bag) and ROS 2 (a folder, .db3 or .mcap): images, camera_info, and odometry or twist for speed.

The library rosbags (extra `ros`) is imported when a recording is opened. ROS need not be installed.
"""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from PIL import Image

from packdepth.blocks import nearest
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.calibrations.record import named_lens
from packdepth.sources.camera_file import CameraFacts, calibrated_camera
from packdepth.sources.files import require
from packdepth.sources.stills import check_mode

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
SPEEDS = {  # path of fields to the linear velocity in a message, by the type of the message
    "nav_msgs/msg/Odometry": ("twist", "twist", "linear"),
    "geometry_msgs/msg/TwistWithCovarianceStamped": ("twist", "twist", "linear"),
    "geometry_msgs/msg/TwistStamped": ("twist", "linear"),
    "geometry_msgs/msg/Twist": ("linear",),
}
CHANNELS = {  # channels of a pixel, and indices of red, green and blue among them, by encoding
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "8UC3": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
    "8UC1": (1, [0, 0, 0]),
}
RECTIFIED = ("rect", "undist")  # parts of the names of topics whose images are rectified
MAX_APART = 0.1  # seconds before the first and after the last speed at which an image has a speed: one frame at 10 Hz
OPEN_RECORDINGS = 4  # recordings that a process keeps open: samples of a batch come from several clips


class Rosbag(Source):
    """Recording of ROS 1 or ROS 2.

    To find its frames, the recording is read once. Frames are named by their number in the order of time.
    """

    place: ClassVar[str] = "file"

    kind: Literal["rosbag"] = "rosbag"
    file: Path
    """Recording: a .bag, .db3 or .mcap, or the folder of a ROS 2 recording."""
    image: str | None = None
    """Topic of the images, compressed or not; may be left out if there is only one."""
    camera_info: str | None = None
    """Topic of the calibration; if left out, `camera_info` beside the topic of the images."""
    camera: Path | None = None
    """camera.yaml of the images, instead of a topic."""
    rectified: bool | None = None
    """True if the images are rectified. The camera is then matrix P of the calibration. If false, it is matrix K, and
    the images are undistorted. If left out, they are raw, unless "rect" in the topic's name says otherwise: then say
    which."""
    speed: str | None = None
    """Topic of odometry or twist that gives the speed; if left out, frames have no speed."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file has a recording's suffix, or a folder holds the metadata of one.

        Args:
            path: file or folder.
        """
        if path.is_dir():
            metadata = path / "metadata.yaml"
            return metadata.is_file() and b"rosbag2_bagfile_information" in metadata.read_bytes()
        return path.suffix in (".bag", ".db3", ".mcap")

    def find(self) -> list[Clip]:
        """Find the one clip of the recording."""
        if importlib.util.find_spec("rosbags") is None:
            raise InputError(f"{self.file}: recordings of ROS need rosbags: pip install 'packdepth[ros]'")
        with _reading(self.file) as reader:
            topic = self._topic(reader)
            stamps = list(_images(reader, topic, self.file))
            facts = calibrated_camera(self.camera) if self.camera else self._camera(reader, topic)
            camera = facts["camera"]
            speeds = _speeds(reader, self.speed, self.file) if self.speed else None
        stamps.sort(key=lambda stamp: stamp.time)
        for stamp in stamps:
            if (stamp.height, stamp.width) != (camera.height, camera.width):
                raise InputError(
                    f"{self.file}: an image of {topic} is {stamp.width}x{stamp.height} pixels, but its calibration is "
                    f"for {camera.width}x{camera.height}; give the camera of these images"
                )
        for one, other in pairwise(stamps):
            if one.time == other.time:
                raise InputError(f"{self.file}: {topic} has two images at {one.time} s; record it again")
        return [
            Clip(
                name=f"rosbag/{self.file.stem}",
                path=self.file,
                frames=tuple(
                    Frame(
                        name=f"{number:06d}",
                        time=stamp.time,
                        image=BagImage(self.file, topic, stamp.received),
                        speed=None if speeds is None else _at(stamp.time, *speeds),
                    )
                    for number, stamp in enumerate(stamps)
                ),
                **facts,
            )
        ]

    def _topic(self, reader: AnyReader) -> str:
        """Return the topic of the images. Raises InputError if it does not exist or is not named where needed."""
        topics = sorted({c.topic for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)})
        if self.image is None and len(topics) == 1:
            return topics[0]
        if self.image not in topics:
            which = f"has no images on '{self.image}'" if self.image else f"has images on {len(topics)} topics"
            raise InputError(f"{self.file}: {which}; give one as 'image': {', '.join(topics) or 'it has none'}")
        return self.image

    def _camera(self, reader: AnyReader, topic: str) -> CameraFacts:
        """Return the camera and the lens in the first message of the calibration's topic."""
        parent = topic.removesuffix("/compressed").rpartition("/")[0]
        info_topic = self.camera_info or f"{parent}/camera_info"
        connections = [c for c in reader.connections if c.topic == info_topic and c.msgtype == INFO]
        for connection, _, data in reader.messages(connections) if connections else ():
            info: Any = reader.deserialize(data, connection.msgtype)
            K, P, D = (np.asarray(_field(info, name), dtype=np.float64) for name in ("k", "p", "d"))
            if self.rectified:
                K = P.reshape(3, 4)[:, :3].ravel()
            model = info.distortion_model
            lens = None if self.rectified else named_lens(f"{self.file}: {info_topic}", model, D.tolist())
            if self.rectified is None and lens is not None and any(word in topic for word in RECTIFIED):
                raise InputError(
                    f"{self.file}: {info_topic} says that the images are distorted ({lens.name}), but {topic} that "
                    f"they are rectified; say 'rectified: true', or 'rectified: false' to undistort them"
                )
            if not (np.isfinite(K).all() and min(K[0], K[4], info.width, info.height) > 0):
                raise InputError(f"{self.file}: {info_topic} holds no calibration; give 'camera', a camera.yaml")
            return CameraFacts(camera=Camera.from_matrix(K.reshape(3, 3), int(info.width), int(info.height)), lens=lens)
        raise InputError(f"{self.file}: has no calibration on {info_topic}; give 'camera_info', or 'camera'")


@dataclass(frozen=True)
class BagImage:
    """Image of a recording. Each process keeps its last recordings open."""

    path: Path  # recording
    topic: str  # topic of the image
    received: int  # nanoseconds: time at which the message was recorded

    def read(self) -> np.ndarray:
        """Read the image: [H, W, 3] uint8, RGB."""
        modified = require(self.path, "a recording of ROS").stat().st_mtime_ns
        with _refusing(self.path):
            reader = _open(self.path, modified, os.getpid())
            connections = [c for c in reader.connections if c.topic == self.topic]
            for connection, _, data in reader.messages(connections, start=self.received, stop=self.received + 1):
                message = reader.deserialize(data, connection.msgtype)
                return _pixels(message, connection.msgtype, f"{self.path}: image of {self.topic} at {self.received}")
        raise InputError(f"{self.path}: has no image of {self.topic} at {self.received} any more; do not change it")


# --- reading ------------------------------------------------------------------------------------------------------


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn whatever rosbags raises for a damaged file into InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # errors of rosbags, and those of sqlite, the decompressors and the parser
        detail = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no recording of ROS that can be read ({detail}); copy it again") from None


@contextmanager
def _reading(path: Path) -> Iterator[AnyReader]:
    """Open a recording and close it at the end."""
    require(path, "a recording of ROS")
    with _refusing(path):
        reader = _reader(path)
        with reader:
            yield reader


def _reader(path: Path) -> AnyReader:
    """Return the reader of a recording, not yet opened."""
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    return AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))  # for recordings without types


@lru_cache(maxsize=OPEN_RECORDINGS)
def _open(path: Path, modified: int, process: int) -> AnyReader:
    """Open a recording, once per process: a forked process opens its own, so that they do not share a file position.

    `modified` (time of the last change, nanoseconds) and `process` (its id) distinguish entries of the cache.
    """
    reader = _reader(path)
    reader.open()
    return reader


@dataclass(frozen=True)
class Stamp:
    """Time and size of an image, known without decoding it."""

    time: float  # seconds, from its header
    received: int  # nanoseconds: time at which the message was recorded
    height: int  # pixels
    width: int  # pixels


def _images(reader: AnyReader, topic: str, path: Path) -> Iterator[Stamp]:
    """Yield time and size of each image of a topic."""
    received = set()
    for connection, filed, data in reader.messages([c for c in reader.connections if c.topic == topic]):
        message: Any = reader.deserialize(data, connection.msgtype)
        if filed in received:
            raise InputError(f"{path}: {topic} has two images that are filed at {filed}; record it again")
        received.add(filed)
        if connection.msgtype == COMPRESSED:
            image = _compressed(message, f"{path}: image of {topic} at {filed}")
            yield Stamp(_time(message, filed), filed, image.height, image.width)
        else:
            yield Stamp(_time(message, filed), filed, message.height, message.width)
    if not received:
        raise InputError(f"{path}: holds no image on {topic}; record it again")


def _speeds(reader: AnyReader, topic: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return times (seconds, rising) and speeds (metres per second) of a topic of odometry or twist."""
    topics = sorted({c.topic for c in reader.connections if c.msgtype in SPEEDS})
    if topic not in topics:
        raise InputError(f"{path}: speed: has no odometry or twist on '{topic}'; {nearest(topic, topics or ['none'])}")
    rows = []
    for connection, filed, data in reader.messages([c for c in reader.connections if c.topic == topic]):
        message = velocity = reader.deserialize(data, connection.msgtype)
        for name in SPEEDS[connection.msgtype]:
            velocity = getattr(velocity, name)
        v: Any = velocity
        rows.append((_time(message, filed), float(np.linalg.norm([v.x, v.y, v.z]))))
    table = np.array(sorted(rows)).reshape(-1, 2)
    if not len(table) or not np.isfinite(table).all():
        raise InputError(f"{path}: speed: {topic} holds no message, or a speed that is no number; name another topic")
    return table[:, 0], table[:, 1]


def _at(time: float, times: np.ndarray, speeds: np.ndarray) -> float | None:
    """Interpolate the speed at a time; None more than `MAX_APART` before the first or after the last measurement."""
    if not times[0] - MAX_APART <= time <= times[-1] + MAX_APART:
        return None
    return float(np.interp(time, times, speeds))


def _time(message: Any, filed: int) -> float:
    """Return the time of a message in seconds: that of its header, or if it has none, when it was recorded."""
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    taken = stamp.sec * 10**9 + stamp.nanosec if stamp is not None else 0
    return (taken or filed) / 1e9


def _field(message: Any, name: str) -> Any:
    """Return a field of a message whose name is a capital letter in ROS 1 and a small one in ROS 2."""
    return getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())


# --- pixels -------------------------------------------------------------------------------------------------------


def _pixels(message: Any, kind: str, where: str) -> np.ndarray:
    """Decode the image of a message of type `kind`: [H, W, 3] uint8, RGB."""
    if kind == COMPRESSED:
        image = _compressed(message, where)
        check_mode(image, where)
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{where}: is truncated or broken ({error}); record it again") from None
    if message.encoding not in CHANNELS:
        raise InputError(f"{where}: has the encoding '{message.encoding}'; convert it to one of {', '.join(CHANNELS)}")
    channels, order = CHANNELS[message.encoding]
    height, width, step = message.height, message.width, message.step
    if step < width * channels or len(message.data) < height * step:
        raise InputError(f"{where}: is truncated ({len(message.data)} bytes for {width}x{height}); record it again")
    rows = np.asarray(message.data, dtype=np.uint8)[: height * step].reshape(height, step)[:, : width * channels]
    return np.ascontiguousarray(rows.reshape(height, width, channels)[..., order])


def _compressed(message: Any, where: str) -> Image.Image:
    """Open a compressed image, of which only the header is read."""
    try:
        return Image.open(io.BytesIO(bytes(message.data)))
    except (OSError, SyntaxError, ValueError):
        raise InputError(f"{where}: is no image that can be read ({message.format}); record it again") from None
