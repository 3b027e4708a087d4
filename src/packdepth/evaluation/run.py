"""Evaluation of checkpoints under a protocol: `packdepth.evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.blocks import use, used
from packdepth.data.targets import gaps
from packdepth.errors import InputError, check_least
from packdepth.evaluation.baseline import baseline_images
from packdepth.evaluation.boundaries import boundary_errors
from packdepth.evaluation.choices import Resizing
from packdepth.evaluation.ego_motion import constant_motion, ego_motion_errors, measured_motion
from packdepth.evaluation.ground_truth import ground_truth, has_ground_truth, has_valid_pixels, stacked_ground_truth
from packdepth.evaluation.own.report import OwnReport
from packdepth.evaluation.own.run import judge, write_own
from packdepth.evaluation.page import ExampleMaps, write_page
from packdepth.evaluation.parts import part_masks
from packdepth.evaluation.predictions import FrameMaps, NetworkPredictions, Predictions, open_predictions
from packdepth.evaluation.protocol import Protocol
from packdepth.evaluation.protocols import OWN, find_protocol
from packdepth.evaluation.report import Report, write_reports
from packdepth.evaluation.scores import ImageScores, evaluated_depth, scores_by_part
from packdepth.evaluation.sparsification import sparsification
from packdepth.files import make_folder, say_replaced
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_inv_depth
from packdepth.inference.ahead import read_ahead
from packdepth.inference.base import BasePredictor
from packdepth.inference.exported import is_exported
from packdepth.progress import counting
from packdepth.records import Clip, Frame
from packdepth.sharing.address import located
from packdepth.sources.base import check_frame_sizes
from packdepth.sources.open import open_clips
from packdepth.workers import worker_pool

PART_FRAMES = 8  # frames that a process gets at once; few keep all processes busy, many save overhead; chosen by eye
PART_BATCHES = 4  # batches of a part, so that reading ahead pays; chosen


Checkpoints = str | Path | BasePredictor | Sequence[str | Path | BasePredictor]
"""One checkpoint or several."""


@overload
def evaluate(  # type: ignore[overload-overlap]  # "own" is the one name whose reports hold no ground truth
    checkpoints: Checkpoints,
    protocol: Literal["own"],
    data: str | Path,
    *,
    json: str | Path | None = None,
    html: str | Path | None = None,
    processes: int = 1,
    runtime: str | None = None,
    batch: int = 1,
) -> list[OwnReport]: ...


@overload
def evaluate(
    checkpoints: Checkpoints,
    protocol: str | Protocol,
    data: str | Path,
    *,
    json: str | Path | None = None,
    html: str | Path | None = None,
    processes: int = 1,
    runtime: str | None = None,
    batch: int = 1,
) -> list[Report]: ...


def evaluate(
    checkpoints: Checkpoints,
    protocol: str | Protocol,
    data: str | Path,
    *,
    json: str | Path | None = None,
    html: str | Path | None = None,
    processes: int = 1,
    runtime: str | None = None,
    batch: int = 1,
) -> list[Report] | list[OwnReport]:
    """Evaluate checkpoints under a protocol and return one report for each.

        import packdepth

        (report,) = packdepth.evaluate("runs/mine/best", "folder", "my_drive")  # against its depth or LiDAR
        report["abs_rel"]
        (judged,) = packdepth.evaluate("runs/mine/best", "own", "my_drive")  # without any ground truth
        judged.verdict.words

    Args:
        checkpoints: one or several of these: a folder that training wrote, another project's checkpoint (see `load`), a
            file that `packdepth export` wrote, a folder of depth that `packdepth predict --save depth` wrote, a
            predictor.
        protocol: a protocol, the name of one, or a YAML file with its fields (see `find_protocol`). "own" judges by
            video without ground truth, and returns reports of another kind (`evaluation.own.report.OwnReport`).
        data: the folder that holds the protocol's data; for "own", anything that `packdepth.open` opens.
        json: a file for the reports. For one checkpoint it holds its report, for several
            `{"protocol": ..., "reports": [...]}`. It is written at the end, completely or not at all.
        html: a file for a page that compares the reports and needs no other file.
        processes: the number of processes that share the work. The scores do not depend on it.
        runtime: what computes exported files, as in `load`.
        batch: number of images in a call of the depth network; of more than one, the next are read meanwhile. The
            scores differ by the rounding of floats.

    Raises InputError for an unknown protocol, missing data or a broken checkpoint before anything is predicted.
    """
    named = [checkpoints] if isinstance(checkpoints, (str, Path, BasePredictor)) else list(checkpoints)
    given = [each if isinstance(each, BasePredictor) else located(each) for each in named]
    if not given:
        raise InputError("no checkpoint was named; name at least one")
    check_least("processes", processes, 1)
    check_least("batch", batch, 1)
    if processes > 1 and any(isinstance(checkpoint, BasePredictor) for checkpoint in given):
        raise InputError(
            f"processes is {processes}, but a predictor cannot be sent to other processes; "
            "give the path of its checkpoint, or leave processes at 1"
        )
    if runtime is not None and not any(_is_exported(checkpoint) for checkpoint in given):
        raise InputError(
            f"--runtime {runtime}: none of these is an exported network, which it is for; leave it out, or export one"
        )
    if protocol == OWN:
        if batch > 1:
            raise InputError(f"--batch {batch}: {OWN} evaluates frame by frame; leave it out")
        return _evaluate_own(given, data, json, html)
    chosen = find_protocol(protocol) if isinstance(protocol, str) else protocol
    clips = chosen.clips(Path(data))
    everything = [open_predictions(checkpoint, runtime) for checkpoint in given]
    _prepare(json, html)
    baselines = {} if chosen.baseline == "none" else baseline_images(chosen, stacked_ground_truth(chosen, clips))
    reports = [
        evaluate_clips(predictions, chosen, clips, baselines, processes, runtime, batch) for predictions in everything
    ]
    if json is not None:
        write_reports(Path(json), reports)
    if html is not None:
        examples = [
            [example_maps(predictions, chosen, clips, image) for image in report.examples()]
            for predictions, report in zip(everything, reports, strict=True)
        ]
        write_page(Path(html), reports, examples)
    return reports


def _is_exported(checkpoint: str | Path | BasePredictor) -> bool:
    """Return whether something to evaluate is the path of an exported network."""
    return not isinstance(checkpoint, BasePredictor) and is_exported(Path(checkpoint))


def _prepare(*files: str | Path | None) -> None:
    """Make the folders of files that will be written. Raises InputError if one of them is a folder itself."""
    paths = [Path(file) for file in files if file is not None]
    for path in paths:
        make_folder(path.parent)
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file for the report")
    say_replaced(paths)


def _evaluate_own(
    checkpoints: Sequence[str | Path | BasePredictor],
    data: str | Path,
    json: str | Path | None,
    html: str | Path | None,
) -> list[OwnReport]:
    """Judge checkpoints by clips without ground truth, one after the other."""
    clips = open_clips(data)
    for clip in clips:
        check_frame_sizes(clip)
    everything = [open_predictions(checkpoint) for checkpoint in checkpoints]
    _prepare(json, html)
    judged = []
    for predictions in everything:
        if not isinstance(predictions, NetworkPredictions):
            raise InputError(
                f"{predictions.name}: --protocol {OWN} computes more than saved depth holds, and more than an exported "
                f"network does; give the checkpoint"
            )
        judged.append(judge(predictions.predictor, clips, predictions.name, str(data), html is not None))
    reports, pictures = [report for report, _ in judged], [picture for _, picture in judged]
    write_own(reports, pictures, None if json is None else Path(json), None if html is None else Path(html))
    return reports


# --- clips and frames ---------------------------------------------------------------------------------------------


@dataclass
class ClipResult:
    """The contribution of a clip, or of a part of one, to a report."""

    images: list[ImageScores]
    """The scores of the images that have ground truth."""
    motions: tuple[Tensor, Tensor] | None
    """Predicted and measured T_next_current, [N, 4, 4] each; None if ego-motion is not evaluated."""


def evaluate_clips(
    predictions: Predictions,
    protocol: Protocol,
    clips: Sequence[Clip],
    baselines: Mapping[str, Sequence[ImageScores]],
    processes: int = 1,
    runtime: str | None = None,
    batch: int = 1,
) -> Report:
    """Evaluate predictions of clips and return the report.

    Args:
        predictions: the predictions.
        protocol: the protocol.
        clips: clips of `Protocol.clips`.
        baselines: the scores of the baselines on each image by row, see `baseline_images`.
        processes: the number of processes that share the work.
        runtime: what computes exported files in those processes.
        batch: number of images in a call of the depth network.

    Raises InputError if no ground truth is valid.
    """
    frames = PART_FRAMES if batch == 1 else PART_BATCHES * batch
    parts = [part for clip in clips for part in clip_parts(protocol, clip, frames)]
    with counting("depth", sum(len(part.frames) for part in parts)) as advance:
        if processes == 1:
            results = [evaluate_clip(predictions, protocol, part, advance, batch) for part in parts]
        else:
            job = Job(predictions.name, runtime, protocol, batch)
            results = list(_evaluate_in_processes(job, parts, processes, advance))
    images = [image for result in results for image in result.images]
    if not any(image.rows for image in images):
        raise InputError(f"{clips[0].path}: no measured depth is valid under {protocol.name}; copy the data again")
    motions = [result.motions for result in results if result.motions is not None]
    ego_motion = ego_motion_baseline = None
    if motions:
        predicted, measured = (torch.cat(side) for side in zip(*motions, strict=True))
        ego_motion = ego_motion_errors(predicted, measured)
        ego_motion_baseline = ego_motion_errors(constant_motion(measured), measured)
    metric, scale = predictions.scale_on(clips)
    return Report(
        protocol=protocol,
        data=str(clips[0].path if len(clips) == 1 else clips[0].path.parent),
        checkpoint=predictions.name,
        metric=metric,
        scale_source=predictions.scale_source,
        scale=scale,
        images=images,
        baseline_images=baselines,
        ego_motion=ego_motion,
        ego_motion_baseline=ego_motion_baseline,
        flip_note=predictions.flip_note,
        untrained=predictions.untrained(clips),
    )


def clip_parts(protocol: Protocol, clip: Clip, size: int = PART_FRAMES) -> Iterator[Clip]:
    """Yield parts of a clip that can be evaluated separately.

    If ego-motion is evaluated, the only part is the whole clip. Otherwise, a part holds up to `size` frames with ground
    truth, and frames without ground truth are left out.

    Args:
        protocol: the protocol.
        clip: a clip of `Protocol.clips`.
        size: maximum number of frames of a part.
    """
    if protocol.ego_motion and measured_motion(clip) is not None:
        yield clip
        return
    frames = [frame for frame in clip.frames if has_ground_truth(frame)]
    for start in range(0, len(frames), size):
        yield replace(clip, frames=tuple(frames[start : start + size]))


def evaluate_clip(
    predictions: Predictions,
    protocol: Protocol,
    clip: Clip,
    advance: Callable[[int], None] = lambda frames: None,
    batch: int = 1,
) -> ClipResult:
    """Evaluate the frames of a clip, and its ego-motion if it is both measured and predicted.

    Each image is decoded once. A depth network is computed once on it and once on its mirror image.

    Args:
        predictions: the predictions.
        protocol: the protocol.
        clip: a clip of `Protocol.clips`.
        advance: a function to report progress, which is called with the number of frames done since its last call.
        batch: number of images in a call of the depth network.
    """
    scores: list[ImageScores] = []

    def images() -> Iterator[np.ndarray]:
        with read_ahead(((frame, frame.image.read()) for frame in clip.frames), batch) as stream:
            while chunk := list(islice(stream, batch)):
                scores.extend(evaluate_frames(predictions, protocol, clip, chunk))
                advance(len(chunk))
                yield from (image for _, image in chunk)

    measured = measured_motion(clip) if protocol.ego_motion else None
    predicted = None if measured is None else predictions.ego_motion(clip, images())
    if measured is not None and predicted is not None:
        near = torch.from_numpy(~gaps(clip))
        return ClipResult(scores, (torch.from_numpy(predicted)[near], measured[near]))
    for _ in images():
        pass
    return ClipResult(scores, None)


def evaluate_frames(
    predictions: Predictions, protocol: Protocol, clip: Clip, frames: Sequence[tuple[Frame, np.ndarray]]
) -> list[ImageScores]:
    """Return the scores of those frames that have ground truth.

    Args:
        predictions: the predictions.
        protocol: the protocol.
        clip: a clip of `Protocol.clips`.
        frames: frames of that clip, each with its image [H, W, 3].
    """
    truths = {frame: ground_truth(protocol, clip, frame) for frame, _ in frames if has_ground_truth(frame)}
    valid = [(frame, image) for frame, image in frames if frame in truths and has_valid_pixels(truths[frame])]
    chosen = [frame for frame, _ in valid]
    maps = predictions.maps(clip, chosen, [image for _, image in valid]) if valid else []
    of_frame = dict(zip(chosen, maps, strict=True))
    return [frame_scores(protocol, clip, frame, truth, of_frame.get(frame)) for frame, truth in truths.items()]


def frame_scores(protocol: Protocol, clip: Clip, frame: Frame, truth: Tensor, maps: FrameMaps | None) -> ImageScores:
    """Return the scores of one frame.

    They are given in the rows plain and scaled and, for networks, also flip and flip_scaled. There are no rows if no
    ground truth is valid.

    Args:
        protocol: the protocol.
        clip: a clip of `Protocol.clips`.
        frame: a frame of that clip with ground truth.
        truth: its ground truth [1, 1, H, W], metres.
        maps: its predicted maps; None if no ground truth is valid.
    """
    rows, boundaries, curves = {}, {}, {}
    if maps is not None:
        parts = part_masks(truth[0, 0], frame, protocol.ranges, protocol.classes, clip.camera, clip.class_names)
        valid = ~truth[0, 0].isnan()
        doubts = {
            name: resize_inv_depth(doubt, *truth.shape[-2:]).to(truth.device)[0, 0][valid]
            for name, doubt in maps.doubts.items()
        }
        for row, inv_depth in maps.inv_depths.items():
            depth = full_depth(inv_depth, truth, protocol.resizing)[0, 0]
            rows[row] = scores_by_part(protocol, depth, truth[0, 0], parts, scaled=False)
            if protocol.boundaries:
                boundaries[row] = boundary_errors(depth, truth[0, 0])
            scaled = "scaled" if row == "plain" else f"{row}_scaled"
            rows[scaled] = scores_by_part(protocol, depth, truth[0, 0], parts, scaled=True)
            if doubts and row == "plain":
                curves = {
                    each: sparsification(
                        evaluated_depth(protocol, depth, truth[0, 0], each == scaled), truth[0, 0][valid], doubts
                    )
                    for each in (row, scaled)
                }
    unit = frame.name if clip.independent else clip.drive or clip.name
    return ImageScores(clip.name, frame.name, unit, rows, boundaries, curves)


def full_depth(inv_depth: Tensor, truth: Tensor, resizing: Resizing = "inverse_depth") -> Tensor:
    """Return depth [1, 1, H, W], in the unit of the prediction, at the size and on the device of the ground truth.

    Args:
        inv_depth: inverse depth [1, 1, h, w], 1/metres.
        truth: ground truth [1, 1, H, W], metres.
        resizing: the method of resizing.
    """
    size = truth.shape[-2:]
    match resizing:
        case "inverse_depth":
            return 1 / resize_inv_depth(inv_depth, *size).clamp(min=MIN_INV_DEPTH).to(truth.device)
        case "depth":
            return F.interpolate(_depth(inv_depth, truth), size, mode="bilinear", align_corners=True)
        case "depth_nearest":
            return F.interpolate(_depth(inv_depth, truth), size, mode="nearest")


def _depth(inv_depth: Tensor, truth: Tensor) -> Tensor:
    """Return depth from inverse depth, on the device of the ground truth."""
    return 1 / inv_depth.clamp(min=MIN_INV_DEPTH).to(truth.device)


def example_maps(
    predictions: Predictions, protocol: Protocol, clips: Sequence[Clip], scores: ImageScores
) -> ExampleMaps:
    """Return the image, the predicted depth and the ground truth of an evaluated frame, for the HTML page.

    Args:
        predictions: the predictions.
        protocol: the protocol.
        clips: clips of `Protocol.clips`.
        scores: the scores of the frame.
    """
    clip = next(clip for clip in clips if clip.name == scores.clip)
    frame = next(frame for frame in clip.frames if frame.name == scores.frame)
    image, truth = frame.image.read(), ground_truth(protocol, clip, frame)
    depth = full_depth(predictions.maps(clip, [frame], [image])[0].inv_depths["plain"], truth, protocol.resizing)
    camera = clip.camera if clip.missing_camera is None and frame.size is None else None
    return ExampleMaps(scores, image, depth[0, 0].numpy(), truth[0, 0].numpy(), camera)


# --- several processes --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Work that several processes share."""

    checkpoint: str  # what to evaluate
    runtime: str | None  # what computes it, if it is an exported file
    protocol: Protocol  # the protocol
    batch: int  # number of images in a call of the depth network


def _evaluate_in_processes(
    job: Job, parts: Sequence[Clip], processes: int, advance: Callable[[int], None]
) -> Iterator[ClipResult]:
    """Yield the results of parts of clips in their order, computed by several processes."""
    with worker_pool(processes, _start_process, (tuple(used()),)) as pool:
        futures = [pool.submit(_evaluate_part, job, part) for part in parts]
        for future, part in zip(futures, parts, strict=True):
            yield future.result()
            advance(len(part.frames))


def _start_process(names: Sequence[str]) -> None:
    """Prepare a worker process: limit it to one thread, and import the modules that --use names on the command line."""
    torch.set_num_threads(1)
    for name in names:
        use(name)


def _evaluate_part(job: Job, part: Clip) -> ClipResult:
    return evaluate_clip(_opened_once(job.checkpoint, job.runtime), job.protocol, part, batch=job.batch)


_opened_once = lru_cache(maxsize=1)(open_predictions)  # a process evaluates many parts with one checkpoint
