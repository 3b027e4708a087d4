"""Options of `packdepth push`. Their fields are options of the command line, so this imports little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CardOptions:
    """Options of the model card.

    Args:
        numbers: JSON file that `packdepth evaluate` wrote for this checkpoint; its numbers stand on the card.
        picture: picture for the card, PNG or JPEG, such as one that `packdepth predict` wrote as color.
        license: license of the weights, by its name on the Hub, such as apache-2.0.
        data_license: license of the training data, in words.
    """

    numbers: Path | None = None
    picture: Path | None = None
    license: str | None = None
    data_license: str | None = None


CARD = CardOptions()
