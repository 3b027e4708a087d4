"""Measurements of a clip that cannot be right by the images, besides those that `agreement` finds.

`packdepth data check` reports it, and training refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from packdepth.data.depth_kind import range_fault
from packdepth.data.disagreement import Check, Disagreement, checked_clips, refuse_wrong, used_measurements
from packdepth.data.measured_depth import depth_fault
from packdepth.data.pose_jumps import jump_fault
from packdepth.data.pose_steps import pace_fault, repeated_fault
from packdepth.data.stereo_pairs import stereo_fault
from packdepth.records import Clip

FAULTS: tuple[tuple[str, Check], ...] = (
    ("truth", range_fault),
    ("truth", depth_fault),
    ("right", stereo_fault),
    ("poses", jump_fault),
    ("poses", pace_fault),
    ("poses", repeated_fault),
)  # with the measurement that each of them checks


def faults(clip: Clip) -> list[Disagreement]:
    """Return what in a clip cannot be right.

    Args:
        clip: the clip. Raises InputError for a file that cannot be read.
    """
    return [each for _, find in FAULTS if (each := find(clip)) is not None]


def check_faults(clips: Sequence[Clip], fields: frozenset[str]) -> None:
    """Raise InputError for measurements of a training that cannot be right. A few clips are checked.

    Args:
        clips: the clips to train on, as their sources gave them.
        fields: the optional fields of the batch that the objective uses, such as "distance", "right" and "truth".
    """
    for clip in checked_clips(clips):
        refuse_wrong(clip, FAULTS, used_measurements(clip, fields))
