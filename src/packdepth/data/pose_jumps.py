"""Jumps of measured poses: a map that was corrected, or a tracker that was lost."""

from __future__ import annotations

import numpy as np

from packdepth.data.disagreement import Disagreement
from packdepth.data.pose_steps import pose_of, pose_steps
from packdepth.records import Clip

MAX_JUMP = 35.0  # metres per second, from a step to the next, beyond what a vehicle can: noise of poses at 30 frames/s
MAX_ACCELERATION = 12.0  # metres per second squared: full braking on a dry road has 10
LISTED = 3  # frames that a sentence names


def jump_fault(clip: Clip) -> Disagreement | None:
    """Return which poses of a clip lie farther apart than a vehicle moves; None if none do.

    Args:
        clip: the clip.
    """
    places = pose_steps(clip)
    if len(places) < 2:
        return None
    times = np.array([clip.frames[i + 1].time - clip.frames[i].time for i in places])
    steps = np.array([np.linalg.norm(pose_of(clip, i + 1)[:3, 3] - pose_of(clip, i)[:3, 3]) for i in places])
    speeds = steps / times
    usual = float(np.median(speeds))
    jumps = np.flatnonzero(speeds > 2 * usual + MAX_JUMP + MAX_ACCELERATION * float(np.median(times)))
    if not len(jumps):
        return None
    names = [clip.frames[places[jump] + 1].name for jump in jumps]
    first = float(steps[jumps[0]])
    return Disagreement(
        "poses",
        f"its poses jump by {first:.3g} m before frame {', '.join(names[:LISTED])}"
        + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
        + f", and by {float(np.median(steps)):.3g} m else",
        "Leave the cells of these poses empty, or cut the clip there: a correction of the map is no motion.",
    )
