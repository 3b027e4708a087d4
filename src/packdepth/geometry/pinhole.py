"""Points and pixels of a pinhole camera as arrays, for what runs without torch."""

from __future__ import annotations

import numpy as np

from packdepth.geometry.camera import Camera


def points_of(inv_depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the points [H, W, 3] of the pixels of an inverse depth map.

    Args:
        inv_depth: inverse depth [H, W], positive.
        camera: its camera, of floats.

    >>> points_of(np.array([[0.5]]), Camera(1.0, 1.0, 0.0, 0.0, 1, 1)).tolist()
    [[[0.0, 0.0, 2.0]]]
    """
    v, u = np.indices(inv_depth.shape, dtype=np.float64)
    x, y = (u - float(camera.cx)) / float(camera.fx), (v - float(camera.cy)) / float(camera.fy)
    points: np.ndarray = np.stack([x, y, np.ones_like(x)], axis=-1) / inv_depth[..., None]
    return points


def projected(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels [..., 2] of points as (u, v), and which of them [...] lie in the image.

    Args:
        points: [..., 3] in the camera frame.
        camera: the camera, of floats.

    >>> projected(np.array([0.0, 0.0, 2.0]), Camera(1.0, 1.0, 3.0, 1.0, 8, 4))[0].tolist()
    [3.0, 1.0]
    """
    depth = points[..., 2]
    ahead = depth > 0
    safe = np.where(ahead, depth, 1.0)
    u = points[..., 0] / safe * float(camera.fx) + float(camera.cx)
    v = points[..., 1] / safe * float(camera.fy) + float(camera.cy)
    inside = ahead & (u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)
    return np.stack([u, v], axis=-1), inside


def hit_pixels(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that points fall into, and these points; what lies behind the camera or beside is left out.

    Args:
        points: [N, 3] in the camera frame.
        camera: the camera, of floats.

    Returns:
        Rows and columns [2, M] int, and points [M, 3].

    >>> pixels, hits = hit_pixels(np.array([[0.0, 0.0, 2.0], [9.0, 0.0, 1.0]]), Camera(1.0, 1.0, 3.0, 1.0, 8, 4))
    >>> pixels.tolist(), len(hits)
    ([[1], [3]], 1)
    """
    points = points[points[:, 2] > 0]
    fx, fy, cx, cy = camera.numbers
    u, v = np.rint(points[:, :2] / points[:, 2:] * [fx, fy] + [cx, cy]).astype(int).T
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return np.stack([v[inside], u[inside]]), points[inside]
