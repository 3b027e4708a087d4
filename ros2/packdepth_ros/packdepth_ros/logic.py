"""What the node does: images and calibrations in, depth messages out. Nothing in this file needs ROS."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import ideal_camera
from packdepth.inference.base import BasePredictor
from packdepth.inference.cameras import match_camera
from packdepth.inference.load import load
from packdepth.inference.options import DepthEncoding, PointOptions, RecordingOptions
from packdepth.inference.ros.messages import MAX_RANGE, DepthMessages, Make, depth_messages
from packdepth.sources.camera_file import calibrated_camera
from packdepth.sources.ros_messages import (
    NANOSECONDS,
    Calibrated,
    RectifiedOption,
    calibration_key,
    calibration_of,
    header_of,
    pixels_of,
)
from packdepth.sources.undistort import UndistortedImage, View

# Values of the parameter `images`, as `calibration_of` takes them. ROS would read true and false as no texts.
RECTIFIED = {"auto": None, "rectified": True, "raw": False}
IMAGES_OPTION = RectifiedOption(yes="images:=rectified", no="images:=raw")
LATE = 0.1  # share of the interval between predicted images by which an image may come too early: stamps jitter


def _parameter(default: Any, description: str) -> Any:
    """Return a field of the settings that describes itself to ROS."""
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True)
class Settings:
    """The parameters of the node, with their defaults."""

    model: str = _parameter("", "checkpoint (a folder such as runs/mine/best) or file that packdepth export wrote")
    max_range: float = _parameter(MAX_RANGE, "metres; farther points are left out of clouds")
    rate: float = _parameter(0.0, "most images per second that are predicted; 0: as many as the machine can")
    all_points: bool = _parameter(False, "keep the sky, what is far and edges between near and far in clouds")
    thin: float = _parameter(0.0, "metres; points within a cube of this side become one; 0: all points")
    min_confidence: float = _parameter(0.0, "from 0 to 1; less sure points are left out of clouds")
    depth_encoding: str = _parameter("32FC1", "of depth images: 32FC1 (metres) or 16UC1 (millimetres)")
    cut_depth: bool = _parameter(False, "what clouds leave out is unknown in depth images, too (NaN, or 0 in 16UC1)")
    flip: bool = _parameter(False, "fuse with the prediction of the mirrored image: better, twice the time")
    camera: str = _parameter("", "calibration file in place of camera_info")
    images: str = _parameter("auto", "whether images are rectified or raw; auto: raw, if their topic agrees")
    compressed: bool = _parameter(False, "subscribe to image_raw/compressed in place of image_raw")
    bf16: bool = _parameter(False, "compute checkpoints in bfloat16, which is quicker on some processors")
    runtime: str = _parameter("", "of exported files: onnxruntime, openvino or executorch; empty: the first installed")

    @property
    def points(self) -> PointOptions:
        """The points of clouds. Raises InputError for values out of range."""
        options = PointOptions(self.max_range, self.thin or None, self.all_points, self.min_confidence or None)
        options.check()
        return options

    @property
    def depth(self) -> RecordingOptions:
        """The depth images. Raises InputError for an unknown encoding."""
        if self.depth_encoding not in get_args(DepthEncoding):
            raise InputError(f"depth_encoding: is '{self.depth_encoding}'; give {' or '.join(get_args(DepthEncoding))}")
        return RecordingOptions(cast(DepthEncoding, self.depth_encoding), self.cut_depth)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Return the settings of parameters as ROS has read them: it reads 10 as a whole number, also where 10.0 is meant.

    Args:
        values: value by name.

    Raises InputError for a value of another type.

    >>> settings_of({"rate": 10}).rate
    10.0
    """
    taken: dict[str, Any] = {}
    for each in fields(Settings):
        value, kind = values.get(each.name, each.default), type(each.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"{each.name}: is {value!r}; give a value such as {each.default!r}")
        taken[each.name] = value
    return Settings(**taken)


def load_model(settings: Settings) -> BasePredictor:
    """Return the predictor that the parameters name.

    Args:
        settings: the parameters.

    Raises InputError if it cannot be loaded, or if its depth cannot be published: it must be metric, and predicted from
    images alone.
    """
    if not settings.model:
        raise InputError("model: is empty; give a checkpoint, such as model:=/home/me/runs/mine/best")
    path = Path(settings.model).expanduser()
    predictor = load(path, precision="bf16" if settings.bf16 else "32", runtime=settings.runtime or None)
    settings.points.check_confidence(predictor.has_confidence, path)
    if not predictor.meta.metric:
        raise InputError(
            f"{path}: depth is {predictor.meta.scale}, but messages of ROS hold metres; see packdepth calibrate"
        )
    if predictor.label_classes is not None:
        raise InputError(f"{path}: label maps guide its depth network, and the node has none; give another checkpoint")
    return predictor


@dataclass(frozen=True)
class _View:
    """The camera of predicted images, and how they come from the published ones."""

    raw: Camera  # camera of the published images
    camera: Camera  # camera of the predicted images
    undistortion: View | None  # from the published to the predicted images; None if they are the same


@dataclass(frozen=True)
class _Held:
    """An image in memory."""

    path: Path  # topic, for messages
    pixels: np.ndarray  # [H, W, 3] uint8, RGB

    def read(self) -> np.ndarray:
        """Return the pixels."""
        return self.pixels


class DepthLogic:
    """Predicts images as they arrive, and publishes depth.

    Args:
        predictor: the predictor.
        settings: the parameters of the node.
        topic: the topic of the images, which may say that they are rectified.
        make: makes messages.
        publish: publishes the messages of an image.
        complain: logs a sentence, such as why nothing is published. A sentence is not repeated until it is resolved.
        now: returns the time of the node's clock in nanoseconds, which the rate counts where stamps stand still.

    Raises InputError for parameters that cannot be used.
    """

    def __init__(
        self,
        predictor: BasePredictor,
        settings: Settings,
        topic: str,
        make: Make,
        publish: Callable[[DepthMessages], None],
        complain: Callable[[str], None],
        now: Callable[[], int],
    ) -> None:
        if settings.images not in RECTIFIED:
            raise InputError(f"images: is '{settings.images}'; give {', '.join(RECTIFIED)}")
        if settings.rate < 0:
            raise InputError(f"rate: is {settings.rate:g}; give images per second, or 0 for all")
        self._predictor, self._settings, self._topic = predictor, settings, topic
        self._make, self._publish, self._complain, self._now = make, publish, complain, now
        self._points, self._depth = settings.points, settings.depth
        self._key: tuple[Any, ...] | None = None
        self._view: _View | None = None
        self._last: tuple[int, int] | None = None  # stamp of the last predicted image, and the clock at its arrival
        self._said = ""
        if settings.camera:
            facts = calibrated_camera(Path(settings.camera).expanduser())
            self._view = _view(Calibrated(facts["camera"], facts.get("lens")), settings.camera)

    def on_info(self, info: Any) -> None:
        """Take a calibration. The latest one counts, whatever its time: drivers publish it with or before each image.

        Args:
            info: a `sensor_msgs/msg/CameraInfo`.
        """
        if self._settings.camera or calibration_key(info) == self._key:
            return
        self._key = calibration_key(info)
        try:
            rectified = RECTIFIED[self._settings.images]
            found = calibration_of(info, "camera_info", self._topic, rectified, IMAGES_OPTION)
            self._view = _view(found, "camera_info")
        except InputError as error:
            self._view = None
            self._say(str(error))

    def on_image(self, message: Any, kind: str) -> None:
        """Predict an image and publish its depth, unless it comes too early for the rate.

        Args:
            message: the image.
            kind: the type of the message, as `pixels_of` takes it.
        """
        header, arrival = header_of(message), self._now()
        if self._is_early(header.stamp, arrival):
            return
        try:
            if self._view is None:
                if self._key is None:
                    self._say(f"{self._topic}: no camera_info has come yet; publish it, or give the parameter 'camera'")
                return
            pixels = pixels_of(message, kind, self._topic)
            self._check(pixels, self._view)
            if self._view.undistortion is not None:
                pixels = UndistortedImage(_Held(Path(self._topic), pixels), self._view.undistortion).read()
            prediction = self._predictor.predict(pixels, self._view.camera, flip=self._settings.flip)
            messages = depth_messages(self._make, header, prediction, self._points, self._depth)
        except InputError as error:
            self._say(str(error))
            return
        self._last = header.stamp, arrival
        self._said = ""
        self._publish(messages)

    def _is_early(self, stamp: int, arrival: int) -> bool:
        """Return whether an image comes too early for the rate, by its stamp or, if that stands still, by its arrival.

        Time that runs backwards begins anew. Drivers that set no stamp leave it at 0.
        """
        if self._last is None or self._settings.rate == 0:
            return False
        since = stamp - self._last[0] or arrival - self._last[1]
        return 0 <= since < (1 - LATE) * NANOSECONDS / self._settings.rate

    def _check(self, pixels: np.ndarray, view: _View) -> None:
        """Raise InputError if an image has another size than its calibration, or depth would not be in metres."""
        height, width = pixels.shape[:2]
        if (view.raw.height, view.raw.width) != (height, width):
            raise InputError(
                f"{self._topic}: an image is {width}x{height} pixels, but its calibration is for "
                f"{view.raw.width}x{view.raw.height}; publish the camera_info of these images"
            )
        match = match_camera(view.camera, height, width, self._predictor.meta)
        if not match.is_metric:
            raise InputError(f"{self._topic}: depth would not be in metres: {match.warning}")

    def _say(self, sentence: str) -> None:
        """Log a sentence, unless it was the last one and nothing has been published since."""
        if sentence != self._said:
            self._said = sentence
            self._complain(sentence)


def _view(calibration: Calibrated, where: str) -> _View:
    """Return the view of a calibration. Raises InputError if its lens leaves no pinhole image."""
    camera, lens = calibration
    if lens is None:
        return _View(camera, camera, None)
    ideal = ideal_camera(camera, lens)
    if ideal is None:
        raise InputError(f"{where}: the lens ({lens.name}) leaves no pinhole image; give these images' calibration")
    return _View(camera, ideal, View.of(lens, camera, ideal))


def make_message(kind: str, **fields: Any) -> Any:
    """Return a message of rclpy, with arrays as the setters of its fields take them at once.

    Args:
        kind: the type, such as "sensor_msgs/msg/Image".
        fields: its fields; arrays are numpy's, of bytes or float64.
    """
    package, group, name = kind.split("/")
    made = getattr(import_module(f"{package}.{group}"), name)
    return made(**{each: _value(value) for each, value in fields.items()})


def _value(value: Any) -> Any:
    """Return a field's value: `array` of bytes, which are not checked one by one, and lists of numbers."""
    if not isinstance(value, np.ndarray):
        return value
    return array("B", value.tobytes()) if value.dtype == np.uint8 else value.tolist()
