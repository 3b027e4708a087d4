"""Intrinsics of librealsense, as JSON: width, height, fx, fy, ppx, ppy, model, coeffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packdepth.errors import InputError
from packdepth.geometry.lens import BrownConrady, Lens
from packdepth.sources.calibrations.record import Calibration, calibration, numbers, pixels

BROWN_CONRADY = "brown_conrady"  # the only model whose coefficients may differ from 0: OpenCV's, in its order


def is_realsense(values: Mapping[Any, Any]) -> bool:
    """Return whether the fields of a file are those of librealsense.

    Args:
        values: the fields.

    >>> is_realsense({"ppx": 319.5, "ppy": 239.5}), is_realsense({"fx": 1})
    (True, False)
    """
    return {"ppx", "ppy"} <= set(values)


def read_realsense(where: str, values: Mapping[Any, Any]) -> Calibration:
    """Return the calibration in intrinsics of librealsense.

    Args:
        where: file, for the message.
        values: the fields.

    Raises InputError for fields that are missing or wrong, and for a lens that cannot be represented.

    >>> fields = {"width": 640, "height": 480, "fx": 600, "fy": 600, "ppx": 320, "ppy": 240, "coeffs": [0] * 5}
    >>> read_realsense("intrinsics.json", fields).cx
    320.0
    """
    fx, fy, cx, cy = numbers([values.get(name) for name in ("fx", "fy", "ppx", "ppy")], f"{where}: fx, fy, ppx, ppy", 4)
    size = pixels(values.get("width"), f"{where}: width"), pixels(values.get("height"), f"{where}: height")
    coefficients = numbers(values.get("coeffs", [0.0] * 5), f"{where}: coeffs", 5)
    model = str(values.get("model", "none")).lower().replace(" ", "_").rpartition("distortion.")[2]
    lens: Lens | None = None
    if any(coefficients):
        if model != BROWN_CONRADY:
            raise InputError(
                f"{where}: has the lens model '{model}' with coefficients that are not 0; rectify the images, or "
                f"calibrate them with OpenCV"
            )
        lens = BrownConrady(*coefficients)
    return calibration(where, size, (fx, fy, cx, cy), lens)
