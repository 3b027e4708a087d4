"""camera.yaml: the camera of a clip folder or of a video."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import PositiveFloat, PositiveInt

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.sources.files import read_text

GUESSED_FOV = 60.0  # degrees from the left border to the right one, of a camera that nobody has measured


class CameraFile(Closed):
    """What a camera.yaml may say."""

    width: PositiveInt
    """Of the images, in pixels."""
    height: PositiveInt
    """Of the images, in pixels."""
    fx: PositiveFloat
    """Focal length across, in pixels."""
    fy: PositiveFloat
    """Focal length down, in pixels."""
    cx: float
    """Principal point, in pixels from the center of the first pixel."""
    cy: float
    """Principal point, in pixels from the center of the first pixel."""
    baseline_m: PositiveFloat | None = None
    """Metres from this camera to the right one of a rectified stereo pair."""
    independent: bool = False
    """The frames are unrelated images, without temporal neighbors."""

    interval_s: PositiveFloat | None = None
    """Seconds from a frame to its neighbor; if left out, the median of the clip's. Frames farther apart are none."""
    drive: str | None = None
    """Clips of one drive show one place at one time, such as those of several cameras; splits keep them together."""

    @property
    def camera(self) -> Camera:
        """The camera of the images."""
        return Camera(self.fx, self.fy, self.cx, self.cy, width=self.width, height=self.height)

    @property
    def baseline(self) -> float | None:
        """Metres from this camera to the right one."""
        return self.baseline_m


def guessed_camera(height: int, width: int) -> Camera:
    """Return the guess at a camera that nobody has measured: centered, of square pixels, `GUESSED_FOV` degrees across.

    Args:
        height: the height of its images, in pixels.
        width: the width of its images, in pixels.
    """
    return Camera.from_fov(GUESSED_FOV, width, height)


def read_camera(path: Path) -> CameraFile:
    """The camera.yaml at `path`. Raises InputError for a missing file, an unknown key or a wrong value."""
    try:
        values = yaml.safe_load(read_text(path, "the camera: width, height, fx, fy, cx, cy in pixels"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    return parse(CameraFile, values, str(path))
