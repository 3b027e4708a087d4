"""Depth of points that two frames show, from their optical flow and the motion between the frames."""

from __future__ import annotations

import numpy as np

from packdepth.geometry.camera import Camera

MIN_PARALLAX = 0.003  # radians between two rays: at one third of it, flow's noise of 0.3 pixels is as large


def triangulated(camera: Camera, T_first_second: np.ndarray, points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the depths of points in the first frame, in metres: the least-squares intersection of both rays.

    Args:
        camera: camera of both images.
        T_first_second: pose of the second frame in the first, [4, 4], metres.
        points: [N, 2] as (u, v), pixels of the first image.
        vectors: [N, 2] their optical flow, in pixels.

    Returns:
        [N] metres, negative for points behind the camera, NaN where the rays are parallel within `MIN_PARALLAX`.

    >>> T = np.eye(4)
    >>> T[0, 3] = 0.5  # to the right, so that points move to the left
    >>> camera = Camera(100.0, 100.0, 50.0, 40.0, width=101, height=81)
    >>> triangulated(camera, T, np.array([[50.0, 40.0]]), np.array([[-5.0, 0.0]]))
    array([10.])
    """
    center = np.array([float(camera.cx), float(camera.cy)])
    focal = np.array([float(camera.fx), float(camera.fy)])
    rays, others = (
        np.concatenate([(places - center) / focal, np.ones((len(places), 1))], axis=-1)
        for places in (points, points + vectors)
    )
    others = others @ T_first_second[:3, :3].T
    across = np.cross(rays, others)
    square = (across**2).sum(-1)
    parallax = np.sqrt(square) / np.linalg.norm(rays, axis=-1) / np.linalg.norm(others, axis=-1)
    depth = (np.cross(T_first_second[:3, 3], others) * across).sum(-1) / np.maximum(square, np.finfo(float).tiny)
    result: np.ndarray = np.where(parallax > MIN_PARALLAX, depth, np.nan)
    return result
