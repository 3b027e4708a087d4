"""Where metric scale comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from packdepth.config import Run, SupervisedConfig, VelocityConfig
from packdepth.data.targets import depth_source, distance_source
from packdepth.records import Clip
from packdepth.training.initial import inherited_scale


def is_metric(run: Run) -> bool:
    """Whether a term of the objective ties depth to metres, or depth stays that of a metric checkpoint."""
    if run.networks.depth.frozen:
        return inherited_scale(run) is not None
    return _uses_velocity(run) or _uses_depth(run)


def scale_source(run: Run, clips: Sequence[Clip]) -> str:
    """Such as "velocity (poses)", "depth (lidar)" or both; "none" where depth is known up to a factor only.

    Where the depth network is frozen, that of the checkpoint it comes from.
    """
    if run.networks.depth.frozen:
        return inherited_scale(run) or "none"
    sources = []
    if _uses_velocity(run):
        sources.append(f"velocity ({_together(distance_source, clips)})")
    if _uses_depth(run):
        sources.append(f"depth ({_together(depth_source, clips)})")
    return ", ".join(sources) or "none"


def _uses_velocity(run: Run) -> bool:
    return any(isinstance(term, VelocityConfig) and (term.weight > 0 or term.impose) for term in run.objective)


def _uses_depth(run: Run) -> bool:
    return any(isinstance(term, SupervisedConfig) and term.weight > 0 for term in run.objective)


def _together(source: Callable[[Clip], str | None], clips: Sequence[Clip]) -> str:
    return ", ".join(sorted({source(clip) or "nothing" for clip in clips}))
