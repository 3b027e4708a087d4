"""OpenVINO, for `.onnx` and `.xml` files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from packdepth.config import Precision
from packdepth.errors import InputError, InputWarning
from packdepth.inference.runtimes import KEY, Port, Runtime
from packdepth.reading import reason_of

HINTS: dict[Precision, str] = {"32": "f32", "bf16": "bf16"}
"""OpenVINO's names of the precisions. Without a hint it computes in bfloat16 where the processor does."""


class OpenVino(Runtime):
    """A network that OpenVINO computes on the CPU; `Runtime` documents its arguments.

    On a processor without bfloat16 it computes float32 where it is asked for bfloat16, and an `InputWarning` says so.
    """

    kind: ClassVar[str] = "openvino"
    library: ClassVar[str] = "openvino"
    extra: ClassVar[str] = "openvino"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx", ".xml")

    def __init__(self, path: Path, precision: Precision) -> None:
        try:
            model = core().read_model(path)
            place = ["framework", KEY]  # where OpenVINO puts the metadata of ONNX files, and keeps them in its own
            self.record = model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None
            self._compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": HINTS[precision]})
            # Once compiled, a port also has the names of what was fused with it, and `any_name` may be one of those.
            self.inputs = {each.any_name: _port(each) for each in model.inputs}
            self.outputs = [each.any_name for each in model.outputs]
            computed = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        except Exception as error:  # a damaged file may fail in any way
            raise InputError(f"{path}: OpenVINO cannot read it ({reason_of(error)})") from error
        if precision == "bf16" and computed != HINTS["bf16"]:
            warnings.warn(
                f"{path.name}: this processor computes no bfloat16, and OpenVINO takes float32 instead; compare and "
                f"time bfloat16 where the file will run",
                InputWarning,
                stacklevel=2,
            )

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the network, by their names."""
        results = self._compiled(dict(inputs))
        return {name: results[place] for place, name in enumerate(self.outputs)}


def _port(described: Any) -> Port:
    """Return an input as OpenVINO describes it."""
    shape = described.partial_shape
    sides = None if shape.rank.is_dynamic else tuple(None if each.is_dynamic else each.get_length() for each in shape)
    return Port(sides, np.dtype(described.element_type.to_dtype()).name)


@cache
def core() -> Any:
    """Return OpenVINO's core: one for the process, for as long as the process lives.

    To compute on a CPU, each core sets an alternate signal stack of its own, puts back the earlier one at its end, and
    unmaps its own. Where a second core outlives the first, it puts back the first one's stack, which is gone, and so
    does a core that ends in another thread leave its thread with one. The next signal that Python handles there, such
    as Ctrl-C or the end of a child, then ends the process without a word, in spite of faulthandler (OpenVINO 2026.4).
    """
    return OpenVino.module().Core()
