"""Depth of a real car ahead: ratio of predicted to measured depth, without auto-masking, with it, and with guidance.

    python bench/lead_car.py OUTPUT --data DIR [--steps N] [--seeds N]

Two clips are trained separately, from images only: KITTI drive 2011_09_26_0052, in which the camera's car brakes behind
another, and the frames of KITTI 2015 behind a lead car. The guiding segmentation network is trained on CamVid first
(configs/semantics/camvid.yaml). Existing results are used again. Depth is scaled by the median ratio over all measured
pixels outside the car. The table has means over frames and over seeds, with the standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import yaml
from torch import Tensor

from packdepth.data.dataset import measured_depth
from packdepth.data.targets import has_measured_depth
from packdepth.evaluation.metrics import share_too_far
from packdepth.geometry.camera import Camera
from packdepth.inference.predictor import Predictor, load
from packdepth.records import Clip
from packdepth.segmentation.checkpoint import is_unfinished
from packdepth.segmentation.training import train_semantics
from packdepth.sources.folder import read_clip
from packdepth.sources.kitti_raw import KittiRaw
from packdepth.studies.side_by_side import train_side_by_side

CONFIGS = Path(__file__).parent.parent / "configs"
WAYS = ("without auto-masking", "with auto-masking", "with both auto-masking and guidance")
# The region of a lead car in the camera frame, chosen by eye for a camera 1.65 metres above the road:
LANE = 0.9  # metres to each side of the camera
ROAD = 1.2  # metres below the camera, above the road
ROOF = -0.3  # metres below the camera, which is above it
LENGTH = 2.0  # metres along the car's rear
NEAREST = 0.05  # quantile of the depth in the region, which is that of the rear: robust against single pixels
SCORES = ("ratio", "too far", "abs_rel", "rest")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    os.environ["PACKDEPTH_DATA"] = str(options.data.resolve())
    segmentation = options.output.resolve() / "segmentation"
    unfinished = is_unfinished(segmentation)
    if unfinished or not segmentation.exists():
        train_semantics(CONFIGS / "semantics" / "camvid.yaml", segmentation, resume=unfinished)
    clips = clips_of(options.data.resolve())
    seeds = range(1, options.seeds + 1)
    runs = {
        folder(options.output, clip, way, seed): run_values(source, way, segmentation, options.steps, seed)
        for clip, (source, _) in clips.items()
        for way in WAYS
        for seed in seeds
    }
    train_side_by_side(runs, processes=2)
    print(f"{'':60}{'predicted / measured':>22}{'1.5 times too far':>22}{'abs_rel':>22}{'abs_rel of the rest':>22}")
    for name, (_, clip) in clips.items():
        for way in WAYS:
            scores = [evaluate_car(load(folder(options.output, name, way, seed) / "last"), clip) for seed in seeds]
            print(
                f"{f'{name}, {way}':60}" + "".join(f"{_cell([row[score] for row in scores]):>22}" for score in SCORES)
            )


def clips_of(data: Path) -> dict[str, tuple[dict[str, Any], Clip]]:
    """Return the source of each clip, as in a run file, and the clip with its measured depth.

    Args:
        data: folder of the data sets.
    """
    drive = yaml.safe_load((CONFIGS / "kitti_raw_clip.yaml").read_text())["data"]["train"][0]
    drive["root"] = str(data / "kitti_raw")
    lead_car = data / "clips" / "kitti2015_lead_car"
    return {
        "drive_0052": (drive, KittiRaw(**drive).clips()[0]),
        "kitti2015_lead_car": ({"kind": "folder", "root": str(lead_car)}, read_clip(lead_car)),
    }


def folder(output: Path, clip: str, way: str, seed: int) -> Path:
    """Return the folder of a training.

    Args:
        output: folder of the benchmark.
        clip: name of the clip.
        way: one of WAYS.
        seed: seed of the training.
    """
    return output / "runs" / f"{clip}-{WAYS.index(way)}-{seed}"


def run_values(source: dict[str, Any], way: str, segmentation: Path, steps: int, seed: int) -> dict[str, Any]:
    """Return the run file configs/kitti_raw_clip.yaml with changes, for one process.

    Args:
        source: the source of the clip.
        way: one of WAYS.
        segmentation: folder of the guiding segmentation network.
        steps: number of steps.
        seed: seed of the training.
    """
    run: dict[str, Any] = yaml.safe_load((CONFIGS / "kitti_raw_clip.yaml").read_text())
    run["data"]["train"] = [source]
    run["networks"]["depth"] = {"kind": "packnet", "preset": "tiny", "initial_depth": 12.0}
    run["objective"][0]["automask"] = way != WAYS[0]
    if way == WAYS[2]:
        run["networks"]["depth"]["guidance"] = {"semantics": {"kind": "fpn", "checkpoint": str(segmentation)}}
    run["training"] |= {"epochs": 1, "epoch_steps": steps, "seed": seed, "devices": 1}
    return run


def evaluate_car(predictor: Predictor, clip: Clip) -> Mapping[str, float]:
    """Return the scores of a network, as means over the frames with measured depth.

    They are the median ratio on the car, its share too far, its abs_rel, and the abs_rel of the rest.

    Args:
        predictor: the predictor.
        clip: the clip.
    """
    rows = []
    for frame in clip.frames:
        if not has_measured_depth(frame):
            continue
        truth = measured_depth(clip, frame)[0]
        depth = torch.from_numpy(predictor.predict(frame.image.read()).depth)
        car = lead_car(truth, clip.camera)
        rest = (truth > 0) & ~car
        depth = depth * (truth[rest] / depth[rest]).median()
        ratio = depth / truth
        far, error = share_too_far(depth, truth, car), (ratio - 1).abs()
        rows.append((ratio[car].median(), far, error[car].mean(), error[rest].mean()))
    means = torch.tensor(rows).mean(0).tolist()
    return dict(zip(SCORES, means, strict=True))


def lead_car(truth: Tensor, camera: Camera) -> Tensor:
    """Return the mask of the rear of the car ahead: [H, W] bool. It is the nearest object in the camera's way.

    Args:
        truth: [H, W] measured depth in metres, 0 where unknown.
        camera: camera of that size, 1.65 metres above the road.
    """
    x, y, z = camera.unproject(truth[None, None])[0].unbind()
    ahead = (z > 0) & (x.abs() < LANE) & (y < ROAD) & (y > ROOF)
    nearest = z[ahead].quantile(NEAREST)
    return ahead.logical_and(z < nearest + LENGTH)


def _cell(values: list[float]) -> str:
    return f"{fmean(values):.3f}" + (f" +- {stdev(values):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
