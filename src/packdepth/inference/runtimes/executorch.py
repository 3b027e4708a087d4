"""ExecuTorch, for `.pte` files. It imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.inference.runtimes import KEY, Port, Runtime
from packdepth.reading import reason_of

if TYPE_CHECKING:
    from torch import Tensor

INPUTS, OUTPUTS = "packdepth_inputs", "packdepth_outputs"  # methods that return the names, separated by commas


class ExecuTorch(Runtime):
    """A network that ExecuTorch computes on the CPU; `Runtime` documents its arguments."""

    kind: ClassVar[str] = "executorch"
    library: ClassVar[str] = "executorch"
    extra: ClassVar[str] = "executorch"
    suffixes: ClassVar[tuple[str, ...]] = (".pte",)

    def __init__(self, path: Path, precision: Precision) -> None:
        self.module()
        from executorch.runtime import Runtime as Library

        if precision != "32":
            raise InputError(f"{path}: ExecuTorch computes no {precision} here; leave --precision out")
        try:
            self._program = Library.get().load_program(path)
            self._method: Any = self._program.load_method("forward")
            self.record = self._text(KEY)
            names, self.outputs = ((self._text(name) or "").split(",") for name in (INPUTS, OUTPUTS))
            self.inputs = {name: Port(None, None) for name in names}
        except Exception as error:  # a damaged file may fail in any way
            raise InputError(f"{path}: ExecuTorch cannot read it ({reason_of(error)})") from error

    def _text(self, name: str) -> str | None:
        """Return the text that a method of the file returns; None if there is no such method."""
        if name not in self._program.method_names:
            return None
        (values,) = self._program.load_method(name).execute([])
        return bytes(values.tolist()).decode()

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the network, by their names."""
        import torch

        results = self._method.execute([torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self.inputs])
        return {name: result.numpy().copy() for name, result in zip(self.outputs, results, strict=True)}


def from_text(text: str) -> Tensor:
    """Return a text as a tensor of its bytes, which a method of a file can return.

    Args:
        text: the text.

    >>> from_text("ab")
    tensor([97, 98], dtype=torch.uint8)
    """
    import torch

    return torch.tensor(list(text.encode()), dtype=torch.uint8)
