"""The budget of a study on the rendered city: options of the command line, so light to import."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from packdepth.errors import check_least

LEAST = {"drives": 1, "frames": 4, "val_drives": 1, "size": 32, "steps": 1, "seeds": 1}


@dataclass(frozen=True)
class Plan:
    """The budget of every training, and the drives it is spent on.

    Args:
        drives: that are trained on.
        frames: of each of them.
        val_drives: that are judged on, 4 frames each.
        size: height and width of images, in pixels.
        steps: of each training, 8 images each, unless its kind says otherwise.
        seeds: trainings of each kind.
    """

    drives: int = 24
    frames: int = 240
    val_drives: int = 8
    size: tuple[int, int] = (48, 160)
    steps: int = 240
    seeds: int = 3

    def check(self) -> None:
        """Raise InputError, naming the option, for a plan of nothing."""
        found = asdict(self) | {"size": min(self.size)}
        for option, low in LEAST.items():
            check_least(option.replace("_", "-"), found[option], low)
