"""Where metric scale comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from packdepth.config import ReprojectedConfig, Run, StereoConfig, SupervisedConfig, VelocityConfig
from packdepth.data.targets import depth_source, distance_source
from packdepth.records import Clip
from packdepth.training.initial import inherited_scale


def scale_source(run: Run, clips: Sequence[Clip]) -> str:
    """Such as "velocity (poses)", "depth (lidar)", "stereo" or several; "none" where depth is known up to a factor.

    That of a frozen depth network is the one it was trained with.
    """
    if run.networks.depth.frozen:
        return inherited_scale(run)
    sources = []
    if _uses_velocity(run):
        sources.append(f"velocity ({_together(distance_source, clips)})")
    if _uses_depth(run):
        lidar = f"lidar, {run.data.beams} beams"
        sources.append(f"depth ({_together(depth_source, clips) if run.data.beams is None else lidar})")
    if _uses_stereo(run):
        sources.append("stereo")
    return ", ".join(sources) or "none"


def _uses_velocity(run: Run) -> bool:
    return any(isinstance(term, VelocityConfig) and (term.weight > 0 or term.impose) for term in run.objective)


def _uses_depth(run: Run) -> bool:
    return any(isinstance(term, SupervisedConfig | ReprojectedConfig) and term.weight > 0 for term in run.objective)


def _uses_stereo(run: Run) -> bool:
    return any(isinstance(term, StereoConfig) and term.weight > 0 for term in run.objective)


def _together(source: Callable[[Clip], str | None], clips: Sequence[Clip]) -> str:
    return ", ".join(sorted({source(clip) or "nothing" for clip in clips}))
