"""Measurements of a clip that cannot be right by the images, besides those that `agreement` finds.

`packdepth data check` reports it, and training refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from packdepth.data.agreement import CHECKED_CLIPS, Disagreement
from packdepth.data.measured_depth import depth_fault
from packdepth.data.pose_jumps import jump_fault
from packdepth.data.stereo_pairs import stereo_fault
from packdepth.data.targets import distance_source
from packdepth.errors import InputError
from packdepth.records import Clip

FAULTS: dict[str, Callable[[Clip], Disagreement | None]] = {
    "truth": depth_fault,
    "right": stereo_fault,
    "poses": jump_fault,
}  # by the measurement that they check


def faults(clip: Clip) -> list[Disagreement]:
    """Return what in a clip cannot be right.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    return [each for find in FAULTS.values() if (each := find(clip)) is not None]


def check_faults(clips: Sequence[Clip], fields: frozenset[str]) -> None:
    """Raise InputError for measurements of a training that cannot be right. A few clips are checked.

    Args:
        clips: the clips to train on.
        fields: the optional fields of the batch that the objective uses, such as "distance", "right" and "truth".
    """
    for clip in clips[:: -(-len(clips) // CHECKED_CLIPS) or 1]:
        used = {"truth": "truth" in fields, "right": "right" in fields}
        used["poses"] = "distance" in fields and distance_source(clip) == "poses"
        for name, find in FAULTS.items():
            if used[name] and (each := find(clip)) is not None:
                raise InputError(f"{clip.path}: {each.found}; {each.advice[0].lower()}{each.advice[1:].rstrip('.')}")
