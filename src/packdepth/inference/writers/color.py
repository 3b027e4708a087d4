"""Inverse depth in colors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from packdepth.files import write_image
from packdepth.inference.pictures import image_and_colors, with_bar
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
        colors = self.colors(prediction)
        beside = self.pictures.beside
        write_image(self.path / f"{name}.png", image_and_colors(prediction.image, colors, True) if beside else colors)

    def colors(self, prediction: Prediction) -> np.ndarray:
        """Return the depth of a prediction in colors [H, W + w, 3] uint8, with a color bar of w pixels unless `plain`.

        Args:
            prediction: the prediction.
        """
        options, limits = self.pictures, self.facts.colors
        colors = prediction.color(*limits, colormap=options.colormap)
        return colors if options.plain else with_bar(colors, *limits, options.colormap, prediction.metric)
