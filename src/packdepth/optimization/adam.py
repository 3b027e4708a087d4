"""The Adam optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packdepth.optimization.blocks import Groups, OptimizerBlock

if TYPE_CHECKING:
    from torch.optim import Adam


class AdamBlock(OptimizerBlock):
    """Adam, as published.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> type(AdamBlock().build([{"name": "depth", "params": [weight], "lr": 1e-4}], fused=False)).__name__
    'Adam'
    """

    kind: Literal["adam"] = "adam"

    def build(self, groups: Groups, fused: bool) -> Adam:
        """Return Adam with its default betas and no weight decay."""
        from torch.optim import Adam

        return Adam(groups, fused=fused)
