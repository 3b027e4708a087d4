"""State of terms of other projects: in a module it is kept, elsewhere it is refused in a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from batches import make_batch, make_outputs
from pydantic import PrivateAttr
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.objectives import Objective, StatefulTerm, Term, Velocity
from packdepth.records import Batch, Outputs

Change = Callable[[Any, Tensor], object]  # what a call does to the state of a term or its module, by a value


class Hiding(Term):
    """A term that keeps something in itself."""

    kind: Literal["hiding_of_a_test"] = "hiding_of_a_test"
    _change: Change = PrivateAttr()
    _kept: Any = PrivateAttr(None)

    @classmethod
    def of(cls, kept: object, change: Change) -> Hiding:
        term = cls()
        term._change, term._kept = change, kept
        return term

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        mean = outputs.inv_depths[0].mean()
        self._change(self, mean.detach())
        return mean


class Stateful(StatefulTerm):
    """A term whose module changes something."""

    kind: Literal["stateful_of_a_test"] = "stateful_of_a_test"
    _change: Change = PrivateAttr()

    def build(self) -> nn.Module:
        return Mean(self._change)


class Mean(nn.Module):
    """A module with a parameter, buffers of both kinds, and a number."""

    mean: Tensor
    lazy: Tensor | None
    passing: Tensor

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change, self.count = change, 0
        self.array, self.generator = np.zeros(2), np.random.default_rng(0)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("lazy", None)
        self.register_buffer("passing", torch.zeros(()), persistent=False)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        value = self.scale * outputs.inv_depths[0].mean()
        self.change(self, value)
        return value


def check(term: Term) -> Objective:
    batch = make_batch()
    objective = Objective([Velocity(), term]).built()
    objective.check(make_outputs(batch), batch)
    return objective


def stateful(change: Change) -> Stateful:
    term = Stateful()
    term._change = change
    return term


def keep(term: Hiding, value: object) -> None:
    term._kept = value


def frozen() -> nn.Module:
    return nn.BatchNorm1d(1).eval().requires_grad_(False)


def in_training(change: Change) -> Change:
    return lambda module, value: change(module, value) if module.training else None


class SlotsOfABase:
    """An object without a dictionary of its attributes."""

    __slots__ = "base"


class Slots(SlotsOfABase):
    """One that derives from it."""

    __slots__ = ("own", "unset")

    def __init__(self) -> None:
        self.own, self.base = 0, 0


# fmt: off
HIDDEN: dict[str, tuple[object, Change, str]] = {  # what a term holds, what a call does to it, and the sentence
    "a running mean": (
        None, lambda term, m: keep(term, float(m) if term._kept is None else 0.9 * term._kept + 0.1 * float(m)),
        "changes _kept in each call, which --resume would lose; let it derive from packdepth.objectives.StatefulTerm"),
    "a running mean of its first value": (None, lambda term, m: keep(term, m), "changes _kept in each call"),
    "a mean in place": (torch.zeros(()), lambda term, m: term._kept.lerp_(m, 0.1), "changes _kept in each call"),
    "a count": (0, lambda term, m: keep(term, term._kept + 1), "changes _kept in each call"),
    "a history": ([], lambda term, m: term._kept.append(m), "changes _kept[1] in each call"),
    "a dictionary": ({"n": 0}, lambda term, m: term._kept.update(n=term._kept["n"] + 1), "changes _kept[n] in each"),
    "statistics": (
        nn.BatchNorm1d(1, affine=False), lambda term, m: term._kept(m.expand(2, 1)),
        "changes _kept.num_batches_tracked in each call"),
    "an array": (np.zeros(2), lambda term, m: np.add(term._kept, 1, out=term._kept), "changes _kept in each call"),
    "an array among objects": (
        np.array([None, np.zeros(2)], dtype=object), lambda term, m: term._kept[1].__iadd__(1), "changes _kept[1] in"),
    "a slot": (Slots(), lambda term, m: setattr(term._kept, "own", m), "changes _kept.own in each call"),
    "the slot of a base": (Slots(), lambda term, m: setattr(term._kept, "base", m), "changes _kept.base in each call"),
    "random numbers of numpy": (
        np.random.default_rng(0), lambda term, m: term._kept.random(),
        "changes _kept in each call, which --resume would lose; draw from torch's own random numbers"),
    "random numbers of numpy, the old way": (
        np.random.RandomState(0), lambda term, m: term._kept.rand(), "changes _kept in each call"),
    "random numbers of Python": (random.Random(0), lambda term, m: term._kept.random(), "changes _kept in each call"),
    "random numbers of the system": (
        random.SystemRandom(), lambda term, m: term._kept.random(),
        "changes _kept in each call, which --resume would lose; draw from torch's own random numbers"),
    "random numbers of torch": (
        torch.Generator(), lambda term, m: torch.rand(1, generator=term._kept), "changes _kept in each call"),
    "a parameter": (
        nn.Parameter(torch.zeros(())), lambda term, m: None, "holds _kept, which is neither trained nor saved; let it"),
    "a network": (nn.Linear(1, 1), lambda term, m: None, "holds _kept.weight, which is neither trained nor saved"),
}
KEPT: dict[str, tuple[object, Change]] = {  # what is no state
    "a grid that the first call makes": (
        None, lambda term, m: keep(term, torch.arange(9)) if term._kept is None else None),
    "a size": (None, lambda term, m: keep(term, (1000 * m.ndim + 1000, m.device))),
    "an array that stays": (np.arange(9.0), lambda term, m: term._kept.sum()),
    "a slot that stays": (Slots(), lambda term, m: None),
    "a path": (Path("a/b"), lambda term, m: (str(term._kept), term._kept.parts)),
    "a generator that is not used": (np.random.default_rng(0), lambda term, m: torch.rand(1)),
    "a network that stays": (frozen(), lambda term, m: term._kept(m.expand(2, 1))),
}
WRONG: dict[str, tuple[Change, str]] = {  # what a call does to a module, and the sentence
    "in validation": (
        lambda module, v: module.mean.lerp_(v.detach(), 0.1),
        "changes mean of its module in evaluation mode, so that validation would change the training; let it do that "
        "only if self.training"),
    "a new buffer in validation": (
        lambda module, v: setattr(module, "mean", v.detach()), "changes mean of its module in evaluation mode"),
    "a number": (
        in_training(lambda module, v: setattr(module, "count", module.count + 1)),
        "changes count of its module in each call, which --resume would lose, as it is no parameter and no persistent "
        "buffer; make it a buffer"),
    "an array": (
        in_training(lambda module, v: np.add(module.array, 1, out=module.array)), "changes array of its module in "),
    "a generator": (
        in_training(lambda module, v: module.generator.random()),
        "changes generator of its module in each call, which --resume would lose, as it is no parameter and no "
        "persistent buffer; draw from torch's own random numbers"),
    "a passing buffer": (
        in_training(lambda module, v: module.passing.add_(1)), "changes passing of its module in each call, which "),
    "a buffer that a call makes": (
        in_training(lambda module, v: setattr(module, "lazy", v.detach())),
        "gives lazy of its module another shape or type in a call; build it in its final shape and type"),
    "a buffer of another shape": (
        in_training(lambda module, v: setattr(module, "mean", v.detach()[None])), "gives mean of its module another"),
    "a gradient": (
        in_training(lambda module, v: setattr(module, "mean", 0.9 * module.mean + 0.1 * v)),
        "keeps the gradient of a step in mean of its module; detach what it puts there"),
}
# fmt: on


@pytest.mark.parametrize("name", HIDDEN)
def test_state_that_a_term_hides_is_refused(name: str) -> None:
    kept, change, sentence = HIDDEN[name]
    with pytest.raises(InputError) as error:
        check(Hiding.of(kept, change))
    assert str(error.value).startswith(f"objective term 'hiding_of_a_test' {sentence}")


@pytest.mark.parametrize("name", KEPT)
def test_what_stays_as_it_is_is_no_state(name: str) -> None:
    check(Hiding.of(*KEPT[name]))


@pytest.mark.parametrize("name", WRONG)
def test_state_of_a_module_that_a_resumed_run_would_not_restore_is_refused(name: str) -> None:
    change, sentence = WRONG[name]
    with pytest.raises(InputError) as error:
        check(stateful(change))
    assert str(error.value).startswith(f"objective term 'stateful_of_a_test' {sentence}")


class Saving(Mean):
    """A module with an extra state."""

    def __init__(self, extra: object) -> None:
        super().__init__(lambda module, value: None)
        self.extra = extra

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


class Extra(StatefulTerm):
    """A term with such a module."""

    kind: Literal["extra_of_a_test"] = "extra_of_a_test"
    _extra: object = PrivateAttr(None)

    def build(self) -> nn.Module:
        return Saving(self._extra)


def test_an_extra_state_is_a_tensor() -> None:
    term = Extra()
    term._extra = torch.zeros(1)
    check(term)
    term._extra = {"count": 1}
    with pytest.raises(InputError, match="'extra_of_a_test' saves a dict as _extra_state of its module; let get_extra"):
        check(term)


@pytest.mark.parametrize(("name", "draw"), [("numpy.random", np.random.rand), ("random", random.random)])
def test_random_numbers_that_nobody_seeds_are_refused(name: str, draw: Callable[[], float]) -> None:
    for term in (Hiding.of(None, lambda term, m: draw()), stateful(in_training(lambda module, v: draw()))):
        with pytest.raises(InputError, match=f"draws from {name}, which --resume would not restore; draw from torch"):
            check(term)


def test_buffers_that_training_alone_changes_are_accepted() -> None:
    for change in (
        in_training(lambda module, v: module.mean.lerp_(v.detach(), 0.1)),
        in_training(lambda module, v: setattr(module, "mean", module.mean + 1)),
    ):
        module = check(stateful(change)).modules["stateful_of_a_test"]
        assert float(module.get_buffer("mean")) != 0


def test_a_term_computes_with_the_module_that_was_built() -> None:
    batch = make_batch()
    outputs, term = make_outputs(batch), stateful(lambda module, v: None)
    objective = Objective([term]).built()
    objective.modules[term.kind].get_parameter("scale").data.fill_(3)
    _, values = objective(outputs, batch)
    torch.testing.assert_close(values[term.kind], 3 * term(outputs, batch))  # by itself it is as new
    assert Objective([term]).built().modules[term.kind] is not objective.modules[term.kind]


def test_what_is_no_module_is_refused() -> None:
    class Nothing(StatefulTerm):
        kind: Literal["nothing_of_a_test"] = "nothing_of_a_test"

        def build(self) -> nn.Module:
            return Mean  # type: ignore[return-value]

    with pytest.raises(InputError, match=r"^objective term 'nothing_of_a_test': build returns a type; return a torch"):
        Objective([Nothing()]).built()
