"""ONNX Runtime, for `.onnx` files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.inference.runtimes import KEY, Port, Runtime
from packdepth.reading import reason_of
from packdepth.sources.content import disguise

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""The variable of the environment by which ONNX Runtime, from 1.31 on, is told to send nothing to Microsoft."""


class OnnxRuntime(Runtime):
    """A network that ONNX Runtime computes on the CPU; `Runtime` documents its arguments."""

    kind: ClassVar[str] = "onnxruntime"
    library: ClassVar[str] = "onnxruntime"
    extra: ClassVar[str] = "export"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)

    @classmethod
    def module(cls) -> Any:
        """Return the package, with its telemetry switched off unless the environment says otherwise.

        Telemetry is a thread, a database and uploads, in every process that imports the package.
        """
        os.environ.setdefault(TELEMETRY, "1")
        return super().module()

    def __init__(self, path: Path, precision: Precision) -> None:
        onnxruntime = self.module()
        if precision != "32":
            raise InputError(
                f"{path}: ONNX Runtime computes no {precision} on a CPU; leave --precision out, or use "
                f"--runtime openvino"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its warnings mean nothing to users, and its errors are raised, too
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self.record = self._session.get_modelmeta().custom_metadata_map.get(KEY)
            self.inputs = {each.name: _port(each) for each in self._session.get_inputs()}
            self.outputs = [output.name for output in self._session.get_outputs()]
        except Exception as error:  # the library raises classes of its own, without a common base
            truth = disguise(path) or f"is no ONNX file that can be read ({reason_of(error)})"
            raise InputError(f"{path}: {truth}") from error

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the network, by their names."""
        return dict(zip(self.outputs, self._session.run(self.outputs, dict(inputs)), strict=True))


def _port(described: Any) -> Port:
    """Return an input as ONNX Runtime describes it: `tensor(float)`, and a name for a side that may have any length."""
    sides = tuple(side if isinstance(side, int) else None for side in described.shape)
    dtype = described.type.removeprefix("tensor(").removesuffix(")")
    return Port(sides, "float32" if dtype == "float" else dtype)
