"""The height of a camera above the road, as people state it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

LOWEST, HIGHEST = 0.02, 20.0  # metres: of a toy car, and far above every truck


def plausible_height(height: float) -> float:
    """Return a height unchanged. Raises ValueError if no camera on the ground has it: it is in another unit.

    Args:
        height: height of the camera above the road, in metres.

    >>> plausible_height(1.65)
    1.65
    """
    if not LOWEST <= height <= HIGHEST:
        centimetres = f" ({height:g} cm are {height / 100:g} m)" if LOWEST <= height / 100 <= HIGHEST else ""
        raise ValueError(f"is {height:g} m above the road, as no vehicle's camera is; write metres{centimetres}")
    return height


HeightAboveRoad = Annotated[float, AfterValidator(plausible_height)]
"""Metres above the road; other units are refused where they give themselves away."""
