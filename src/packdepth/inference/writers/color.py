"""Inverse depth in colors, and confidence in gray."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from packdepth.files import write_image
from packdepth.inference.pictures import joined, shades_of, with_bar
from packdepth.inference.writers import Writer
from packdepth.records import Prediction


class ColorWriter(Writer):
    """Writer of `color/FRAME.png`. A color means the same depth in each frame of the clip.

    Confidence, if the network predicts it, follows in gray unless pictures are `plain`: white is sure.
    """

    kind: ClassVar[str] = "color"
    content: ClassVar[str] = "colors"
    needs_colors: ClassVar[bool] = True

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the file of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        write_image(self.path / f"{name}.png", self.picture(prediction, with_image=self.pictures.beside))

    def picture(self, prediction: Prediction, with_image: bool) -> np.ndarray:
        """Return depth in colors and, if there is one, confidence in gray: below depth, or beside it if `beside`.

        Args:
            prediction: the prediction.
            with_image: whether the image comes first.
        """
        height, width = prediction.image.shape[:2]
        pictures = [prediction.image] if with_image else []
        pictures.append(self.colors(prediction))
        if prediction.confidence is not None and not self.pictures.plain:
            pictures.append(shades_of(prediction.confidence))
        return joined(pictures, across=self.pictures.beside or width < height)

    def colors(self, prediction: Prediction) -> np.ndarray:
        """Return the depth of a prediction in colors [H, W + w, 3] uint8, with a color bar of w pixels unless `plain`.

        Args:
            prediction: the prediction.
        """
        options, limits = self.pictures, self.facts.colors
        colors = prediction.color(*limits, colormap=options.colormap)
        return colors if options.plain else with_bar(colors, *limits, options.colormap, prediction.metric)
