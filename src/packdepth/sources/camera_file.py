"""Camera file (camera.yaml): the calibration of a clip folder or of a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypedDict

import yaml
from pydantic import Field, PositiveFloat, PositiveInt

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.sources.files import read_text
from packdepth.sources.guess import Guess


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
    guess: Annotated[str, Field(min_length=1)] | None = None
    """Origin of the intrinsics if they are a guess, as `data import` writes it. Remove this line once the camera is
    calibrated; until then the clip counts as uncalibrated."""

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
    missing_camera: Path | None
    guess: str | None


def camera_facts(file: CameraFile, path: Path) -> CameraFacts:
    """Return the fields of a clip that its camera.yaml states, as keyword arguments of `Clip`.

    Args:
        file: the content of the camera.yaml.
        path: the camera.yaml.

    >>> file = CameraFile(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5, height_m=1.65)
    >>> camera_facts(file, Path("camera.yaml"))["camera_height"]
    1.65
    """
    return CameraFacts(
        camera=file.camera,
        baseline=file.baseline_m,
        camera_height=file.height_m,
        independent=file.independent,
        interval=file.interval_s,
        drive=file.drive,
        missing_camera=None if file.guess is None else path,
        guess=file.guess,
    )


def facts_or_guess(given: Path | None, beside: Path, guess: Callable[[], Guess]) -> CameraFacts:
    """Return the fields of a clip that its camera.yaml states, or the guess if there is no such file.

    Args:
        given: the camera.yaml that the source names, which must exist.
        beside: the camera.yaml that is used if the source names none, and if it exists.
        guess: a function that guesses the camera.

    >>> from packdepth.sources.guess import common_guess
    >>> facts_or_guess(None, Path("no such file"), lambda: common_guess(192, 640))["guess"]
    'assumed'
    """
    if given is None and not beside.exists():
        camera, origin = guess()
        return CameraFacts(camera=camera, missing_camera=beside, guess=origin)
    path = given or beside
    return camera_facts(read_camera(path), path)


def calibrated_camera(path: Path) -> Camera:
    """Read the camera of a camera.yaml that a source needs. Raises InputError if its numbers are a guess.

    Args:
        path: the file.
    """
    file = read_camera(path)
    if file.guess is not None:
        raise InputError(f"{path}: guess: says that its numbers are a guess; give a calibration, and remove this line")
    return file.camera


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
