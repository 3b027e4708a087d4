"""Fewer beams: what a scanner with fewer lasers would have measured of a scan, and what it would not.

A beam is a band of elevation as seen from the scanner, 64 of them over the view of KITTI's Velodyne HDL-64E; the first
and the last go on to the zenith and the nadir. Of these, n are kept at equal distances: the same in every scan, and
among them those of every smaller n. Source: Guizilini et al., CoRL 2019, figure 4, which does not say which are kept.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from packdepth.data.dataset import measured_depth
from packdepth.geometry import lidar
from packdepth.records import Clip, Frame

BEAMS = 64
HIGHEST, LOWEST = 2.0, -24.8  # degrees above the horizon, of the camera
ALWAYS = 25  # the beam that is kept of any number: it meets the road 11 m ahead of KITTI's car


def beam_numbers(points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The beam of each point: [N] int, 0 for the highest to 63.

    Args:
        points: [N, 3] metres, in the camera frame.
        origin: [3] metres, where the scanner stands in it.
    """
    x, y, z = np.moveaxis(points.astype(np.float64) - origin, -1, 0)
    elevation = np.degrees(np.arctan2(-y, np.hypot(x, z)))
    numbers = np.floor((HIGHEST - elevation) / (HIGHEST - LOWEST) * BEAMS)
    return np.asarray(numbers.clip(0, BEAMS - 1).astype(np.int64))


def kept(points: np.ndarray, origin: np.ndarray, beams: int) -> np.ndarray:
    """Whether each point [N, 3] is of one of `beams` beams at equal distances, a number that divides 64: [N] bool."""
    return np.asarray((beam_numbers(points, origin) - ALWAYS) % (BEAMS // beams) == 0)


def beam_depth(clip: Clip, frame: Frame, beams: int) -> Tensor:
    """Depth [1, H, W] that the kept beams of a frame's scan measure, metres, 0 where unknown; of its scan alone."""
    return _scan_depth(clip, frame, beams, True)


def other_depth(clip: Clip, frame: Frame, beams: int) -> Tensor:
    """Depth [1, H, W] to judge by: of the frame's depth map, or else of the beams of its scan that are not kept."""
    return measured_depth(clip, frame) if frame.depth is not None else _scan_depth(clip, frame, beams, False)


def _scan_depth(clip: Clip, frame: Frame, beams: int, wanted: bool) -> Tensor:
    if frame.lidar is None:
        return torch.zeros(1, clip.camera.height, clip.camera.width)
    points = frame.lidar.read()
    return lidar.depth_map(torch.from_numpy(points[kept(points, frame.lidar.origin, beams) == wanted]), clip.camera)
