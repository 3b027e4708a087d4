"""ONNX Runtime, for `.onnx` files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from packdepth.config import Precision
from packdepth.errors import InputError, in_one_line
from packdepth.inference.runtimes import KEY, Runtime


class OnnxRuntime(Runtime):
    """A network that ONNX Runtime computes on the CPU; `Runtime` documents its arguments."""

    kind: ClassVar[str] = "onnxruntime"
    library: ClassVar[str] = "onnxruntime"
    extra: ClassVar[str] = "export"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)

    def __init__(self, path: Path, precision: Precision) -> None:
        onnxruntime = self.module()
        if precision != "32":
            raise InputError(
                f"{path}: ONNX Runtime computes no {precision} on a CPU; leave --precision out, or use "
                f"--runtime openvino"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: a warning of the library means nothing to users
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises classes of its own, without a common base
            raise InputError(f"{path}: is no ONNX file that can be read ({in_one_line(str(error))[:200]})") from None
        self.record = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the network, by their names."""
        return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))
