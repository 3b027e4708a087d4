"""Depth as arrays and as depth maps of 16 bits."""

from __future__ import annotations

from typing import ClassVar

from packdepth.inference.writers import Writer
from packdepth.records import Prediction


class DepthWriter(Writer):
    """Writer of `depth/FRAME.npz` and `depth/FRAME.png` (see `Prediction.save`)."""

    kind: ClassVar[str] = "depth"
    content: ClassVar[str] = "depth as npz and 16-bit png"

    def append(self, name: str, prediction: Prediction) -> None:
        """Write both files of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        prediction.save(self.path / f"{name}.npz")
        prediction.save(self.path / f"{name}.png")
