"""The objective: the weighted sum of its terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from packdepth.blocks import blaming, package_of
from packdepth.errors import InputError
from packdepth.objectives.term import Term
from packdepth.records import Batch, Outputs

OUTPUTS = frozenset(field.name for field in fields(Outputs))


@dataclass(frozen=True)
class Objective:
    """The weighted sum of terms.

    Args:
        terms: the terms, each kind at most once.

    Raises InputError for a term whose `needs` is a text instead of a tuple.

    >>> from packdepth.objectives import Photometric, Velocity
    >>> Objective((Photometric(), Velocity())).batch_fields
    frozenset({'distance'})
    """

    terms: Sequence[Term]  # each kind at most once

    def __post_init__(self) -> None:
        for term in self.terms:
            if isinstance(term.needs, str):
                raise InputError(
                    f"objective term '{term.kind}': its needs are the text '{term.needs}'; "
                    f"write a tuple of names, such as ('{term.needs}',)"
                )

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the optional fields of the batch that each term needs, by the term's kind."""
        return {term.kind: tuple(name for name in term.needs if name not in OUTPUTS) for term in self.terms}

    @property
    def batch_fields(self) -> frozenset[str]:
        """The optional fields of the batch that at least one term needs."""
        return frozenset(name for term in self.terms for name in term.needs if name not in OUTPUTS)

    @property
    def output_fields(self) -> frozenset[str]:
        """The optional fields of the outputs that at least one term needs."""
        return frozenset(name for term in self.terms for name in term.needs if name in OUTPUTS)

    @property
    def metric_from(self) -> frozenset[str]:
        """The sources of the metric scale: fields of the batch or descriptions. Empty if depth has no metric scale."""
        return frozenset(term.metric_from for term in self.terms if term.metric_from is not None)

    def __call__(self, outputs: Outputs, batch: Batch, progress: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the terms, a scalar, and the unweighted value of each term, by its kind.

        Args:
            outputs: the predictions of the networks for the batch.
            batch: the batch.
            progress: share of the training that is done, for weights that change. 1 gives the weights of its end.
        """
        values = {term.kind: value for term, value in self._evaluated(outputs, batch, lambda term: nullcontext())}
        # Adds 0 x ego-motion, so that DDP finds a gradient for the pose network even if all terms use depth only.
        zero = 0 * outputs.T_context_target.sum()
        return sum((term.weight_at(progress) * values[term.kind] for term in self.terms), zero), values

    def check(self, outputs: Outputs, batch: Batch) -> None:
        """Raise InputError if a term of another project fails or does not return a finite scalar.

        Args:
            outputs: the predictions of the networks for the batch, with all fields that the terms need.
            batch: the batch.
        """
        for term, value in self._evaluated(outputs, batch, _blaming):
            if package_of(type(term)) is not None:
                _check_value(term.kind, value)

    def _evaluated(
        self, outputs: Outputs, batch: Batch, around: Callable[[Term], AbstractContextManager[None]]
    ) -> Iterator[tuple[Term, Tensor]]:
        """Prepare the outputs with every term, then yield each term and its value.

        Args:
            outputs: the predictions of the networks for the batch.
            batch: the batch.
            around: gives the context manager in which the code of a term runs.
        """
        prepared = outputs
        for term in self.terms:
            with around(term):
                prepared = term.prepare(prepared, batch)
        for term in self.terms:
            with around(term):
                value = term(prepared if term.sees_prepared else outputs, batch)
            yield term, value


def _blaming(term: Term) -> AbstractContextManager[None]:
    """Turn an error in a term of another project into one sentence that names it."""
    return blaming(f"objective term '{term.kind}'", type(term))


def _check_value(kind: str, value: object) -> None:
    """Raise InputError unless the value of a term of this kind is a finite scalar."""
    if not isinstance(value, Tensor) or value.shape != ():
        found = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InputError(f"objective term '{kind}' returns {found}, but a term returns a scalar tensor: take its mean")
    if not torch.isfinite(value):
        raise InputError(
            f"objective term '{kind}' is {float(value.detach())} on the first samples; keep what it divides by, and "
            f"the arguments of its logarithms and roots, away from zero"
        )
