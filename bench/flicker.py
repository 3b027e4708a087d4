"""Flicker and accuracy of predicted depth with and without the smoothing of `packdepth live --smooth`.

    python bench/flicker.py CHECKPOINT CLIP [--memory SECONDS ...] [--frames FIRST PAST_LAST] [--runtime NAME]

CLIP has poses and, for some frames at least, measured depth: a clip folder with depth maps or LiDAR. Each row has its
memory (0: no smoothing), the median over frames of the flicker (`packdepth.evaluation.flicker`) in percent, and
abs_rel: the mean error of depth over true depth up to 80 m, with median scaling and without.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from packdepth.data.optical_flow import sampled
from packdepth.evaluation.flicker import flicker
from packdepth.geometry.camera import Camera
from packdepth.inference.cameras import known_camera
from packdepth.inference.load import load
from packdepth.live.smoothing import MEMORY, Smoother
from packdepth.records import Clip, Frame, Prediction
from packdepth.sources.open import open_clips

MAX_DEPTH = 80.0  # metres
STEP = 4  # pixels between the points of a depth map


def points_of(frame: Frame, camera: Camera) -> np.ndarray:
    """Return the points [N, 3] that were measured in a frame, up to `MAX_DEPTH` and inside the image."""
    if frame.depth is not None:
        depth = frame.depth.read()[::STEP, ::STEP]
        v, u = np.indices(depth.shape) * STEP
        x, y = (u - float(camera.cx)) / float(camera.fx), (v - float(camera.cy)) / float(camera.fy)
        points = np.stack([x, y, np.ones_like(x)], axis=-1)[depth > 0] * depth[depth > 0][:, None]
    else:
        points = np.zeros((0, 3)) if frame.lidar is None else frame.lidar.read().astype(np.float64)
    ahead = points[(points[:, 2] > 1) & (points[:, 2] < MAX_DEPTH)]
    u, v = pixels_of(ahead, camera).T
    return ahead[(u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)]


def pixels_of(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the pixels [N, 2] of points [N, 3], as (u, v)."""
    focal, center = [float(camera.fx), float(camera.fy)], [float(camera.cx), float(camera.cy)]
    return points[:, :2] / points[:, 2:] * focal + center


def measured(clip: Clip, predictions: list[Prediction], memory: float) -> tuple[float, float, float]:
    """Return flicker, abs_rel with median scaling and abs_rel without, of smoothed predictions; 0 smooths nothing."""
    smoother, last, last_truth = Smoother(memory), None, None
    flickers, scaled, errors = [], [], []
    for index, (frame, prediction) in enumerate(zip(clip.frames, predictions, strict=True)):
        inv_depth = prediction.inv_depth
        if memory > 0:
            inv_depth = smoother(prediction.image, inv_depth, clip.camera, frame.time)
        points = points_of(frame, clip.camera)
        if len(points):
            ratio = 1 / sampled(inv_depth, pixels_of(points, clip.camera)) / points[:, 2]
            errors.append(np.abs(ratio - 1).mean())
            scaled.append(np.abs(ratio / np.median(ratio) - 1).mean())
        if last is not None and len(points):
            pose, before = frame.pose, clip.frames[index - 1].pose
            assert pose is not None
            assert before is not None
            T = np.linalg.inv(before) @ pose
            flickers.append(flicker(inv_depth, points, last, T, clip.camera, last_truth))
        last, last_truth = inv_depth, None if frame.depth is None else frame.depth.read()
    return float(np.median(flickers)), float(np.mean(scaled)), float(np.mean(errors))


def main() -> None:
    """Print a row for each memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--memory", type=float, nargs="+", default=[0.0, MEMORY])
    parser.add_argument("--frames", type=int, nargs=2)
    parser.add_argument("--runtime")
    given = parser.parse_args()
    options = [f"frames=[{given.frames[0]}, {given.frames[1]}]"] if given.frames else []
    (clip,) = open_clips(given.clip, options=options)
    predictor = load(given.checkpoint, runtime=given.runtime)
    predictions = list(predictor.predict_clip(clip, known_camera(clip, predictor.meta)))
    print("memory s   flicker %   abs_rel, median-scaled   abs_rel")
    for memory in given.memory:
        flickering, scaled, error = measured(clip, predictions, memory)
        print(f"{memory:8g}   {100 * flickering:9.2f}   {scaled:22.4f}   {error:7.4f}", flush=True)


if __name__ == "__main__":
    main()
