"""Prediction of the camera's trajectory in a video, a folder of images or a data set: `packdepth.odometry`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packdepth.charts import picture
from packdepth.checkpoint import agrees_on_average
from packdepth.data.targets import distance, distance_source, unbroken
from packdepth.disk import replaced_together
from packdepth.errors import InputError, InputWarning
from packdepth.evaluation.odometry import MIN_PATH, distances, odometry_errors
from packdepth.evaluation.odometry_page import PathFromAbove, write_odometry_page
from packdepth.evaluation.odometry_report import OdometryReport
from packdepth.evaluation.trajectory_files import write_kitti, write_tum
from packdepth.files import make_folder, replacing, say_replaced, write_image, write_json
from packdepth.geometry.camera import Camera
from packdepth.geometry.poses import chained
from packdepth.inference.base import BasePredictor
from packdepth.inference.cameras import is_metric_for, known_camera, match_clip, scale_of_clip
from packdepth.inference.load import load
from packdepth.inference.trajectory import neighbor_motions
from packdepth.progress import counted, progress
from packdepth.records import Clip
from packdepth.sources.base import check_frame_sizes
from packdepth.sources.open import check_names, open_clips

OWN_LENGTHS = "lengths are those of the ego-motion network, --align takes those of depth"


def odometry(
    checkpoint: str | Path | BasePredictor,
    source: str | Path,
    output: str | Path | None = None,
    align: bool = False,
    camera: str | Path | None = None,
    kind: str | None = None,
    options: Sequence[str] = (),
    fov: float | None = None,
    runtime: str | None = None,
) -> list[OdometryReport]:
    """Predict the trajectory of the camera of each clip, and compute its errors if its poses are measured.

    Images are read on demand and used in pairs of frames that are as far apart as in training, so that a video of any
    length fits in memory. Nobody has seen the motion over a gap in time: each part of a clip between its gaps is a
    trajectory of its own.

        import packdepth

        (report,) = packdepth.odometry("runs/mine/best", "drive.mp4")
        report.poses  # T_first_current [N, 4, 4]

    Args:
        checkpoint: a folder that training wrote, another project's checkpoint (see `load`), a file that `packdepth
            export` wrote, or a predictor.
        source: a video, a folder of images or a data set: anything that `packdepth.open` opens.
        output: a folder for trajectory_tum.txt, trajectory_kitti.txt (T_first_current), path.png (seen from above),
            odometry.json, odometry.txt and odometry.html. If there are several clips, or parts of a clip between gaps
            in time, each gets a subfolder with its name. With None, nothing is written.
        align: whether each motion is refined by aligning the two images, using the predicted depth. This needs the
            camera.
        camera: a camera.yaml. If left out, the camera is that of the source or, if the source has none, the one that
            the checkpoint has learned.
        kind: the kind of the source. If left out, it is recognized by its content.
        options: options of the source, each as `key=value`.
        fov: horizontal field of view of images without calibration, in degrees, in place of `camera`.
        runtime: what computes an exported file, as in `load`.

    Returns:
        A report on each clip, or part of one. Raises InputError before anything is written, unless an image turns out
        to be damaged when its turn comes.
    """
    clips = open_clips(source, kind, options, None if camera is None else Path(camera), fov)
    for clip in clips:
        if clip.independent:
            raise InputError(f"{clip.path}: its images are independent; give consecutive frames of one camera")
        check_frame_sizes(clip)
    if output is not None:
        check_names(clips, source, "process")
    predictor = checkpoint if isinstance(checkpoint, BasePredictor) else load(checkpoint, runtime=runtime)
    clips = [part for clip in clips for part in _trajectories(clip, predictor)]
    cameras = [known_camera(clip, predictor.meta) if align else None for clip in clips]
    for clip, found in zip(clips, cameras, strict=True):
        if align and found is None:
            raise InputError(
                f"{clip.path}: no camera is known, but --align needs one; name its file with --camera, or its field of "
                f"view with --fov"
            )
    one = len(clips) == 1
    reports = []
    for clip, found in zip(clips, cameras, strict=True):
        folder = None if output is None else Path(output) if one else Path(output) / clip.short_name
        names = {
            "checkpoint": repr(checkpoint) if isinstance(checkpoint, BasePredictor) else str(checkpoint),
            "source": str(source) if one else clip.name,
        }
        reports.append(clip_odometry(predictor, clip, folder, found, **names))
    return reports


def _trajectories(clip: Clip, predictor: BasePredictor) -> list[Clip]:
    """Return the parts of a clip between its gaps in time, those alone that have enough frames. Warns of the gaps.

    Raises InputError if no part has enough frames.
    """
    parts = unbroken(clip)
    if len(parts) == 1:
        return parts
    least = max(len(predictor.pose_offsets), 1) + 1
    long = [part for part in parts if len(part.frames) >= least]
    short = len(parts) - len(long)
    told = (
        f"{clip.name}: has {counted(len(parts) - 1, 'gap')} in time, the first after frame {parts[0].frames[-1].name}, "
        f"over which nobody has seen the motion"
    )
    if not long:
        raise InputError(f"{told}: none of its parts has {least} frames; give consecutive frames")
    left = f"; {counted(short, 'part')} of fewer than {least} frames {'is' if short == 1 else 'are'} left out"
    warnings.warn(f"{told}: each part is a trajectory of its own{left if short else ''}", InputWarning, stacklevel=3)
    return long


def clip_odometry(
    predictor: BasePredictor, clip: Clip, output: Path | None, align: Camera | None, *, checkpoint: str, source: str
) -> OdometryReport:
    """Predict the trajectory of one clip, and compute its errors if its poses are measured.

    Args:
        predictor: the networks.
        clip: consecutive frames, without a gap in time.
        output: a folder for the files that `odometry` writes. With None, nothing is written.
        align: the camera, with which each motion is refined by aligning images. With None, motions are not refined.
        checkpoint: the name of the checkpoint in the report.
        source: the name of the clip in the report.
    """
    if output is not None:
        make_folder(output)
        say_replaced([output / "odometry.json"])
    images = (frame.image.read() for frame in clip.frames)
    poses = chained(neighbor_motions(predictor, clip, align, progress(images, "odometry", len(clip.frames))))
    poses[:, :3, 3] *= match_clip(clip, predictor.meta).factor
    measured = [frame.pose for frame in clip.frames if frame.pose is not None]
    true = np.stack(measured) if len(measured) == len(clip.frames) else None
    errors = None if true is None else odometry_errors(poses, true)
    aligned = "" if align is None else ", aligned with predicted depth"
    meta, scale = predictor.meta, scale_of_clip(clip, predictor.meta) + aligned
    if align is None and is_metric_for(clip, meta):  # the checks of a checkpoint are of depth's lengths
        scale = f"{scale_of_clip(clip, meta.model_copy(update={'scale_checks': []}))}; {OWN_LENGTHS}"
    length = float(distances(poses)[-1])
    measured_length = _length_by_speeds(clip) if errors is None else errors.distance
    if is_metric_for(clip, meta) and measured_length is not None and not _agree(length, measured_length):
        contradiction = f"it is {length:.2f} m long where {measured_length:.2f} m are measured"
        scale = f"{scale}; but {contradiction}"
        warnings.warn(
            f"{clip.name}: the trajectory is said to be metric, but {contradiction}; do not rely on its lengths, or "
            f"correct them with packdepth calibrate",
            InputWarning,
            stacklevel=3,
        )
    report = OdometryReport(
        checkpoint=checkpoint,
        source=source,
        metric=is_metric_for(clip, meta),
        scale_source=meta.scale_source + aligned,
        scale=scale,
        frames=len(poses),
        posed=len(measured),
        distance=length,
        measured=measured_length,
        errors=errors,
        times=[frame.time for frame in clip.frames],
        poses=poses,
    )
    if output is not None:
        _write(output, report, true)
    return report


def _agree(length: float, measured: float) -> bool:
    """Return whether two lengths of a path, in metres, are about equal, or those of a camera that stands."""
    return agrees_on_average(max(length, MIN_PATH) / max(measured, MIN_PATH))


def _length_by_speeds(clip: Clip) -> float | None:
    """Return the length of the path by the speeds of a clip, in metres; None if frames lack them."""
    return distance(clip, 0, len(clip.frames) - 1) if distance_source(clip) == "speed" else None


def _write(output: Path, report: OdometryReport, true: np.ndarray | None) -> None:
    """Write the files of a report into a folder that exists, so that none of them is ever beside one of another."""
    with replaced_together(output) as folder:
        write_tum(folder / "trajectory_tum.txt", report.times, report.poses)
        write_kitti(folder / "trajectory_kitti.txt", report.poses)
        write_image(folder / "path.png", path_picture(report, true))
        write_odometry_page(folder / "odometry.html", report, true)
        write_json(folder / "odometry.json", report.to_json())
        with replacing(folder / "odometry.txt") as temporary:
            temporary.write_text(report.text() + "\n", encoding="utf-8")


def path_picture(report: OdometryReport, true: np.ndarray | None) -> np.ndarray:
    """Return a picture of a trajectory seen from above, [H, W, 3] uint8.

    Args:
        report: the predicted trajectory. One that is not metric is scaled to the measured one.
        true: measured poses T_world_camera [N, 4, 4], metres; None if there are none.
    """
    drawn = PathFromAbove.of(report, true)
    return picture(drawn.lines, *drawn.axes)
