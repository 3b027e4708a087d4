"""Arrays in the place of files, for records of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Array:
    """An array in place of a file: an image, a depth map, or a LiDAR scan with its origin."""

    values: np.ndarray
    path: Path = Path("array")
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def read(self) -> np.ndarray:
        """Return the array."""
        return self.values
