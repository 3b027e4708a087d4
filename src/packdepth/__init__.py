"""packdepth: the toolkit that turns a camera's own video into a metric depth network.

The public names are imported at their first use, so that `import packdepth` is instant.

>>> import packdepth
>>> packdepth.Camera.from_fov(60, width=640, height=192).cx
319.5
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.config import Run as Run
    from packdepth.evaluation.odometry_command import odometry as odometry
    from packdepth.evaluation.run import evaluate as evaluate
    from packdepth.geometry.camera import Camera as Camera
    from packdepth.inference.load import load as load
    from packdepth.inference.predictor import Predictor as Predictor
    from packdepth.networks.packnet import PackNet as PackNet
    from packdepth.recommend.command import init as init
    from packdepth.records import Prediction as Prediction
    from packdepth.scale.calibrate import calibrate as calibrate
    from packdepth.sources.open import open_clips
    from packdepth.training.run import train as train

    open = open_clips

__version__ = "0.2.0"

_names, __getattr__, _ = lazy_names(
    __name__,
    {
        "Camera": "packdepth.geometry.camera",
        "PackNet": "packdepth.networks.packnet",
        "Prediction": "packdepth.records",
        "Predictor": "packdepth.inference.predictor",
        "Run": "packdepth.config",
        "calibrate": "packdepth.scale.calibrate",
        "evaluate": "packdepth.evaluation.run",
        "init": "packdepth.recommend.command",
        "load": "packdepth.inference.load",
        "odometry": "packdepth.evaluation.odometry_command",
        "open": "packdepth.sources.open:open_clips",
        "train": "packdepth.training.run",
    },
)
__all__ = [*_names, "__version__"]  # noqa: PLE0604 - they are names


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
