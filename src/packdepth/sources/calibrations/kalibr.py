"""Camera chains of Kalibr: `cam0: {camera_model, intrinsics, distortion_model, distortion_coeffs, resolution}`, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from packdepth.errors import InputError
from packdepth.sources.calibrations.record import Calibration, calibration, chosen, named_lens, numbers, pixels


def camera_names(values: Mapping[Any, Any]) -> list[str]:
    """Return the names of the cameras of a chain; none if the fields are not those of a chain.

    Args:
        values: the fields of the file.

    >>> camera_names({"cam0": {}, "cam1": {}}), camera_names({"camera": 1})
    (['cam0', 'cam1'], [])
    """
    return [str(key) for key, value in values.items() if re.fullmatch(r"cam\d+", str(key)) and isinstance(value, dict)]


def read_chain(where: str, values: Mapping[Any, Any], name: str | None) -> Calibration:
    """Return the calibration of a camera of a chain.

    Args:
        where: file, for the message.
        values: the fields of the file.
        name: name of the camera, such as "cam1"; may be None if there is only one.

    Raises InputError for fields that are missing or wrong, and for a model that cannot be represented.
    """
    name = chosen(where, camera_names(values), name, "camera")
    camera, where = values[name], f"{where}: {name}"
    if camera.get("camera_model") != "pinhole":
        raise InputError(
            f"{where}: has the camera model '{camera.get('camera_model')}', which packdepth does not know; calibrate "
            f"with pinhole-radtan or pinhole-equi"
        )
    matrix = numbers(camera.get("intrinsics"), f"{where}: intrinsics", 4)
    resolution = numbers(camera.get("resolution"), f"{where}: resolution", 2)
    size = (pixels(resolution[0], f"{where}: resolution"), pixels(resolution[1], f"{where}: resolution"))
    model = str(camera.get("distortion_model"))
    lens = None
    if model != "none":
        lens = named_lens(where, model, numbers(camera.get("distortion_coeffs"), f"{where}: distortion_coeffs", 4))
    return calibration(where, size, matrix, lens)
