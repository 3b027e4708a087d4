"""The objective: the weighted sum of its terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass, replace
from numbers import Real

import torch
from torch import Tensor, nn

from packdepth.blocks import blaming, package_of
from packdepth.errors import InputError
from packdepth.objectives.state import DRAW, check_hidden, check_module, drawn, held, version
from packdepth.objectives.term import StatefulTerm, Term
from packdepth.records import Batch, Outputs

OUTPUTS = frozenset(field.name for field in fields(Outputs))
KEEP_FINITE = "keep what it divides by, and the arguments of its logarithms and roots, away from zero"
"""Advice on a term of another project that is not finite, the end of a sentence."""


@dataclass(frozen=True)
class Objective:
    """The weighted sum of terms.

    Args:
        terms: the terms, each kind at most once.
        modules: the modules of the terms with state, by kind. A term without one computes itself.

    Raises InputError for a term whose `needs` is a text instead of a tuple.

    >>> from packdepth.objectives import Photometric, Velocity
    >>> Objective((Photometric(), Velocity())).batch_fields
    frozenset({'distance'})
    """

    terms: Sequence[Term]  # each kind at most once
    modules: Mapping[str, nn.Module] = field(default_factory=dict)  # modules of the terms with state, by kind

    def __post_init__(self) -> None:
        for term in self.terms:
            if isinstance(term.needs, str):
                raise InputError(
                    f"objective term '{term.kind}': its needs are the text '{term.needs}'; "
                    f"write a tuple of names, such as ('{term.needs}',)"
                )

    def built(self) -> Objective:
        """Return the objective with new modules for all terms with state.

        Raises InputError for a term that fails to build a module.
        """
        modules: dict[str, nn.Module] = {}
        for term in self.terms:
            if isinstance(term, StatefulTerm):
                with _blaming(term):
                    module: object = term.build()
                if not isinstance(module, nn.Module):
                    raise InputError(
                        f"objective term '{term.kind}': build returns a {type(module).__name__}; return a "
                        f"torch.nn.Module"
                    )
                modules[term.kind] = module
        return replace(self, modules=modules)

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
        values = {term.kind: value for term, value in self._evaluated(outputs, batch, lambda *_: nullcontext())}
        # Adds 0 x ego-motion, so that DDP finds a gradient for the pose network even if all terms use depth only.
        zero = 0 * outputs.T_context_target.sum()
        return sum((term.weight_at(progress) * values[term.kind] for term in self.terms), zero), values

    def check(self, outputs: Outputs, batch: Batch) -> None:
        """Raise InputError if a term of another project does not keep its contract.

        Its value must be a finite scalar, its weight a number, and `prepare` must return `Outputs`. It must not change
        the outputs or the batch, and keeps state in a module of its own only. Terms of other projects are tried twice,
        because the first call may fill a cache: with their modules in evaluation mode, then in training mode, in which
        they stay, with the state that this leaves.

        Args:
            outputs: the predictions of the networks for the batch, with all fields that the terms need.
            batch: the batch.
        """

        def around(term: Term, prepared: Outputs) -> AbstractContextManager[None]:
            return _watched(term, {"outputs": outputs, "prepared outputs": prepared, "batch": batch})

        own = of_others(self.terms)
        for training in (False, True) if own else (False,):
            for module in self.modules.values():
                module.train(training)
            before = {term.kind: held(term) for term in own} if training else {}
            modules = {kind: (held(part), part.state_dict(keep_vars=True)) for kind, part in self.modules.items()}
            for term, value in self._evaluated(outputs, batch, around):
                if package_of(type(term)) is not None:
                    _check_value(term.kind, value)
                    _check_weight(term)
            for term in own:
                check_hidden(term.kind, before.get(term.kind), held(term))
            for kind, module in self.modules.items():
                check_module(kind, module, *modules[kind])

    def _evaluated(
        self, outputs: Outputs, batch: Batch, around: Callable[[Term, Outputs], AbstractContextManager[None]]
    ) -> Iterator[tuple[Term, Tensor]]:
        """Prepare the outputs with every term, then yield each term and its value.

        Args:
            outputs: the predictions of the networks for the batch.
            batch: the batch.
            around: gives the context manager in which the code of a term runs on the outputs that are prepared so far.
        """
        prepared = outputs
        for term in self.terms:
            with around(term, prepared):
                prepared = term.prepare(prepared, batch)
            if not isinstance(prepared, Outputs):
                raise InputError(
                    f"objective term '{term.kind}': prepare returns a {type(prepared).__name__}; return the outputs, "
                    f"or dataclasses.replace(outputs, ...)"
                )
        for term in self.terms:
            with around(term, prepared):
                value = self.modules.get(term.kind, term)(prepared if term.sees_prepared else outputs, batch)
            yield term, value


def of_others(terms: Sequence[Term]) -> list[Term]:
    """Return the terms that belong to other projects.

    Args:
        terms: terms of an objective.

    >>> from packdepth.objectives import Photometric
    >>> of_others([Photometric()])
    []
    """
    return [term for term in terms if package_of(type(term)) is not None]


def remedy(terms: Sequence[Term]) -> str:
    """Return what to do if numbers of a training are not finite, the end of a sentence.

    Args:
        terms: the terms of the objective. Those of other projects come first: the cause is more often there.

    >>> from packdepth.objectives import Photometric
    >>> remedy([Photometric()])
    'lower the learning rates or set training.clip_norm, and train again'
    """
    own = " and ".join(f"'{term.kind}'" for term in of_others(terms))
    first = f"see whether the value and the gradient of your term {own} stay finite ({KEEP_FINITE}); if they do, "
    return (first if own else "") + "lower the learning rates or set training.clip_norm, and train again"


def _blaming(term: Term) -> AbstractContextManager[None]:
    """Turn an error in a term of another project into one sentence that names it."""
    return blaming(f"objective term '{term.kind}'", type(term))


@contextmanager
def _watched(term: Term, records: dict[str, Outputs | Batch]) -> Iterator[None]:
    """Blame a term as `_blaming` does, also for tensors of records that it changes and for random numbers of no seed.

    Args:
        term: the term whose code runs.
        records: the records that it gets, by the names that the error gives them.
    """
    before = [(place, tensor, version(tensor)) for place, tensor in _tensors(records)]
    random_numbers = drawn()
    with _blaming(term):
        yield
    for name, number in drawn().items():
        if number != random_numbers[name]:
            raise InputError(
                f"objective term '{term.kind}' draws from {name}, which --resume would not restore; {DRAW}"
            )
    now = dict(_tensors(records))
    for place, tensor, changes in before:
        if now.get(place) is not tensor or version(tensor) != changes:
            raise InputError(
                f"objective term '{term.kind}' changes {place} in place, which other terms read; let it make a new "
                f"tensor, and let prepare return dataclasses.replace(outputs, ...)"
            )


def _tensors(records: dict[str, Outputs | Batch]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of records, in lists and in the camera too, each with its place, such as "batch.image"."""
    places: list[tuple[str, object]] = list(records.items())
    while places:
        place, value = places.pop(0)
        if isinstance(value, Tensor):
            yield place, value
        elif isinstance(value, list):
            places += [(f"{place}[{index}]", part) for index, part in enumerate(value)]
        elif is_dataclass(value):
            places += [(f"{place}.{field.name}", getattr(value, field.name)) for field in fields(value)]


def _check_weight(term: Term) -> None:
    """Raise InputError unless the factor of a term is a finite number at the start, the middle and the end."""
    for progress in (0.0, 0.5, 1.0):
        with _blaming(term):
            weight: object = term.weight_at(progress)
        if not isinstance(weight, Real) or not math.isfinite(weight):
            raise InputError(
                f"objective term '{term.kind}': weight_at({progress:g}) returns {weight!r}; return a finite number"
            )


def _check_value(kind: str, value: object) -> None:
    """Raise InputError unless the value of a term of this kind is a finite scalar."""
    if not isinstance(value, Tensor) or value.shape != ():
        found = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InputError(f"objective term '{kind}' returns {found}, but a term returns a scalar tensor: take its mean")
    if not torch.isfinite(value):
        raise InputError(f"objective term '{kind}' is {float(value.detach())} on the first samples; {KEEP_FINITE}")
