"""Drives as clips in memory, whose frames are rendered when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.city.drive import YAW, Drive, Recipe, Shot, View
from packdepth.city.ego import CAMERA_HEIGHT
from packdepth.city.lidar import ORIGIN
from packdepth.records import Clip, Frame

FieldName = Literal["image", "right", "depth", "lidar", "semantic", "instance", "moving"]
CACHED_SHOTS = 64  # rendered frames in memory; chosen by eye


@dataclass(frozen=True)
class Rendered:
    """A field of a frame, which is rendered when it is read."""

    recipe: Recipe  # settings of the drive
    number: int  # number of the drive
    view: View  # the camera
    frame: int  # number of the frame
    what: FieldName  # the field

    @property
    def path(self) -> Path:
        """A name for messages. There is no such file."""
        return Path(
            f"city/{self.recipe.split}-{self.recipe.seed}-{self.number}/{self.view}/{self.frame:06d}.{self.what}"
        )

    def read(self) -> np.ndarray:
        """Render the frame and return the field, as described in `records.Frame`."""
        content: np.ndarray = getattr(_shot(self.recipe, self.number, self.view, self.frame), self.what)
        return content


class RenderedScan(Rendered):
    """A LiDAR scan, which is made when it is read."""

    @property
    def origin(self) -> np.ndarray:
        """The position of the scanner in the camera frame: [3] metres."""
        return ORIGIN


def city_clip(recipe: Recipe, number: int = 0, view: View = "front") -> Clip:
    """Return a drive as a clip, with all its measurements and ground truth.

    Args:
        recipe: the settings of the drive.
        number: number of the drive.
        view: the camera.

    >>> clip = city_clip(Recipe(frames=3), view="left")
    >>> clip.name, len(clip.frames)
    ('city/train-0-0/left', 3)
    """
    drive = _drive(recipe, number)

    def rendered(frame: int, what: FieldName) -> Rendered:
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
    return Clip(
        name=name,
        path=Path(name),
        camera=recipe.camera,
        frames=frames,
        baseline=recipe.baseline,
        camera_height=CAMERA_HEIGHT,
    )


@lru_cache(maxsize=2)
def _drive(recipe: Recipe, number: int) -> Drive:
    return Drive(recipe, number)


@lru_cache(maxsize=CACHED_SHOTS)
def _shot(recipe: Recipe, number: int, view: View, frame: int) -> Shot:
    return _drive(recipe, number).shot(frame, view)
