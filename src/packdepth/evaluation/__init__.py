"""Evaluation of depth and ego-motion against ground truth: metrics, named protocols, baselines, reports.

Public names are imported when they are first used, so that importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.evaluation.baseline import others_median as others_median
    from packdepth.evaluation.baseline import pixel_median as pixel_median
    from packdepth.evaluation.boundaries import BoundaryErrors as BoundaryErrors
    from packdepth.evaluation.boundaries import boundary_errors as boundary_errors
    from packdepth.evaluation.ego_motion import EgoMotionErrors as EgoMotionErrors
    from packdepth.evaluation.ego_motion import ego_motion_errors as ego_motion_errors
    from packdepth.evaluation.metrics import DepthMetrics as DepthMetrics
    from packdepth.evaluation.metrics import DepthScores as DepthScores
    from packdepth.evaluation.metrics import depth_metrics as depth_metrics
    from packdepth.evaluation.metrics import median_scale as median_scale
    from packdepth.evaluation.metrics import share_too_far as share_too_far
    from packdepth.evaluation.odometry import OdometryErrors as OdometryErrors
    from packdepth.evaluation.odometry import odometry_errors as odometry_errors
    from packdepth.evaluation.odometry_report import OdometryReport as OdometryReport
    from packdepth.evaluation.protocol import Protocol as Protocol
    from packdepth.evaluation.protocols import find_protocol as find_protocol
    from packdepth.evaluation.protocols import protocol_names as protocol_names
    from packdepth.evaluation.report import Report as Report
    from packdepth.evaluation.run import evaluate as evaluate
    from packdepth.evaluation.scores import ImageScores as ImageScores

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BoundaryErrors": "packdepth.evaluation.boundaries",
        "DepthMetrics": "packdepth.evaluation.metrics",
        "DepthScores": "packdepth.evaluation.metrics",
        "EgoMotionErrors": "packdepth.evaluation.ego_motion",
        "ImageScores": "packdepth.evaluation.scores",
        "OdometryErrors": "packdepth.evaluation.odometry",
        "OdometryReport": "packdepth.evaluation.odometry_report",
        "Protocol": "packdepth.evaluation.protocol",
        "Report": "packdepth.evaluation.report",
        "boundary_errors": "packdepth.evaluation.boundaries",
        "depth_metrics": "packdepth.evaluation.metrics",
        "ego_motion_errors": "packdepth.evaluation.ego_motion",
        "evaluate": "packdepth.evaluation.run",
        "find_protocol": "packdepth.evaluation.protocols",
        "median_scale": "packdepth.evaluation.metrics",
        "odometry_errors": "packdepth.evaluation.odometry",
        "others_median": "packdepth.evaluation.baseline",
        "pixel_median": "packdepth.evaluation.baseline",
        "protocol_names": "packdepth.evaluation.protocols",
        "share_too_far": "packdepth.evaluation.metrics",
    },
)
