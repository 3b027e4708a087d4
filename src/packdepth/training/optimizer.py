"""The optimizer of a run and the schedule of its learning rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from packdepth.config import Cosine, Run, Step
from packdepth.config import Muon as MuonConfig
from packdepth.training.muon import Muon, matrices_apart


def optimizer_and_schedule(run: Run, networks: Mapping[str, nn.Module], steps: int) -> tuple[Adam, LambdaLR]:
    """An optimizer with a learning rate for each network, and the schedule of the run.

    Args:
        run: the run.
        networks: to train, by their names, `depth` and `pose`; the names of the optimizer's groups begin so.
        steps: of the whole training.
    """
    training = run.training
    rates = {"depth": training.depth_learning_rate, "pose": training.pose_learning_rate}
    groups: list[dict[str, Any]] = [
        {"name": name, "params": list(network.parameters()), "lr": rates[name]} for name, network in networks.items()
    ]
    fused = training.precision == "32"  # Lightning clips no gradients of a fused optimizer under autocast
    muon = training.optimizer
    if isinstance(muon, MuonConfig):
        groups = matrices_apart(groups, "depth", muon.learning_rate, muon.weight_decay)
        if muon.pose_learning_rate is not None:
            groups = matrices_apart(groups, "pose", muon.pose_learning_rate, muon.weight_decay)
        optimizer: Adam = Muon(groups, fused)
    else:
        optimizer = Adam(groups, fused=fused)
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate_factor(run, step, steps))


def learning_rate_factor(run: Run, step: int, steps: int) -> float:
    """What the learning rates are multiplied by at a step of a run of `steps` steps."""
    schedule = run.training.schedule
    if isinstance(schedule, Step):
        return schedule.factor ** (step * run.training.epochs // steps // schedule.epochs)
    if isinstance(schedule, Cosine):
        if step < schedule.warmup:
            return (step + 1) / schedule.warmup
        share = (step - schedule.warmup) / max(steps - schedule.warmup, 1)
        fallen = min(max((share - schedule.hold) / (1 - schedule.hold), 0), 1)
        return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * fallen)) / 2
    return 1.0
