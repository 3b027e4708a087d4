"""The height of a camera above the road, as people state it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

LOWEST, HIGHEST = 0.02, 20.0  # metres: of a toy car, and far above every truck
IN_METRES = re.compile(r"([\d.]+)\s*m")  # a height with its unit, which cannot be meant in another one


def plausible_height(height: Any) -> Any:
    """Return a height in metres. Raises ValueError if no camera on a vehicle has it: it is in another unit.

    A height with its unit, such as "60 m" of a drone, is accepted as it is said.

    Args:
        height: height of the camera above the road, in metres; what is no height is returned unchanged.

    >>> plausible_height(1.65), plausible_height("60 m")
    (1.65, 60.0)
    """
    stated = IN_METRES.fullmatch(height.strip()) if isinstance(height, str) else None
    if stated is not None:
        return float(stated[1])
    try:
        number = float(height)
    except (TypeError, ValueError):
        return height
    if not LOWEST <= number <= HIGHEST:
        hint = f" ({number:g} cm are {number / 100:g} m)" if LOWEST <= number / 100 <= HIGHEST else ""
        flies = f", or height_m: {number:g} m if it flies or stands on a mast" if number > HIGHEST else ""
        raise ValueError(f"is {number:g} m above the road, as no vehicle's camera is; write metres{hint}{flies}")
    return number


def written_height(height: float) -> float | str:
    """Return a height as it is written into a file, from which `plausible_height` reads it again.

    Args:
        height: height of the camera above the road, in metres.

    >>> written_height(1.65), written_height(60.0)
    (1.65, '60.0 m')
    """
    return height if LOWEST <= height <= HIGHEST else f"{height} m"


HeightAboveRoad = Annotated[
    float, BeforeValidator(plausible_height), PlainSerializer(written_height, return_type=float | str)
]
"""Metres above the road; other units are refused where they give themselves away."""
