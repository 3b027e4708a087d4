"""packdepth: a camera's own video into a metric depth network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
