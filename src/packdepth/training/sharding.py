"""Weights that several processes share: each holds a part of them, of their gradients and of the optimizer's state.

Zhao et al., PyTorch FSDP: experiences on scaling fully sharded data parallel, 2023. A network's weights are gathered
while it computes, and given up again; the mean of the gradients is the one of `ddp`.
"""

from __future__ import annotations

import os
from datetime import timedelta

import torch.distributed
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from packdepth.interruption import DIES_WITH_PARENT
from packdepth.training.ranks import wait_seconds

METHODS = ("reversed_motion",)  # methods of networks, beside forward, that compute with weights


def fsdp_strategy(processes: int) -> ModelParallelStrategy:
    """Return Lightning's strategy for sharded weights, whose processes end with the first one and wait as those of ddp.

    Args:
        processes: number of processes of all machines.
    """
    os.environ.setdefault(DIES_WITH_PARENT, str(os.getpid()))  # for those that Lightning starts
    return ModelParallelStrategy(
        data_parallel_size=processes,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
        timeout=timedelta(seconds=wait_seconds()),
    )


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Shard the trained weights of a network among processes. Frozen weights stay whole in each of them.

    Args:
        network: the network.
        mesh: the processes.
    """
    frozen = {weight for weight in network.parameters() if not weight.requires_grad}
    fully_shard(network, mesh=mesh, reshard_after_forward=True, ignored_params=frozen)
    for name in METHODS:
        if hasattr(network, name):
            register_fsdp_forward_method(network, name)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor, gathered from all processes if it is sharded. All of them have to call this.

    Args:
        tensor: the tensor.

    >>> whole(torch.ones(2)).tolist()
    [1.0, 1.0]
    """
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share_buffers(module: nn.Module) -> None:
    """Give all processes the buffers of the first one, such as running statistics, as `ddp` does in each step.

    Args:
        module: the module.
    """
    for buffer in module.buffers():
        torch.distributed.broadcast(buffer, 0)
