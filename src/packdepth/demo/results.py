"""The results of the demo: scores, example images, a trajectory and learning curves."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from packdepth.config import Run
from packdepth.demo.scores import constant_depths, part_scores
from packdepth.evaluation.scores import Scores
from packdepth.geometry.camera import Camera
from packdepth.geometry.poses import chained, from_first
from packdepth.inference.predictor import Predictor, load
from packdepth.inference.trajectory import neighbor_motions
from packdepth.networks.blocks import PoseNetworkBlock
from packdepth.networks.encoder_decoder import BoundedDepthBlock
from packdepth.networks.packnet import PackNetBlock
from packdepth.records import Clip, Frame
from packdepth.sources.folder import Folder

EXAMPLES = 5  # images in the report
LOSS_POINTS = 80  # means that the curve of the loss consists of, at most; chosen by eye


@dataclass(frozen=True)
class Numbers:
    """All numbers of the demo, for findings.json and the tables."""

    network: dict[str, Scores]
    """The scores of the network by part of the image and metric; predictions are not scaled."""
    flipped: dict[str, Scores]
    """The scores of predictions that are fused with those of the mirrored images."""
    from_scratch: dict[str, Scores] | None
    """The scores of PackNet `tiny` from random weights, trained for as many steps; None if the demo did not compare."""
    constants: dict[str, dict[str, Scores]]
    """The scores of each constant of the training depth, by name of the constant."""
    images: int
    """The number of test images."""
    train_drives: int
    """The number of training drives."""
    train_frames: int
    """The number of frames in all training drives together."""
    test_drives: int
    """The number of test drives."""
    described: str
    """The depth network, and what it starts from."""
    parameters: float
    """The number of its parameters, in millions."""
    steps: int
    """The number of training steps."""
    initial_depth: float
    """The depth that the untrained depth network predicted everywhere, metres."""
    initial_forward: float
    """The motion between frames that the untrained ego-motion network predicted, metres ahead."""
    drift: float
    """The error of the trajectory's last position, as a share of its length."""
    distance: float
    """The length of that trajectory, metres."""

    @property
    def best_constant(self) -> str:
        """The constant with the lowest abs_rel."""
        return min(self.constants, key=lambda name: self.constants[name]["all"]["abs_rel"])

    @property
    def rows(self) -> dict[str, dict[str, Scores]]:
        """The scores of the network and of the constants, by their titles in tables."""
        own = {"packdepth, trained without depth": self.network, "packdepth, mirror image fused": self.flipped}
        if self.from_scratch is not None:
            own["PackNet tiny from random weights"] = self.from_scratch
        return own | {f"{name} of the training depth": scores for name, scores in self.constants.items()}

    def table(self) -> str:
        """Return the overall scores as text."""
        lines = [f"{'':34}{'abs_rel':>9}{'rmse':>9}{'a1':>9}{'moving':>9}"]
        for name, scores in self.rows.items():
            row = scores["all"]
            moving = scores["moving"]["abs_rel"] if "moving" in scores else float("nan")
            lines.append(f"{name:34}{row['abs_rel']:9.3f}{row['rmse']:9.2f}{row['a1']:9.3f}{moving:9.3f}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Example:
    """A test image with its predicted depth and its ground truth."""

    name: str  # title in the report, such as "test image 3"
    image: np.ndarray  # [H, W, 3] uint8
    depth: np.ndarray  # [H, W] metres, predicted
    truth: np.ndarray  # [H, W] metres, ground truth, 0 for the sky


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that the report contains."""

    numbers: Numbers  # scores and other numbers
    examples: list[Example]  # test images with their depth maps
    predicted_path: np.ndarray  # [N, 2] metres: right and ahead of the start
    true_path: np.ndarray  # [N, 2] metres: right and ahead of the start
    loss: np.ndarray  # [S, 2] step, loss; means of `loss_steps` steps
    loss_steps: int  # training steps in a point of `loss`
    validation: np.ndarray  # [E, 2] step, abs_rel on validation drives
    camera: Camera  # of the examples


def collect_results(output: Path) -> Results:
    """Evaluate the last checkpoint of a demo and return the results.

    The best checkpoint is not used, because it would be chosen by measured depth.

    Args:
        output: the folder of the demo.
    """
    data, predictor = output / "data", load(output / "run" / "last")
    train, test = (Folder(kind="folder", root=data / part).clips() for part in ("train", "test"))
    frames = [frame for clip in test for frame in clip.frames]
    own, flipped = (_network_scores(predictor, frames, flip) for flip in (False, True))
    other = output / "from_scratch" / "last"
    from_scratch = _network_scores(load(other), frames) if other.exists() else None
    others = {name: part_scores(frames, partial(_constant, depth)) for name, depth in constant_depths(train).items()}
    (odometry,) = Folder(kind="folder", root=data / "odometry").clips()
    predicted, true = paths(predictor, odometry)
    distance = float(np.linalg.norm(np.diff(true, axis=0), axis=1).sum())
    assert isinstance(predictor.run, Run)
    depth, pose = predictor.run.networks.depth, predictor.run.networks.pose
    assert isinstance(depth, (PackNetBlock, BoundedDepthBlock))
    assert isinstance(pose, PoseNetworkBlock)
    numbers = Numbers(
        network=own,
        flipped=flipped,
        from_scratch=from_scratch,
        constants=others,
        images=len(frames),
        train_drives=len(train),
        train_frames=sum(len(clip.frames) for clip in train),
        test_drives=len(test),
        described=depth.describe(),
        parameters=sum(parameter.numel() for parameter in predictor.depth.parameters()) / 1e6,
        steps=predictor.meta.step,
        initial_depth=depth.initial_depth,
        initial_forward=pose.initial_forward,
        drift=float(np.linalg.norm(predicted[-1] - true[-1])) / distance,
        distance=distance,
    )
    places = np.linspace(0, len(frames) - 1, EXAMPLES).round().astype(int)
    loss, loss_steps = losses(output / "run" / "metrics.csv")
    return Results(
        numbers=numbers,
        examples=[_example(predictor, frames[i], i) for i in places],
        predicted_path=predicted,
        true_path=true,
        loss=loss,
        loss_steps=loss_steps,
        validation=_scalars(output / "run" / "tensorboard", "val/abs_rel"),
        camera=test[0].camera,
    )


def _network_scores(predictor: Predictor, frames: Sequence[Frame], flip: bool = False) -> dict[str, Scores]:
    """Return the scores of a network's depth, which is not scaled, by part of the image and metric."""
    return part_scores(frames, lambda frame: predictor.predict(frame.image.read(), flip=flip).depth)


def _constant(depth: np.ndarray, frame: Frame) -> np.ndarray:
    """Return the same depth for every frame."""
    return depth


def _example(predictor: Predictor, frame: Frame, index: int) -> Example:
    assert frame.depth is not None
    image = frame.image.read()
    return Example(f"test image {index}", image, predictor.predict(image).depth, frame.depth.read())


def paths(predictor: Predictor, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true path of a clip seen from above, [N, 2] metres: right and ahead of the start.

    Args:
        predictor: the networks.
        clip: a clip with a pose for every frame.
    """
    predicted = chained(neighbor_motions(predictor, clip, clip.camera))
    true = from_first(np.stack([frame.pose for frame in clip.frames if frame.pose is not None]))
    return predicted[:, [0, 2], 3], true[:, [0, 2], 3]


def losses(path: Path) -> tuple[np.ndarray, int]:
    """Return the loss over the steps, in means of as many steps as leave at most `LOSS_POINTS`: [S, 2] step, loss.

    Args:
        path: metrics.csv of a training.

    Returns:
        The means, and the number of steps in each (fewer in the last).
    """
    with path.open(newline="") as file:
        values = np.array([(float(row["step"]), float(row["loss"])) for row in csv.DictReader(file)])
    steps = math.ceil(len(values) / LOSS_POINTS)
    return np.stack([values[first : first + steps].mean(0) for first in range(0, len(values), steps)]), steps


def _scalars(folder: Path, name: str) -> np.ndarray:
    """Return the values that TensorBoard logged under a name: [E, 2] step, value."""
    events = EventAccumulator(str(folder))
    events.Reload()
    if name not in events.Tags()["scalars"]:
        return np.zeros((0, 2))
    return np.array([(event.step, event.value) for event in events.Scalars(name)])
