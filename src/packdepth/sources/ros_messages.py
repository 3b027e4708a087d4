"""Reading of messages of ROS: pixels of images, the camera of a camera_info, stamps and frames. No ROS is needed.

A message is any object with the fields of its type: rosbags makes such objects, and rclpy does.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import Lens
from packdepth.reading import reason_of
from packdepth.sources.calibrations.matrices import SensorPart
from packdepth.sources.calibrations.record import named_lens
from packdepth.sources.camera_file import check_in_pixels
from packdepth.sources.decoding import upright_image
from packdepth.sources.stills import check_mode, opened_still

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
COMPRESSED_SUFFIX = "/compressed"  # end of the topic of compressed images, after the topic of the images themselves
MOSAIC = "bayer_"  # begins the encoding of a mosaic
RECTIFIED = ("rect", "undist")  # parts of the names of topics whose images are rectified
NANOSECONDS = 10**9  # in a second
SAME_CAMERA = 0.01  # relative change of a camera that is none: less is the breathing of an autofocus, or rounding


class Pixel(NamedTuple):
    """The bytes of a pixel in an encoding of images."""

    size: int  # number of bytes
    order: Sequence[int]  # their indices: of red, green and blue, or in the order of `format`
    format: str | None = None  # FFmpeg's name of a format that it converts to RGB; None for bytes that are colors


PIXELS = {
    "rgb8": Pixel(3, [0, 1, 2]),
    "bgr8": Pixel(3, [2, 1, 0]),
    "8UC3": Pixel(3, [2, 1, 0]),
    "rgba8": Pixel(4, [0, 1, 2]),
    "bgra8": Pixel(4, [2, 1, 0]),
    "mono8": Pixel(1, [0, 0, 0]),
    "8UC1": Pixel(1, [0, 0, 0]),
    **{name: Pixel(2, [0, 1], "yuyv422") for name in ("yuyv", "yuv422_yuy2")},
    **{name: Pixel(2, [1, 0], "yuyv422") for name in ("uyvy", "yuv422")},
    **{f"{MOSAIC}{colors}8": Pixel(1, [0], f"bayer_{colors}8") for colors in ("rggb", "bggr", "gbrg", "grbg")},
}
"""The pixels of each encoding of `sensor_msgs/Image` that is read.

Source: `sensor_msgs/image_encodings.hpp`; a mosaic (Bayer) is named after the colors of its first two rows.
"""


class Header(NamedTuple):
    """The time and the coordinate frame of a message.

    >>> Header(stamp=1_500_000_000, frame_id="camera").stamp / NANOSECONDS
    1.5
    """

    stamp: int  # nanoseconds; 0 if the message has none
    frame_id: str  # name of the frame; empty if the message has none


class RectifiedOption(NamedTuple):
    """How a user says whether images are rectified, for errors."""

    yes: str  # that they are
    no: str  # that they are not


SOURCE_OPTION = RectifiedOption("'rectified': true", "'rectified': false")  # of a source in a run file


class Calibrated(NamedTuple):
    """The camera and the lens of a calibration."""

    camera: Camera  # intrinsics of the images
    lens: Lens | None  # distortion of the images; None for a pinhole


def header_of(message: Any) -> Header:
    """Return the header of a message.

    Args:
        message: a message of any type.

    >>> header_of(object())
    Header(stamp=0, frame_id='')
    """
    header = getattr(message, "header", None)
    if header is None:
        return Header(0, "")
    return Header(header.stamp.sec * NANOSECONDS + header.stamp.nanosec, header.frame_id)


def sibling(topic: str, name: str) -> str:
    """Return a topic beside that of images, in the namespace of their camera.

    Args:
        topic: the topic of the images, compressed or not.
        name: the other topic's name below the namespace; empty for the namespace itself.

    >>> sibling("/front/image_raw/compressed", "camera_info"), sibling("image_raw", "camera_info")
    ('/front/camera_info', 'camera_info')
    """
    namespace, slash, _ = topic.removesuffix(COMPRESSED_SUFFIX).rpartition("/")
    return f"{namespace}{slash}{name}"


def image_size_of(message: Any, kind: str, where: str) -> tuple[int, int]:
    """Return height and width of an image in pixels, without decoding it.

    Args:
        message: the image.
        kind: the type of the message, `IMAGE` or `COMPRESSED`.
        where: what the message is, for errors.

    Raises InputError for a compressed image that cannot be read.
    """
    if kind == COMPRESSED:
        image = _compressed(message, where)
        return image.height, image.width
    return message.height, message.width


def check_image(message: Any, kind: str, where: str) -> None:
    """Raise InputError if an image is none that pixels can be read from: of another encoding or size, or a depth image.

    Args:
        message: the image.
        kind: the type of the message, `IMAGE` or `COMPRESSED`.
        where: what the message is, for errors.
    """
    if kind == COMPRESSED:
        check_mode(_compressed(message, where), where)
    elif message.encoding not in PIXELS:
        raise InputError(f"{where}: has the encoding '{message.encoding}'; convert it to one of {', '.join(PIXELS)}")
    elif not (message.height and message.width):
        raise InputError(f"{where}: is {message.width}x{message.height} pixels; record it again")
    elif PIXELS[message.encoding].format is not None and (message.height % 2 or message.width % 2):
        # FFmpeg aborts on some mosaics of an odd height, and PyAV refuses YUV of an odd width or height.
        raise InputError(
            f"{where}: is {message.width}x{message.height} pixels, and packdepth reads the encoding "
            f"'{message.encoding}' of an even width and height only; convert it to rgb8"
        )


def is_mosaic(message: Any, kind: str) -> bool:
    """Return whether an image is a mosaic (Bayer), of which other programs make colors.

    Args:
        message: the image.
        kind: the type of the message, `IMAGE` or `COMPRESSED`.
    """
    return kind == IMAGE and message.encoding.startswith(MOSAIC)


def pixels_of(message: Any, kind: str, where: str) -> np.ndarray:
    """Decode an image: [H, W, 3] uint8, RGB.

    Args:
        message: the image.
        kind: the type of the message, `IMAGE` or `COMPRESSED`.
        where: what the message is, for errors.

    Raises InputError as `check_image` does, and for an image that is cut or broken.
    """
    check_image(message, kind, where)
    if kind == COMPRESSED:
        try:
            return np.asarray(_compressed(message, where).convert("RGB"))
        except InputError:
            raise
        except Exception as error:  # Pillow raises many classes for damaged images
            raise InputError(f"{where}: is truncated or broken ({reason_of(error)}); record it again") from error
    pixel, height, width, step = PIXELS[message.encoding], message.height, message.width, message.step
    if step < width * pixel.size or len(message.data) < height * step:
        raise InputError(f"{where}: is truncated ({len(message.data)} bytes for {width}x{height}); record it again")
    rows = np.asarray(message.data, dtype=np.uint8)[: height * step].reshape(height, step)[:, : width * pixel.size]
    pixels = np.ascontiguousarray(rows.reshape(height, width, pixel.size)[..., pixel.order])
    if pixel.format is None:
        return pixels
    import av

    frame = av.VideoFrame.from_ndarray(pixels.squeeze(-1) if pixel.size == 1 else pixels, format=pixel.format)
    return upright_image(frame)


def calibration_key(info: Any) -> tuple[Any, ...]:
    """Return the values of a camera_info that are its calibration: equal calibrations have equal keys.

    Args:
        info: the message.
    """
    arrays = (np.asarray(_field(info, name), dtype=np.float64).tobytes() for name in ("k", "p", "d"))
    return (info.width, info.height, info.distortion_model, *sensor_part(info), *arrays)


def sensor_part(info: Any) -> SensorPart:
    """Return the part of the sensor that the images of a camera_info show.

    Args:
        info: the message.
    """
    roi = info.roi
    return SensorPart(roi.x_offset, roi.y_offset, roi.width, roi.height, info.binning_x, info.binning_y)


def calibration_of(
    info: Any, where: str, topic: str, rectified: bool | None, option: RectifiedOption = SOURCE_OPTION
) -> Calibrated:
    """Return the camera of the images of a camera_info: K or P is for the full sensor, roi and binning are applied.

    Args:
        info: the message.
        where: what the message is, for errors.
        topic: the topic of the images.
        rectified: whether the images are rectified, so that their camera is matrix P. If not, it is matrix K, and D is
            their distortion. None: they are raw, unless "rect" or "undist" in the topic's name contradicts that: images
            are distorted, or P is another camera than K.
        option: how a user says so, for errors.

    Raises InputError if it holds no calibration, for a lens that is not known, if topic and calibration disagree, and
    for a part of the sensor that is not inside it.
    """
    K, P, D = (np.asarray(_field(info, name), dtype=np.float64) for name in ("k", "p", "d"))
    P = P.reshape(3, 4)[:, :3].ravel()
    lens = None if rectified else named_lens(where, info.distortion_model, D.tolist())
    if rectified is None and any(word in topic for word in RECTIFIED):
        if lens is not None:
            raise InputError(
                f"{where} says that the images are distorted ({lens.name}), but {topic} that "
                f"they are rectified; give {option.yes}, or {option.no} to undistort them"
            )
        _check_same(K, P, info, where, topic, option)
    K = P if rectified else K
    if not _is_calibrated(K, info):
        raise InputError(f"{where} holds no calibration; give 'camera', a camera.yaml")
    try:
        full = Camera.from_matrix(K.reshape(3, 3), int(info.width), int(info.height))
        camera = sensor_part(info).camera(full)
        check_in_pixels(camera)
    except ValueError as error:
        raise InputError(f"{where}: {error}; or give 'camera', a camera.yaml") from None
    return Calibrated(camera, lens)


def same_camera(one: Camera, other: Camera) -> bool:
    """Return whether two cameras differ by less than `SAME_CAMERA`, of the focal length and of the image's width.

    Args:
        one: a camera.
        other: another camera.

    >>> camera = Camera(fx=276.0, fy=276.0, cx=340.5, cy=118.5, width=704, height=188)
    >>> same_camera(camera, Camera(fx=277.0, fy=277.0, cx=341.5, cy=118.5, width=704, height=188))
    True
    >>> same_camera(camera, Camera(fx=290.0, fy=290.0, cx=340.5, cy=118.5, width=704, height=188))
    False
    """
    sizes = (one.width, one.height) == (other.width, other.height)
    zoom = max(abs(float(one.fx / other.fx) - 1), abs(float(one.fy / other.fy) - 1))
    shift = max(abs(float(one.cx - other.cx)), abs(float(one.cy - other.cy))) / one.width
    return sizes and max(zoom, shift) < SAME_CAMERA


def camera_in_words(camera: Camera) -> str:
    """Return size and intrinsics of a camera, for messages.

    Args:
        camera: the camera.

    >>> camera_in_words(Camera(fx=276.0, fy=276.0, cx=340.5, cy=118.5, width=704, height=188))
    '704x188 (fx, fy, cx, cy 276, 276, 340.5, 118.5)'
    """
    numbers = ", ".join(f"{float(value):.5g}" for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    return f"{camera.width}x{camera.height} (fx, fy, cx, cy {numbers})"


def _is_calibrated(matrix: np.ndarray, info: Any) -> bool:
    """Return whether a matrix, [9], of a camera_info is that of a camera: without a calibration, it is all zeros."""
    return bool(np.isfinite(matrix).all() and min(matrix[0], matrix[4], info.width, info.height) > 0)


def _check_same(K: np.ndarray, P: np.ndarray, info: Any, where: str, topic: str, option: RectifiedOption) -> None:
    """Raise InputError if K and P, [9] each, are two cameras, as those of a stereo pair are even without distortion."""
    if not (_is_calibrated(K, info) and _is_calibrated(P, info)):
        return
    width, height = int(info.width), int(info.height)
    raw, rectified = (
        Camera(fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy), width=width, height=height)
        for fx, fy, cx, cy in (K[[0, 4, 2, 5]], P[[0, 4, 2, 5]])
    )
    if not same_camera(raw, rectified):
        raise InputError(
            f"{where} has the camera {camera_in_words(raw)} for raw images (K) and {camera_in_words(rectified)} for "
            f"rectified ones (P), and {topic} says that its images are rectified; give {option.yes} to use P, or "
            f"{option.no} to use K"
        )


def _field(message: Any, name: str) -> Any:
    """Return a field of a message whose name is a capital letter in ROS 1 and a small one in ROS 2."""
    return getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())


def _compressed(message: Any, where: str) -> Image.Image:
    """Open a compressed image, of which only the header is read."""
    try:
        content = bytes(message.data)
        return opened_still(io.BytesIO(content), len(content), where)
    except OSError:
        raise InputError(f"{where}: is no image that can be read ({message.format}); record it again") from None
