"""OpenVINO's own format, for Intel and ARM processors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from packdepth.export.formats import Format, Samples
from packdepth.export.formats.onnx import Onnx
from packdepth.export.graph import Graph
from packdepth.inference.exported import ExportPrecision
from packdepth.inference.runtimes.openvino import core


class OpenVino(Format):
    """An `.xml` file, and the weights beside it in a `.bin` file; `Format` documents the class."""

    kind: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    libraries: ClassVar[dict[str, str]] = Onnx.libraries | {"openvino": "openvino"}
    precisions: ClassVar[dict[ExportPrecision, str | None]] = dict.fromkeys(("32", "16", "bf16", "int8"))
    opsets: ClassVar[range] = range(0)

    @classmethod
    def write(cls, path: Path, graph: Graph, record: str, samples: Samples | None, opset: int | None = None) -> None:
        """Write a network, read from ONNX, in OpenVINO's format."""
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.onnx"
            Onnx.write(source, graph, record, samples)
            openvino.save_model(core().read_model(source), path, compress_to_fp16=False)
