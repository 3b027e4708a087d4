"""Calibration of a checkpoint's scale by known lengths: `packdepth calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth import __version__, checkpoint
from packdepth.checkpoint import MAX_SPREAD, CalibrationRecord, Checkpoint, Meta, ScaleCheck
from packdepth.config import Imported, Run
from packdepth.data.agreement import of_another_time
from packdepth.errors import InputError
from packdepth.geometry.height import plausible_height
from packdepth.inference.cameras import match_clip
from packdepth.inference.predictor import Predictor, load
from packdepth.interop.read import is_foreign
from packdepth.records import Clip
from packdepth.scale.measure import measure, motion_lengths
from packdepth.scale.measurement import (
    MIN_COUNT,
    SOURCES,
    ScaleMeasurement,
    ScaleSource,
    disagreement,
    robust_spread,
)
from packdepth.scale.points import read_points
from packdepth.sources.open import open_clips

By = Literal["points", "lidar", "depth", "speed", "poses", "stereo", "height", "camera height"]


@dataclass(frozen=True)
class CalibrationReport:
    """The result of a calibration."""

    output: Path
    """The folder of the new checkpoint."""
    scale: str
    """The scale of the new checkpoint in words: where metres come from, or why depth is not metric."""
    measurements: tuple[ScaleMeasurement, ...]
    """The measurements of all sources that the data offers."""
    chosen: ScaleMeasurement
    """The measurement by which depth was calibrated."""
    motion_factor: float
    """Factor of the translations of the ego-motion network."""
    motion_measured: bool
    """Whether the motion factor was measured; otherwise it is that of depth."""
    warnings: tuple[str, ...]
    """Sentences about sources that disagree with the chosen one, or that are not good enough to compare with."""

    def text(self) -> str:
        """Return the measurements and what was written, in lines of text."""
        factor = self.chosen.factor
        motion = "measured" if self.motion_measured else "that of depth, because no motion was measured"
        return "\n".join(
            [
                *[str(measurement) for measurement in self.measurements],
                *[f"warning: {warning}" for warning in self.warnings],
                f"depth times {factor:.4g}, translations of ego-motion times {self.motion_factor:.4g} ({motion})",
                f"{self.output}: {self.scale}",
            ]
        )


def calibrate(
    checkpoint_folder: str | Path,
    data: str | Path,
    output: str | Path,
    by: By | None = None,
    height: float | None = None,
    points: str | Path | None = None,
    camera: Path | None = None,
    kind: str | None = None,
    options: Sequence[str] = (),
) -> CalibrationReport:
    """Find the factor that makes the depth of a checkpoint metric, and write a checkpoint with it.

        import packdepth

        report = packdepth.calibrate("runs/mine/best", "my_drive", "runs/mine/metric", height=1.4)
        print(report.text())

    Every source of lengths that the data offers is measured (see `scale.measure`). The factor of depth is the median
    over frames of one of them: the one that `by` names, or else the first of `SOURCES` that is good enough. The factor
    of ego-motion is measured apart, because its network has a scale of its own.

    The new checkpoint is metric, unless its metres depend on a guessed focal length (`Meta.needs_calibration`).

    Args:
        checkpoint_folder: the folder that training wrote.
        data: frames that know lengths: anything that `packdepth.open` opens.
        output: the folder of the new checkpoint, which must not exist, or be empty.
        by: the source of lengths to calibrate by; "height" is short for "camera height".
        height: height of the camera above the road, in metres; if left out, `height_m` of camera.yaml.
        points: a CSV of tape-measured points (see `scale.points.read_points`).
        camera: a camera.yaml for the images, in place of the camera that the source knows.
        kind: the kind of source; if left out, it is recognized by the content.
        options: options of the source, each as `key=value`.

    Returns:
        The measurements and the factors.

    Raises InputError, before anything is written, if no source is offered or good enough (`ScaleMeasurement.problem`
    says why), if sources disagree and `by` does not name one, if speeds are of another time than the images, and if
    the camera of a clip differs so much from those of the training that depth is not metric there (`match_camera`).
    """
    folder, output = Path(checkpoint_folder), Path(output)
    if is_foreign(folder):
        raise InputError(f"{folder}: is another project's checkpoint; turn it into one of packdepth's with convert")
    content = checkpoint.read(folder)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output}: is there already; name a new folder")
    try:
        height = None if height is None else plausible_height(height)
    except ValueError as error:
        raise InputError(f"--height: {error}") from None
    clips = open_clips(data, kind, options, camera)
    for clip in clips:
        _check_camera(clip, content.meta)
    known_points = [] if points is None else read_points(Path(points), clips)
    predictor = load(folder)
    measurements = measure(predictor, clips, height=height, points=known_points)
    chosen = choose(measurements, "camera height" if by == "height" else by, str(data))
    if chosen.source == "speed":
        for clip in clips:
            _check_time(clip)
    warnings = compare(chosen, measurements, str(data), strict=by is None)
    motion = _motion_factor(predictor, clips, chosen)
    motion_factor = chosen.factor if motion is None else motion
    calibrated = rescaled(content, chosen.factor, motion_factor)
    meta = calibrated.meta.model_copy(
        update={
            "packdepth": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "scale_source": f"{chosen.source}{checkpoint.CALIBRATED}",
            "scale_checks": [chosen.check_left_out(), *_checks_of_others(chosen, measurements)],
            "calibration": CalibrationRecord(
                source=chosen.source,
                factor=chosen.factor,
                motion_factor=motion_factor,
                spread=chosen.spread,
                frames=chosen.frames,
                data=str(data),
            ),
        }
    )
    meta = meta.model_copy(update={"metric": not meta.needs_calibration})
    checkpoint.write(output, replace(calibrated, meta=meta), lambda new: checkpoint.copy_semantics(folder, new))
    scale = f"metric, its scale comes from {meta.scale_source}" if meta.metric else meta.scale
    return CalibrationReport(
        output, scale, tuple(measurements), chosen, motion_factor, motion is not None, tuple(warnings)
    )


def _check_camera(clip: Clip, meta: Meta) -> None:
    """Raise InputError if depth of a metric checkpoint is not metric for a clip, because of its camera."""
    warning = match_clip(clip, meta).warning
    if warning is not None:
        raise InputError(f"{clip.path}: cannot calibrate by {clip.name}: {warning}")


def _check_time(clip: Clip) -> None:
    """Raise InputError if the speeds of a clip are of another time than its images."""
    late = None if clip.missing_camera is not None else of_another_time(clip)
    if late is not None:
        raise InputError(f"{clip.path}: {late}; offset=auto finds the offset of a log, or use another source (--from)")


def choose(measurements: Sequence[ScaleMeasurement], source: ScaleSource | None, data: str) -> ScaleMeasurement:
    """Return the measurement to calibrate by.

    Args:
        measurements: the measurements, in the order of `SOURCES`.
        source: the source that was asked for; None for the first one that is good enough.
        data: path of the data, for messages.

    Raises InputError if there is none, or none that is good enough.
    """
    offered = [measurement for measurement in measurements if source in (None, measurement.source)]
    if not offered:
        wanted = source or f"lengths ({', '.join(SOURCES)})"
        others = f"; it offers {', '.join(each.source for each in measurements)}" if measurements else ""
        raise InputError(
            f"{data}: offers no {wanted} to calibrate by{others}; give --height or --points, or data with speeds, "
            f"poses, stereo pairs, depth maps or scans, and with a known camera"
        )
    good = [measurement for measurement in offered if measurement.problem is None]
    if not good:
        reasons = "; ".join(f"{each.source}: {each.problem}" for each in offered)
        raise InputError(
            f"{data}: does not determine the scale: {reasons}; give more frames, or train the networks longer"
        )
    return good[0]


def compare(chosen: ScaleMeasurement, measurements: Sequence[ScaleMeasurement], data: str, strict: bool) -> list[str]:
    """Return sentences about the other measurements that disagree with the chosen one, or are not good enough.

    Args:
        chosen: the measurement to calibrate by.
        measurements: all measurements.
        data: path of the data, for messages.
        strict: raise InputError if two disagree.
    """
    warnings = []
    for other in measurements:
        if other is chosen:
            continue
        if other.problem is not None:
            warnings.append(f"{other.source} is not compared: {other.problem}")
        elif disagreement(chosen, other):
            sentence = (
                f"{chosen.source} says depth times {chosen.factor:.3g}, but {other.source} {other.factor:.3g}, beyond "
                f"their spreads of {chosen.spread:.0%} and {other.spread:.0%}"
            )
            if strict:
                raise InputError(f"{data}: {sentence}; mend the one that is wrong, or choose one with --from")
            warnings.append(sentence)
    return warnings


def rescaled(content: Checkpoint, factor: float, motion_factor: float) -> Checkpoint:
    """Return a checkpoint whose depth and translations are multiplied by factors; scores in metres are left out.

    Args:
        content: the checkpoint.
        factor: factor of depth.
        motion_factor: factor of the translations of ego-motion.
    """
    networks = content.run.networks
    depth = networks.depth.model_copy(update={"scale": networks.depth.scale * factor})
    pose = networks.pose and networks.pose.model_copy(update={"scale": networks.pose.scale * motion_factor})
    changed = networks.model_copy(update={"depth": depth, "pose": pose})
    run: Run | Imported = content.run.model_copy(update={"networks": changed})
    scores = {name: value for name, value in content.meta.scores.items() if name.endswith(("loss", "_scaled"))}
    return replace(content, run=run, meta=content.meta.model_copy(update={"scores": scores}))


def _motion_factor(predictor: Predictor, clips: Sequence[Clip], chosen: ScaleMeasurement) -> float | None:
    """Return the factor of ego-motion; None if it cannot be measured.

    It is measured directly if the source is a motion. Otherwise it is the factor of depth times the length that depth
    and images give to a motion, over the length that the network gives to it.
    """
    if chosen.motion_factor is not None:
        return chosen.motion_factor
    ratios = np.array([pair.aligned / pair.own for pair in motion_lengths(predictor, clips) if pair.own > 0])
    if len(ratios) < MIN_COUNT or robust_spread(ratios) > MAX_SPREAD:
        return None
    return chosen.factor * float(np.median(ratios))


def _checks_of_others(chosen: ScaleMeasurement, measurements: Sequence[ScaleMeasurement]) -> list[ScaleCheck]:
    """Return the comparisons of the calibrated scale with the other sources that are good enough."""
    return [
        other.check(held_out=False).model_copy(update={"ratio": chosen.factor / other.factor})
        for other in measurements
        if other is not chosen and other.problem is None
    ]
