"""Drives as clips in memory: frames are rendered when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.city.drive import YAW, Drive, Recipe, Shot, View
from packdepth.city.lidar import ORIGIN
from packdepth.records import Clip, Frame

What = Literal["image", "right", "depth", "lidar", "semantic", "instance", "moving"]
KEPT = 64  # frames in memory


@dataclass(frozen=True)
class Rendered:
    """One field of a frame, to be rendered when it is read."""

    recipe: Recipe
    number: int
    view: View
    frame: int
    what: What

    @property
    def path(self) -> Path:
        """A name for messages; nothing is there on disk."""
        return Path(
            f"city/{self.recipe.split}-{self.recipe.seed}-{self.number}/{self.view}/{self.frame:06d}.{self.what}"
        )

    def read(self) -> np.ndarray:
        """What was asked for, as the field of `records.Frame` has it."""
        content: np.ndarray = getattr(_shot(self.recipe, self.number, self.view, self.frame), self.what)
        return content


class RenderedScan(Rendered):
    """A scan, to be made when it is read."""

    @property
    def origin(self) -> np.ndarray:
        """Where the scanner stands in the camera frame, [3] metres."""
        return ORIGIN


def city_clip(recipe: Recipe, number: int = 0, view: View = "front") -> Clip:
    """A drive as a clip, with everything that is true of it."""
    drive = _drive(recipe, number)

    def rendered(frame: int, what: What) -> Rendered:
        return Rendered(recipe, number, view, frame, what)

    frames = tuple(
        Frame(
            name=f"{frame:06d}",
            time=drive.time(frame),
            image=rendered(frame, "image"),
            right=rendered(frame, "right") if recipe.baseline is not None else None,
            depth=rendered(frame, "depth"),
            lidar=RenderedScan(recipe, number, view, frame, "lidar") if recipe.scanner is not None else None,
            semantic=rendered(frame, "semantic"),
            instance=rendered(frame, "instance"),
            moving=rendered(frame, "moving"),
            speed=drive.ego.speed(frame),
            pose=drive.ego.pose(frame, YAW[view]),
        )
        for frame in recipe.recorded
    )
    name = f"city/{recipe.split}-{recipe.seed}-{number}/{view}"
    return Clip(name=name, path=Path(name), camera=recipe.camera, frames=frames, baseline=recipe.baseline)


@lru_cache(maxsize=2)
def _drive(recipe: Recipe, number: int) -> Drive:
    return Drive(recipe, number)


@lru_cache(maxsize=KEPT)
def _shot(recipe: Recipe, number: int, view: View, frame: int) -> Shot:
    return _drive(recipe, number).shot(frame, view)
