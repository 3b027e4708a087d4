"""`packdepth evaluate`: a checkpoint under a named protocol."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from packdepth.data.dataset import measured_depth
from packdepth.errors import InputError
from packdepth.evaluation.baseline import others_median, pixel_median
from packdepth.evaluation.ego_motion import EgoMotionErrors, constant_motion, ego_motion_errors, measured_motion
from packdepth.evaluation.metrics import DepthMetrics, valid_truth
from packdepth.evaluation.protocols import Protocol, find_protocol
from packdepth.evaluation.report import Report, Scores
from packdepth.files import make_folder
from packdepth.geometry.resize import resize_inv_depth
from packdepth.inference.flip import fuse_flipped
from packdepth.inference.predictor import MIN_INV_DEPTH, Predictor, image_tensor, load
from packdepth.records import Clip


def evaluate(checkpoint: str | Path, protocol: str, data: str | Path, json: str | Path | None = None) -> Report:
    """Judge a checkpoint by a named protocol.

    Args:
        checkpoint: the folder that training wrote, or another project's checkpoint (see `load`).
        protocol: one of `evaluation.protocols.PROTOCOLS`.
        data: the folder that holds the protocol's data.
        json: a file for the report; written at the end, whole or not at all.

    Raises InputError for an unknown protocol, missing data or a broken checkpoint, before anything is predicted.
    """
    chosen = find_protocol(protocol)
    clip = chosen.clip(Path(data))
    predictor = load(checkpoint)
    if json is not None:
        make_folder(Path(json).parent)
        if Path(json).is_dir():
            raise InputError(f"{json}: is a folder; name a file for the report")
    truth = judged_truth(chosen, clip)
    motion = None if predictor.pose is None else measured_motion(clip)
    metrics, ego_motion = network_scores(predictor, chosen, clip, truth, motion)
    report = Report(
        protocol=chosen,
        data=str(clip.path),
        checkpoint=str(checkpoint),
        metric=predictor.meta.metric,
        scale_source=predictor.meta.scale_source,
        images=sum(map(has_truth, truth.values())),
        metrics=metrics,
        baselines=baseline_scores(chosen, truth),
        ego_motion=ego_motion,
        ego_motion_baseline=None if motion is None else ego_motion_errors(constant_motion(motion), motion),
    )
    if json is not None:
        report.write(Path(json))
    return report


def judged_truth(protocol: Protocol, clip: Clip) -> dict[str, Tensor]:
    """The truth [1, 1, H, W] of each judged frame by its name: metres, NaN where it does not count.

    Raises InputError unless at least two frames have any: the baselines compare frames.
    """
    truth = {}
    for frame in clip.frames:
        if frame.depth or frame.lidar:
            depth = measured_depth(clip, frame)[None]
            counts = valid_truth(depth, protocol.min_depth, protocol.cap, protocol.crop)
            truth[frame.name] = torch.where(counts, depth, torch.nan)
    if sum(map(has_truth, truth.values())) < 2:
        raise InputError(f"{clip.path}: hardly any measured depth counts under {protocol.name}; copy the data again")
    return truth


def has_truth(truth: Tensor) -> bool:
    """Whether any pixel of an image counts."""
    return not bool(truth.isnan().all())


def network_scores(
    predictor: Predictor, protocol: Protocol, clip: Clip, truth: dict[str, Tensor], motion: Tensor | None
) -> tuple[dict[str, Scores], EgoMotionErrors | None]:
    """The rows plain, scaled, flip and flip_scaled, and the errors of ego-motion where it was measured.

    Each image is decoded once, and the depth network sees it once in each orientation.
    """
    frames = [frame for frame in clip.frames if motion is not None or frame.name in truth]
    plain, flip = Scorer(protocol), Scorer(protocol)
    images = []
    for frame in track(frames, description="depth", console=Console(stderr=True)):
        images.append(frame.image.read())
        if frame.name in truth:
            pixels = image_tensor(images[-1])
            inv_depth, of_mirrored = predictor.inv_depth(pixels), predictor.inv_depth(pixels.flip(-1))
            plain.update(full_depth(inv_depth, truth[frame.name]), truth[frame.name])
            flip.update(full_depth(fuse_flipped(inv_depth, of_mirrored), truth[frame.name]), truth[frame.name])
    scores = dict(zip(("plain", "scaled", "flip", "flip_scaled"), plain.scores() + flip.scores(), strict=True))
    if motion is None:
        return scores, None
    return scores, ego_motion_errors(torch.from_numpy(predictor.ego_motion(images)), motion)


def full_depth(inv_depth: Tensor, truth: Tensor) -> Tensor:
    """Inverse depth [1, 1, h, w] as depth [1, 1, H, W] at the size and place of the truth."""
    return 1 / resize_inv_depth(inv_depth, *truth.shape[-2:]).clamp(min=MIN_INV_DEPTH).to(truth.device)


def baseline_scores(protocol: Protocol, truth: dict[str, Tensor]) -> dict[str, Scores]:
    """The rows baseline and baseline_scaled, and pixel_median and pixel_median_scaled if the baseline is another."""
    images = torch.cat(list(truth.values()))[:, 0]  # [N, H, W]
    median = pixel_median(images).expand_as(images)
    if protocol.baseline == "pixel_median":
        rows = {"baseline": median}
    else:
        others = torch.stack([others_median(images, index) for index in range(len(images))])
        rows = {"baseline": others, "pixel_median": median}
    scores = {}
    for row, depth in rows.items():
        scorer = Scorer(protocol)
        scorer.update(depth[:, None], images[:, None])
        scores[row], scores[f"{row}_scaled"] = scorer.scores()
    return scores


class Scorer:
    """The metrics of one prediction of each image, as it is and median-scaled."""

    def __init__(self, protocol: Protocol) -> None:
        self.metrics = [
            DepthMetrics(protocol.min_depth, protocol.cap, protocol.crop, scaled) for scaled in (False, True)
        ]

    def update(self, depth: Tensor, truth: Tensor) -> None:
        """Add images: both [B, 1, H, W], metres."""
        for metrics in self.metrics:
            metrics.update(depth, truth)

    def scores(self) -> list[Scores]:
        """As it is, scaled."""
        return [{name: value.item() for name, value in metrics.compute().items()} for metrics in self.metrics]
