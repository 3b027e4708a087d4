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
    from packdepth.sources.open import open_clips as open  # noqa: F401 - a public name

__version__ = "0.1.0"

_HOMES = {  # the module of each public name, with the name that it has there if that is another
    "Camera": "packdepth.geometry.camera",
    "PackNet": "packdepth.networks.packnet",
    "Prediction": "packdepth.records",
    "Predictor": "packdepth.inference.predictor",
    "evaluate": "packdepth.evaluation.run",
    "load": "packdepth.inference.predictor",
    "odometry": "packdepth.evaluation.odometry_command",
    "open": "packdepth.sources.open:open_clips",
}
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the keys are names


def __getattr__(name: str) -> Any:
    """Return a public name, imported when it is first used, so that `import packdepth` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'packdepth' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    """Return the names that completion shows."""
    return sorted({*globals(), *__all__})
