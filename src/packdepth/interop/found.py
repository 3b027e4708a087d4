"""What is found in another project's files, before it is known which networks it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from packdepth.errors import InputError
from packdepth.interop.layouts import Layout


@dataclass(frozen=True)
class Part:
    """The tensors of one network, and which it might be."""

    tensors: dict[str, Tensor]
    layouts: Sequence[Layout]


@dataclass(frozen=True)
class Found:
    """The content of a checkpoint under the names that its project gives."""

    project: Literal["packnet-sfm", "vidar", "monodepth2"]
    networks: dict[str, Part]  # `depth` and, if there is one, `pose`
    others: list[str]  # tensors and other entries that belong to neither
    image_size: tuple[int, int] | None  # height and width in pixels, if the files say
    metric: bool
    scale_source: str  # as in `Meta`


def state_dict(content: object, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a network's state dict, and its other entries. Raises InputError if `content` is none."""
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no weights of a network; give a checkpoint")
    values = {str(name): value for name, value in content.items()}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in values.items() if name not in tensors}
