"""Where metric scale comes from."""

from __future__ import annotations

from collections.abc import Sequence

from packdepth.config import Run
from packdepth.data.fields import FIELDS
from packdepth.objectives.objective import Objective
from packdepth.records import Clip
from packdepth.training.initial import inherited_scale


def scale_source(run: Run, objective: Objective, clips: Sequence[Clip]) -> str:
    """Return the source of metric scale, or "none" if depth is known up to a factor.

    It is such as "velocity (poses)", "depth (lidar)", "stereo", or several of them. That of a frozen depth network is
    the one that it was trained with.

    Args:
        run: the run.
        objective: of the run.
        clips: it is trained on.
    """
    if run.networks.depth.frozen:
        return inherited_scale(run)
    metric_from = objective.metric_from
    sources = [
        field.scale(clips, run.data.beams) for field in FIELDS.values() if field.name in metric_from and field.scale
    ]
    others = sorted(name for name in metric_from if name not in FIELDS or FIELDS[name].scale is None)
    return ", ".join([*sources, *others]) or "none"
