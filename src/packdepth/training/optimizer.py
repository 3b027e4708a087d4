"""The optimizer of a run and the schedule of its learning rates."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from packdepth.config import Training


def optimizer_and_schedule(training: Training, networks: Mapping[str, nn.Module], steps: int) -> tuple[Adam, LambdaLR]:
    """Return an optimizer with a learning rate for each network, and the schedule of the learning rates.

    Args:
        training: the block of the run file.
        networks: to train, by their names, `depth` and `pose`; the names of the optimizer's groups begin so.
        steps: of the whole training.
    """
    rates = {"depth": training.depth_learning_rate, "pose": training.pose_learning_rate}
    fused = training.precision == "32"  # Lightning clips no gradients of a fused optimizer under autocast
    optimizer = training.optimizer.build(
        [{"name": name, "params": list(network.parameters()), "lr": rates[name]} for name, network in networks.items()],
        fused,
    )
    return optimizer, LambdaLR(optimizer, lambda step: training.schedule.multiplier(step, steps, training.epochs))
