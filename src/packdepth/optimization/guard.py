"""Guard of optimizer steps: gradients that are not finite never reach the weights."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

MAX_SKIPPED = 10  # steps in a row that may be skipped: chosen; what lasts longer is no single bad image


class GradientGuard:
    """Checks the gradient before each step of an optimizer: clips it, or drops it if it is not finite.

    Without a gradient, the step of an optimizer changes neither the weights nor its own state, so that the step is
    skipped. The check needs the norm that clipping needs anyway, and waits for the device once.

    Args:
        max_norm: maximum 2-norm of the gradient; a larger gradient is scaled down to it. None does not clip.

    Attributes:
        skipped: number of skipped steps.
        in_a_row: number of skipped steps since the latest that was taken.

    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> optimizer, guard = torch.optim.Adam([weight]), GradientGuard()
    >>> weight.grad = torch.tensor([1.0, float("nan")])
    >>> guard.check(optimizer)
    False
    >>> optimizer.step()
    >>> weight.tolist(), guard.skipped
    ([1.0, 1.0], 1)
    """

    def __init__(self, max_norm: float | None = None) -> None:
        self.max_norm, self.skipped, self.in_a_row = max_norm, 0, 0

    @torch.no_grad()
    def check(self, optimizer: Optimizer) -> bool:
        """Clip the gradient of an optimizer's parameters, or drop it; return whether the step will be taken.

        Args:
            optimizer: the optimizer, before its step.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = get_total_norm(gradients)
        if not bool((norm.full_tensor() if isinstance(norm, DTensor) else norm).isfinite()):
            optimizer.zero_grad(set_to_none=True)
            self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
            return False
        self.in_a_row = 0
        if self.max_norm is not None:
            clip_grads_with_norm_(parameters, self.max_norm, norm)
        return True
