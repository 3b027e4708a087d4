"""Camera file (camera.yaml): the calibration of a clip folder or of a video."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import yaml
from pydantic import PositiveFloat, PositiveInt

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.sources.files import read_text

GUESSED_FOV = 60.0  # degrees, horizontal field of view of a camera without calibration: about a phone's; chosen by eye


class CameraFile(Closed):
    """Content of a camera.yaml."""

    width: PositiveInt
    """Width of the images, in pixels."""
    height: PositiveInt
    """Height of the images, in pixels."""
    fx: PositiveFloat
    """Horizontal focal length, in pixels."""
    fy: PositiveFloat
    """Vertical focal length, in pixels."""
    cx: float
    """Column of the principal point, in pixels from the center of the first pixel."""
    cy: float
    """Row of the principal point, in pixels from the center of the first pixel."""
    baseline_m: PositiveFloat | None = None
    """Distance from this camera to the right camera of a rectified stereo pair, in metres."""
    height_m: PositiveFloat | None = None
    """Height of the camera above the road, in metres."""
    independent: bool = False
    """True if the frames are unrelated images, without temporal neighbors."""

    interval_s: PositiveFloat | None = None
    """Time from a frame to the next, in seconds; if left out, the clip's median. A longer step is a gap in the clip."""
    drive: str | None = None
    """Name of the drive. Clips of one drive, such as those of several cameras, stay together in splits."""

    @property
    def camera(self) -> Camera:
        """Camera of the images."""
        return Camera(self.fx, self.fy, self.cx, self.cy, width=self.width, height=self.height)


class CameraFacts(TypedDict, total=False):
    """The fields of a `Clip` that a camera.yaml states."""

    camera: Camera
    baseline: float | None
    camera_height: float | None
    independent: bool
    interval: float | None
    drive: str | None


def camera_facts(file: CameraFile) -> CameraFacts:
    """Return the fields of a clip that its camera.yaml states, as keyword arguments of `Clip`.

    Args:
        file: the content of the camera.yaml.

    >>> camera_facts(CameraFile(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5, height_m=1.65))["camera_height"]
    1.65
    """
    return CameraFacts(
        camera=file.camera,
        baseline=file.baseline_m,
        camera_height=file.height_m,
        independent=file.independent,
        interval=file.interval_s,
        drive=file.drive,
    )


def guessed_camera(height: int, width: int) -> Camera:
    """Return a guess for a camera without calibration, with square pixels and a field of view of `GUESSED_FOV`.

    Args:
        height: height of the images, in pixels.
        width: width of the images, in pixels.

    >>> guessed_camera(192, 640).cx
    319.5
    """
    return Camera.from_fov(GUESSED_FOV, width, height)


def read_camera(path: Path) -> CameraFile:
    """Read a camera.yaml.

    Args:
        path: the file. Raises InputError if it is missing, has an unknown key or a wrong value.
    """
    try:
        values = yaml.safe_load(read_text(path, "the camera: width, height, fx, fy, cx, cy in pixels"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    return parse(CameraFile, values, str(path))
