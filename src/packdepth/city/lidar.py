"""A rotating laser scanner on the car's roof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packdepth.city.render import World

ORIGIN = np.array([0.0, -0.25, 0.0])  # metres in the camera frame: 25 cm above the camera; chosen by eye
MIN_RANGE, MAX_RANGE = 1.5, 100.0  # metres: nearer and farther returns are lost; chosen by eye


@dataclass(frozen=True)
class Scanner:
    """A scanner like KITTI's Velodyne HDL-64E.

    Args:
        rings: number of lasers, one above the other.
        azimuth_step: angle between two shots of a laser, in degrees.
        lowest: elevation of the lowest laser, in degrees above the horizon.
        highest: elevation of the highest laser, in degrees above the horizon.
        noise: standard deviation of the range, in metres.

    >>> Scanner(rings=4).lowest
    -24.8
    """

    rings: int = 64
    azimuth_step: float = 0.4
    lowest: float = -24.8
    highest: float = 2.0
    noise: float = 0.0

    def scan(self, world: World, T_world_camera: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the points of one turn of the scanner: [N, 3] float32, metres, in the camera frame.

        Args:
            world: the world.
            T_world_camera: [4, 4], metres.
            rng: source of random numbers for the noise; not used without noise.
        """
        elevation = np.radians(np.linspace(self.highest, self.lowest, self.rings))
        azimuth = np.radians(np.arange(-180.0, 180.0, self.azimuth_step))
        e, a = (grid.ravel() for grid in np.meshgrid(elevation, azimuth, indexing="ij"))
        directions = np.stack([np.cos(e) * np.sin(a), -np.sin(e), np.cos(e) * np.cos(a)], axis=-1)  # camera axes
        start = ORIGIN
        R, t = T_world_camera[:3, :3], T_world_camera[:3, 3]
        origins = np.tile((R @ start + t).astype(np.float32), (len(directions), 1))
        distance = world.cast(origins, (directions @ R.T).astype(np.float32)).distance.astype(np.float64)
        measured = (distance > MIN_RANGE) & (distance < MAX_RANGE)
        distance, directions = distance[measured], directions[measured]
        if self.noise:
            distance = distance + rng.normal(0, self.noise, len(distance))
        return np.asarray((start + distance[:, None] * directions).astype(np.float32))
