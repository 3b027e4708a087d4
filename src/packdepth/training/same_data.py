"""The callback that refuses to resume a run on other data than it began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from packdepth.data.fingerprint import difference, fingerprint
from packdepth.errors import InputError
from packdepth.records import Clip


class SameData(pl.Callback):
    """Callback that keeps the fingerprints of the clips in the trainer's state, and compares them when a run resumes.

    The state of a run of an earlier version has none: that run is resumed without the comparison.

    Args:
        output: the folder of the run.
        clips: the clips of training and validation.
    """

    def __init__(self, output: Path, clips: Sequence[Clip]) -> None:
        self.output, self.prints = output, [fingerprint(clip) for clip in clips]

    def state_dict(self) -> dict[str, Any]:
        """Return the fingerprints, for resuming."""
        return {"clips": [dict(each) for each in self.prints]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raise InputError if the clips are not those of the interrupted run.

        Args:
            state: what `state_dict` returned.
        """
        change = difference(state["clips"], self.prints)
        if change is not None:
            raise InputError(
                f"{self.output}: its data has changed since it was trained: {change}; give the former data back, or "
                f"train into another --output, with initial.depth and initial.pose: {self.output / 'last'}"
            )
