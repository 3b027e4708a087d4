"""Formats of exported networks: each file holds one, a `Format` in a module of its name. To add one, add a file.

A module imports its library when a network is written, not before.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from packdepth.blocks import submodules
from packdepth.errors import InputError
from packdepth.export.graph import Graph
from packdepth.inference.exported import ExportPrecision

Samples = Sequence[dict[str, np.ndarray]]
"""Inputs of a network for calibration, by their names, each with a batch of the network's size."""


class Format(ABC):
    """A format of exported networks."""

    kind: ClassVar[str]
    """The name of the format for --format, which is that of its module."""
    suffix: ClassVar[str]
    """The suffix of its files, with its dot."""
    libraries: ClassVar[dict[str, str]]
    """The packages that writing needs, each with the extra of packdepth that installs it."""
    precisions: ClassVar[dict[ExportPrecision, str | None]]
    """The precisions: None for one that can be written, for the others what to do instead."""
    opsets: ClassVar[range]
    """The versions of ONNX's operators that can be written, of which the last is the default; none if the files hold
    no such operators."""

    @classmethod
    @abstractmethod
    def write(cls, path: Path, graph: Graph, record: str, samples: Samples | None, opset: int | None = None) -> None:
        """Write a network. Files beside the first one have its name and another suffix.

        Args:
            path: the file, in a folder that holds nothing else of this name.
            graph: the network.
            record: the text that describes it.
            samples: inputs for the calibration of 8-bit integers; None without.
            opset: version of ONNX's operators, one of `opsets`; None for the default.
        """

    @classmethod
    def check(cls, precision: ExportPrecision) -> None:
        """Raise InputError if a package is missing, or if the format cannot hold a precision.

        Args:
            precision: the precision.
        """
        for library, extra in cls.libraries.items():
            if importlib.util.find_spec(library) is None:
                raise InputError(
                    f"--format {cls.kind} needs {library} of the extra {extra}: pip install 'packdepth[{extra}]'"
                )
        advice = cls.precisions[precision]
        if advice is not None:
            raise InputError(f"--precision {precision}: {advice}")


def all_formats() -> dict[str, type[Format]]:
    """Return the formats by their kind.

    >>> list(all_formats())
    ['executorch', 'onnx', 'openvino']
    """
    formats = [
        value
        for module in submodules(__name__)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Format) and value.__module__ == module.__name__
    ]
    return {each.kind: each for each in sorted(formats, key=lambda each: each.kind)}
