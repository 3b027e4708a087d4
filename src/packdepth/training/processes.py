"""Differences between a training that several processes share and that of one process."""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from packdepth.training.module import DepthModule


def process_line(processes: int, module: DepthModule) -> str:
    """Return the number of processes, and in words what makes their training differ from that of one process.

    The samples of a step, their augmentation and the mean of their gradients do not depend on the number of processes.

    Args:
        processes: number of processes.
        module: the training module.
    """
    causes, number = unshared(module), f"{processes}"
    if module.run.training.strategy == "fsdp":
        number += ", each with a share of the weights"
    if not causes:
        return f"{number}, which train like one but for the rounding of floats"
    return f"{number}; {', '.join(causes)}: of each process, so that its numbers differ from those of one process"


def unshared(module: DepthModule) -> list[str]:
    """Return what each process draws or computes for its own share of a batch, in words.

    Args:
        module: the training module.
    """
    trained = [part for network in module.networks.values() if network.training for part in network.modules()]
    causes = {
        "dropout": any(isinstance(part, _DropoutNd) and part.p > 0 for part in trained),
        "sparsity": module.pose is not None and module.pose.sparsity is not None,
        "batch statistics": any(isinstance(part, _BatchNorm) and part.training for part in trained),
    }
    return [cause for cause, is_there in causes.items() if is_there]
