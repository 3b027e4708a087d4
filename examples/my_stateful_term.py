"""A loss term that learns a weight and gathers statistics. Run it beside a clip `my_drive`."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

import packdepth
from packdepth.objectives import StatefulTerm, Velocity
from packdepth.records import Batch, Outputs


class LearnedVelocity(StatefulTerm):
    """The velocity term relative to its running mean, with a weight that is learned (Kendall et al., CVPR 2018)."""

    kind: Literal["learned_velocity"] = "learned_velocity"
    weight: NonNegativeFloat = 0.05
    rate: PositiveFloat = 0.01
    """Share of the running mean that a step replaces."""

    needs: ClassVar[tuple[str, ...]] = ("distance",)
    metric_field: ClassVar[str | None] = "distance"

    def build(self) -> nn.Module:
        """Return the module that computes the term."""
        return LearnedVelocityLoss(self.rate)


class LearnedVelocityLoss(nn.Module):
    """The value of the term, a learned weight and a running mean."""

    mean: Tensor  # [], metres

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.velocity = rate, Velocity()
        self.log_variance = nn.Parameter(torch.zeros(()))  # trained
        self.register_buffer("mean", torch.ones(()))  # saved

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the value of the term, a scalar."""
        error = self.velocity(outputs, batch)
        if self.training:  # not in validation
            self.mean = self.mean.lerp(error.detach(), self.rate)
        value: Tensor = (-self.log_variance).exp() * error / self.mean + self.log_variance
        return value


run = packdepth.Run(
    data={"train": [{"kind": "folder", "root": "my_drive"}], "image_size": [32, 64], "workers": 0},
    networks={"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet", "initial_forward": 0.4}},
    objective=[{"kind": "photometric", "scales": "own"}, LearnedVelocity()],
    training={"epochs": 1, "epoch_steps": 2, "batch_size": 2, "accelerator": "cpu"},
)
packdepth.train(run, "runs/learned")
