"""packdepth: a camera's own video into a metric depth network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packdepth.evaluation.odometry_command import odometry as odometry
    from packdepth.evaluation.run import evaluate as evaluate
    from packdepth.geometry.camera import Camera as Camera
    from packdepth.inference.predictor import Predictor as Predictor
    from packdepth.inference.predictor import load as load
    from packdepth.networks.packnet import PackNet as PackNet
    from packdepth.records import Prediction as Prediction

__version__ = "0.1.0"

_HOMES = {
    "Camera": "packdepth.geometry.camera",
    "PackNet": "packdepth.networks.packnet",
    "Prediction": "packdepth.records",
    "Predictor": "packdepth.inference.predictor",
    "evaluate": "packdepth.evaluation.run",
    "load": "packdepth.inference.predictor",
    "odometry": "packdepth.evaluation.odometry_command",
}
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the keys are names


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import packdepth` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'packdepth' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the names that completion shows."""
    return sorted({*globals(), *__all__})
