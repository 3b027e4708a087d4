"""The point cloud of predicted depth, for pages."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth
from packdepth.html import cloud

NEAR_SHARE = 0.85  # share of the pixels that are drawn, the nearest: the sky and far walls would hide the rest; by eye


def depth_cloud(name: str, image: np.ndarray, depth: np.ndarray, camera: Camera) -> Markup:
    """Return the nearer points of a predicted depth map as a cloud that can be turned.

    Args:
        name: name of the frame.
        image: image [H, W, 3] uint8, RGB.
        depth: predicted depth [H, W], in any unit.
        camera: the camera of the image, of any size.

    >>> camera = Camera(fx=4.0, fy=4.0, cx=2.0, cy=1.0, width=4, height=2)
    >>> "point cloud of a" in depth_cloud("a", np.zeros((2, 4, 3), np.uint8), np.ones((2, 4)), camera)
    True
    """
    reach = np.nanquantile(depth, NEAR_SHARE)
    points, known = points_from_depth(np.where(depth <= reach, depth, 0), camera.resized(*depth.shape))
    return cloud(f"point cloud of {name}, from its predicted depth", points, image[known])
