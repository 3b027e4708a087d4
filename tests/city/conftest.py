"""A short drive, rendered once for all tests of the city."""

from __future__ import annotations

import pytest

pytest.importorskip("embreex", reason="the extra 'city' is not installed")

from packdepth.city.drive import Drive, Recipe, Shot

RECIPE = Recipe(split="train", seed=1, frames=12, height=96, width=320, lead_share=1.0, speeds=(6.0, 8.0), stop_share=0)


@pytest.fixture(scope="session")
def drive() -> Drive:
    return Drive(RECIPE)


@pytest.fixture(scope="session")
def shots(drive: Drive) -> list[Shot]:
    """Three consecutive frames."""
    return [drive.shot(frame) for frame in (4, 5, 6)]
