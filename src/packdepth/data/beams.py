"""LiDAR with fewer beams: split a scan into the returns that a scanner with fewer lasers would measure, and the others.

A beam is a band of elevation angles as seen from the scanner. 64 beams of equal height cover the field of view of
KITTI's Velodyne HDL-64E; the first beam also holds everything above, and the last one everything below. Every
(64 / n)-th beam is kept, the same ones in every scan, so that a smaller number of beams is a subset of a larger one.
Source: Guizilini et al., CoRL 2019, figure 4, which does not say which beams are kept.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from packdepth.data.dataset import measured_depth
from packdepth.geometry import lidar
from packdepth.records import Clip, Frame

BEAMS = 64  # lasers of the Velodyne HDL-64E
HIGHEST, LOWEST = 2.0, -24.8  # degrees above the camera's horizon: field of view in the HDL-64E's data sheet
ALWAYS = 25  # number of the beam that is always kept: it hits the road 11 m ahead of KITTI's car


def beam_numbers(points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Return the number of each point's beam, from 0 for the highest to 63 for the lowest: [N] int64.

    Args:
        points: [N, 3] metres, in the camera frame.
        origin: [3] metres, position of the scanner in the camera frame.

    >>> beam_numbers(np.array([[0.0, 0.0, 10.0], [0.0, 1.6, 10.0]]), np.zeros(3))
    array([ 4, 26])
    """
    x, y, z = np.moveaxis(points.astype(np.float64) - origin, -1, 0)
    elevation = np.degrees(np.arctan2(-y, np.hypot(x, z)))
    numbers = np.floor((HIGHEST - elevation) / (HIGHEST - LOWEST) * BEAMS)
    return np.asarray(numbers.clip(0, BEAMS - 1).astype(np.int64))


def kept(points: np.ndarray, origin: np.ndarray, beams: int) -> np.ndarray:
    """Return whether each point belongs to one of the kept beams: [N] bool.

    Args:
        points: [N, 3] metres, in the camera frame.
        origin: [3] metres, position of the scanner in the camera frame.
        beams: number of beams to keep; it divides 64.

    >>> points = np.array([[0.0, 0.0, 10.0], [0.0, 1.6, 10.0]])  # beams 4 and 26
    >>> kept(points, np.zeros(3), beams=64), kept(points, np.zeros(3), beams=4)
    (array([ True,  True]), array([False, False]))
    """
    return np.asarray((beam_numbers(points, origin) - ALWAYS) % (BEAMS // beams) == 0)


def beam_depth(clip: Clip, frame: Frame, beams: int) -> Tensor:
    """Return the depth that the kept beams of a frame's scan measure: [1, H, W] metres, 0 where unknown.

    Args:
        clip: the frame's clip.
        frame: the frame; without a scan its depth is unknown everywhere, even if it has a depth map.
        beams: number of beams to keep; it divides 64.
    """
    return _scan_depth(clip, frame, beams, True)


def other_depth(clip: Clip, frame: Frame, beams: int) -> Tensor:
    """Return ground truth that `beam_depth` does not use: [1, H, W] metres, 0 where unknown.

    It is the frame's depth map if there is one, otherwise the depth of the beams that are not kept.

    Args:
        clip: the frame's clip.
        frame: the frame.
        beams: number of beams that `beam_depth` keeps.
    """
    return measured_depth(clip, frame) if frame.depth is not None else _scan_depth(clip, frame, beams, False)


def _scan_depth(clip: Clip, frame: Frame, beams: int, wanted: bool) -> Tensor:
    """Return the depth of the kept beams if `wanted`, otherwise of the others: [1, H, W] metres, 0 where unknown."""
    if frame.lidar is None:
        return torch.zeros(1, clip.camera.height, clip.camera.width)
    points = frame.lidar.read()
    return lidar.depth_map(torch.from_numpy(points[kept(points, frame.lidar.origin, beams) == wanted]), clip.camera)
