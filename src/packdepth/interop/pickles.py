"""A reader of files of `torch.save` that does not trust them.

A pickle is a program: it names functions, and reading it calls them. So a first reader, which imports and calls
nothing, collects the names, and a file that names anything beyond tensors and configurations is refused. Other files
are read by torch's own reader for weights, which calls nothing else either.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch.serialization import MAGIC_NUMBER

from packdepth.errors import InputError
from packdepth.reading import check_archive, check_views
from packdepth.sources.content import disguise

STORAGES = ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
ALLOWED = {
    "__builtin__.set",  # the name in Python 2, and in pickles of protocol 2 to this day
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    *(f"torch.{kind}Storage" for kind in STORAGES),
    "vidar.utils.config.Config",
    "yacs.config.CfgNode",
}
ZIP = b"PK\x03\x04"


def read_pickle(path: Path) -> Any:
    """Return the content of a file that `torch.save` wrote, in its zip format or in the one before torch 1.6.

    Args:
        path: the file.

    Returns:
        The content, with tensors on the CPU and configurations as dicts. Raises InputError if the file names a function
        or class that is not in `ALLOWED`, before anything of it is called, and if it cannot be read.
    """
    try:
        check_archive(path)
        _check_names(path)
        with torch.serialization.safe_globals([*STAND_INS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
        check_views(content, path)
        return content
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        reason = " ".join(str(error).split())[:100].rstrip(". ") or type(error).__name__
        raise InputError(f"{path}: is damaged or no checkpoint ({reason}); get it again as a whole") from None


class _Attributes(dict[str, Any]):
    """A stand-in for a class whose attributes are its content."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


# Stand-ins for classes that are not imported. torch's reader fills an OrderedDict, and calls __setstate__ of others.
STAND_INS: tuple[tuple[Callable[..., Any], str], ...] = (
    (OrderedDict, "yacs.config.CfgNode"),
    (_Attributes, "vidar.utils.config.Config"),
)


# --- names ------------------------------------------------------------------------------------------------------


def _check_names(path: Path) -> None:
    """Raise InputError if a pickle in the file names anything that is not in `ALLOWED`, or if there is no pickle."""
    with path.open("rb") as file:
        if file.read(len(ZIP)) == ZIP:
            with zipfile.ZipFile(file) as archive:
                members = [name for name in archive.namelist() if name.endswith("data.pkl")]
                for name in members:
                    with archive.open(name) as member:
                        _Names(path, member).load()
            known = bool(members)
        else:
            file.seek(0)
            known = _Names(path, file).load() == MAGIC_NUMBER
            for _ in range(4 if known else 0):  # version, machine, content, keys of the storages
                _Names(path, file).load()
    if not known:
        truth = None if zipfile.is_zipfile(path) else disguise(path)
        truth = truth or "was not written by torch.save, so it is no checkpoint; give one"
        raise InputError(f"{path}: {truth}")


class _Names(pickle.Unpickler):
    """A reader to which every name means `_Inert`, so that nothing is imported and nothing is called."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        super().__init__(file)
        self.path = path

    def find_class(self, module: str, name: str) -> type[_Inert]:
        if f"{module}.{name}" not in ALLOWED:
            raise InputError(
                f"{self.path}: names {module}.{name}, which has no place among weights and might run anything, "
                f"so it is not opened; save its state_dict alone and give that"
            )
        return _Inert

    def persistent_load(self, key: object) -> None:
        """Leave the storages unread."""


class _Inert:
    """An object that accepts all operations of a pickle and does nothing."""

    def __init__(self, *arguments: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...
