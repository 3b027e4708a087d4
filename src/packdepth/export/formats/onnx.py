"""ONNX, for ONNX Runtime, OpenVINO, TensorRT and others."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from packdepth import __version__
from packdepth.errors import InputError
from packdepth.export.formats import Format, Samples
from packdepth.export.graph import Graph
from packdepth.export.reordered import order_by_pixel
from packdepth.inference.exported import ExportPrecision
from packdepth.inference.runtimes import KEY

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 21  # the first in which group normalization is one node with a scale for each channel
OLDEST_OPSET = 18  # torch's exporter writes none before, and converts none down


class Onnx(Format):
    """A single `.onnx` file; `Format` documents the class."""

    kind: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    libraries: ClassVar[dict[str, str]] = {"onnx": "export", "onnxscript": "export", "onnxruntime": "export"}
    precisions: ClassVar[dict[ExportPrecision, str | None]] = {
        "32": None,
        "16": None,
        "bf16": "ONNX Runtime computes no bfloat16 on a CPU; use --format openvino, or 16 for a GPU",
        "int8": None,
    }
    opsets: ClassVar[range] = range(OLDEST_OPSET, OPSET + 1)

    @classmethod
    def write(cls, path: Path, graph: Graph, record: str, samples: Samples | None, opset: int | None = None) -> None:
        """Write a network as ONNX, with 8-bit integers if there are samples."""
        import onnx

        model = onnx_model(graph, opset or OPSET)
        if samples is not None:
            from packdepth.export.quantize import quantized

            model = quantized(model, samples)
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, record
        onnx.save(model, path)


def onnx_model(graph: Graph, opset: int = OPSET) -> ModelProto:
    """Return a network as a model of ONNX, without constant arithmetic.

    Args:
        graph: the network.
        opset: version of ONNX's operators.
    """
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} for _ in graph.inputs) if graph.batch is None else None
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph.module,
            tuple(graph.inputs.values()),
            dynamo=True,
            opset_version=opset,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    model: ModelProto = program.model_proto
    if graph.batch is None and any(value.type.tensor_type.shape.dim[0].dim_value for value in model.graph.input):
        raise InputError("--batch dynamic: torch exports this network for one number of images only; give the number")
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")  # stacks of calls, with the paths of this machine
    order_by_pixel(model)
    model.producer_name, model.producer_version = "packdepth", __version__
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from printing what means nothing to users, such as that torchvision is missing."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
