"""The command `packdepth city`, which renders drives. Importing this takes none of the extra `city`."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from packdepth.city.style import Split
from packdepth.errors import InputError, check_least
from packdepth.progress import counted


def city(
    output: Positional[Path],
    /,
    *,
    drives: int = 10,
    frames: int = 20,
    size: str = "192x640",
    seed: int = 0,
    split: Split = "train",
    lead_share: float = 0.25,
    stop_share: float = 0.3,
    speeds: tuple[float, float] = (3.0, 15.0),
    baseline: float = 0.54,
    azimuth_step: float = 0.4,
    range_noise: float = 0.0,
    views: tuple[Literal["front", "left", "right", "back"], ...] = ("front",),
    record: tuple[int, int] = (1, 1),
    processes: int = 2,
) -> None:
    """Render drives through a street world with exact ground truth, as clips that every tool reads.

    Args:
        output: folder to write to; an interrupted command continues there.
        drives: number of drives; each has its own layout, surfaces and traffic.
        frames: number of frames of each drive, at 10 Hz.
        size: size of the images, HEIGHTxWIDTH in pixels.
        seed: seed of all random numbers.
        split: the split that gives layouts, surfaces and car models.
        lead_share: share of the drives in which a car drives ahead at exactly the speed of the camera's car.
        stop_share: probability of a stop at each crossing.
        speeds: range of the speed that the driver wants, in metres per second.
        baseline: distance to the right camera in metres; 0 for no right images.
        azimuth_step: angle between two shots of a laser of the LiDAR, in degrees; 0 for no LiDAR.
        range_noise: standard deviation of the LiDAR's ranges, in metres.
        views: the cameras around the car.
        record: N M renders the first N of each M frames; separate stretches show more of the town.
        processes: number of processes that render at the same time.

    Raises InputError, with the option's name, before anything is written.

    Examples:
        packdepth city -o out/city --drives 4 --frames 40
    """
    for name, low, value in (
        ("drives", 1, drives),
        ("frames", 1, frames),
        ("seed", 0, seed),
        ("processes", 1, processes),
        ("baseline", 0, baseline),
        ("azimuth-step", 0, azimuth_step),
        ("range-noise", 0, range_noise),
    ):
        check_least(name, value, low)
    for name, share in (("lead-share", lead_share), ("stop-share", stop_share)):
        if not 0 <= share <= 1:
            raise InputError(f"--{name}: is {share}; a share lies between 0 and 1")
    if not 0.5 <= speeds[0] <= speeds[1] <= 40:
        raise InputError(f"--speeds: are {speeds[0]} {speeds[1]}; give the lower and the higher, from 0.5 to 40 m/s")
    if not 1 <= record[0] <= record[1]:
        raise InputError(f"--record: is {record[0]} {record[1]}; the first is at least 1 and at most the second")
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None or not (16 <= int(match[1]) <= 4096 and 16 <= int(match[2]) <= 4096):
        raise InputError(f"--size: is '{size}'; give HEIGHTxWIDTH in pixels from 16 to 4096, such as 192x640")
    require_city()
    from packdepth.city.drive import YAW, Recipe
    from packdepth.city.lidar import Scanner
    from packdepth.city.write import write_city

    recipe = Recipe(
        split=split,
        seed=seed,
        frames=frames,
        height=int(match[1]),
        width=int(match[2]),
        lead_share=lead_share,
        stop_share=stop_share,
        speeds=speeds,
        baseline=baseline or None,
        scanner=Scanner(azimuth_step=azimuth_step, noise=range_noise) if azimuth_step else None,
        views=tuple(view for view in YAW if view in views),
        record=record,
    )
    write_city(output, recipe, drives, processes)
    written = f"{counted(drives, 'drive')} of {counted(len(recipe.recorded), 'frame')} in {output}"
    print(f"{written}; look at {output / 'contact_sheet.jpg'}")


def require_city() -> None:
    """Raise InputError unless the extra `city` is installed."""
    if not all(importlib.util.find_spec(name) for name in ("trimesh", "embreex")):
        raise InputError("the city needs trimesh and embreex: pip install 'packdepth[city]'")
