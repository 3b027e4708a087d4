"""Colored point clouds."""

from __future__ import annotations

from typing import ClassVar

from packdepth.inference.writers import Writer
from packdepth.records import Prediction


class CloudWriter(Writer):
    """Writer of `cloud/FRAME.ply` (see `Prediction.save`)."""

    kind: ClassVar[str] = "cloud"
    content: ClassVar[str] = "point clouds"
    needs_camera: ClassVar[bool] = True

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the file of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        options = self.points
        path = self.path / f"{name}.ply"
        prediction.save(
            path,
            max_depth=options.max_depth,
            reliable=not options.all_points,
            thin=options.thin,
            min_confidence=options.min_confidence,
        )
