"""The record that every calibration file is parsed into, and the lens of a model's name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packdepth.errors import InputError
from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens, make_lens

MODELS = {  # lens model by the names that other projects give it, in lower case
    **dict.fromkeys(("plumb_bob", "rational_polynomial", "radtan", "brown_conrady", "opencv"), BrownConrady.name),
    **dict.fromkeys(("equidistant", "equi", "fisheye", "kannala_brandt", "kannala_brandt4"), KannalaBrandt.name),
}
PINHOLES = ("none", "pinhole", "perspective")  # names of models without coefficients
RATIONAL = 8  # coefficients of the longest Brown-Conrady model; OpenCV's further ones are thin prism and tilt


@dataclass(frozen=True)
class Calibration:
    """Intrinsics and lens of one camera. Pixel centers are integers, as everywhere in packdepth."""

    width: int  # pixels
    height: int  # pixels
    fx: float  # pixels
    fy: float  # pixels
    cx: float  # pixels
    cy: float  # pixels
    lens: Lens | None  # None for a pinhole


def numbers(value: Any, where: str, count: int | None = None) -> list[float]:
    """Return the numbers of a list, also those that YAML has read as texts, such as 1e-05.

    Args:
        value: the list, as YAML gives it.
        where: file and field, for the message.
        count: how many there must be; None for any number of them.

    Raises InputError if it is no list of so many finite numbers.

    >>> numbers([1, "1e-05"], "camera.yaml: D")
    [1.0, 1e-05]
    """
    try:
        found = [math.nan if isinstance(item, bool) else float(item) for item in value]
    except (TypeError, ValueError):
        found = [math.nan]
    if isinstance(value, str) or not all(map(math.isfinite, found)) or len(found) != (count or len(found)):
        wanted = f"{count} numbers" if count else "numbers"
        raise InputError(f"{where}: must be a list of {wanted} (found {value!r}); write the calibration again")
    return found


def pixels(value: Any, where: str) -> int:
    """Return a side of an image in pixels. Raises InputError if it is no positive whole number.

    Args:
        value: the number, as YAML, XML or text gives it.
        where: file and field, for the message.

    >>> pixels("640", "cameras.txt: width")
    640
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool) or not (found > 0 and found.is_integer()):
        raise InputError(f"{where}: is {value!r}; it must be the size of the images in pixels")
    return int(found)


def calibration(where: str, size: tuple[int, int], matrix: Sequence[float], lens: Lens | None) -> Calibration:
    """Return a calibration.

    Args:
        where: file and camera, for the message.
        size: width and height, in pixels.
        matrix: fx, fy, cx, cy in pixels; focal lengths must be positive, else InputError is raised.
        lens: the lens, if any.
    """
    fx, fy, cx, cy = matrix
    if min(fx, fy) <= 0 or not all(map(math.isfinite, matrix)):
        raise InputError(f"{where}: has the focal lengths {fx:g} and {fy:g}; they must be positive, in pixels")
    return Calibration(*size, fx, fy, cx, cy, lens)


def named_lens(where: str, model: str | None, coefficients: Sequence[float]) -> Lens | None:
    """Return the lens of a model's name, as ROS, OpenCV and Kalibr write it, and its coefficients.

    Args:
        where: file and camera, for the message.
        model: name of the model, such as "plumb_bob" or "equidistant"; None or empty if the file has none.
        coefficients: the coefficients in OpenCV's order.

    Returns:
        The lens; None for a pinhole, that is without coefficients or with zeros alone. A fisheye is no pinhole even
        then.

    Raises InputError for a model that cannot be represented, and for four coefficients without the name of a model:
    they may be of either.

    >>> named_lens("camera.yaml", "plumb_bob", [0.0] * 5) is None
    True
    >>> named_lens("camera.yaml", "equidistant", []).name
    'kannala_brandt'
    """
    if model and model.lower() in PINHOLES and not any(coefficients):
        return None
    kind = MODELS.get(model.lower()) if model else None
    if model and kind is None:
        known = ", ".join(MODELS)
        raise InputError(f"{where}: has the lens model '{model}', which packdepth does not know; it knows {known}")
    if not any(coefficients):
        return KannalaBrandt(0.0, 0.0, 0.0, 0.0) if kind == KannalaBrandt.name else None
    if kind is None and len(coefficients) == 4:
        raise InputError(
            f"{where}: has 4 coefficients and no name of their model; add the line distortion_model: plumb_bob, or "
            f"distortion_model: fisheye"
        )
    if kind != KannalaBrandt.name and len(coefficients) > RATIONAL and not any(coefficients[RATIONAL:]):
        coefficients = coefficients[:RATIONAL]
    try:
        return make_lens(kind or BrownConrady.name, tuple(coefficients))
    except ValueError as error:
        raise InputError(f"{where}: {error}; calibrate again with a model of these") from None


def chosen(path: object, names: Sequence[str], name: str | None, what: str) -> str:
    """Return the name of the camera to use of a file.

    Args:
        path: the file, for the message.
        names: names of its cameras.
        name: name that was asked for, if any.
        what: what the names are, a noun, for the message.

    Raises InputError if the file holds several cameras and none is named, or if it does not hold the named one.
    """
    listed = ", ".join(names)
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise InputError(f"{path}: holds {len(names)} cameras ({what} {listed}); name one, as {path}#{names[0]}")
    if name not in names:
        raise InputError(f"{path}: holds no {what} '{name}'; it holds {listed}")
    return name
