"""An optimizer and a schedule of the learning rate, and a training with both."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat

import packdepth
from packdepth.optimization.blocks import Groups, OptimizerBlock, Schedule


class MyAdamW(OptimizerBlock):
    """AdamW: Adam with decoupled weight decay."""

    kind: Literal["my_adamw"] = "my_adamw"
    weight_decay: NonNegativeFloat = 0.01

    def build(self, groups: Groups, fused: bool) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW(groups, weight_decay=self.weight_decay, fused=fused)


class MyLinear(Schedule):
    """A learning rate that falls linearly to a share of itself."""

    kind: Literal["my_linear"] = "my_linear"
    final: NonNegativeFloat = 0.1
    """Multiplier at the end."""

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return the multiplier after a number of steps."""
        return 1 + (self.final - 1) * step / steps


run = packdepth.Run(
    data={"train": [{"kind": "folder", "root": "my_drive"}], "image_size": [32, 64], "workers": 0},
    networks={"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    objective=[{"kind": "photometric", "scales": "own"}],
    training={
        "epochs": 1,
        "epoch_steps": 2,
        "batch_size": 2,
        "optimizer": MyAdamW(weight_decay=0.05),
        "schedule": MyLinear(),
        "accelerator": "cpu",
    },
)
packdepth.train(run, "runs/my_adamw")
