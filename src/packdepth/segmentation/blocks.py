"""Blocks of a depth network's run file that name a segmentation network. Importing this module does not import torch.

The modules of the networks import torch and are imported when a network is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packdepth.networks.semantics_block import SemanticsBlock

if TYPE_CHECKING:
    from packdepth.networks.semantic_network import SemanticNetwork


class FpnSemantics(SemanticsBlock):
    """A network that `packdepth semantics train` wrote. Checkpoints of the depth network hold a copy of it.

    >>> FpnSemantics(kind="fpn", checkpoint="runs/segmentation").held
    True
    """

    kind: Literal["fpn"]
    checkpoint: Path
    """The folder of its checkpoint."""

    @property
    def name(self) -> str:
        """The folder of the network."""
        return str(self.checkpoint)

    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the network. Raises InputError if it cannot be loaded.

        Args:
            copy: a copy of the checkpoint to load in its place.
        """
        from packdepth.segmentation.fpn import load_fpn

        return load_fpn(copy or self.checkpoint)


class TransformersSemantics(SemanticsBlock):
    """A segmentation network of Hugging Face's transformers, such as SegFormer or Mask2Former.

    >>> TransformersSemantics(kind="transformers", model="models/segformer", store="reference").held
    False
    """

    kind: Literal["transformers"]
    model: str
    """The name of the model on the Hub, or a folder."""
    store: Literal["value", "reference"] = "value"
    """Whether checkpoints of the depth network hold a copy of the model, or only its name."""

    @property
    def name(self) -> str:
        """The name or the folder of the model."""
        return self.model

    @property
    def held(self) -> bool:
        """Whether checkpoints of the depth network hold a copy of the model."""
        return self.store == "value"

    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the network. Raises InputError if it cannot be loaded.

        Args:
            copy: a copy of the model to load in its place.
        """
        from packdepth.segmentation.transformers_network import load_pretrained

        return load_pretrained(str(copy or self.model))
