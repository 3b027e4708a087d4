"""Depth maps that hold distances along the rays of pixels in place of depth along the optical axis.

Simulators and range cameras write such maps. On a pixel whose ray is (x, y, 1), z-depth is the distance over the length
of the ray.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from packdepth.geometry.lens import Lens
from packdepth.records import Clip, Readable

MAPS = 8  # maps that a process keeps: some clips of different cameras; 4 MB each for 1408x376


@lru_cache(maxsize=MAPS)
def ray_lengths(numbers: tuple[float, float, float, float], height: int, width: int, lens: Lens | None) -> np.ndarray:
    """Return the lengths of the rays (x, y, 1) of all pixels: [H, W] float32, infinite where no ray of z > 0 is.

    Args:
        numbers: fx, fy, cx, cy, in pixels.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        lens: lens of the image; None for a pinhole.

    >>> ray_lengths((1.0, 1.0, 0.0, 0.0), 1, 2, None)
    array([[1.       , 1.4142135]], dtype=float32)
    """
    fx, fy, cx, cy = numbers
    v, u = np.mgrid[:height, :width]
    places = np.stack([(u - cx) / fx, (v - cy) / fy], axis=-1)
    if lens is not None:
        import torch

        places = lens.undistort(torch.from_numpy(places))[0].nan_to_num(torch.inf).numpy()
    lengths: np.ndarray = np.sqrt(1 + (places**2).sum(-1)).astype(np.float32)
    return lengths


@dataclass(frozen=True)
class RangeMap:
    """Map of distances along rays, read as z-depth."""

    file: Readable  # the map of distances, in metres
    numbers: tuple[float, float, float, float]  # fx, fy, cx, cy of its image, in pixels
    lens: Lens | None  # lens of its image; None for a pinhole

    @property
    def path(self) -> Path:
        """Path of the map, for messages."""
        return self.file.path

    def read(self) -> np.ndarray:
        """Read the map: [H, W] float32, z-depth in metres, 0 where unknown."""
        distances = self.file.read()
        depth: np.ndarray = distances / ray_lengths(self.numbers, *distances.shape, self.lens)
        return depth


def with_ranges(clip: Clip) -> Clip:
    """Return a clip whose depth maps hold distances along rays, so that they are read as z-depth.

    Args:
        clip: the clip as it is on disk.
    """
    numbers = clip.camera.numbers
    return replace(
        clip,
        frames=tuple(
            frame if frame.depth is None else replace(frame, depth=RangeMap(frame.depth, numbers, clip.lens))
            for frame in clip.frames
        ),
    )
