"""The depth network that starts from most with what is installed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from packdepth.networks.blocks import DepthNetworkBlock, NetworkBlock
from packdepth.networks.encoder_decoder import EncoderDecoderBlock
from packdepth.networks.options import BEST_ADVICE, BEST_ENCODER, INITIAL_DEPTH, has_best_weights
from packdepth.networks.packnet import PackNetBlock


class BestStartBlock(DepthNetworkBlock):
    """The best start that is installed: from ImageNet with the extra `pretrained`, else PackNet `tiny`.

    With the extra it is `encoder_decoder` with the encoder `efficientnet_lite`, without it PackNet starts from random
    weights. Checkpoints name the network that was trained.

    >>> BestStartBlock(initial_depth=6).completed().kind in ("encoder_decoder", "packnet")
    True
    """

    kind: Literal["best_start"] = "best_start"
    initial_depth: Annotated[float, Field(gt=0.5, lt=100)] = INITIAL_DEPTH
    """Depth that the network predicts before training, in metres, between 0.5 and 100."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {"initial_depth"}

    @property
    def advice(self) -> str:
        """Advice on what to install for a better start; empty with the extra `pretrained`."""
        return "" if has_best_weights() else BEST_ADVICE

    def completed(self, before: NetworkBlock | None = None) -> DepthNetworkBlock:
        """Return the block of the network that is trained: the one that was, if a training is resumed."""
        options: dict[str, Any] = {
            name: getattr(self, name) for name in DepthNetworkBlock.model_fields if name != "kind"
        }
        options["initial_depth"] = self.initial_depth
        if isinstance(before, EncoderDecoderBlock) if before is not None else has_best_weights():
            return EncoderDecoderBlock(encoder=BEST_ENCODER, **options)
        return PackNetBlock(preset="tiny", **options)

    def architecture(self) -> dict[str, Any]:
        """Return the options of the network that is trained."""
        return self.completed().architecture()

    def build(self) -> nn.Module:
        """Return the network with random weights."""
        return self.completed().build()

    def start(self, network: nn.Module) -> None:
        """Load the weights of ImageNet, if the network has such an encoder."""
        self.completed().start(network)
