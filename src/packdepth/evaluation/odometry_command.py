"""`packdepth odometry`: where the camera of a video, a folder or a clip has been."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from packdepth.charts import OURS, TRUE, Line, picture
from packdepth.errors import InputError
from packdepth.evaluation.odometry import OdometryErrors, chained, distances, from_first, odometry_errors, stretched
from packdepth.evaluation.trajectory_files import write_kitti, write_tum
from packdepth.files import make_folder, replacing, write_image, write_json
from packdepth.inference.info import depth_unit
from packdepth.inference.predictor import load
from packdepth.inference.run import Footage, find_footage, known_camera, progress

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
) -> OdometryReport:
    """Chain the ego-motion of consecutive frames, write the trajectory and judge it where it was measured.

    Images are read as they are needed, looked at in batches of a few pairs, and forgotten; of a frame only its pose is
    kept.

    Args:
        checkpoint: a folder that training wrote, or another project's checkpoint (see `load`).
        source: a video, a folder of images, a clip in the folder contract or a sequence of KITTI odometry; the last
            two may hold measured poses.
        output: folder for trajectory_tum.txt, trajectory_kitti.txt (T_first_current), path.png (seen from above),
            odometry.json and odometry.txt.
        align: refine each motion so that the predicted depth explains the next frame best.
        camera: a camera.yaml for that; if left out, the one that lies with the source, or else that the source tells,
            or else that the checkpoint has learned.

    Raises InputError before anything is written, unless an image turns out to be damaged when its turn comes.
    """
    output = Path(output)
    footage = find_footage(Path(source))
    if not footage.consecutive:
        raise InputError(f"{source}: its images are independent; give consecutive frames of one camera")
    predictor = load(checkpoint)
    align_camera = known_camera(footage, Path(source), predictor.meta, camera)[0] if align else None
    if align and align_camera is None:
        raise InputError(f"{source}: no camera is known, but --align needs one; name its file with --camera")
    make_folder(output)
    images = (image.read() for image in footage.images.values())
    poses = chained(predictor.motions(progress(images, "odometry", len(footage.images)), align_camera))
    report = OdometryReport(
        checkpoint=str(checkpoint),
        source=str(source),
        metric=predictor.meta.metric,
        scale_source=predictor.meta.scale_source + (", aligned with predicted depth" if align else ""),
        frames=len(poses),
        distance=float(distances(poses)[-1]),
        errors=None if footage.poses is None else odometry_errors(poses, footage.poses),
    )
    _write(output, footage, poses, report)
    return report


def _write(output: Path, footage: Footage, poses: np.ndarray, report: OdometryReport) -> None:
    write_tum(output / "trajectory_tum.txt", footage.times, poses)
    write_kitti(output / "trajectory_kitti.txt", poses)
    write_image(output / "path.png", path_picture(poses, footage.poses, report))
    write_json(output / "odometry.json", report.to_json())
    with replacing(output / "odometry.txt") as temporary:
        temporary.write_text(report.text() + "\n", encoding="utf-8")


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
