"""A rotating laser scanner on the car's roof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packdepth.city.render import World

ORIGIN = np.array([0.0, -0.25, 0.0])  # in the camera frame, metres: above the camera
REACH = (1.5, 100.0)  # metres that it measures


@dataclass(frozen=True)
class Scanner:
    """A scanner of the build of KITTI's.

    Args:
        rings: lasers, one above another.
        azimuth_step: degrees between two shots of a laser.
        lowest: degrees above the horizon.
        highest: degrees above the horizon.
        noise: metres, standard deviation of the range.
    """

    rings: int = 64
    azimuth_step: float = 0.4
    lowest: float = -24.8
    highest: float = 2.0
    noise: float = 0.0

    def scan(self, world: World, T_world_camera: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Points [N, 3] float32 in the camera frame, metres: what a turn of the scanner meets."""
        elevation = np.radians(np.linspace(self.highest, self.lowest, self.rings))
        azimuth = np.radians(np.arange(-180.0, 180.0, self.azimuth_step))
        e, a = (grid.ravel() for grid in np.meshgrid(elevation, azimuth, indexing="ij"))
        directions = np.stack([np.cos(e) * np.sin(a), -np.sin(e), np.cos(e) * np.cos(a)], axis=-1)  # camera axes
        start = ORIGIN
        R, t = T_world_camera[:3, :3], T_world_camera[:3, 3]
        origins = np.tile((R @ start + t).astype(np.float32), (len(directions), 1))
        distance = world.cast(origins, (directions @ R.T).astype(np.float32)).distance.astype(np.float64)
        measured = (distance > REACH[0]) & (distance < REACH[1])
        distance, directions = distance[measured], directions[measured]
        if self.noise:
            distance = distance + rng.normal(0, self.noise, len(distance))
        return np.asarray((start + distance[:, None] * directions).astype(np.float32))
