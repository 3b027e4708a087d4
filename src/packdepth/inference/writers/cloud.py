"""Colored point clouds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from packdepth.files import write_cloud
from packdepth.inference.options import PictureOptions, PointOptions
from packdepth.inference.writers import ClipFacts, Writer
from packdepth.records import Prediction


class CloudWriter(Writer):
    """Writer of `cloud/FRAME.ply` (see `Prediction.save`)."""

    kind: ClassVar[str] = "cloud"
    content: ClassVar[str] = "point clouds"
    needs_camera: ClassVar[bool] = True

    def __init__(self, place: Path, facts: ClipFacts, points: PointOptions, pictures: PictureOptions) -> None:
        super().__init__(place, facts, points, pictures)
        self._empty = 0  # number of frames without a point

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the file of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        options = self.points
        cloud = prediction.cloud(options.max_depth, not options.all_points, options.thin, options.min_confidence)
        write_cloud(
            self.path / f"{name}.ply", cloud.points, cloud.colors, prediction.texts, confidence=cloud.confidence
        )
        self._empty += not len(cloud.points)

    def summary(self, count: int) -> str:
        """Return what was written, for the report, and how many clouds are empty.

        Args:
            count: number of frames of the clip.
        """
        written = super().summary(count)
        if not self._empty:
            return written
        empty = "all without a point" if self._empty == count else f"{self._empty} without a point"
        return f"{written} ({empty}{_advice(self.points)})"


def _advice(options: PointOptions) -> str:
    """Return which options to change so that clouds keep more points, a clause; empty if none of them cuts any."""
    changes = {
        "lower --min-confidence": options.min_confidence is not None,
        "raise --max-depth": options.max_depth is not None,
        "give --all-points": not options.all_points,
    }
    words = [change for change, cuts in changes.items() if cuts]
    return f"; {' or '.join(words)} to keep more" if words else ""
