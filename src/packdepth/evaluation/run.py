"""`packdepth evaluate`: checkpoints under a named protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from packdepth.data.beams import other_depth
from packdepth.data.dataset import measured_depth
from packdepth.data.targets import gaps
from packdepth.errors import InputError
from packdepth.evaluation.baseline import others_median, pixel_median
from packdepth.evaluation.boundaries import boundary_errors
from packdepth.evaluation.ego_motion import constant_motion, ego_motion_errors, measured_motion
from packdepth.evaluation.metrics import valid_truth
from packdepth.evaluation.page import Maps, write_page
from packdepth.evaluation.parts import part_masks
from packdepth.evaluation.predictions import FromCheckpoint, FromFolder, open_predictions
from packdepth.evaluation.protocols import Protocol, Resizing, find_protocol
from packdepth.evaluation.report import Report, write_reports
from packdepth.evaluation.scores import ImageScores, Scores, mean_scores, scores_by_part
from packdepth.files import make_folder
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_inv_depth
from packdepth.records import Clip, Frame

SHARE = 8  # frames that a process judges at once, of clips without ego-motion

Predictions = FromCheckpoint | FromFolder


def evaluate(checkpoint: str | Path, protocol: str, data: str | Path, json: str | Path | None = None) -> Report:
    """Judge a checkpoint by a named protocol.

    Args:
        checkpoint: the folder that training wrote, another project's checkpoint (see `load`), or a folder of depth
            that `packdepth predict --save depth` wrote.
        protocol: one of `evaluation.protocols.PROTOCOLS`.
        data: the folder that holds the protocol's data.
        json: a file for the report; written at the end, whole or not at all.

    Raises InputError for an unknown protocol, missing data or a broken checkpoint, before anything is predicted.
    """
    (report,) = evaluate_all([checkpoint], protocol, data, json)
    return report


def evaluate_all(
    checkpoints: Sequence[str | Path],
    protocol: str,
    data: str | Path,
    json: str | Path | None = None,
    html: str | Path | None = None,
    processes: int = 1,
) -> list[Report]:
    """Judge several checkpoints by a named protocol.

    Args:
        checkpoints: at least one, each as `evaluate` takes it.
        protocol: as `evaluate` takes it.
        data: as `evaluate` takes it.
        json: a file for the reports: of one checkpoint its report, of several `{"protocol": ..., "reports": [...]}`.
        html: a file for a page that shows them side by side and needs no other file.
        processes: that share out the clips; the numbers do not depend on it.

    Raises InputError as `evaluate` does.
    """
    if not checkpoints:
        raise InputError("no checkpoint was named; name at least one")
    chosen = find_protocol(protocol)
    clips = chosen.clips(Path(data))
    everything = [open_predictions(checkpoint) for checkpoint in checkpoints]
    for file in (Path(file) for file in (json, html) if file is not None):
        make_folder(file.parent)
        if file.is_dir():
            raise InputError(f"{file}: is a folder; name a file for the report")
    baselines = {} if chosen.baseline == "none" else baseline_scores(chosen, judged_truth(chosen, clips))
    reports = [judge(predictions, chosen, clips, baselines, processes) for predictions in everything]
    if json is not None:
        write_reports(Path(json), reports)
    if html is not None:
        shown = [
            [judged_maps(predictions, chosen, clips, image) for image in report.examples()]
            for predictions, report in zip(everything, reports, strict=True)
        ]
        write_page(Path(html), reports, shown)
    return reports


# --- truth --------------------------------------------------------------------------------------------------------


def frame_truth(protocol: Protocol, clip: Clip, frame: Frame) -> Tensor:
    """The truth [1, 1, H, W] of a judged frame: metres, NaN where it does not count."""
    camera = clip.camera
    if protocol.projection == "monodepth2":
        clip = replace(clip, camera=camera.cropped(1, 1, camera.height, camera.width))
    measured = measured_depth(clip, frame) if protocol.left_out is None else other_depth(clip, frame, protocol.left_out)
    depth = measured[None]
    counts = valid_truth(depth, protocol.min_depth, protocol.cap, protocol.crop)
    return torch.where(counts, depth, torch.nan)


def judged_truth(protocol: Protocol, clips: Sequence[Clip]) -> Tensor:
    """The truth of all judged frames [N, H, W].

    Raises InputError unless at least two frames have any: the baselines compare frames.
    """
    truth = [frame_truth(protocol, clip, frame)[0] for clip in clips for frame in clip.frames if is_judged(frame)]
    if sum(map(has_truth, truth)) < 2:
        raise InputError(
            f"{clips[0].path}: hardly any measured depth counts under {protocol.name}; copy the data again"
        )
    return torch.cat(truth)


def is_judged(frame: Frame) -> bool:
    """Whether a frame of the protocol's clips carries truth."""
    return frame.depth is not None or frame.lidar is not None


def has_truth(truth: Tensor) -> bool:
    """Whether any pixel of an image counts."""
    return not bool(truth.isnan().all())


# --- judging ------------------------------------------------------------------------------------------------------


@dataclass
class Judged:
    """What one clip, or a part of one, contributes to a report."""

    images: list[ImageScores]
    motion: tuple[Tensor, Tensor] | None
    """Predicted and measured T_next_current, [N, 4, 4] each."""


def judge(
    predictions: Predictions,
    protocol: Protocol,
    clips: Sequence[Clip],
    baselines: dict[str, Scores],
    processes: int = 1,
) -> Report:
    """The report on clips that carry the protocol's truth. Raises InputError if no truth counts."""
    parts = [part for clip in clips for part in shares(protocol, clip)]
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("depth", total=sum(len(part.frames) for part in parts))

        def seen(frames: int) -> None:
            bar.advance(task, frames)

        if processes == 1:
            done = [judge_clip(predictions, protocol, part, seen) for part in parts]
        else:
            done = list(_judged_elsewhere(predictions.path, protocol, parts, processes, seen))
    images = [image for judged in done for image in judged.images]
    if not any(image.rows for image in images):
        raise InputError(f"{clips[0].path}: no measured depth counts under {protocol.name}; copy the data again")
    motions = [judged.motion for judged in done if judged.motion is not None]
    ego_motion = ego_motion_baseline = None
    if motions:
        predicted, measured = (torch.cat(side) for side in zip(*motions, strict=True))
        ego_motion = ego_motion_errors(predicted, measured)
        ego_motion_baseline = ego_motion_errors(constant_motion(measured), measured)
    return Report(
        protocol=protocol,
        data=str(clips[0].path if len(clips) == 1 else clips[0].path.parent),
        checkpoint=predictions.path,
        metric=predictions.metric,
        scale_source=predictions.scale_source,
        scores=images,
        baselines=baselines,
        ego_motion=ego_motion,
        ego_motion_baseline=ego_motion_baseline,
    )


def shares(protocol: Protocol, clip: Clip) -> Iterator[Clip]:
    """A clip in parts that can be judged on their own: whole where its ego-motion is judged too."""
    if protocol.ego_motion and measured_motion(clip) is not None:
        yield clip
        return
    frames = [frame for frame in clip.frames if is_judged(frame)]
    for start in range(0, len(frames), SHARE):
        yield replace(clip, frames=tuple(frames[start : start + SHARE]))


def judge_clip(
    predictions: Predictions, protocol: Protocol, clip: Clip, seen: Callable[[int], None] = lambda frames: None
) -> Judged:
    """Judge the frames of a clip, and its ego-motion where it was measured and is predicted.

    Each image is decoded once, and the depth network sees it once in each orientation.

    Args:
        predictions: what to judge.
        protocol: how.
        clip: with the protocol's truth.
        seen: is told the number of frames that were seen since it was told last.
    """
    found: list[ImageScores] = []

    def images() -> Iterator[np.ndarray]:
        for frame in clip.frames:
            image = frame.image.read()
            if is_judged(frame):
                found.append(judge_frame(predictions, protocol, clip, frame, image))
            seen(1)
            yield image

    measured = measured_motion(clip) if protocol.ego_motion else None
    if measured is not None and predictions.ego_motion is not None:
        predicted, near = torch.from_numpy(predictions.ego_motion(images())), torch.from_numpy(~gaps(clip))
        return Judged(found, (predicted[near], measured[near]))
    for _ in images():
        pass
    return Judged(found, None)


def judge_frame(
    predictions: Predictions, protocol: Protocol, clip: Clip, frame: Frame, image: np.ndarray
) -> ImageScores:
    """The scores of one frame; the rows are plain, scaled, flip and flip_scaled, the last two of networks alone."""
    truth = frame_truth(protocol, clip, frame)
    rows, boundaries = {}, {}
    if has_truth(truth):
        parts = part_masks(truth[0, 0], frame, protocol.ranges, protocol.classes, clip.camera)
        for row, inv_depth in predictions.inv_depths(clip, frame, image).items():
            depth = full_depth(inv_depth, truth, protocol.resizing)[0, 0]
            rows[row] = scores_by_part(protocol, depth, truth[0, 0], parts, scaled=False)
            if protocol.boundaries:
                boundaries[row] = boundary_errors(depth, truth[0, 0])
            scaled = "scaled" if row == "plain" else f"{row}_scaled"
            rows[scaled] = scores_by_part(protocol, depth, truth[0, 0], parts, scaled=True)
    unit = frame.name if clip.independent else clip.drive or clip.name
    return ImageScores(clip.name, frame.name, unit, rows, boundaries)


def full_depth(inv_depth: Tensor, truth: Tensor, resizing: Resizing = "inverse_depth") -> Tensor:
    """Inverse depth [1, 1, h, w] as depth [1, 1, H, W] at the size and place of the truth."""
    size = truth.shape[-2:]
    if resizing == "inverse_depth":
        return 1 / resize_inv_depth(inv_depth, *size).clamp(min=MIN_INV_DEPTH).to(truth.device)
    depth = 1 / inv_depth.clamp(min=MIN_INV_DEPTH).to(truth.device)
    if resizing == "depth":
        return F.interpolate(depth, size, mode="bilinear", align_corners=True)
    return F.interpolate(depth, size, mode="nearest")


def judged_maps(predictions: Predictions, protocol: Protocol, clips: Sequence[Clip], scores: ImageScores) -> Maps:
    """The image, predicted depth and truth of a frame that was judged, for a page."""
    clip = next(clip for clip in clips if clip.name == scores.clip)
    frame = next(frame for frame in clip.frames if frame.name == scores.frame)
    image, truth = frame.image.read(), frame_truth(protocol, clip, frame)
    depth = full_depth(predictions.inv_depths(clip, frame, image)["plain"], truth, protocol.resizing)
    return Maps(scores, image, depth[0, 0].numpy(), truth[0, 0].numpy())


# --- over several processes ---------------------------------------------------------------------------------------


def _judged_elsewhere(
    path: str, protocol: Protocol, parts: Sequence[Clip], processes: int, seen: Callable[[int], None]
) -> Iterator[Judged]:
    """The parts as they were given, judged by several processes."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_judge_part, path, protocol, part) for part in parts]
        try:
            for future, part in zip(futures, parts, strict=True):
                yield future.result()
                seen(len(part.frames))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _judge_part(path: str, protocol: Protocol, part: Clip) -> Judged:
    torch.set_num_threads(1)  # processes side by side
    return judge_clip(_opened(path), protocol, part)


@lru_cache(maxsize=1)
def _opened(path: str) -> Predictions:
    return open_predictions(path)


# --- baselines ----------------------------------------------------------------------------------------------------


def baseline_scores(protocol: Protocol, truth: Tensor) -> dict[str, Scores]:
    """The rows baseline and baseline_scaled, and pixel_median and pixel_median_scaled if the baseline is another.

    Args:
        protocol: whose baseline it is.
        truth: [N, H, W] metres, NaN where it does not count.
    """
    rows = {"baseline": pixel_median(truth).expand_as(truth)}
    if protocol.baseline == "others_median":
        others = torch.stack([others_median(truth, index) for index in range(len(truth))])
        rows = {"baseline": others, "pixel_median": rows["baseline"]}
    scores = {}
    for row, depths in rows.items():
        for name, scaled in ((row, False), (f"{row}_scaled", True)):
            images = [
                ImageScores("", "", "", {row: scores_by_part(protocol, depth, known, {}, scaled)})
                for depth, known in zip(depths, truth, strict=True)
                if has_truth(known)
            ]
            scores[name] = mean_scores(images, row)
    return scores
