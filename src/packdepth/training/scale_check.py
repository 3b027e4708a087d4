"""The measurement of the scale after training: depth is called metric only if lengths agree on frames held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packdepth import checkpoint
from packdepth.checkpoint import MIN_CHECKED, Meta, ScaleCheck
from packdepth.inference.predictor import Predictor, load
from packdepth.records import Clip
from packdepth.scale.measure import measure
from packdepth.scale.measurement import ScaleMeasurement


def check_scales(output: Path, clips: Sequence[Clip], held_out: Sequence[Clip], device: str) -> Meta:
    """Measure the scale of the checkpoints of a run, write it into their descriptions, and return that of `best`.

    Args:
        output: the folder of the run, with `best` and `last`.
        clips: the clips that the run trained on.
        held_out: the clips that it validated on. If they offer too few measurements, training frames are measured.
        device: the device to predict on.
    """
    metas: list[Meta] = []
    for name in ("best", "last"):
        meta = checkpoint.read_description(output / name)[1]
        same = next((other for other in metas if other.step == meta.step), None)
        if same is not None:
            checks = same.scale_checks
        else:
            checks = [] if meta.scale_source == "none" else scale_checks(load(output / name, device), clips, held_out)
        meta = meta.model_copy(update={"scale_checks": checks})
        metric = checkpoint.is_metric(meta.scale_source, meta.judged_checks) and not meta.needs_calibration
        meta = meta.model_copy(update={"metric": metric})
        checkpoint.rewrite_meta(output / name, meta)
        metas.append(meta)
    return metas[0]


def scale_checks(predictor: Predictor, clips: Sequence[Clip], held_out: Sequence[Clip]) -> list[ScaleCheck]:
    """Return the comparisons of a checkpoint's scale with all lengths that its clips know.

    Held-out frames come first. Training frames are measured as well, because the end of a drive is not the whole of it.

    Args:
        predictor: the networks.
        clips: the clips that they were trained on.
        held_out: other clips; sources that they offer less than `MIN_CHECKED` frames of are left out.
    """
    measured = measure(predictor, held_out)
    counts = {each.source: each.frames for each in measured}

    def on_training_frames(each: ScaleMeasurement) -> ScaleCheck:
        """Return a check on training frames, with the number of held-out frames if these are too few."""
        count = counts.get(each.source, 0)
        too_few = count if held_out and count < MIN_CHECKED else None
        return each.check(held_out=False).model_copy(update={"too_few": too_few})

    found = [each.check(held_out=True) for each in measured if each.frames >= MIN_CHECKED]
    return [*found, *(on_training_frames(each) for each in measure(predictor, clips) if each.frames)]
