"""Trajectories of the camera of whatever is at a path: `packdepth odometry`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from packdepth.charts import OURS, TRUE, Line, picture
from packdepth.errors import InputError
from packdepth.evaluation.odometry import OdometryErrors, chained, distances, from_first, odometry_errors, stretched
from packdepth.evaluation.trajectory_files import write_kitti, write_tum
from packdepth.files import make_folder, replacing, write_image, write_json
from packdepth.geometry.camera import Camera
from packdepth.inference.cameras import known_camera
from packdepth.inference.info import depth_unit
from packdepth.inference.predictor import Predictor, load
from packdepth.progress import progress
from packdepth.records import Clip
from packdepth.sources.open import open_clips

MEANINGS = {
    "distance": "metres traveled, measured",
    "scale": "factor of the best similarity, from predicted to measured",
    "ate": "m, RMSE of all positions after the best rigid motion",
    "ate_scaled": "m, the same after the best similarity",
    "snippet_ate": "m, over snippets of five frames, not scaled",
    "snippet_ate_std": "m, standard deviation of that",
    "snippet_ate_scaled": "m, each snippet scaled: what SfMLearner's tables hold",
    "snippet_ate_scaled_std": "m, standard deviation of that",
    "rpe_translation": "m, RMSE from frame to frame",
    "rpe_rotation": "degrees, RMSE from frame to frame",
    "t_rel": "%, KITTI's, over segments of 100 to 800 m",
    "r_rel": "degrees for 100 m, KITTI's",
    "t_rel_scaled": "%, as t_rel, of the trajectory times scale",
    "drift": "% of the distance that the end is off",
    "scale_drift": "%, by how much the scale varies over stretches of 50 m",
}


@dataclass(frozen=True)
class OdometryReport:
    """What was predicted, and how far off it is."""

    checkpoint: str
    source: str
    metric: bool
    """Whether the trajectory is in metres."""
    scale_source: str
    frames: int
    distance: float
    """Predicted metres, or units where the trajectory is not metric."""
    errors: OdometryErrors | None
    """None where the source holds no pose for some frame."""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it, with NaN for what a short trajectory does not tell."""
        return asdict(self)

    def text(self) -> str:
        """The report in lines."""
        unit = "m" if self.metric else "units"
        lines = [
            f"{self.frames} frames of {self.source}",
            f"checkpoint {self.checkpoint}: the trajectory is {depth_unit(self.metric, self.scale_source)}",
            f"length {self.distance:.2f} {unit}",
        ]
        if self.errors is None:
            return "\n".join([*lines, "no measured poses, so no errors"])
        values = asdict(self.errors)
        rows = (f"{name:<24}{values[name]:>12.4f}  {meaning}" for name, meaning in MEANINGS.items())
        return "\n".join([*lines, "", *rows])


def odometry(
    checkpoint: str | Path,
    source: str | Path,
    output: str | Path,
    align: bool = False,
    camera: Path | None = None,
    kind: str | None = None,
    options: Sequence[str] = (),
) -> list[OdometryReport]:
    """Chain the ego-motion of consecutive frames, write the trajectory, and evaluate it where poses were measured.

    Images are read as they are needed, go through the network in batches of a few pairs, and are forgotten; of a frame
    only its pose is kept.

    Args:
        checkpoint: a folder that training wrote, or another project's checkpoint (see `load`).
        source: a video, a folder of images or a data set: anything that `packdepth.open` opens.
        output: folder for trajectory_tum.txt, trajectory_kitti.txt (T_first_current), path.png (seen from above),
            odometry.json and odometry.txt; of several clips, each gets a folder of its name in it.
        align: refine each motion so that the next frame, synthesized with the predicted depth, matches best.
        camera: a camera.yaml for that; if left out, the one that lies with the source, or else that the source knows,
            or else that the checkpoint has learned.
        kind: the kind of source; if left out, it is recognized by the content.
        options: options of the source, each as `key=value`.

    Returns:
        A report on each clip. Raises InputError before anything is written, unless an image turns out to be damaged
        when its turn comes.
    """
    output = Path(output)
    clips = open_clips(source, kind, options, camera)
    for clip in clips:
        if clip.independent:
            raise InputError(f"{clip.path}: its images are independent; give consecutive frames of one camera")
    predictor = load(checkpoint)
    cameras = [known_camera(clip, predictor.meta) if align else None for clip in clips]
    for clip, found in zip(clips, cameras, strict=True):
        if align and found is None:
            raise InputError(f"{clip.path}: no camera is known, but --align needs one; name its file with --camera")
    one = len(clips) == 1
    return [
        clip_odometry(
            predictor,
            clip,
            output if one else output / clip.short_name,
            found,
            checkpoint=str(checkpoint),
            source=str(source) if one else clip.name,
        )
        for clip, found in zip(clips, cameras, strict=True)
    ]


def clip_odometry(
    predictor: Predictor, clip: Clip, output: Path, align: Camera | None, *, checkpoint: str, source: str
) -> OdometryReport:
    """Write the trajectory of one clip and evaluate it where poses were measured.

    Args:
        predictor: the networks.
        clip: consecutive frames.
        output: the folder to write to.
        align: the camera to align each motion with predicted depth by; None for motions as the network predicts them.
        checkpoint: the name of the checkpoint, for the report.
        source: the name of the clip, for the report.
    """
    make_folder(output)
    images = (frame.image.read() for frame in clip.frames)
    poses = chained(predictor.motions(progress(images, "odometry", len(clip.frames)), align))
    measured = [frame.pose for frame in clip.frames if frame.pose is not None]
    true = np.stack(measured) if len(measured) == len(clip.frames) else None
    report = OdometryReport(
        checkpoint=checkpoint,
        source=source,
        metric=predictor.meta.metric,
        scale_source=predictor.meta.scale_source + ("" if align is None else ", aligned with predicted depth"),
        frames=len(poses),
        distance=float(distances(poses)[-1]),
        errors=None if true is None else odometry_errors(poses, true),
    )
    write_tum(output / "trajectory_tum.txt", [frame.time for frame in clip.frames], poses)
    write_kitti(output / "trajectory_kitti.txt", poses)
    write_image(output / "path.png", path_picture(poses, true, report))
    write_json(output / "odometry.json", report.to_json())
    with replacing(output / "odometry.txt") as temporary:
        temporary.write_text(report.text() + "\n", encoding="utf-8")
    return report


def path_picture(poses: np.ndarray, true: np.ndarray | None, report: OdometryReport) -> np.ndarray:
    """The way seen from above, [H, W, 3] uint8: predicted beside measured; scaled to it where it is not metric."""
    name, lines = "predicted", []
    if true is not None and report.errors is not None:
        lines.append(Line(_from_above(true), TRUE, "measured"))
        if not report.metric:
            poses, name = stretched(poses, report.errors.scale), f"predicted, times {report.errors.scale:.4g}"
    lines.append(Line(_from_above(poses), OURS, name))
    unit = "metres" if report.metric or true is not None else "units"
    return picture(lines, f"{unit} to the right", f"{unit} ahead")


def _from_above(poses: np.ndarray) -> np.ndarray:
    """[N, 2]: right and ahead of the first camera."""
    return from_first(poses)[:, [0, 2], 3]
