"""Runtimes of exported networks: each file holds one, a `Runtime` in a module of its name. To add one, add a file.

A module imports its library when a file is opened, not before.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from packdepth.blocks import nearest, submodules
from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.reading import refuse_special

KEY = "packdepth"
"""The key of packdepth's record among the metadata of a file."""


class Port(NamedTuple):
    """An input of a network in a file.

    >>> Port((None, 3, 32, 64), "float32").fits(Port((1, 3, 32, 64), "float32"))
    True
    """

    shape: tuple[int | None, ...] | None  # None where any number fits; None as a whole if the file does not say
    dtype: str | None  # numpy's name; None if the file does not say

    def fits(self, needed: Port) -> bool:
        """Return whether an input takes all arrays of another one.

        Args:
            needed: the other one.
        """
        known, wanted = self.shape, needed.shape
        if known is not None and wanted is not None:
            if len(known) != len(wanted):
                return False
            if any(one is not None and one != other for one, other in zip(known, wanted, strict=True)):
                return False
        return self.dtype in (None, needed.dtype)

    def __str__(self) -> str:
        sides = "?" if self.shape is None else "x".join("?" if side is None else str(side) for side in self.shape)
        return f"{sides} of {self.dtype or 'any numbers'}"


class Runtime(ABC):
    """A network in a file, opened by a library that computes it.

    Args:
        path: the file.
        precision: precision of the computation, "32" or "bf16".

    Raises InputError if the file cannot be read, or if the library cannot compute in that precision.
    """

    kind: ClassVar[str]
    """The name of the runtime for --runtime, which is that of its module."""
    library: ClassVar[str]
    """The name of the package that it imports."""
    extra: ClassVar[str]
    """The extra of packdepth that installs the package."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files that it opens."""

    inputs: Mapping[str, Port]
    """The inputs of the network, by name."""
    outputs: Sequence[str]
    """The names of its outputs."""
    record: str | None
    """The text that packdepth wrote among the metadata of the file; None if another tool wrote the file."""

    @abstractmethod
    def __init__(self, path: Path, precision: Precision) -> None: ...

    @abstractmethod
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the network, by their names.

        Args:
            inputs: the inputs, by their names.
        """

    @classmethod
    def module(cls) -> Any:
        """Return the package of the runtime. Raises InputError, which names the extra, if it is not installed."""
        if importlib.util.find_spec(cls.library) is None:
            raise InputError(f"{cls.kind} needs the extra {cls.extra}: pip install 'packdepth[{cls.extra}]'")
        return importlib.import_module(cls.library)


def all_runtimes() -> dict[str, type[Runtime]]:
    """Return the runtimes by their kind, those that open most kinds of files last.

    >>> list(all_runtimes())
    ['executorch', 'onnxruntime', 'openvino']
    """
    runtimes = [
        value
        for module in submodules(__name__)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Runtime) and value.__module__ == module.__name__
    ]
    return {runtime.kind: runtime for runtime in sorted(runtimes, key=lambda each: (len(each.suffixes), each.kind))}


def runtime_for(path: Path, kind: str | None) -> type[Runtime]:
    """Return the runtime that opens a file.

    Args:
        path: the file.
        kind: the kind of the runtime; None for the first one that takes files of this suffix and is installed.

    Raises InputError if there is no such runtime, or if it does not take such files.
    """
    refuse_special(path)
    runtimes = all_runtimes()
    fitting = [each for each in runtimes.values() if path.suffix in each.suffixes]
    if kind is None:
        installed = [each for each in fitting if importlib.util.find_spec(each.library) is not None]
        return (installed or fitting)[0]
    if kind not in runtimes:
        raise InputError(f"--runtime: '{kind}' is not known: {nearest(kind, list(runtimes))}")
    if runtimes[kind] not in fitting:
        names = " or ".join(each.kind for each in fitting)
        raise InputError(f"{path}: --runtime {kind} opens no {path.suffix} files; use {names}")
    return runtimes[kind]
