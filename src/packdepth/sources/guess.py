"""First guess of a camera without calibration: from EXIF, from the shape of pixels, or a common field of view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median_low
from typing import Annotated, NamedTuple

from pydantic import Field

from packdepth.geometry.camera import Camera
from packdepth.records import Clip
from packdepth.sources.stills import QUARTER_TURNS, opened, turn_of

GUESSED_FOV = 60.0  # degrees, horizontal field of view of a camera of which nothing is known: about a phone's
MIN_FOV, MAX_FOV = 10.0, 150.0  # degrees: a focal length in EXIF outside of these limits, those of a run, is a mistake
FieldOfView = Annotated[float, Field(ge=MIN_FOV, le=MAX_FOV)]  # degrees, of a run file
FILM_DIAGONAL = math.hypot(36.0, 24.0)  # mm, of 35 mm film, on which EXIF bases equivalent focal lengths (CIPA DC-008)
MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}  # of EXIF's units of FocalPlaneResolutionUnit
INCH = 2  # the unit where EXIF names none
SAME_SHAPE = 0.02  # relative difference of aspect ratios, by rounding at most: more means that the image was cropped
ASKED_IMAGES = 5  # images of a folder, evenly spread, whose EXIF is read; chosen by eye
SAME_FOCAL = 0.02  # relative spread of focal lengths between images, by rounding to mm: more means that it was zoomed

# Tags of EXIF
EXIF_IFD = 0x8769
FOCAL_LENGTH, FOCAL_LENGTH_35MM = 0x920A, 0xA405
FOCAL_PLANE_X, FOCAL_PLANE_Y, FOCAL_PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
PIXELS_X, PIXELS_Y = 0xA002, 0xA003


class Guess(NamedTuple):
    """A guessed camera and its origin."""

    camera: Camera  # the guess
    origin: str  # where it comes from, such as "EXIF of a.jpg: 26 mm on 35 mm film"


class Focal(NamedTuple):
    """Focal lengths that EXIF states, in pixels of the upright image."""

    fx: float  # horizontally
    fy: float  # vertically
    source: str  # the numbers in EXIF, in words


def common_guess(height: int, width: int, pixel_aspect: float = 1.0) -> Guess:
    """Guess the camera of images of which nothing is known but the shape of their pixels.

    Args:
        height: height of the images, in pixels.
        width: width of the images, in pixels.
        pixel_aspect: width of a pixel over its height, on the sensor.

    >>> common_guess(192, 640).camera.cx
    319.5
    >>> guess = common_guess(480, 720, pixel_aspect=4 / 3)
    >>> round(guess.camera.fy / guess.camera.fx, 3), guess.origin
    (1.333, 'assumed; its pixels are 1.333 times as wide as high')
    """
    shape = "" if pixel_aspect == 1 else f"; its pixels are {pixel_aspect:.4g} times as wide as high"
    square = Camera.from_fov(GUESSED_FOV, width, height)
    return Guess(replace(square, fy=square.fx * pixel_aspect), f"assumed{shape}")


def guess_of_images(paths: Iterable[Path], height: int, width: int) -> Guess:
    """Guess the camera of image files from EXIF or, if none of them has a focal length there, by `common_guess`.

    Args:
        paths: the image files of one camera; some of them are asked.
        height: height of the images, in pixels.
        width: width of the images, in pixels.
    """
    paths = list(paths)
    asked = paths[:: -(-len(paths) // ASKED_IMAGES) or 1]
    found = [(path, focal) for path in asked if (focal := focal_in_exif(path, height, width)) is not None]
    if not found:
        return common_guess(height, width)
    focals = [focal.fx for _, focal in found]
    path, focal = found[focals.index(median_low(focals))]
    zoomed = max(focals) > (1 + SAME_FOCAL) * min(focals)
    origin = f"EXIF of {path.name}: {focal.source}" + ("; other images have other focal lengths" if zoomed else "")
    return Guess(Camera(focal.fx, focal.fy, (width - 1) / 2, (height - 1) / 2, width, height), origin)


def focal_in_exif(path: Path, height: int, width: int) -> Focal | None:
    """Return the focal lengths that EXIF states, in pixels; None if it states none, or none that can be true.

    The equivalent focal length on 35 mm film is used first. It is based on the diagonals of the images. Otherwise
    the focal length is used with the resolution of the focal plane.

    Args:
        path: the image file.
        height: height of the upright image, in pixels.
        width: width of the upright image, in pixels.
    """
    try:
        with opened(path) as image:
            tags = image.getexif().get_ifd(EXIF_IFD)
            swapped = turn_of(image) in QUARTER_TURNS
            long_side = max(_number(tags, PIXELS_X), _number(tags, PIXELS_Y))
            short_side = min(_number(tags, PIXELS_X), _number(tags, PIXELS_Y))
    except Exception:  # Pillow raises many classes for damaged EXIF
        return None
    if short_side > 0 and abs(short_side / long_side * max(height, width) / min(height, width) - 1) > SAME_SHAPE:
        return None  # The image was cropped after EXIF was written.
    film, focal = _number(tags, FOCAL_LENGTH_35MM), _number(tags, FOCAL_LENGTH)
    across, down = _number(tags, FOCAL_PLANE_X), _number(tags, FOCAL_PLANE_Y)
    unit = MILLIMETRES.get(int(_number(tags, FOCAL_PLANE_UNIT)) or INCH)
    if film > 0:
        pixels = film / FILM_DIAGONAL * math.hypot(height, width)
        found = Focal(pixels, pixels, f"{film:g} mm on 35 mm film")
    elif focal > 0 and across > 0 and unit is not None:
        resized = max(height, width) / long_side if long_side > 0 else 1.0
        fx, fy = (focal * resolution / unit * resized for resolution in (across, down or across))
        source = f"{focal:g} mm, with {across / unit:.4g} pixels a mm"
        found = Focal(fy, fx, source) if swapped else Focal(fx, fy, source)
    else:
        return None
    fov = math.degrees(2 * math.atan(width / 2 / found.fx))
    return found if MIN_FOV <= fov <= MAX_FOV else None


def with_fov(camera: Camera, fov: float) -> Camera:
    """Return a camera of another field of view, with a central principal point and the same shape of pixels.

    Args:
        camera: the camera (floats).
        fov: degrees from the left border of the image to the right one.

    >>> round(with_fov(common_guess(192, 640).camera, 70.0).fov(), 6)
    70.0
    """
    square = Camera.from_fov(fov, camera.width, camera.height)
    return replace(square, fy=square.fx * camera.fy / camera.fx)


def assume_fov(clips: Sequence[Clip], fov: float) -> list[Clip]:
    """Return clips in which a stated field of view takes the place of guessed cameras. Calibrated clips stay.

    Args:
        clips: the clips.
        fov: degrees from the left border of the image to the right one.
    """
    return [
        clip
        if clip.missing_camera is None
        else replace(clip, camera=with_fov(clip.camera, fov), missing_camera=None, guess=None, stated_fov=fov)
        for clip in clips
    ]


def guess_in_words(clip: Clip) -> str:
    """Return the field of view of a guessed camera and the origin of the guess.

    Args:
        clip: the clip, without calibration.

    >>> guess = common_guess(192, 640)
    >>> guess_in_words(Clip("a", Path("a"), guess.camera, (), missing_camera=Path("a.yaml"), guess=guess.origin))
    '60 degrees across (assumed)'
    """
    fov, origin = f"{clip.camera.fov():.0f} degrees across", clip.guess or "assumed"
    return origin if origin.startswith(fov) else f"{fov} ({origin})"  # an import has written both


def _number(tags: dict[int, object], tag: int) -> float:
    """Return a number of EXIF; 0, which EXIF uses for unknown, if it is missing or no finite number."""
    try:
        value = float(tags.get(tag, 0))  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
