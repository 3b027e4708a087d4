"""A data set on disk as a source: recognized by its content, or of a given kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from packdepth.blocks import nearest, parse
from packdepth.errors import InputError
from packdepth.sources.base import SOURCES, Source
from packdepth.sources.files import require


def source_at(path: Path, kind: str | None = None, options: Sequence[str] = ()) -> Source:
    """The source of the data at a path.

    Args:
        path: of the data: what `root` or `file` names, or of KITTI a date, a drive or a sequence.
        kind: of the source; recognized by the content if left out.
        options: of the source, as `key=value`, such as `cameras=[left, right]`.

    Raises InputError for data of no known kind or of several, and for an option that the kind does not take.
    """
    require(path, "a data set")
    kind = kind or recognize(path)
    try:
        found = SOURCES.find(kind)
    except ValueError:
        raise InputError(f"--kind: '{kind}' is no kind of data; {nearest(kind, SOURCES.kinds())}") from None
    values = {"kind": kind, **found.block(path)}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(f"'{option}' is not an option; write key=value, such as cameras=[left]")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"option {option}: '{text}' is not valid YAML") from None
    return parse(found, values, f"{kind} of {path}")


def recognize(path: Path) -> str:
    """The kind of the data at a path, by its content."""
    kinds = [kind for kind, source in SOURCES.own().items() if source.recognizes(path)]
    if not kinds:
        kinds = [kind for kind in SOURCES.kinds() if SOURCES.find(kind).recognizes(path)]
    if len(kinds) != 1:
        found = f"looks like {' and '.join(kinds)}" if kinds else "looks like no data set that is known"
        raise InputError(f"{path}: {found}; say which with --kind: {', '.join(kinds or SOURCES.kinds())}")
    return kinds[0]
