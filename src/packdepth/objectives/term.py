"""What a term of the objective is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from packdepth.records import Batch, Outputs


class Term(Protocol):
    """A loss: it states which optional fields of batch and outputs it needs, and maps outputs and batch to a scalar.

    Every term is a mean over the batch of one number for each sample, so that the average over processes equals the
    value of one process with the whole batch.
    """

    needs: tuple[str, ...]

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The value of the term, a scalar, before its weight."""


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pixels of each sample, then over the batch: [B, 1, H, W] twice to a scalar.

    A sample without a valid pixel counts as zero.
    """
    return sample_means(values, valid).mean()


def sample_means(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid elements of each sample, 0 where there are none: [B, ...] twice to [B]."""
    weight = valid.to(values.dtype)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
