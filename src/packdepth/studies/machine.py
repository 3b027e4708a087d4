"""The options of studies that train at any scale. They are options of the command line, so this imports little."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from packdepth.errors import check_least
from packdepth.studies.budget import Budget

B = TypeVar("B", bound=Budget)
QUICK = Budget(drives=1, frames=8, val_drives=1, size=(32, 96), steps=2, seeds=1)  # limits of a smoke test


@dataclass(frozen=True)
class Machine:
    """The machine that trains, and the data. The defaults are for two cores and the rendered city.

    Args:
        data: folder with clips/ and kitti_odometry/ (real clips), or a YAML file with `train` and `judged`, which
            replaces the city and the real clips.
        batch: images of a step.
        optimizer: muon, for short trainings, or Adam as published.
        accelerator: device of the trainings.
        devices: number of processes or GPUs of each training.
        precision: 32 or bf16.
        workers: processes that load images, for each training.
        processes: number of trainings at a time, of one thread each, and of processes that render.
        quick: smoke test: no number of the budget is larger than needed to run everything once.
    """

    data: Path | None = None
    batch: int = 8
    optimizer: Literal["muon", "adam"] = "muon"
    accelerator: Literal["cpu", "gpu"] = "cpu"
    devices: int = 1
    precision: Literal["32", "bf16"] = "32"
    workers: int = 0
    processes: int = 2
    quick: bool = False

    def check(self) -> None:
        """Raise InputError, which names the option, for a value below the minimum."""
        for option, least in (("batch", 1), ("devices", 1), ("workers", 0), ("processes", 1)):
            check_least(option, getattr(self, option), least)

    def limited(self, budget: B) -> B:
        """Return a budget or, for a smoke test, the smaller of each of its numbers and that of `QUICK`.

        Args:
            budget: the budget.

        >>> Machine(quick=True).limited(Budget(seeds=3)).seeds
        1
        """
        if not self.quick:
            return budget
        size = min(budget.size[0], QUICK.size[0]), min(budget.size[1], QUICK.size[1])
        names = ("drives", "frames", "val_drives", "steps", "seeds")
        smaller: dict[str, Any] = {name: min(getattr(budget, name), getattr(QUICK, name)) for name in names}
        return replace(budget, size=size, **smaller)
