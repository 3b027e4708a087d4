"""Image motion between rendered frames against the exact motion of what stands still."""

from __future__ import annotations

import numpy as np

from packdepth.city.drive import Drive, Shot
from packdepth.data.optical_flow import optical_flow, small_gray


def test_motion_of_a_drive(drive: Drive, shots: list[Shot]) -> None:
    camera = drive.recipe.camera
    first, second = shots[0], shots[1]
    flow = optical_flow(small_gray(first.image), small_gray(second.image))
    u, v = flow.points.astype(int).T
    z = first.depth[v, u]
    rays = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z, np.ones_like(z)])
    x, y, depth, _ = np.linalg.inv(second.pose) @ first.pose @ rays
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.stack([camera.fx * x / depth + camera.cx - u, camera.fy * y / depth + camera.cy - v], axis=-1)
    judged = flow.found & (z > 0) & ~first.moving[v, u]
    error = np.linalg.norm(flow.vectors - exact, axis=-1)[judged]
    assert judged.sum() > 20
    assert np.median(error) < 0.3
    assert np.percentile(error, 70) < 1.0  # façades repeat themselves
