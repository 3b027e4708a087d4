"""Where metric scale comes from."""

from __future__ import annotations

from collections.abc import Sequence

from packdepth.config import Run, VelocityConfig
from packdepth.data.targets import distance_source
from packdepth.records import Clip


def is_metric(run: Run) -> bool:
    """Whether a term of the objective ties depth to metres."""
    return any(isinstance(term, VelocityConfig) and (term.weight > 0 or term.impose) for term in run.objective)


def scale_source(run: Run, clips: Sequence[Clip]) -> str:
    """Such as "velocity (poses)"; "none" where depth is known up to a factor only."""
    if not is_metric(run):
        return "none"
    return f"velocity ({', '.join(sorted({distance_source(clip) or 'nothing' for clip in clips}))})"
