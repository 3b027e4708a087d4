"""The budget of a study on the rendered city. Its fields are options of the command line, so it imports little."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from packdepth.errors import check_least

MINIMUM = {"drives": 1, "frames": 4, "val_drives": 1, "size": 32, "steps": 1, "seeds": 1}  # smallest useful values


@dataclass(frozen=True)
class Budget:
    """The budget of every training of a study, and its drives.

    Args:
        drives: number of training drives.
        frames: length of a training drive, in frames.
        val_drives: number of validation drives, of 4 frames each.
        size: height and width of images, in pixels.
        steps: steps of each training, of 8 images each, unless the variant or the study says otherwise.
        seeds: number of trainings of each variant.
    """

    drives: int = 24
    frames: int = 240
    val_drives: int = 8
    size: tuple[int, int] = (48, 160)
    steps: int = 240
    seeds: int = 3

    def check(self) -> None:
        """Raise InputError, which names the option, for a value below the minimum."""
        found = asdict(self) | {"size": min(self.size)}
        for option, minimum in MINIMUM.items():
            check_least(option.replace("_", "-"), found[option], minimum)
