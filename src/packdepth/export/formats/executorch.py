"""ExecuTorch, for phones and embedded processors: float32, computed by XNNPACK."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import torch

from packdepth.errors import InputError
from packdepth.export.formats import Format, Samples
from packdepth.export.graph import Graph
from packdepth.inference.exported import ExportPrecision
from packdepth.inference.runtimes import KEY
from packdepth.inference.runtimes.executorch import INPUTS, OUTPUTS, from_text

FLOAT32_ALONE = "files of ExecuTorch are written in float32 here; use 32, or --format onnx"


class ExecuTorch(Format):
    """A single `.pte` file; `Format` documents the class."""

    kind: ClassVar[str] = "executorch"
    suffix: ClassVar[str] = ".pte"
    libraries: ClassVar[dict[str, str]] = {"executorch": "executorch"}
    precisions: ClassVar[dict[ExportPrecision, str | None]] = {
        "32": None,
        "16": FLOAT32_ALONE,
        "bf16": FLOAT32_ALONE,
        "int8": FLOAT32_ALONE,
    }
    opsets: ClassVar[range] = range(0)

    @classmethod
    def write(cls, path: Path, graph: Graph, record: str, samples: Samples | None, opset: int | None = None) -> None:
        """Write a network, with its record and the names of its inputs and outputs as methods that return bytes."""
        if graph.batch is None:
            raise InputError("--batch dynamic: files of ExecuTorch take one number of images; give the number")
        logging.disable(logging.WARNING)  # what its libraries miss on import means nothing to users
        try:
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower

            with torch.no_grad():
                program = torch.export.export(graph.module, tuple(graph.inputs.values()))
            texts = {KEY: record, INPUTS: ",".join(graph.inputs), OUTPUTS: ",".join(graph.outputs)}
            lowered = to_edge_transform_and_lower(
                program,
                partitioner=[XnnpackPartitioner()],
                constant_methods={name: from_text(text) for name, text in texts.items()},
            )
            path.write_bytes(lowered.to_executorch().buffer)
        finally:
            logging.disable(logging.NOTSET)
