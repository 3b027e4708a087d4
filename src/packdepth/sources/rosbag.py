"""Recordings of ROS 1 (.bag) and ROS 2 (a folder, .db3 or .mcap): images, camera_info, and odometry or twist for speed.

The library rosbags (extra `ros`) is imported when a recording is opened. ROS need not be installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from packdepth.blocks import nearest
from packdepth.errors import InputError
from packdepth.reading import parse_yaml, refuse_special
from packdepth.records import Clip, Frame
from packdepth.sources.base import UncalibratedSource, unread_names
from packdepth.sources.calibrations.find import beside
from packdepth.sources.camera_file import CameraFacts, calibrated_camera, facts_or_guess
from packdepth.sources.files import by_name, inside, is_clutter, listed, read_text, require
from packdepth.sources.guess import common_guess
from packdepth.sources.recorded_speeds import Clock, Measured, Times, warn_of_clock, with_recorded_speeds
from packdepth.sources.ros_messages import (
    COMPRESSED,
    IMAGE,
    INFO,
    NANOSECONDS,
    Header,
    calibration_key,
    calibration_of,
    camera_in_words,
    check_image,
    header_of,
    image_size_of,
    is_mosaic,
    pixels_of,
    same_camera,
    sensor_part,
    sibling,
)
from packdepth.sources.speed_topics import Filed, read_speeds, speed_topics
from packdepth.sources.speeds import SpeedLog

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

SUFFIXES = (".bag", ".db3", ".mcap")  # of recordings
METADATA = "rosbag2_bagfile_information"  # the key in the metadata.yaml of a recording of ROS 2
MAX_REORDERED = 3  # places by which images are recorded earlier or later than taken: a busy computer makes one or two
OPEN_RECORDINGS = 4  # recordings that a process keeps open: samples of a batch come from several clips


class Rosbag(UncalibratedSource):
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
    """Topic of the calibration; if left out, `camera_info` beside the topic of the images. A recording without any has
    the calibration file beside it or, without one, an unknown camera as a video has it."""
    camera: Path | None = None
    """camera.yaml of the images, instead of a topic."""
    rectified: bool | None = None
    """True if the images are rectified. The camera is then matrix P of the calibration. If false, it is matrix K, and
    the images are undistorted. If left out, they are raw; but if the topic's name says "rect" or "undist", and they
    are distorted or P is another camera than K, you are asked which."""
    speed: str | None = None
    """Topic that gives the speed: odometry, twist, fixes of a receiver, poses in metres, or any other one with
    `column`, the field of the speed, and `unit`. If left out, frames have no speed."""
    clock: Clock | None = None
    """Times by which images and speeds are matched: `header` for the stamps of their messages, `recording` for the
    times at which these were recorded. If left out, the stamps, or the times of recording if a topic lacks stamps;
    stamps of two clocks are refused."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file has a recording's suffix, or a folder holds a recording's metadata or only such files.

        Args:
            path: file or folder.
        """
        return path.suffix in SUFFIXES if path.is_file() else _has_metadata(path) or bool(_recordings_in(path))

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """Return the field that selects the recording at a path, or the only one in a folder without metadata.

        Args:
            path: file or folder.

        Raises InputError for a folder with several recordings.
        """
        if path.is_dir() and not _has_metadata(path):
            found = _recordings_in(path)
            if len(found) > 1:
                raise InputError(
                    f"{path}: holds {len(found)} recordings ({listed([each.name for each in found])}); give one; if "
                    f"they are parts of one of ROS 2, 'ros2 bag reindex' writes the metadata.yaml that is missing"
                )
            path = found[0] if found else path
        return super().block(path)

    def find(self) -> list[Clip]:
        """Find the one clip of the recording."""
        if self.clock is not None and self.speed is None:
            raise InputError(f"{self.file}: clock: is for the speeds of a topic; give 'speed' as well, or leave it out")
        with _reading(self.file) as reader:
            topic = self._topic(reader)
            info_topic = self.camera_info or sibling(topic, "camera_info")
            stamps, infos = _scan(reader, topic, info_topic, self.file)
            facts = calibrated_camera(self.camera) if self.camera else self._camera(reader, topic, info_topic, infos)
            facts = facts or self._guess(reader, stamps[0])
            camera = facts["camera"]
            measured = self._measured(reader)
            offered = speed_topics(_types(reader))
        if self.speeds is not None and self.offset is None:
            warn_of_clock(_times_of(stamps, topic), self.file)
        part = sensor_part(infos[0]) if infos and not self.camera else None
        applied = f" ({part.in_words})" if part and any(part) else ""
        for stamp in stamps:
            if (stamp.height, stamp.width) != (camera.height, camera.width):
                raise InputError(
                    f"{self.file}: an image of {topic} is {stamp.width}x{stamp.height} pixels, but its calibration is "
                    f"for {camera.width}x{camera.height}{applied}; give the camera of these images"
                )
        for one, other in pairwise(stamps):
            if one.time == other.time:
                raise InputError(f"{self.file}: {topic} has two images at {one.time} s; record it again")
        clip = Clip(
            name=f"rosbag/{self.file.stem}",
            path=self.file,
            frames=tuple(
                Frame(
                    name=f"{number:06d}",
                    time=stamp.time,
                    image=BagImage(self.file, topic, stamp.received, stamp.header),
                )
                for number, stamp in enumerate(stamps)
            ),
            speed_option=f"speed={offered[0]}" if offered else None,
            **facts,
        )
        return [
            clip if measured is None else with_recorded_speeds(clip, _times_of(stamps, topic), measured, self.clock)
        ]

    def _measured(self, reader: AnyReader) -> Measured | None:
        """Return the speeds of the topic; None if none is named. With a log, `column` and `unit` are of the log."""
        if self.speed is None:
            return None
        column, unit = (self.column, self.unit) if self.speeds is None else (None, None)
        return _speeds(reader, self.speed, column, unit, self.file)

    def _speed_log(self) -> SpeedLog | None:
        if self.speed is not None and self.speeds is None:  # column and unit are those of the topic
            return self.model_copy(update={"speed": None, "column": None, "unit": None})._speed_log()
        return super()._speed_log()

    def _topic(self, reader: AnyReader) -> str:
        """Return the topic of the images. Raises InputError if it does not exist or is not named where needed."""
        topics = sorted({c.topic for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)})
        if self.image is None and len(topics) == 1:
            return topics[0]
        if self.image not in topics:
            which = f"has no images on '{self.image}'" if self.image else f"has images on {len(topics)} topics"
            raise InputError(f"{self.file}: {which}; give one as 'image': {', '.join(topics) or 'it has none'}")
        return self.image

    def _camera(self, reader: AnyReader, topic: str, info_topic: str, infos: Sequence[Any]) -> CameraFacts | None:
        """Return the camera and the lens of the topic's calibrations; None if the recording has no calibration.

        Raises InputError if the calibration changes, and if there are calibrations on other topics alone.
        """
        where = f"{self.file}: {info_topic}"
        found = [calibration_of(info, where, topic, self.rectified) for info in infos]
        for each in found:
            if not same_camera(each.camera, found[0].camera):
                raise InputError(
                    f"{where} changes from {camera_in_words(found[0].camera)} to {camera_in_words(each.camera)}; "
                    f"packdepth takes one camera for all images of a topic: record each setting of the lens by itself, "
                    f"or give 'camera'"
                )
        if found:
            return CameraFacts(camera=found[0].camera, lens=found[0].lens)
        others = sorted({c.topic for c in reader.connections if c.msgtype == INFO and c.msgcount} - {info_topic})
        if not others and self.camera_info is None:
            return None
        what = f"but on {', '.join(others)}; give one as 'camera_info'" if others else "nor elsewhere; leave it out"
        raise InputError(f"{self.file}: has no calibration on {info_topic}, {what}, or give 'camera', a camera.yaml")

    def _guess(self, reader: AnyReader, image: Stamp) -> CameraFacts:
        """Return what the calibration file beside the recording states if there is one camera; otherwise a guess."""
        cameras = {sibling(c.topic, "") for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)}
        return facts_or_guess(
            beside(self.file) if len(cameras) == 1 else None,
            self.file.with_suffix(".yaml"),
            lambda: common_guess(image.height, image.width),
        )


@dataclass(frozen=True)
class BagImage:
    """Image of a recording. Each process keeps its last recordings open."""

    path: Path  # recording
    topic: str  # topic of the image
    received: int  # nanoseconds: time at which the message was recorded
    header: Header  # time and frame of the message

    def read(self) -> np.ndarray:
        """Read the image: [H, W, 3] uint8, RGB."""
        modified = require(self.path, "a recording of ROS").stat().st_mtime_ns
        with _refusing(self.path):
            reader = _open(self.path, modified, os.getpid())
            connections = [c for c in reader.connections if c.topic == self.topic]
            for connection, _, data in reader.messages(connections, start=self.received, stop=self.received + 1):
                message = reader.deserialize(data, connection.msgtype)
                return pixels_of(message, connection.msgtype, f"{self.path}: image of {self.topic} at {self.received}")
        raise InputError(f"{self.path}: has no image of {self.topic} at {self.received} any more; do not change it")


class ImageTopic(NamedTuple):
    """A topic of images."""

    name: str  # name of the topic
    problem: InputError | None  # the reason for which its images cannot be read; None if they can
    mosaic: bool  # whether its images are mosaics


class Message(NamedTuple):
    """A message of a recording."""

    topic: str  # topic
    received: int  # nanoseconds: time at which it was recorded
    content: Any  # object with the fields of the message's type


def image_topics(path: Path) -> list[ImageTopic]:
    """Return the topics of images of a recording in the order of their names, judged by the first image of each.

    Args:
        path: the recording.

    Raises InputError if it cannot be read.
    """
    with _reading(path) as reader:
        kinds = (IMAGE, COMPRESSED)
        names = sorted({c.topic for c in reader.connections if c.msgtype in kinds})
        return [_image_topic(reader, name, kinds) for name in names]


def topics_of(path: Path) -> set[str]:
    """Return the names of all topics of a recording.

    Args:
        path: the recording.

    Raises InputError if it cannot be read.
    """
    with _reading(path) as reader:
        return {connection.topic for connection in reader.connections}


def read_messages(path: Path, kinds: Collection[str]) -> Iterator[Message]:
    """Yield the messages of some types, in the order in which they were recorded.

    Args:
        path: the recording.
        kinds: the types, such as "tf2_msgs/msg/TFMessage".

    Raises InputError if the recording cannot be read.
    """
    with _reading(path) as reader:
        connections = [connection for connection in reader.connections if connection.msgtype in kinds]
        for connection, received, data in _messages(reader, connections, path) if connections else ():
            yield Message(connection.topic, received, reader.deserialize(data, connection.msgtype))


def _image_topic(reader: AnyReader, topic: str, kinds: Collection[str]) -> ImageTopic:
    """Return what the first image of a topic tells of it."""
    connections = [c for c in reader.connections if c.topic == topic and c.msgtype in kinds]
    for connection, _, data in reader.messages(connections):
        message, problem = reader.deserialize(data, connection.msgtype), None
        try:
            check_image(message, connection.msgtype, topic)
        except InputError as error:
            problem = error
        return ImageTopic(topic, problem, is_mosaic(message, connection.msgtype))
    return ImageTopic(topic, InputError(f"{topic}: holds no image"), mosaic=False)


def _has_metadata(folder: Path) -> bool:
    """Return whether a folder holds the metadata of a recording of ROS 2."""
    metadata = folder / "metadata.yaml"
    return metadata.is_file() and METADATA.encode() in metadata.read_bytes()


def _recordings_in(folder: Path) -> list[Path]:
    """Return the recordings of a folder of recordings, their cameras and logs, sorted by name; none of another one."""
    children = [child for child in folder.iterdir() if not is_clutter(child)] if folder.is_dir() else []
    return [] if unread_names(children, SUFFIXES) else by_name(each for each in children if each.suffix in SUFFIXES)


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
        raise InputError(
            f"{path}: is no recording of ROS that can be read ({detail}); copy it again or, if the recorder was "
            f"killed, recover it with rosbag reindex, ros2 bag reindex or mcap recover"
        ) from None


@contextmanager
def _reading(path: Path) -> Iterator[AnyReader]:
    """Open a recording and close it at the end. Raises InputError if it cannot be read, or rosbags is missing."""
    if importlib.util.find_spec("rosbags") is None:
        raise InputError(f"{path}: recordings of ROS need rosbags: pip install 'packdepth[ros]'")
    require(path, "a recording of ROS")
    with _refusing(path):
        reader = _reader(path)
        with reader:
            yield reader


def _reader(path: Path) -> AnyReader:
    """Return the reader of a recording, not yet opened."""
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    for file in path.iterdir() if path.is_dir() else (path,):
        refuse_special(file)
    if path.is_dir() and _has_metadata(path):
        metadata = path / "metadata.yaml"
        content = parse_yaml(read_text(metadata, "the metadata of a recording"), metadata)
        for name in content[METADATA]["relative_file_paths"]:
            inside(path, path, name, metadata)
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

    header: Header  # time and frame of the message
    received: int  # nanoseconds: time at which the message was recorded
    height: int  # pixels
    width: int  # pixels

    @property
    def time(self) -> float:
        """Seconds, from the header or, if it has no time, when the image was recorded."""
        return (self.header.stamp or self.received) / NANOSECONDS


def _messages(
    reader: AnyReader, connections: Sequence[Connection], path: Path
) -> Iterator[tuple[Connection, int, bytes]]:
    """Yield the messages of some connections, at least one. Raises InputError if there are fewer than are announced."""
    announced, count = sum(connection.msgcount for connection in connections), 0
    for item in reader.messages(connections):
        count += 1
        yield item
    if count < announced:
        topics = listed(sorted({connection.topic for connection in connections}))
        raise InputError(
            f"{path}: holds {count} messages of the {announced} on {topics} that its index counts, as a copy that was "
            f"cut off leaves it; copy it again, or let ros2 bag reindex count what is left"
        )


def _scan(reader: AnyReader, topic: str, info_topic: str, path: Path) -> tuple[list[Stamp], list[Any]]:
    """Return time and size of each image of a topic, and the different calibrations of another topic, in one pass."""
    stamps: dict[int, Stamp] = {}
    infos: dict[tuple[Any, ...], Any] = {}
    kinds = {topic: (IMAGE, COMPRESSED), info_topic: (INFO,)}
    connections = [c for c in reader.connections if c.msgtype in kinds.get(c.topic, ())]
    for connection, received, data in _messages(reader, connections, path):
        message = reader.deserialize(data, connection.msgtype)
        if connection.msgtype == INFO:
            infos.setdefault(calibration_key(message), message)
            continue
        if received in stamps:
            raise InputError(f"{path}: {topic} has two images that are filed at {received}; record it again")
        size = image_size_of(message, connection.msgtype, f"{path}: image of {topic} at {received}")
        stamps[received] = Stamp(header_of(message), received, *size)
    if not stamps:
        raise InputError(f"{path}: holds no image on {topic}; record it again")
    return _in_time(list(stamps.values()), topic, path), list(infos.values())


def _in_time(stamps: list[Stamp], topic: str, path: Path) -> list[Stamp]:
    """Return images in the order of their stamps. Raises InputError if it is not about that of their recording."""
    without = [place for place, stamp in enumerate(stamps) if not stamp.header.stamp]
    if 0 < len(without) < len(stamps):
        raise InputError(
            f"{path}: {len(without)} of {len(stamps)} images of {topic} have no stamp, such as image {without[0]}, and "
            f"the others have: it is not known when they were taken; cut them off, or record again"
        )
    rising = sorted(stamps, key=lambda stamp: stamp.time)
    places = {stamp.received: place for place, stamp in enumerate(rising)}
    for place, stamp in enumerate(sorted(stamps, key=lambda stamp: stamp.received)):
        if abs(places[stamp.received] - place) > MAX_REORDERED:
            raise InputError(
                f"{path}: the stamp of image {place} of {topic}, {stamp.time:.9g} s, is not between those beside "
                f"it, as where a clock was set anew; cut the recording there, or record it again"
            )
    return rising


# --- speeds -------------------------------------------------------------------------------------------------------


def _times_of(stamps: Sequence[Stamp], topic: str) -> Times:
    """Return the times of the images of a topic."""
    times = np.array([(stamp.header.stamp, stamp.received) for stamp in stamps]) / NANOSECONDS
    return Times(topic, times[:, 0], times[:, 1])


def _speeds(reader: AnyReader, topic: str, column: str | None, unit: str | None, path: Path) -> Measured:
    """Return the speeds of a topic. Raises InputError if the recording does not hold it, or not its type."""
    types = _types(reader)
    if topic not in types:
        raise InputError(
            f"{path}: speed: has no topic '{topic}'; {nearest(topic, speed_topics(types) or sorted(types))}"
        )
    kind = types[topic]
    if kind not in reader.typestore.fielddefs:
        raise InputError(
            f"{path}: speed: {topic} has messages of the type {kind}, which the recording does not define; record "
            f"it as .mcap, or write its speeds into a table and give speeds=FILE"
        )
    connections = [connection for connection in reader.connections if connection.topic == topic]
    messages = (
        Filed(received, reader.deserialize(data, connection.msgtype))
        for connection, received, data in _messages(reader, connections, path)
    )
    return read_speeds(messages, topic, kind, column, unit, path)


def _types(reader: AnyReader) -> dict[str, str]:
    """Return the types of the messages of all topics that hold any."""
    return {connection.topic: connection.msgtype for connection in reader.connections if connection.msgcount}
