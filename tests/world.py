"""A small world with exact ground truth: a camera drives over a textured plane towards a textured wall.

Textures are smooth functions of the point in the world, so every frame shows the same surface and each view can be
rebuilt from another through depth and pose. World axes: x ahead, y left, z up, metres; the camera's: x right, y down,
z ahead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from arrays import Array
from PIL import Image

from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame

CAMERA = Camera(fx=60.0, fy=58.0, cx=46.0, cy=22.5, width=96, height=48)
FRAMES = 6
STEP = 0.5  # metres a frame
RATE = 10.0  # frames a second
START = np.array([20.0, -3.0, 1.5])  # of the camera, in the world; its height above the plane is 1.5 m
WALL = 30.0  # metres, the wall's x in the world
R_WORLD_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
QUATERNION = (-0.5, 0.5, -0.5, 0.5)  # of R_WORLD_CAMERA: x, y, z, w


def pose(index: float, right: float = 0.0) -> np.ndarray:
    """Return T_world_camera [4, 4] of a frame, metres, of a camera that stands `right` metres to the right."""
    T = np.eye(4)
    T[:3, :3] = R_WORLD_CAMERA
    T[:3, 3] = START + np.array([STEP * index, -right, 0.0])
    return T


def relative_pose(dst: float, src: float) -> np.ndarray:
    """Return T_dst_src [4, 4] between two frames, metres."""
    return np.linalg.inv(pose(dst)) @ pose(src)


def render(index: float, camera: Camera = CAMERA, right: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the image [H, W, 3] float64 RGB in [0, 1] and the z-depth [H, W] float64 in metres of a frame.

    Args:
        index: number of the frame; a fraction lies between two frames.
        camera: the intrinsics.
        right: distance by which the camera is moved to the right, metres.
    """
    v, u = np.meshgrid(np.arange(camera.height), np.arange(camera.width), indexing="ij")
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy  # the ray's x and y at depth 1
    T = pose(index, right)
    wall = WALL - T[0, 3]
    with np.errstate(divide="ignore"):
        ground = np.where(y > 0, T[2, 3] / y, np.inf)
    depth = np.minimum(ground, wall)
    points = np.stack([x * depth, y * depth, depth], axis=-1) @ T[:3, :3].T + T[:3, 3]
    on_wall = (ground >= wall)[..., None]
    return np.where(on_wall, _wall_texture(points), _ground_texture(points)), depth


def picture(index: float, right: float = 0.0) -> np.ndarray:
    """Return the image of a frame, [H, W, 3] uint8."""
    return (render(index, right=right)[0] * 255).round().astype(np.uint8)


def detailed(index: float, camera: Camera, right: float = 0.0) -> np.ndarray:
    """Return the image of a frame with detail that stands still on the surfaces, for flow: [H, W, 3] uint8.

    Args:
        index: number of the frame; a fraction lies between two frames.
        camera: the intrinsics.
        right: distance by which the camera is moved to the right, metres.
    """
    image, depth = render(index, camera, right)
    v, u = np.mgrid[: camera.height, : camera.width]
    T = pose(index, right)
    points = np.stack([(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], -1)
    x, y, z = (points @ T[:3, :3].T + T[:3, 3]).transpose(2, 0, 1)
    waves = ((2, 4, 5), (1.5, -5, 3), (-2, 2, 6), (-1, 6, -4))  # radians a metre: few enough for the farthest pixels
    detail = sum(np.sin(a * x + b * y + c * z) for a, b, c in waves)
    return (255 * (0.6 * image + 0.08 * np.asarray(detail)[..., None] + 0.2).clip(0, 1)).astype(np.uint8)


def scan(index: float, camera: Camera = CAMERA) -> np.ndarray:
    """Return one point for each pixel, as a scanner in the camera measures it: [N, 3] metres, in the camera frame."""
    v, u = np.meshgrid(np.arange(camera.height), np.arange(camera.width), indexing="ij")
    depth = render(index, camera)[1]
    return np.stack([(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], -1).reshape(
        -1, 3
    )


def detailed_clip(camera: Camera, frames: int, step: float, rate: float, baseline: float) -> Clip:
    """Return a clip of detailed stereo pairs in memory, with a LiDAR point for each third pixel, speeds and poses.

    Args:
        camera: the intrinsics.
        frames: number of frames.
        step: distance of neighbors, in frames of the world.
        rate: frames a second.
        baseline: distance of the right camera, metres.
    """
    return Clip(
        "folder/a",
        Path("a"),
        camera,
        tuple(
            Frame(
                name=f"{number:06d}",
                time=number / rate,
                image=Array(detailed(number * step, camera)),
                right=Array(detailed(number * step, camera, baseline)),
                lidar=Array(scan(number * step, camera)[::3]),
                speed=rate * step * STEP,
                pose=pose(number * step),
            )
            for number in range(frames)
        ),
        baseline=baseline,
    )


def write(folder: Path, frames: int | None = None) -> Path:
    """Write the world as a clip in the folder contract: camera.yaml, frames.csv, frames/ and depth/."""
    numbers = {name: getattr(CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    (folder / "frames").mkdir(parents=True)
    (folder / "depth").mkdir()
    (folder / "camera.yaml").write_text(yaml.safe_dump(numbers, sort_keys=False))
    rows = ["frame,time_s,speed_mps,x,y,z,qx,qy,qz,qw"]
    for index in range(FRAMES if frames is None else frames):
        name = f"{index:06d}"
        Image.fromarray(picture(index)).save(folder / "frames" / f"{name}.png")
        depth = render(index)[1]
        Image.fromarray((depth * 256).round().astype(np.uint16)).save(folder / "depth" / f"{name}.png")
        place = ",".join(f"{value:.6f}" for value in (*pose(index)[:3, 3], *QUATERNION))
        rows.append(f"{name},{index / RATE:.4f},{STEP * RATE:.4f},{place}")
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")
    return folder


def _wall_texture(points: np.ndarray) -> np.ndarray:
    """[..., 3] RGB of points on the wall."""
    return _waves(points, [(0, 2.6, 0.4), (0, 1.1, 3.1), (0, 4.3, -2.7), (0, -1.3, 1.2)])


def _ground_texture(points: np.ndarray) -> np.ndarray:
    """[..., 3] RGB of points on the plane; slower ahead than across, for far rows see metres in a pixel."""
    return _waves(points, [(1.3, 2.4, 0), (0.9, -3.3, 0), (1.6, 0.8, 0), (-0.5, 4.1, 0)])


def _waves(points: np.ndarray, frequencies: list[tuple[float, float, float]]) -> np.ndarray:
    """Sums of sines (radians a metre), with other phases in each channel."""
    phases = points @ np.array(frequencies).T  # [..., waves]
    shifts = np.array([[0.0, 1.0, 2.0, 3.0], [2.0, 0.5, 4.0, 1.5], [4.0, 5.0, 0.0, 2.5]])  # [3, waves]
    return 0.5 + 0.4 * np.sin(phases[..., None, :] + shifts).mean(-1)
