"""The base of blocks that name a segmentation network. Importing this module does not import torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from packdepth.blocks import Closed

if TYPE_CHECKING:
    from packdepth.networks.semantic_network import SemanticNetwork


class SemanticsBlock(Closed, ABC):
    """The block `networks.depth.guidance.semantics` of a run file, where a segmentation network guides depth."""

    kind: str

    @property
    @abstractmethod
    def name(self) -> str:
        """The path or the name of the segmentation network, for messages."""

    @property
    def held(self) -> bool:
        """Whether checkpoints of the depth network hold a copy of the segmentation network."""
        return True

    @abstractmethod
    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the segmentation network. Raises InputError if it cannot be loaded.

        Args:
            copy: the folder of the copy that a checkpoint of the depth network holds; None loads the network that the
                block names.
        """
