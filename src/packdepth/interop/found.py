"""The content of another project's checkpoint before its networks are identified."""

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
    """The tensors of one network, and the layouts that it may have."""

    tensors: dict[str, Tensor]  # the tensors under the other project's names
    layouts: Sequence[Layout]  # the layouts to compare them with


@dataclass(frozen=True)
class Found:
    """The content of a checkpoint under the names that its project gives."""

    project: Literal["packnet-sfm", "vidar", "monodepth2"]  # project that wrote the checkpoint
    networks: dict[str, Part]  # keys are `depth` and, if there is a pose network, `pose`
    others: list[str]  # names of tensors and other entries that belong to neither network
    image_size: tuple[int, int] | None  # height and width of the networks' input in pixels, where the files name them
    metric: bool  # whether depth is in metres
    scale_source: str  # where the scale comes from, as in `Meta`


def state_dict(content: object, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a network's state dict, and its other entries.

    Args:
        content: the state dict as it was read.
        path: its file, for messages.

    Raises InputError if `content` is no state dict.
    """
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no weights of a network; give a checkpoint")
    values = {str(name): value for name, value in content.items()}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in values.items() if name not in tensors}
