"""8-bit integers: quantization of a model of ONNX by ONNX Runtime, with the values that calibration images give."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from packdepth.export.formats import Samples

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

QUANTIZED = ("Conv", "MatMul", "Gemm")  # node types that are computed with integers; all others stay floats


class _Reader:
    """The samples, as ONNX Runtime reads them."""

    def __init__(self, samples: Samples) -> None:
        self._samples: Iterator[dict[str, np.ndarray]] = iter(samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next sample; None after the last one."""
        return next(self._samples, None)


def quantized(model: ModelProto, samples: Samples) -> ModelProto:
    """Return a model whose convolutions and products are computed with 8-bit integers, except for the logits.

    Weights have a scale for each output channel. The range of a map is that of its values for the samples.

    Args:
        model: a model of ONNX.
        samples: inputs for calibration.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        logging.disable(logging.WARNING)  # it asks for a preparation that export has done already
        try:
            quantize_static(
                source,
                target,
                _Reader(samples),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=wide_nodes(model.graph),
                calibrate_method=CalibrationMethod.MinMax,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(target)


def wide_nodes(graph: GraphProto) -> list[str]:
    """Return the names of the nodes that stay floats: those that compute logits, and all between them and the outputs.

    Args:
        graph: the graph. From its outputs backward, the first convolutions or products compute the logits.
    """
    producers = {output: node for node in graph.node for output in node.output}
    names: list[str] = []
    open_ends: list[str] = [output.name for output in graph.output]
    while open_ends:
        node = producers.pop(open_ends.pop(), None)
        if node is None or node.name in names:
            continue
        names.append(node.name)
        if node.op_type not in QUANTIZED:
            open_ends += list(node.input)
    return names
