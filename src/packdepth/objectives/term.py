"""Base class of all terms of an objective. Importing this module does not import torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from packdepth.blocks import Block, ByKind, Family
from packdepth.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from packdepth.records import Batch, Outputs

NonNegative = Annotated[float, Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
Convention = Literal["packdepth", "reference"]
"""Conventions of packdepth, or those of packnet-sfm (docs/explanation/published_methods.md)."""


class Term(Block, ABC):
    """A loss term: its options in a run file, what it needs, and how it is computed.

    Every term is a mean over the batch of one number for each sample, so that the average over processes equals the
    value of one process with the whole batch.

    A call leaves nothing behind: what it changes in the term would be lost when a run is resumed. A term that learns or
    remembers something is a `StatefulTerm`.

    A subclass gives `kind` its literal text and computes the term in `__call__`. It may also state:

    * `needs`: the optional fields of `Batch` and `Outputs` that it reads. They are read and computed only if a term
      needs them. Data without them is an error before the first step.
    * `needs_context`: whether the term is undefined without context frames.
    * `metric_field`: the source of the metric scale, if the term makes depth metric: the name of a field of the batch,
      such as "distance" or "truth", or a description, such as "camera height".
    * `sees_prepared`: whether `__call__` gets the outputs as changed by the `prepare` methods of all terms, or the
      unchanged outputs of the networks.
    * `zero_means`: what is wrong if the term is 0 in all steps of an epoch, which then ends the training: nothing that
      it compares was valid. None if it may be 0.

    >>> from typing import Literal
    >>> class Nearness(Term):
    ...     kind: Literal["nearness"] = "nearness"
    ...     weight: float = 0.1
    ...     def __call__(self, outputs, batch):
    ...         return outputs.inv_depths[0].mean()
    >>> Nearness()
    Nearness(kind='nearness', weight=0.1)
    """

    weight: NonNegative = 1.0
    """Factor of the term in the objective."""

    class_facts: ClassVar[tuple[str, ...]] = ("needs", "needs_context", "metric_field", "sees_prepared", "zero_means")
    needs_context: ClassVar[bool] = False
    metric_field: ClassVar[str | None] = None
    sees_prepared: ClassVar[bool] = True
    zero_means: ClassVar[str | None] = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The optional fields of `Batch` and `Outputs` that the term reads."""
        return ()

    @property
    def metric_from(self) -> str | None:
        """The source of the metric scale, as in `metric_field`; None if the term does not make depth metric."""
        return self.metric_field if self.weight > 0 else None

    def prepare(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the outputs from which the terms are computed. By default they are not changed.

        Args:
            outputs: the outputs of the networks, as changed by the `prepare` methods of the preceding terms.
            batch: the batch.
        """
        return outputs

    def weight_at(self, progress: float) -> float:
        """Return the factor of the term at a share of the training. By default it is `weight`, at any time.

        Args:
            progress: share of the training that is done, in [0, 1].
        """
        return self.weight

    @abstractmethod
    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the value of the term, not yet multiplied by its weight, a scalar.

        Args:
            outputs: the predictions of the networks for the batch.
            batch: the batch.
        """


class StatefulTerm(Term, ABC):
    """A term whose value depends on parameters that it learns, or on statistics that it gathers in training.

    The term itself holds options only, and `build` returns a module with the state: `nn.Parameter` for what is learned,
    buffers (`register_buffer`) for what is gathered. The module is built once for a training and moved to its device.
    Its parameters are trained with the learning rate of the depth network. Its state is saved for `--resume`, and no
    part of the weights of a checkpoint.

    The module computes the term in `forward(outputs, batch)`, as `Term.__call__` does. Where it changes buffers, it
    first asks `self.training`, which is false in validation.

    >>> from typing import Literal
    >>> import torch
    >>> class Scaled(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.log_variance = torch.nn.Parameter(torch.zeros(()))
    ...     def forward(self, outputs, batch):
    ...         return (-self.log_variance).exp() * outputs.inv_depths[0].mean() + self.log_variance
    >>> class ScaledNearness(StatefulTerm):
    ...     kind: Literal["scaled_nearness"] = "scaled_nearness"
    ...     def build(self):
    ...         return Scaled()
    >>> list(ScaledNearness().build().state_dict())
    ['log_variance']
    """

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the module that computes the term, with its state at the start of a training."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the value of the term at the start of a training, a scalar; in a training, the module computes it."""
        value: Tensor = self.build()(outputs, batch)
        return value


TERMS = Family(Term, "packdepth.terms", ("packdepth.objectives",))  # type: ignore[type-abstract]
AnyTerm = Annotated[Term, ByKind(TERMS, keep_unknown=True)]


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the valid pixels of each sample, averaged over the batch: a scalar.

    Args:
        values: [B, C, H, W]. They may be anything, also NaN, where they are not valid.
        valid: valid mask [B, C, H, W] bool; a mask of one channel [B, 1, H, W] counts for all channels. A sample
            without a valid pixel counts as zero.

    Raises InputError for a mask of another shape or type.

    >>> import torch
    >>> masked_mean(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[True, False]]]]))
    tensor(1.)
    """
    return sample_means(values, valid).mean()


def sample_means(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the valid elements of each sample, [B]; 0 for a sample without any.

    Args:
        values: [B, C, ...]. They may be anything, also NaN, where they are not valid.
        valid: valid mask [B, C, ...] bool; a mask of one channel [B, 1, ...] counts for all channels.

    Raises InputError for a mask of another shape or type.

    >>> import torch
    >>> sample_means(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), torch.tensor([[True, True], [False, False]]))
    tensor([2., 0.])
    """
    import torch

    if valid.dtype != torch.bool:
        raise InputError(f"the valid mask holds {valid.dtype}; give torch.bool, such as mask > 0")
    one_channel = (len(values), 1, *values.shape[2:])
    if valid.shape not in (values.shape, one_channel):
        raise InputError(
            f"the valid mask is {list(valid.shape)}, but the values are {list(values.shape)}; give the same shape, or "
            f"one channel {list(one_channel)} for all"
        )
    weight = valid.expand_as(values).to(values.dtype)
    return values.masked_fill(~valid, 0).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
