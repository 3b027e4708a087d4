"""The spelling of commands, options and choices, which is checked before the command line is parsed."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from packdepth.blocks import nearest
from packdepth.errors import InputError

Verb = Callable[..., None]
"""A function that the command line calls. Its keyword-only parameters are options."""
Verbs = Mapping[str, "Verb | Mapping[str, Verb]"]
"""Verbs by their name, and groups of them."""
KEY_VALUE = re.compile(r"[a-z][\w.]*=")
"""The beginning of an argument KEY=VALUE."""
OPTIONS = {word: f"write packdepth --{word}" for word in ("version", "help")}  # verbs of other programs


def check_spelling(arguments: Sequence[str], verbs: Verbs) -> None:
    """Raise InputError, which names the nearest valid one, for what does not exist: a command, an option, a choice.

    Args:
        arguments: the arguments of the command line.
        verbs: the verbs.

    >>> check_spelling(["inti", "drive.mp4"], {"init": print, "train": print})
    Traceback (most recent call last):
    packdepth.errors.InputError: no command 'inti': did you mean 'init'?
    """
    level: Any = verbs
    for place, word in enumerate(arguments):
        if word.startswith("-"):  # --help
            return
        if word not in level:
            advice = OPTIONS[word] if place == 0 and word in OPTIONS else _nearest_verb(word, level)
            raise InputError(f"no command '{' '.join(arguments[: place + 1])}': {advice}")
        level = level[word]
        if not isinstance(level, Mapping):
            _check_options(arguments[: place + 1], arguments[place + 1 :], level)
            _check_key_values(arguments[: place + 1], arguments[place + 1 :], level)
            return


def _nearest_verb(word: str, level: Verbs) -> str:
    """Return advice on a word that is no verb of a level: the nearest verb, or the nearest one of its groups."""
    groups = {name: group for name, group in level.items() if isinstance(group, Mapping)}
    members = {verb: f"{name} {verb}" for name, group in groups.items() for verb in group}
    inside = difflib.get_close_matches(word, members, n=1)
    if word in members or (inside and not difflib.get_close_matches(word, level)):
        return f"did you mean '{members[inside[0]]}'?"
    return nearest(word, list(level))


def _check_options(names: Sequence[str], words: Sequence[str], verb: Verb) -> None:
    """Raise InputError for the first word that looks like an option, but is none of a verb, and for a wrong choice."""
    known = {"--help": bool, **dict(_options(verb))}
    for place, word in enumerate(words):
        written, equals, value = word.partition("=")
        option = written.replace("_", "-")
        if not option.startswith("--") or option == "--":
            continue
        if option not in known:
            raise InputError(f"packdepth {' '.join(names)} has no option {option}: {nearest(option, list(known))}")
        choices = [str(choice) for choice in _choices(known[option])]
        given = value if equals else next(iter(words[place + 1 :]), "--")
        if choices and not given.startswith("--") and given not in choices:
            raise InputError(f"packdepth {' '.join(names)} {option} {given}: {nearest(given, choices)}")


def _check_key_values(names: Sequence[str], words: Sequence[str], verb: Verb) -> None:
    """Raise InputError for the first KEY=VALUE of a verb that takes none.

    Not for a verb whose output may stand among its positional arguments: any word may name it.
    """
    types = get_type_hints(verb, include_extras=True)
    taken = " ".join(getattr(mark, "metavar", None) or "" for kind in types.values() for mark in get_args(kind)[1:])
    if "KEY=VALUE" in taken or "[OUTPUT]" in taken:
        return
    for before, word in zip(["", *words], words, strict=False):
        is_value = before.startswith("-") and "=" not in before  # of the option before it
        if KEY_VALUE.match(word) and not is_value and not Path(word).exists():
            command = f"packdepth {' '.join(names)}"
            part = f"for a part of the data, give --data what packdepth data import DATA PART {word} writes"
            advice = f"{part}; see" if "data" in types else "see"
            raise InputError(f"{command} takes no KEY=VALUE such as {word}; {advice} {command} --help")


def option_names(verb: Verb) -> Iterator[str]:
    """Yield the long names of a verb's options, as the command line takes them.

    Args:
        verb: the function.

    >>> def show(*, max_depth: float = 1.0, flip: bool = False) -> None: ...
    >>> list(option_names(show))
    ['--max-depth', '--flip', '--no-flip']
    """
    for name, _ in _options(verb):
        yield name


def _options(verb: Verb) -> Iterator[tuple[str, Any]]:
    """Yield the long names and the types of a verb's options."""
    types = get_type_hints(verb, include_extras=True)
    for name, parameter in inspect.signature(verb).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield from _named(name, types[name])


def _named(name: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names of an option of a type, with that type; of a dataclass, those of its fields."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            yield from _named(field.name, hints[field.name])
        return
    given = [mark.name for mark in get_args(kind)[1:] if getattr(mark, "name", None)]  # tyro's `arg(name=...)`
    option = (given[0] if given else name).replace("_", "-")
    yield f"--{option}", kind
    if kind is bool:
        yield f"--no-{option}", kind


def _choices(kind: Any) -> list[Any]:
    """Return the words that an option of a type chooses among; none if it takes others, too."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    parts = get_args(kind)[:1] if get_origin(kind) is Annotated else get_args(kind)
    found = [_choices(part) for part in parts if part not in (type(None), ...)]
    return [choice for choices in found for choice in choices] if all(found) else []
