"""Class ids of street scenes: the nineteen train ids of Cityscapes, which the rendered city uses too."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

UNLABELED = 255
"""Class id of pixels without a class. They are neither trained on nor evaluated."""


class Label(IntEnum):
    """Train ids of Cityscapes, under the names of Cityscapes.

    >>> Label.TRAFFIC_LIGHT.value, Label.TRAFFIC_LIGHT.words
    (6, 'traffic light')
    """

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18

    @property
    def words(self) -> str:
        """Return the name in lower case with spaces, such as "traffic light"."""
        return self.name.lower().replace("_", " ")


STREET_CLASSES = tuple(label.words for label in Label)
"""Names of the classes, by id."""

PALETTE = np.array(  # [19, 3] uint8, RGB: the color in which Cityscapes draws each class, by id
    [
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ],
    np.uint8,
)
