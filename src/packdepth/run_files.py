"""Run files on disk: those that are part of packdepth, overrides of the command line, environment variables."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

from packdepth.errors import InputError, InputWarning
from packdepth.reading import parse_yaml, reason_of

_INSTALLED = Path(__file__).parent / "configs"
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "configs"
DOCS = _FOLDER.parent / "docs"
"""The folder of the documentation, in an installation and in a checkout."""


def run_files() -> list[Path]:
    """Return the paths of the run files.

    >>> "kitti_odometry_clip.yaml" in [path.name for path in run_files()]
    True
    """
    return sorted(_FOLDER.rglob("*.yaml"))


def find_run_file(path: Path) -> Path:
    """Return where a run file is: `configs/NAME.yaml` is packdepth's own where no such file exists.

    Args:
        path: as the command line names it, relative to the working directory or absolute.

    >>> find_run_file(Path("configs/kitti_odometry_clip.yaml")).exists()
    True
    >>> find_run_file(Path("mine.yaml"))
    PosixPath('mine.yaml')
    """
    own = _FOLDER.parent / path
    return own if not path.exists() and own in run_files() else path


def read_yaml(path: Path, overrides: tuple[str, ...] = ()) -> Any:
    """Return the content of any run file, with overrides applied and environment variables replaced.

    Args:
        path: the run file; `configs/NAME.yaml` is packdepth's own if no such file exists.
        overrides: texts `key=value`.

    Warns of an override that discards an earlier one: the later one counts.

    Raises InputError, one sentence, for a missing file, broken YAML, or a variable that is not set.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "run.yaml"
    >>> _ = path.write_text("training: {epochs: 10, seed: 1}")
    >>> read_yaml(path, ("training.epochs=5",))
    {'training': {'epochs': 5, 'seed': 1}}
    """
    try:
        text = find_run_file(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a run file, or one that `packdepth configs` "
            f"lists"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: is not valid YAML: {reason_of(error)}") from None
    values = parse_yaml(text, path)
    given: dict[Place, str] = {}
    for override in overrides:
        place = _override(values, override, path)
        for earlier, before in given.items():
            if earlier[: len(place)] == place:
                advice = "keep one of both" if earlier == place else "write it first"
                warnings.warn(
                    f"{path}: override {override}: discards {before}, which is given before it; {advice}",
                    InputWarning,
                    stacklevel=2,
                )
        given[place] = override
    return _expand(values, str(path))


def describe_run_files() -> str:
    """Return a text that lists the run files, each with the comment at its top, and says where they are."""
    paragraphs = [f"{path.relative_to(_FOLDER.parent)}\n{_comment(path)}" for path in run_files()]
    return "\n\n".join([*paragraphs, f"They are in {_FOLDER}; copy one to change it."])


def _comment(path: Path) -> str:
    """Return the comment at the top of a file, without its marks, indented."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(f"  {line.removeprefix('#').strip()}" for line in lines[:end])


Place = tuple[str | int, ...]
"""Place in the content of a run file: keys, and indices of lists, from the outside to the inside."""


def _override(values: Any, override: str, path: Path) -> Place:
    """Set one `key=value` in the content of a run file, and return its place."""
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"'{override}' is not an override; write key=value, such as training.epochs=5")
    *parents, last = key.split(".")
    place: list[str | int] = []
    for part in [*parents, None]:
        name = last if part is None else part
        index: Any = int(name) if isinstance(values, list) and name.lstrip("-").isdigit() else name
        if isinstance(values, list) and not (isinstance(index, int) and -len(values) <= index < len(values)):
            first = f"; {'.'.join([*parents[: len(place)], '0'])} is the first one" if values else ""
            raise InputError(f"{path}: override {override}: '{name}' is no entry of a list of {len(values)}{first}")
        if not isinstance(values, (dict, list)):
            raise InputError(f"{path}: override {override}: '{name}' is inside a value that has no parts")
        place.append(index % len(values) if isinstance(values, list) else index)
        if part is None:
            try:
                values[index] = parse_yaml(text, path)
            except InputError as error:
                raise InputError(f"{path}: override {override}: '{text}' is not valid YAML") from error
        else:
            values = values.setdefault(index, {}) if isinstance(values, dict) else values[index]
    return tuple(place)


_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def _expand(values: Any, origin: str) -> Any:
    """Fill in the environment variables `${NAME}`, `${NAME:-default}` and `${NAME:?what to do}`, in every string."""
    if isinstance(values, dict):
        return {key: _expand(value, origin) for key, value in values.items()}
    if isinstance(values, list):
        return [_expand(value, origin) for value in values]
    if not isinstance(values, str):
        return values

    def fill(match: re.Match[str]) -> str:
        name, mark, text = match.groups()
        value = os.environ.get(name) or (text if mark == "-" else None)
        if value is None:
            advice = text if mark == "?" else "set it, or write the path out"
            raise InputError(f"{origin}: the environment variable {name} is not set; {advice}")
        return value

    return _VARIABLE.sub(fill, values)
