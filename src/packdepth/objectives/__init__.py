"""The objective that training minimizes: a list of weighted terms, one file each.

To add a term, add a file with a subclass of `Term`; nothing else changes. `docs/extending.md` shows a term in an
installed package, in a script and in a notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.objectives.camera_height import CameraHeight as CameraHeight
    from packdepth.objectives.depth_consistency import DepthConsistency as DepthConsistency
    from packdepth.objectives.hints import Hints as Hints
    from packdepth.objectives.objective import Objective as Objective
    from packdepth.objectives.occlusion import Occlusion as Occlusion
    from packdepth.objectives.photometric import Photometric as Photometric
    from packdepth.objectives.pose_consistency import PoseConsistency as PoseConsistency
    from packdepth.objectives.poses import Poses as Poses
    from packdepth.objectives.reprojected import Reprojected as Reprojected
    from packdepth.objectives.sky import Sky as Sky
    from packdepth.objectives.smoothness import Smoothness as Smoothness
    from packdepth.objectives.stereo import Stereo as Stereo
    from packdepth.objectives.supervised import Supervised as Supervised
    from packdepth.objectives.teacher import Teacher as Teacher
    from packdepth.objectives.term import StatefulTerm as StatefulTerm
    from packdepth.objectives.term import Term as Term
    from packdepth.objectives.term import masked_mean as masked_mean
    from packdepth.objectives.term import sample_means as sample_means
    from packdepth.objectives.uncertainty import Uncertainty as Uncertainty
    from packdepth.objectives.velocity import Velocity as Velocity

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CameraHeight": "packdepth.objectives.camera_height",
        "DepthConsistency": "packdepth.objectives.depth_consistency",
        "Hints": "packdepth.objectives.hints",
        "Objective": "packdepth.objectives.objective",
        "Occlusion": "packdepth.objectives.occlusion",
        "Photometric": "packdepth.objectives.photometric",
        "PoseConsistency": "packdepth.objectives.pose_consistency",
        "Poses": "packdepth.objectives.poses",
        "Reprojected": "packdepth.objectives.reprojected",
        "Sky": "packdepth.objectives.sky",
        "Smoothness": "packdepth.objectives.smoothness",
        "StatefulTerm": "packdepth.objectives.term",
        "Stereo": "packdepth.objectives.stereo",
        "Supervised": "packdepth.objectives.supervised",
        "Teacher": "packdepth.objectives.teacher",
        "Term": "packdepth.objectives.term",
        "masked_mean": "packdepth.objectives.term",
        "sample_means": "packdepth.objectives.term",
        "Uncertainty": "packdepth.objectives.uncertainty",
        "Velocity": "packdepth.objectives.velocity",
    },
)
