"""Choice of the source for the data at a path: by its content, or of a given kind."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from packdepth.blocks import blaming, nearest, parse
from packdepth.errors import InputError, InputWarning
from packdepth.reading import parse_yaml
from packdepth.sources.base import SOURCES, Source
from packdepth.sources.content import refuse_disguise
from packdepth.sources.files import by_name, is_clutter, listed, require
from packdepth.sources.tracks.read import RECEIVERS, TABLES

DEEPEST = 4  # levels of folders that are searched for data, such as DCIM/100GOPRO of a memory card
MOST_FOLDERS = 50  # of a level, so that a home directory is not searched


def source_at(path: Path, kind: str | None = None, options: Sequence[str] = ()) -> Source:
    """Return the source of the data at a path.

    Args:
        path: an image, a folder of images, a video, a data set; of KITTI also a date, a drive or a sequence.
        kind: the kind of source; if left out, it is recognized by the content.
        options: options of the source, each as `key=value`, such as `cameras=[left, right]`.

    Warns of an option that is given twice: the later one counts.

    Raises InputError for data of no known kind or of several, and for an option that the kind does not take.
    """
    require(path, "an image, a folder of images, a video or a data set")
    kind = kind or recognize(path)
    try:
        found = SOURCES.find(kind)
    except InputError:
        raise
    except ValueError:
        raise InputError(f"--kind: '{kind}' is no kind of data; {nearest(kind, SOURCES.kinds())}") from None
    values = {"kind": kind, **found.block(path)}
    given: dict[str, str] = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(
                f"'{option}' is not an option; write key=value, such as cameras=[left], speeds=LOG or camera=FILE, "
                f"after the data and the output"
            )
        if key in given:
            warnings.warn(
                f"option {option}: discards {given[key]}, which is given before it; keep one of both",
                InputWarning,
                stacklevel=2,
            )
        given[key] = option
        field = found.model_fields.get(key)
        is_texts = field is not None and is_list_of_text(field.annotation)
        try:
            value = parse_yaml(text, path)
            if is_texts and value is not None:  # 06 is a name here, not the number 6
                value = parse_yaml(text, path, yaml.BaseLoader)
        except InputError as error:
            raise InputError(f"option {option}: '{text}' is not valid YAML") from error
        values[key] = [text] if is_texts and isinstance(value, str) else value
    return parse(found, values, f"{kind} of {path}")


def is_list_of_text(annotation: Any) -> bool:
    """Return whether a type is a list of strings, or may be one.

    Args:
        annotation: the type.

    >>> is_list_of_text(list[str] | None), is_list_of_text(str), is_list_of_text(list[int])
    (True, False, False)
    """
    return annotation == list[str] or any(map(is_list_of_text, get_args(annotation)))


def recognize(path: Path) -> str:
    """Return the kind of the data at a path, by its content.

    packdepth's own kinds are asked first. If none recognizes the data, those of other projects are asked, and then
    packdepth's kinds that can try unknown data (`Source.tries`).

    Args:
        path: path of the data.

    Raises InputError if no kind or several kinds match the content.
    """
    refuse_disguise(path)
    own = SOURCES.own()
    kinds = recognized(path)
    kinds = kinds or [kind for kind in SOURCES.kinds() if kind not in own and _claims(SOURCES.find(kind), path)]
    kinds = kinds or [kind for kind, source in own.items() if source.tries(path)]
    if path.suffix.lower() in (*TABLES, *RECEIVERS) and not kinds:
        raise InputError(
            f"{path}: is neither an image nor a video; if it is a log of speeds, name the video or the folder of "
            f"images that it belongs to, and add speeds={path}"
        )
    if len(kinds) != 1:
        found = f"looks like {' and '.join(kinds)}" if kinds else _unknown(path)
        raise InputError(f"{path}: {found}; say which with --kind: {', '.join(kinds or SOURCES.kinds())}")
    return kinds[0]


def recognized(path: Path) -> list[str]:
    """Return packdepth's own kinds of data that a path looks like by its content; none if it looks like no data.

    Args:
        path: the path, which exists.
    """
    return [kind for kind, source in SOURCES.own().items() if source.recognizes(path)]


def _unknown(path: Path) -> str:
    """Return what a path of no known kind is, as half a sentence. Raises InputError if its content says what to do."""
    children = [child for child in by_name(path.iterdir()) if not is_clutter(child)] if path.is_dir() else []
    level = folders = [child for child in children if child.is_dir()]
    for _ in range(DEEPEST):
        folders = [folder for folder in level if _holds_data(folder)]
        if folders:
            break
        level = [child for folder in level for child in _folders_in(folder)][:MOST_FOLDERS]
    if folders:
        names = listed([str(each.relative_to(path)) for each in folders])
        raise InputError(
            f"{path}: holds no data itself, but its folders do ({names}); give one of them, such as {folders[0]}"
        )
    for child in children:
        refuse_disguise(child)
    if (path / "weights.safetensors").is_file() and (path / "meta.json").is_file():
        return "is a checkpoint and no data (of two arguments, the checkpoint comes first)"
    return "holds no image and looks like no data set that is known"


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, in the order of their names; none if it may not be read."""
    try:
        return [child for child in by_name(folder.iterdir()) if child.is_dir() and not is_clutter(child)]
    except OSError:
        return []


def _holds_data(path: Path) -> bool:
    """Return whether a folder looks like data of some kind of packdepth."""
    return bool(recognized(path)) or any(source.tries(path) for source in SOURCES.own().values())


def _claims(source: type[Source], path: Path) -> bool:
    """Return whether a source of another project recognizes a path. Raises InputError if its code fails."""
    with blaming(f"source '{source.kinds()[0]}'", source):
        return source.recognizes(path)
