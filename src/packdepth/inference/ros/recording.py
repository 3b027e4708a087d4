"""Depth for the cameras of a recording of ROS, written to another recording: `packdepth predict ... -o OUT.mcap`."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from packdepth import __version__
from packdepth.config import Precision
from packdepth.data.label_maps import check_labeled
from packdepth.disk import unfinished_folder
from packdepth.errors import InputError, check_least
from packdepth.files import make_folder, replacing, say_replaced
from packdepth.geometry.camera import Camera
from packdepth.inference.ahead import read_ahead
from packdepth.inference.base import BasePredictor, say_flip_note
from packdepth.inference.cameras import is_metric_for, known_camera, scale_of_clip
from packdepth.inference.load import load
from packdepth.inference.options import POINTS, RECORDING, PointOptions, RecordingOptions
from packdepth.inference.ros.messages import CLOUD_TOPIC, DEPTH_TOPIC, INFO_TOPIC, TEXT, depth_messages
from packdepth.inference.run import last_lines
from packdepth.progress import counted, progress
from packdepth.records import Clip, Frame, Prediction, Readable
from packdepth.sources.open import open_clips
from packdepth.sources.recognize import source_at
from packdepth.sources.ros_messages import COMPRESSED_SUFFIX, sibling
from packdepth.sources.rosbag import (
    SUFFIXES,
    BagImage,
    ImageTopic,
    Message,
    Rosbag,
    image_topics,
    read_messages,
    topics_of,
)
from packdepth.sources.undistort import UndistortedImage

WRITTEN = ".mcap"  # suffix of what is written
ABOUT = "/packdepth/about"  # topic of the text that says where depth comes from; it marks recordings of packdepth
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")  # types of transforms; the second one is of old ROS 1
STATIC = "tf_static"  # last part of the topic of transforms that are published once
DEPTH_OF_QUEUE = 10  # messages that a publisher keeps for late subscribers, rclpy's usual number
VERSION: Literal[8] = 8  # of metadata of rosbag2: the last one that ROS 2 Humble reads; later releases read it, too


@dataclass(frozen=True)
class CameraJob:
    """A topic of images to predict."""

    topic: str  # topic of the images
    clip: Clip  # its images
    camera: Camera  # the camera of its images

    def output(self, name: str) -> str:
        """Return a topic of the output.

        Args:
            name: the topic below the camera's, such as `DEPTH_TOPIC`.
        """
        return f"/{sibling(self.topic, name).lstrip('/')}"


class Shot(NamedTuple):
    """An image to predict. Shots are ordered by the time at which they were recorded."""

    received: int  # nanoseconds
    number: int  # place among all images, so that the order is total
    job: CameraJob  # its camera
    frame: Frame  # the image, and its name


class PredictedShot(NamedTuple):
    """An image with its prediction."""

    received: int  # nanoseconds
    shot: Shot  # the image
    prediction: Prediction  # its prediction


def is_recording(output: Path) -> bool:
    """Return whether an output has a suffix of recordings of ROS.

    Args:
        output: the output of `packdepth predict`.

    >>> is_recording(Path("out.mcap")), is_recording(Path("out"))
    (True, False)
    """
    return output.suffix.lower() in SUFFIXES


def predict_recording(
    checkpoint: Path,
    input: Path,
    output: Path,
    camera: Path | None = None,
    precision: Precision = "32",
    kind: str | None = None,
    options: Sequence[str] = (),
    flip: bool = False,
    points: PointOptions = POINTS,
    recording: RecordingOptions = RECORDING,
    fov: float | None = None,
    runtime: str | None = None,
    batch: int = 1,
) -> None:
    """Predict depth of each image of each camera of a recording, write it as messages, and print what was written.

    For images on /camera/image_raw, these are /camera/depth/image_raw, /camera/depth/camera_info and
    /camera/depth/points. They have the times and frames of the images, and are filed at the times at which the images
    were. Transforms are copied.

    Args:
        checkpoint: a checkpoint or an exported file, as in `load`.
        input: the recording: a .bag, .db3 or .mcap, or the folder of a ROS 2 recording.
        output: the .mcap to write. An earlier output of this function is replaced, and no other file.
        camera: a calibration file in place of the recording's own; for one camera alone.
        precision: the precision of the depth network, as in `load`.
        kind: "rosbag", or None.
        options: options of the source (see `Rosbag`). `image=TOPIC` selects one camera; all are predicted otherwise.
        flip: fuse each prediction with that of the mirrored image, and cut points from clouds where the two differ.
        points: the points of clouds.
        recording: depth images.
        fov: horizontal field of view of images without calibration, in degrees, in place of `camera`.
        runtime: what computes an exported file, as in `load`.
        batch: number of images in a call of the depth network; of more than one, the next are read meanwhile.

    Raises InputError before anything is written, unless an image turns out to be damaged when its turn comes.
    """
    points.check()
    check_least("batch", batch, 1)
    _check_output(input, output)
    source = source_at(input, kind, options)
    if not isinstance(source, Rosbag):
        raise InputError(
            f"{output}: a recording of ROS is written from a recording, but {input} is none; name a folder to write to"
        )
    topics = [source.image] if source.image else _chosen(image_topics(source.file), input)
    own = {"--camera": camera, "camera": source.camera, "camera_info": source.camera_info}
    for option, value in own.items():
        if value is not None and len(topics) > 1:
            raise InputError(
                f"{input}: has {len(topics)} cameras, but {option} is of one; name its images, such as "
                f"image={topics[0]}"
            )
    chosen = [list(options) if source.image else [*options, f"image={topic}"] for topic in topics]
    opened = [open_clips(input, kind, each, camera, fov)[0] for each in chosen]
    predictor = load(checkpoint, precision=precision, runtime=runtime)
    predictor.batch = batch
    points.check_confidence(predictor.has_confidence, checkpoint)
    if predictor.label_classes is not None:
        check_labeled(opened, predictor.meta.label_classes)
    jobs = [_job(topic, clip, predictor) for topic, clip in zip(topics, opened, strict=True)]
    say_flip_note(predictor, flip)
    make_folder(output.parent)
    say_replaced([output])
    scales = dict.fromkeys(scale_of_clip(clip, predictor.meta) for clip in opened)
    about = f"packdepth {__version__}: depth of {input.name} by {checkpoint}; depth is {', '.join(scales)}"
    shots = _shots(jobs)
    with _writing(output) as written:
        written.write(ABOUT, shots[0].received, written.make(TEXT, data=about), latched=True)
        transforms = _transforms(source.file, shots[0].received, shots[-1].received)
        predicted = progress(_predicted(predictor, shots, flip), "depth", len(shots))
        for item in _in_order(transforms, predicted):
            if isinstance(item, Message):
                written.write(item.topic, item.received, written.copied(item.content), item.topic.endswith(STATIC))
                continue
            header = _recorded(item.shot.frame.image).header
            messages = depth_messages(written.make, header, item.prediction, points, recording)
            for name, message in zip((DEPTH_TOPIC, INFO_TOPIC, CLOUD_TOPIC), messages, strict=True):
                written.write(item.shot.job.output(name), item.received, message)
    print("\n".join([*_lines(jobs, output, topics_of(source.file)), *last_lines(predictor.meta, opened, points)]))


# --- choosing -----------------------------------------------------------------------------------------------------


def _check_output(input: Path, output: Path) -> None:
    """Raise InputError for an output of another suffix, in the input, or that packdepth did not write."""
    if output.suffix != WRITTEN:
        raise InputError(f"{output}: recordings are written as .mcap; name {output.with_suffix(WRITTEN)}")
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    if output.resolve() == input.resolve() or (input.is_dir() and input.resolve() in output.resolve().parents):
        raise InputError(f"{output}: would be written into the input {input}; name a file elsewhere")
    if output.exists() and not _is_ours(output):
        raise InputError(f"{output}: exists, and packdepth did not write it; name another file")


def _is_ours(output: Path) -> bool:
    """Return whether a file is a recording that packdepth wrote."""
    try:
        return ABOUT in topics_of(output)
    except InputError:
        return False


def _chosen(topics: Sequence[ImageTopic], path: Path) -> list[str]:
    """Return the topics whose images are predicted, and print on standard error which are left out, and why.

    Raises InputError if there is none, and if two are of one camera.
    """
    names = {topic.name for topic in topics if topic.problem is None}
    mosaics = {topic.name for topic in topics if topic.mosaic}
    left_out = [str(topic.problem) for topic in topics if topic.problem is not None]
    if not names:
        raise InputError(f"{path}: has no images to predict" + (f": {left_out[0]}" if left_out else ""))
    for name in sorted(names):
        plain = name.removesuffix(COMPRESSED_SUFFIX)
        if name != plain and plain in names:
            names.remove(name)
            left_out.append(f"{name}: has the images of {plain}")
    for name in sorted(names & mosaics):
        colors = [other for other in sorted(names - mosaics) if sibling(other, "") == sibling(name, "")]
        if colors:
            names.remove(name)
            left_out.append(f"{name}: is the mosaic of {colors[0]}")
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    chosen: dict[str, str] = {}
    for name in sorted(names):
        other = chosen.setdefault(sibling(name, ""), name)
        if other != name:
            raise InputError(
                f"{path}: {other} and {name} are of one camera, whose depth has one topic; give one as image={other}"
            )
    return list(chosen.values())


def _job(topic: str, clip: Clip, predictor: BasePredictor) -> CameraJob:
    """Return the job of a topic. Raises InputError if its camera is not known, or depth is not in metres."""
    camera = known_camera(clip, predictor.meta)
    if camera is None:
        raise InputError(
            f"{clip.path}: has no calibration of {topic}, which a point cloud needs; name its file with --camera, or "
            f"its field of view with --fov"
        )
    if not is_metric_for(clip, predictor.meta):
        raise InputError(
            f"{clip.path}: depth of {topic} is {scale_of_clip(clip, predictor.meta)}; messages of ROS hold metres: see "
            f"packdepth calibrate, or name a folder to write to"
        )
    return CameraJob(topic, clip, camera)


# --- reading ------------------------------------------------------------------------------------------------------


def _shots(jobs: Sequence[CameraJob]) -> list[Shot]:
    """Return the images of all cameras in the order in which they were recorded."""
    taken = [(_recorded(frame.image).received, job, frame) for job in jobs for frame in job.clip.frames]
    taken.sort(key=lambda each: each[0])
    return [Shot(received, number, job, frame) for number, (received, job, frame) in enumerate(taken)]


def _predicted(predictor: BasePredictor, shots: Iterable[Shot], flip: bool) -> Iterator[PredictedShot]:
    """Yield the prediction of each image, in order; a batch of them is in memory."""
    content = ((shot, shot.frame.image.read()) for shot in shots)
    with read_ahead(content, predictor.batch) as stream:
        while chunk := list(islice(stream, predictor.batch)):
            taken, images = zip(*chunk, strict=True)
            predictions = predictor.predict_batch(images, [shot.job.camera for shot in taken], flip=flip)
            for shot, prediction in zip(taken, predictions, strict=True):
                yield PredictedShot(shot.received, shot, prediction)


def _recorded(image: Readable) -> BagImage:
    """Return the image of a recording that a frame is made of."""
    recorded = image.file if isinstance(image, UndistortedImage) else image
    assert isinstance(recorded, BagImage)
    return recorded


def _transforms(path: Path, first: int, last: int) -> Iterator[Message]:
    """Yield the transforms of a recording: all static ones, and others between two times (nanoseconds)."""
    for message in read_messages(path, TRANSFORMS):
        if message.topic.endswith(STATIC) or first <= message.received <= last:
            yield message


def _in_order(transforms: Iterable[Message], predicted: Iterable[PredictedShot]) -> Iterator[Message | PredictedShot]:
    """Yield messages and predictions in the order in which they were recorded. Each is taken when it is its turn."""

    def received(item: Message | PredictedShot) -> int:
        return item.received

    return heapq.merge(transforms, predicted, key=received)


# --- writing ------------------------------------------------------------------------------------------------------


class _Recording:
    """A recording that is being written.

    Args:
        writer: rosbags' writer.
        types: rosbags' types of messages.
    """

    def __init__(self, writer: Any, types: Any) -> None:
        self._writer, self._types = writer, types
        self._connections: dict[str, Any] = {}

    def make(self, kind: str, **fields: Any) -> Any:
        """Return a message of a type, as `messages.Make` asks for."""
        return self._types.types[kind](**fields)

    def copied(self, message: Any) -> Any:
        """Return a message of another recording, with the fields that ROS 2 has: headers of ROS 1 have one more."""
        kind = getattr(message, "__msgtype__", None)
        if isinstance(message, list):
            return [self.copied(each) for each in message]
        if kind is None:
            return message
        made = self._types.types[TRANSFORMS[0] if kind in TRANSFORMS else kind]
        names = [field.name for field in fields(made) if field.init]
        return made(**{name: self.copied(getattr(message, name)) for name in names})

    def write(self, topic: str, received: int, message: Any, latched: bool = False) -> None:
        """Write a message, filed at a time in nanoseconds; `latched` ones reach late subscribers, too."""
        kind, topic = message.__msgtype__, f"/{topic.lstrip('/')}"
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[_quality(latched)]
            )
        self._writer.write(self._connections[topic], received, self._types.serialize_cdr(message, kind))


def _quality(latched: bool) -> Any:
    """Return the QoS profile of a topic: reliable, as RViz asks for; what is latched is kept for late subscribers."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    unlimited = QosTime(2147483647, 4294967295)  # how rosbag2 writes that there is no limit
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else DEPTH_OF_QUEUE,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=unlimited,
        lifespan=unlimited,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=unlimited,
        avoid_ros_namespace_conventions=False,
    )


@contextmanager
def _writing(path: Path) -> Iterator[_Recording]:
    """Open a recording to write. If the block fails, `path` is as before."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    with unfinished_folder(path) as folder, replacing(path) as temporary:
        place = folder / path.stem  # rosbags writes a folder, of which the file alone is kept
        writer = Writer(place, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            yield _Recording(writer, get_typestore(Stores.ROS2_HUMBLE))
        (place / f"{place.name}{WRITTEN}").replace(temporary)


# --- reporting ----------------------------------------------------------------------------------------------------


def _lines(jobs: Sequence[CameraJob], output: Path, topics: set[str]) -> list[str]:
    """Return lines that say what was written, and what to mind; `topics` are those of the input."""
    count = sum(len(job.clip.frames) for job in jobs)
    lines = [f"recording of {counted(count, 'frame')}: {output}"]
    for job in jobs:
        names = [job.output(name) for name in (DEPTH_TOPIC, INFO_TOPIC, CLOUD_TOPIC)]
        frame_id = _recorded(job.clip.frames[0].image).header.frame_id
        frame = f"in frame {frame_id}" if frame_id else "without a frame_id, which viewers need to place clouds"
        lines.append(f"{job.topic}: {', '.join(names)} ({len(job.clip.frames)} each, {frame})")
        both = sorted(topics & set(names))
        if both:
            lines.append(f"the input has {', '.join(both)}, too: remap one of them to play both")
    return lines
