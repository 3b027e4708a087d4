"""Protocols in YAML files: the fields of a `Protocol`, typed and closed. Importing this module loads no torch."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import create_model

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.evaluation.protocol import Protocol
from packdepth.run_files import read_yaml
from packdepth.sources.base import AnySource

SUFFIXES = (".yaml", ".yml")


def is_protocol_file(name: str) -> bool:
    """Return whether the name of a protocol is the path of a YAML file.

    Args:
        name: the name, as on the command line.

    >>> is_protocol_file("mine.yaml"), is_protocol_file("city")
    (True, False)
    """
    return Path(name).suffix in SUFFIXES


def read_protocol(path: Path) -> Protocol:
    """Return the protocol of a YAML file. Nothing in the file is executed.

    The keys are the fields of `Protocol`. All of them may be left out: `name` is then the name of the file, and
    `source` is the folder that `--data` names, in the folder contract.

    Args:
        path: the file.

    Raises InputError, one sentence, for a missing file, an unknown key, a wrong type, and a value that is no choice.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "yard.yaml"
    >>> _ = path.write_text("{truth: any, cap: 30}")
    >>> read_protocol(path).name, read_protocol(path).cap
    ('yard', 30.0)
    """
    if not path.is_file():
        raise InputError(f"{path}: not found; give the YAML file of a protocol, or the name of one")
    content = parse(_file_model(), read_yaml(path) or {}, str(path))
    given = {name: getattr(content, name) for name in content.model_fields_set}
    standing = {"name": path.stem, "about": f"the protocol of {path}", "source": {"kind": "folder", "root": "."}}
    return Protocol(**(standing | given))


@cache
def _file_model() -> type[Closed]:
    """Return the model of a file: the fields of `Protocol` with their types, each with a default."""
    lists = {"metrics": tuple[str, ...], "ranges": tuple[float, ...], "classes": tuple[str, ...]}
    types = get_type_hints(Protocol) | lists | {"source": AnySource}
    defaults = {field.name: None if field.default is MISSING else field.default for field in fields(Protocol)}
    described: dict[str, Any] = {name: (types[name], default) for name, default in defaults.items()}
    return create_model("ProtocolFile", __base__=Closed, **described)
