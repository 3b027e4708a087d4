"""Inverse depth in colors."""

from __future__ import annotations

from typing import ClassVar

from packdepth.files import write_image
from packdepth.inference.writers import Writer
from packdepth.records import Prediction


class ColorWriter(Writer):
    """Writer of `color/FRAME.png`. A color means the same depth in each frame of the clip."""

    kind: ClassVar[str] = "color"
    content: ClassVar[str] = "colors"
    needs_colors: ClassVar[bool] = True

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the file of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        write_image(self.path / f"{name}.png", prediction.color(*self.colors))
