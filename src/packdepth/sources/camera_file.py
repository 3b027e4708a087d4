"""Camera file: the calibration of a clip folder, of a video or of images, as packdepth's own camera.yaml.

Calibrations of other projects (`packdepth.sources.calibrations`) are read in its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.height import HeightAboveRoad, plausible_height
from packdepth.geometry.lens import BrownConrady, Lens, make_lens
from packdepth.reading import refusing
from packdepth.records import Clip
from packdepth.sources.calibrations.read import read_calibration
from packdepth.sources.calibrations.record import Calibration
from packdepth.sources.files import read_text
from packdepth.sources.guess import Guess

MIN_FOCAL, MAX_FOCAL = 0.08, 30.0  # widths: a fisheye of 220 degrees has 0.13, a telephoto lens of 2 degrees has 29
MAX_CENTER = 3.7  # focal lengths from the principal point to the middle of the image: 75 degrees off the optical axis,
# farther than the borders of the widest pinhole images; a part that is cut from such an image lies nearer
MAX_SHARE = 3.0  # a smaller focal length may be a share of the width instead of pixels


def _positive_baseline(baseline: float) -> float:
    """Return a baseline. Raises ValueError if it is not positive, as the entries of KITTI's matrices are not."""
    if not baseline > 0:
        raise ValueError(
            f"is {baseline:g}; write the distance from the left camera to the right one in metres, which is positive "
            f"(by KITTI's matrices it is (P2[0, 3] - P3[0, 3]) / fx)"
        )
    return baseline


class LensFile(Closed):
    """Lens in a camera.yaml. Its coefficients are for the intrinsics of the file, which are the distorted image's."""

    kind: Literal["brown_conrady", "kannala_brandt"]
    """Model of the lens; the second one is a fisheye's."""
    coefficients: tuple[float, ...]
    """Coefficients in OpenCV's order: k1, k2, p1, p2, k3, k4, k5, k6 (4, 5 or 8 of them), or k1, k2, k3, k4."""

    @model_validator(mode="after")
    def _valid(self) -> LensFile:
        """Raise ValueError for coefficients that no lens of the model has."""
        make_lens(self.kind, self.coefficients)
        return self

    @classmethod
    def of(cls, lens: Lens) -> LensFile:
        """Return the entry of a lens.

        Args:
            lens: the lens, with floats as coefficients.
        """
        values = {"kind": lens.name, "coefficients": tuple(float(value) for value in lens.coefficients)}
        return cls.model_validate(values)

    @property
    def lens(self) -> Lens | None:
        """The lens; None if it is a pinhole."""
        pinhole = self.kind == BrownConrady.name and not any(self.coefficients)
        return None if pinhole else make_lens(self.kind, self.coefficients)


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
    lens: LensFile | None = None
    """Lens of the images. They are undistorted when they are read; if left out, they are those of a pinhole camera."""
    baseline_m: Annotated[float, AfterValidator(_positive_baseline)] | None = None
    """Distance from this camera to the right camera of a rectified stereo pair, in metres."""
    height_m: HeightAboveRoad | None = None
    """Height of the camera above the road, in metres."""
    independent: bool = False
    """True if the frames are unrelated images, without temporal neighbors."""
    times_assumed: bool = False
    """True if the times of frames.csv are an assumption, as `data import` writes it for images whose names tell no
    times. Remove this line once the times are right."""
    interval_s: PositiveFloat | None = None
    """Time from a frame to the next, in seconds; if left out, the clip's median. A longer step is a gap in the clip."""
    drive: str | None = None
    """Name of the drive. Clips of one drive, such as those of several cameras, stay together in splits."""
    guess: Annotated[str, Field(min_length=1)] | None = None
    """Origin of the intrinsics if they are a guess, as `data import` writes it. Remove this line once the camera is
    calibrated; until then the clip counts as uncalibrated."""

    @model_validator(mode="after")
    def _in_pixels(self) -> CameraFile:
        """Raise ValueError for focal lengths and a principal point that are not in pixels of the images."""
        check_in_pixels(self.camera)
        return self

    @property
    def camera(self) -> Camera:
        """Camera of the images."""
        return Camera(self.fx, self.fy, self.cx, self.cy, width=self.width, height=self.height)

    @property
    def in_words(self) -> str:
        """Focal length, field of view and lens in a few words.

        >>> CameraFile(width=640, height=192, fx=320, fy=320, cx=319.5, cy=95.5).in_words
        'fx 320.0, fy 320.0 for 640x192 pixels, 90 degrees across, no lens distortion'
        """
        size = f"fx {self.fx:.1f}, fy {self.fy:.1f} for {self.width}x{self.height} pixels"
        lens = None if self.lens is None else self.lens.lens
        if lens is None or self.lens is None:
            return f"{size}, {self.camera.fov():.0f} degrees across, no lens distortion"
        return f"{size}, lens {lens.name} ({', '.join(f'{value:g}' for value in self.lens.coefficients)})"


def check_in_pixels(camera: Camera) -> None:
    """Raise ValueError for focal lengths and a principal point that are not in pixels of the images.

    Args:
        camera: the camera, of floats.

    >>> check_in_pixels(Camera(371.2, 371.2, 319.5, 95.5, 640, 192))
    """
    fx, fy, cx, cy = (float(value) for value in camera.numbers)
    if not all(map(math.isfinite, (fx, fy, cx, cy))) or min(fx, fy) <= 0:
        raise ValueError(f"fx, fy, cx, cy are {fx:g}, {fy:g}, {cx:g}, {cy:g}; write positive focal lengths in pixels")
    check_focals(camera.width, fx, fy, cx)
    across, down = abs(cx - (camera.width - 1) / 2) / fx, abs(cy - (camera.height - 1) / 2) / fy
    if max(across, down) > MAX_CENTER:
        name, value = ("cx", cx) if across > down else ("cy", cy)
        raise ValueError(
            f"{name}: is {value:g}, for images of {camera.width}x{camera.height} pixels: the camera would look away "
            f"from what they show; write the principal point in pixels of these images"
        )


def check_focals(width: int, fx: float, fy: float, cx: float) -> None:
    """Raise ValueError for focal lengths outside the range of real lenses, which are in another unit than pixels.

    Args:
        width: width of the images, in pixels.
        fx: horizontal focal length.
        fy: vertical focal length.
        cx: column of the principal point.

    >>> check_focals(640, 371.2, 371.2, 319.5)
    """
    if min(fx, fy) / width >= MIN_FOCAL and max(fx, fy) / width <= MAX_FOCAL:
        return
    shares = f"as a share of the width, fx would be {fx * width:.1f} pixels" if fx < MAX_SHARE and 0 <= cx <= 1 else ""
    millimetres = "millimetres become pixels by fx * width / sensor width" if fx < width else ""
    hint = shares or millimetres or "see for which image size they are"
    raise ValueError(f"fx: is {fx:g} and fy {fy:g}, for {width} pixels across; write focal lengths in pixels ({hint})")


class CameraFacts(TypedDict, total=False):
    """The fields of a `Clip` that a camera.yaml states."""

    camera: Camera
    lens: Lens | None
    baseline: float | None
    camera_height: float | None
    independent: bool
    interval: float | None
    drive: str | None
    missing_camera: Path | None
    calibration: tuple[Path, str] | None
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
        lens=None if file.lens is None else file.lens.lens,
        baseline=file.baseline_m,
        camera_height=file.height_m,
        independent=file.independent,
        interval=file.interval_s,
        drive=file.drive,
        missing_camera=None if file.guess is None else path,
        calibration=None if file.guess is not None else (path, file.in_words),
        guess=file.guess,
    )


def facts_or_guess(path: Path | None, expected: Path, guess: Callable[[], Guess]) -> CameraFacts:
    """Return the fields of a clip that its calibration states, or the guess if there is none.

    Args:
        path: the calibration file, which must exist; None if there is none.
        expected: the camera.yaml that would be read if it existed, for messages.
        guess: a function that guesses the camera.

    >>> from packdepth.sources.guess import common_guess
    >>> facts_or_guess(None, Path("camera.yaml"), lambda: common_guess(192, 640))["guess"]
    'assumed'
    """
    return guessed_facts(guess(), expected) if path is None else camera_facts(read_camera(path), path)


def guessed_facts(guess: Guess, expected: Path) -> CameraFacts:
    """Return the fields of a clip without a calibration.

    Args:
        guess: the guess of its camera.
        expected: the camera.yaml that would be read if it existed, for messages.
    """
    return CameraFacts(camera=guess.camera, missing_camera=expected, guess=guess.origin)


def calibrated_camera(path: Path) -> CameraFacts:
    """Return the fields of a clip that a calibration states. Raises InputError if its numbers are a guess.

    Args:
        path: the file, which a source needs.
    """
    file = read_camera(path)
    if file.guess is not None:
        raise InputError(f"{path}: guess: says that its numbers are a guess; give a calibration, and remove this line")
    return camera_facts(file, path)


def read_camera(path: Path) -> CameraFile:
    """Read a calibration: packdepth's camera.yaml, or a file of ROS, OpenCV, Kalibr or COLMAP.

    Args:
        path: the file; `FILE#NAME` names one of several cameras in it. Raises InputError if it is missing, has an
            unknown key or a wrong value, or if its camera cannot be represented.
    """
    name = None
    if "#" in path.name and not path.exists():
        file, _, name = path.name.rpartition("#")
        path = path.with_name(file) if file else path
    text = read_text(path, "the camera: width, height, fx, fy, cx, cy in pixels")
    with refusing(path, "a calibration"):
        content = read_calibration(path, text, name)
        if not isinstance(content, Calibration):
            return parse(CameraFile, content, str(path))
        lens = content.lens
        return CameraFile(
            width=content.width,
            height=content.height,
            fx=content.fx,
            fy=content.fy,
            cx=content.cx,
            cy=content.cy,
            lens=None if lens is None else LensFile.of(lens),
            height_m=_height_in(text, path),
        )


def _height_in(text: str, path: Path) -> float | None:
    """Return the `height_m` that somebody has added to another program's calibration; None without it.

    Raises InputError if it is in another unit.
    """
    found = re.search(r"^height_m:[ \t]*([\d.]+(?:[ \t]*m)?)[ \t]*$", text, re.MULTILINE)
    try:
        return None if found is None else plausible_height(found[1])
    except ValueError as error:
        raise InputError(f"{path}: height_m: {error}") from None


def with_camera(clip: Clip, path: Path) -> Clip:
    """Return a clip with the camera and the lens of a file in place of its own.

    Args:
        clip: the clip as its source has found it.
        path: the calibration file of its images. Raises InputError if it is for images of another size.
    """
    facts, own = camera_facts(read_camera(path), path), clip.camera
    camera = facts["camera"]
    if (camera.height, camera.width) != (own.height, own.width):
        raise InputError(
            f"{clip.frames[0].image.path}: is {own.width}x{own.height} pixels, but {path} is for "
            f"{camera.width}x{camera.height}; give the camera of these images"
        )
    height = facts["camera_height"] or clip.camera_height
    return replace(
        clip,
        camera=camera,
        lens=facts["lens"],
        camera_height=height,
        missing_camera=facts["missing_camera"],
        calibration=facts["calibration"],
        guess=facts["guess"],
    )
