"""The objective: the weighted sum of its terms."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from torch import Tensor

from packdepth.config import (
    DepthConsistencyConfig,
    HintsConfig,
    OcclusionConfig,
    PhotometricConfig,
    PoseConsistencyConfig,
    ReprojectedConfig,
    SmoothnessConfig,
    StereoConfig,
    TermConfig,
    VelocityConfig,
)
from packdepth.geometry.se3 import with_length
from packdepth.objectives.depth_consistency import DepthConsistency
from packdepth.objectives.hints import Hints
from packdepth.objectives.occlusion import Occlusion
from packdepth.objectives.photometric import Photometric
from packdepth.objectives.pose_consistency import PoseConsistency
from packdepth.objectives.reprojected import Reprojected
from packdepth.objectives.smoothness import Smoothness
from packdepth.objectives.stereo import Stereo
from packdepth.objectives.supervised import Supervised
from packdepth.objectives.term import Term
from packdepth.objectives.velocity import Velocity
from packdepth.records import Batch, Outputs

OUTPUTS = frozenset(field.name for field in fields(Outputs))


def build_term(config: TermConfig) -> Term:
    """The term that an entry of the run file's objective describes."""
    if isinstance(config, PhotometricConfig):
        return Photometric(
            config.ssim,
            config.minimum,
            config.automask,
            config.scales,
            config.convention,
            config.padding,
            config.clip,
        )
    if isinstance(config, SmoothnessConfig):
        return Smoothness(config.scales, config.convention)
    if isinstance(config, VelocityConfig):
        return Velocity(config.impose)
    if isinstance(config, ReprojectedConfig):
        return Reprojected()
    if isinstance(config, StereoConfig):
        return Stereo(config.ssim, config.both, config.scales)
    if isinstance(config, HintsConfig):
        return Hints()
    if isinstance(config, OcclusionConfig):
        return Occlusion()
    if isinstance(config, DepthConsistencyConfig):
        return DepthConsistency()
    if isinstance(config, PoseConsistencyConfig):
        return PoseConsistency(config.lever)
    return Supervised(config.kind, config.convention)


@dataclass(frozen=True)
class Objective:
    """Named, weighted terms."""

    terms: tuple[tuple[str, float, Term], ...]

    @classmethod
    def build(cls, configs: list[TermConfig]) -> Objective:
        """The objective of a run file."""
        return cls(tuple((config.kind, config.weight, build_term(config)) for config in configs))

    @property
    def imposes_length(self) -> bool:
        """Whether terms see the ego-motion at the length that the speed gives."""
        return any(isinstance(term, Velocity) and term.impose for _, _, term in self.terms)

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The optional fields of the batch that each term needs, by the term's name."""
        return {name: tuple(need for need in term.needs if need not in OUTPUTS) for name, _, term in self.terms}

    def needed_outputs(self) -> frozenset[str]:
        """The optional fields of the outputs that any term needs."""
        return frozenset(need for _, _, term in self.terms for need in term.needs if need in OUTPUTS)

    def fields(self) -> frozenset[str]:
        """The optional fields of the batch that any term needs."""
        return frozenset(name for names in self.needs().values() for name in names)

    def __call__(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and the value of each term before its weight, by name."""
        measured = outputs
        if self.imposes_length:
            assert batch.distance is not None
            measured = replace(outputs, T_context_target=with_length(outputs.T_context_target, batch.distance))
        values = {
            name: term(outputs if isinstance(term, (Velocity, PoseConsistency)) else measured, batch)
            for name, _, term in self.terms
        }
        # Ego-motion is part of the graph, if with no weight, so that processes can share terms that need depth alone.
        nothing = 0 * outputs.T_context_target.sum()
        return sum((weight * values[name] for name, weight, _ in self.terms), nothing), values
