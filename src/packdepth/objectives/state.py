"""State of terms: the modules that hold it, and the search for state that they would lose."""

from __future__ import annotations

import pickle
import random
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from packdepth.errors import InputError

Held = dict[str, tuple[object, int]]
"""Values that an object holds and numbers that tell changes in place, by place, such as "_mean" or "_net.bias"."""
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
BY_VALUE = (int, str, torch.device)  # new objects of them may hold what the former ones held
IN_MODULE = ("_parameters", "_buffers", "_modules")  # attributes of a module whose entries count as its attributes
ADVICE = "let it derive from packdepth.objectives.StatefulTerm, and register this in the module that build returns"
DRAW = "draw from torch's own random numbers, such as torch.rand, which every step seeds anew"


def held(owner: object) -> Held:
    """Return what an object holds: numbers, tensors and other objects, also in containers, modules and objects.

    Args:
        owner: the object, such as a term or a module.

    >>> list(held({"net": nn.Linear(1, 1)}))[-2:], list(held({"mean": [1.0]}))
    (['[net].weight', '[net].bias'], ['[mean][0]'])
    """
    found: Held = {}
    seen: set[int] = set()
    places: deque[tuple[str, object]] = deque([("", owner)])
    while places:
        place, value = places.popleft()
        parts = _parts(value)
        if parts is None:
            found[place.removeprefix(".")] = value, _changes(value)
        elif id(value) not in seen:
            seen.add(id(value))
            places += [(place + name, part) for name, part in parts]
    return found


def version(tensor: Tensor) -> int:
    """Return the number of changes in place of a tensor; 0 for tensors of inference mode, which do not count them.

    Args:
        tensor: the tensor.

    >>> version(torch.zeros(1).add_(1))
    1
    """
    return 0 if tensor.is_inference() else tensor._version


def _changes(value: object) -> int:
    """Return a number that tells changes in place of a tensor, an array or a generator of random numbers; else 0."""
    if isinstance(value, Tensor):
        return version(value)
    if isinstance(value, torch.Generator):
        value = value.get_state().numpy()
    if isinstance(value, random.SystemRandom):
        return random.SystemRandom().getrandbits(64)  # what it draws next is never known: it changes all the time
    return zlib.crc32(pickle.dumps(value)) if isinstance(value, (np.ndarray, *GENERATORS)) else 0


def drawn() -> dict[str, int]:
    """Return numbers that tell whether anything is drawn from the random numbers that Python and NumPy share.

    >>> before = drawn()
    >>> _ = random.random()
    >>> [name for name, number in drawn().items() if number != before[name]]
    ['random']
    """
    states = {"random": random.getstate(), "numpy.random": np.random.get_state()}
    return {name: zlib.crc32(pickle.dumps(state)) for name, state in states.items()}


def difference(before: Held, now: Held) -> str | None:
    """Return the place of the first value that was replaced or changed in place; None if none was.

    Numbers and tensors that are new count as changed: a mean that is computed anew may have the same value by chance.

    Args:
        before: what an object held.
        now: what it holds.

    >>> difference(held({"count": 1}), held({"count": 2}))
    '[count]'
    """
    for place in [*now, *before]:
        if place not in now or place not in before:
            return place
        (value, changes), (former, former_changes) = now[place], before[place]
        if changes != former_changes or not (value is former or (isinstance(value, BY_VALUE) and value == former)):
            return place
    return None


def check_hidden(kind: str, before: Held | None, now: Held) -> None:
    """Raise InputError if a term keeps state in itself, where nobody trains, saves or restores it.

    Args:
        kind: the kind of the term.
        before: what the term held before a call that is not its first one; None if there was none. What the first call
            makes and the next ones leave as it is, such as a grid of pixels, is no state.
        now: what the term holds now.
    """
    for place, (value, _) in now.items():
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
            raise InputError(
                f"objective term '{kind}' holds {place}, which is neither trained nor saved; {ADVICE}, or call "
                f"requires_grad_(False) if it stays as it is"
            )
    if before is not None and (changed := difference(before, now)) is not None:
        advice = DRAW if _is_drawn(now, changed) else ADVICE
        raise InputError(f"objective term '{kind}' changes {changed} in each call, which --resume would lose; {advice}")


def check_module(kind: str, module: nn.Module, before: Held, state: Mapping[str, Tensor]) -> None:
    """Raise InputError if a call has changed anything of a term's module that is not restored by its state dict.

    In evaluation mode nothing may change, so that a training does not depend on its validation.

    Args:
        kind: the kind of the term.
        module: the module, after the call.
        before: what it held before the call.
        state: its state dict before the call, with the module's own tensors (`keep_vars`).
    """
    now, new = held(module), module.state_dict(keep_vars=True)
    for name, value in new.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"objective term '{kind}' saves a {type(value).__name__} as {name} of its module; let get_extra_state "
                f"return a tensor, or make what it saves a buffer"
            )
    if not module.training:
        before, now = (_those_of(tensors, found) for tensors, found in ((state, before), (new, now)))
        if (place := difference(before, now)) is not None:
            raise InputError(
                f"objective term '{kind}' changes {place} of its module in evaluation mode, so that validation would "
                f"change the training; let it do that only if self.training"
            )
    for name, value in new.items():
        if name not in state or (value.shape, value.dtype) != (state[name].shape, state[name].dtype):
            raise InputError(
                f"objective term '{kind}' gives {name} of its module another shape or type in a call; build it in its "
                f"final shape and type, so that --resume can restore it"
            )
        if value.requires_grad and not value.is_leaf:
            raise InputError(
                f"objective term '{kind}' keeps the gradient of a step in {name} of its module; detach what it puts "
                f"there"
            )
    saved = {*_those_of(state, before), *_those_of(new, now)}
    before, now = ({place: found[place] for place in found if place not in saved} for found in (before, now))
    if module.training and (place := difference(before, now)) is not None:
        raise InputError(
            f"objective term '{kind}' changes {place} of its module in each call, which --resume would lose, as it is "
            f"no parameter and no persistent buffer; {DRAW if _is_drawn(now, place) else 'make it a buffer'}"
        )


def _is_drawn(found: Held, place: str) -> bool:
    """Return whether a generator of random numbers is at a place of what an object holds."""
    return place in found and isinstance(found[place][0], GENERATORS)


def _those_of(tensors: Mapping[str, Tensor], found: Held) -> Held:
    """Return the part of what a module holds that is among some tensors."""
    chosen = {id(tensor) for tensor in tensors.values()}
    return {place: found[place] for place in found if id(found[place][0]) in chosen}


def _parts(value: object) -> Iterable[tuple[str, object]] | None:
    """Return what an object consists of, each with the end of its place; None if it has no parts to look at."""
    if isinstance(value, (Tensor, ModuleType, type, *GENERATORS)):
        return None
    if isinstance(value, np.ndarray):
        return _parts(value.ravel().tolist()) if value.dtype == object else None
    if isinstance(value, Mapping):
        return [(f"[{key}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    attributes = _attributes(value)
    if attributes is None:
        return None
    if isinstance(value, nn.Module):
        inner = {name: part for group in IN_MODULE for name, part in attributes.get(group, {}).items()}
        attributes = {name: part for name, part in attributes.items() if name not in IN_MODULE} | inner
    return [(f".{name}", part) for name, part in attributes.items()]


def _attributes(value: object) -> dict[str, Any] | None:
    """Return the attributes of an object, also those in slots and private ones of pydantic; None if it has none."""
    slots = [vars(part).get("__slots__", ()) for part in type(value).__mro__]
    names = [name for part in slots for name in ([part] if isinstance(part, str) else part)]
    if not names and not hasattr(value, "__dict__"):
        return None
    in_slots = {name: getattr(value, name) for name in names if not name.startswith("__") and hasattr(value, name)}
    return in_slots | getattr(value, "__dict__", {}) | (getattr(value, "__pydantic_private__", None) or {})
