"""Cameras of COLMAP: lines `CAMERA_ID MODEL WIDTH HEIGHT PARAMS...` of cameras.txt.

COLMAP's first pixel has its center at (0.5, 0.5), packdepth's at (0, 0): half a pixel is subtracted from cx and cy.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from packdepth.errors import InputError
from packdepth.geometry.lens import BrownConrady, KannalaBrandt
from packdepth.sources.calibrations.record import Calibration, calibration, chosen, numbers, pixels

HALF = 0.5  # pixels between COLMAP's origin and the center of the first pixel


class Model(NamedTuple):
    """Camera model of COLMAP."""

    focals: int  # number of focal lengths
    lens: type[BrownConrady] | type[KannalaBrandt] | None  # lens, if any
    coefficients: int = 0  # number of the lens's first coefficients


MODELS = {
    "SIMPLE_PINHOLE": Model(1, None),
    "PINHOLE": Model(2, None),
    "SIMPLE_RADIAL": Model(1, BrownConrady, 1),
    "RADIAL": Model(1, BrownConrady, 2),
    "OPENCV": Model(2, BrownConrady, 4),
    "FULL_OPENCV": Model(2, BrownConrady, 8),
    "SIMPLE_RADIAL_FISHEYE": Model(1, KannalaBrandt, 1),
    "RADIAL_FISHEYE": Model(1, KannalaBrandt, 2),
    "OPENCV_FISHEYE": Model(2, KannalaBrandt, 4),
}


def camera_lines(text: str) -> dict[str, list[str]]:
    r"""Return the words of each line by the camera's number; none if the text is no cameras.txt.

    Args:
        text: the content of the file. Empty lines and lines that begin with # are comments.

    >>> camera_lines("# list\n1 PINHOLE 4 2 5 5 2 1\n")
    {'1': ['PINHOLE', '4', '2', '5', '5', '2', '1']}
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    if not all(re.fullmatch(r"\d+ [A-Z_]+ \d+ \d+( \S+)+", " ".join(words)) for words in lines):
        return {}
    return {words[0]: words[1:] for words in lines}


def read_cameras(where: str, text: str, name: str | None) -> Calibration:
    """Return the calibration of a camera of a cameras.txt.

    Args:
        where: file, for the message.
        text: its content.
        name: number of the camera; may be None if there is only one.

    Raises InputError for a model that cannot be represented, and for another number of parameters.
    """
    lines = camera_lines(text)
    name = chosen(where, list(lines), name, "camera")
    (kind, width, height, *words), where = lines[name], f"{where}: camera {name}"
    if kind not in MODELS:
        raise InputError(
            f"{where}: has the model {kind}, which packdepth does not know; reconstruct with one of {', '.join(MODELS)}"
        )
    model = MODELS[kind]
    values = numbers(words, f"{where}: parameters of {kind}", model.focals + 2 + model.coefficients)
    fx, fy = values[0], values[model.focals - 1]
    cx, cy = values[model.focals : model.focals + 2]
    coefficients = values[model.focals + 2 :]
    lens = model.lens(*coefficients) if model.lens is KannalaBrandt or (model.lens and any(coefficients)) else None
    size = pixels(width, where), pixels(height, where)
    return calibration(where, size, (fx, fy, cx - HALF, cy - HALF), lens)
