"""Depth networks of Hugging Face's transformers, such as Depth Anything, DPT, ZoeDepth, GLPN and Depth Pro."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from packdepth.blocks import Closed
from packdepth.errors import InputError
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.networks.blocks import DepthNetworkBlock, NetworkBlock
from packdepth.networks.hub import (
    ModelRecord,
    Normalization,
    opening,
    read_config,
    read_record,
    reading,
    transformers_module,
)
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.layers.low_rank import add_low_rank
from packdepth.networks.layers.output_scale import Output, OutputScale
from packdepth.networks.options import INITIAL_DEPTH

ENCODER_FACTOR = 0.1  # default factor on the learning rate of the encoder
MIN_CELLS = 2  # patches, smallest height and width of the features
OUTPUTS: dict[str, Output] = {  # what the models of a type predict; `depth_estimation_type: metric` overrules it
    "depth_anything": "inverse",
    "prompt_depth_anything": "depth",  # without its prompt, depth up to scale and shift
    "dpt": "inverse",
    "depth_pro": "inverse",  # in image widths per focal length
    "zoedepth": "metric",
    "glpn": "metric",
    "tipsv2_dpt": "metric",
}
UNNORMALIZED = ("glpn",)  # types of models that take RGB in [0, 1] as it is
AS_IT_IS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # normalization of these


class LowRank(Closed):
    """Low-rank training of the encoder (LoRA, Hu et al. 2022).

    >>> LowRank().rank
    8
    """

    rank: PositiveInt = 8
    """Rank of the trained update of each linear layer of the encoder."""


class TransformersDepthBlock(DepthNetworkBlock):
    """A pretrained depth network of Hugging Face's transformers (extra `transformers`).

    A training starts from the weights of the model. Checkpoints hold everything: the model is not needed afterwards.

    >>> TransformersDepthBlock(model="models/depth_anything", lora={"rank": 4}).lora
    LowRank(rank=4)
    """

    kind: Literal["transformers"] = "transformers"
    model: str
    """The folder of the model, or its name on the Hub."""
    output: Literal["auto", "inverse", "depth", "metric"] = "auto"
    """Meaning of the model's output: `inverse`, `depth`, `metric`, or `auto`, by its configuration.

    inverse, depth: inverse depth or depth, up to a scale and a shift, which are learned and start from `initial_depth`.
    metric: depth in metres; scale and shift are learned, too, but start from these metres.
    """
    initial_depth: PositiveFloat = INITIAL_DEPTH
    """Metres at which the typical pixel of the first training images starts; not for `output: metric`."""
    learning_rate_factor: PositiveFloat = ENCODER_FACTOR
    """Factor on the learning rate of the encoder, which is pretrained on far more images than the rest."""
    frozen_encoder: bool = False
    """Do not train the encoder, but the decoder only."""
    lora: LowRank | None = None
    """Train low-rank updates of the encoder's linear layers in place of its weights. If left out, the weights."""
    gradient_checkpointing: bool = False
    """Compute the encoder's layers again for the gradient: less memory, about a third more time."""
    record: ModelRecord | None = Field(default=None, repr=False)
    """Description of the model. Training reads it from the model and writes it into checkpoints; leave it out."""

    training_options: ClassVar[frozenset[str]] = DepthNetworkBlock.training_options | {
        "initial_depth",
        "learning_rate_factor",
        "frozen_encoder",
        "gradient_checkpointing",
    }
    has_unused: ClassVar[bool] = True
    described: ClassVar[frozenset[str]] = frozenset({"model"})

    @model_validator(mode="after")
    def _one_way_to_train(self) -> TransformersDepthBlock:
        if self.frozen_encoder and self.lora is not None:
            raise ValueError("frozen_encoder and lora exclude each other: lora trains the encoder; remove one of them")
        if self.frozen_encoder and self.learning_rate_factor != ENCODER_FACTOR:
            raise ValueError("learning_rate_factor is that of the encoder, which frozen_encoder stops; remove one")
        if self.frozen_encoder and self.gradient_checkpointing:
            raise ValueError(
                "gradient_checkpointing saves memory for the gradient of the encoder, which frozen_encoder stops; "
                "remove one of them"
            )
        return self

    def describe(self) -> str:
        """Return kind and model."""
        return f"{self.kind} {self.model}"

    def architecture(self) -> dict[str, Any]:
        """Return the options that must be equal in two networks; a digest stands for the configuration."""
        block = self.completed()
        assert block.record is not None
        options = super(TransformersDepthBlock, block).architecture()
        del options["model"]
        return options | {"record": block.record.identity}

    def completed(self, before: NetworkBlock | None = None) -> TransformersDepthBlock:
        """Return the block with the description of its model and with what the model predicts.

        Args:
            before: the block of the training that is resumed, which describes its model already; None otherwise.

        Raises InputError if transformers is not installed, if the model cannot be read, or if it is no depth network.
        """
        if self.record is not None and self.output != "auto":
            return self
        if isinstance(before, TransformersDepthBlock) and before.record is not None and before.model == self.model:
            output = before.output if self.output == "auto" else self.output
            return self.model_copy(update={"record": before.record, "output": output})
        config = read_config(self.model)
        if type(config) not in transformers_module().MODEL_FOR_DEPTH_ESTIMATION_MAPPING:
            raise InputError(
                f"networks.depth.model: {self.model} is no depth network ({config.model_type}); name one that "
                f"AutoModelForDepthEstimation of transformers loads, such as Depth Anything"
            )
        default = AS_IT_IS if config.model_type in UNNORMALIZED else None
        record = read_record(self.model, config, "networks.depth.model", default)
        output = predicted_by(config, self.model) if self.output == "auto" else self.output
        if output == "metric" and self.initial_depth != INITIAL_DEPTH:
            raise InputError(
                f"networks.depth.initial_depth: {self.model} predicts metres, which the training starts from; remove it"
            )
        return self.model_copy(update={"record": record, "output": output})

    def start(self, network: nn.Module) -> None:
        """Load the weights of the model.

        Args:
            network: what `assemble` returned.

        Raises InputError if they cannot be read, or are incomplete.
        """
        ours = _inside(network)
        transformers = transformers_module()
        with reading(self.model), _quiet(transformers):
            theirs, info = transformers.AutoModelForDepthEstimation.from_pretrained(
                self.model,
                config=ours.model.config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **opening(),
            )
        missing = _used(theirs, info["missing_keys"])
        if missing:
            raise InputError(
                f"networks.depth.model: {self.model} lacks {len(missing)} weights of its depth network, such as "
                f"{missing[0]}; give a model that was trained for depth"
            )
        ours.model.load_state_dict(theirs.state_dict(), strict=self.lora is None)

    def adapt(self, network: nn.Module, image: Tensor) -> None:
        """Set scale and shift of the output so that its median over the images becomes `initial_depth`.

        Args:
            network: what `assemble` returned, with the weights of the model.
            image: the first training images [B, 3, H, W], RGB in [0, 1].

        Raises InputError if the model predicts nothing but zero for them.
        """
        ours = _inside(network)
        if ours.scale.output == "metric":
            return
        was_training = ours.training
        with torch.no_grad():
            output = ours.eval().output(image)
        ours.train(was_training)
        seen = output[output > 0]
        if not len(seen):
            raise InputError(
                f"networks.depth.model: {self.model} predicts 0 everywhere on the first training images; "
                f"give a model that was trained for depth, or another output than {self.output}"
            )
        ours.scale.start_at(self.initial_depth, float(seen.median()))

    def build(self) -> TransformersDepth:
        """Return the network with random weights.

        Raises InputError if transformers is not installed, or if the model cannot be read.
        """
        block = self.completed()
        assert block.record is not None
        assert block.output != "auto"
        transformers = transformers_module()
        config = transformers.AutoConfig.for_model(**block.record.config)
        model = transformers.AutoModelForDepthEstimation.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
        network = TransformersDepth(model, block.output, block.record.mean, block.record.std)
        network.encoder.learning_rate_factor = self.learning_rate_factor  # type: ignore[assignment]
        if self.lora is not None and not add_low_rank(network.encoder, self.lora.rank):
            raise InputError(
                f"networks.depth.lora: the encoder of this {block.record.model_type} has no linear layer to update; "
                f"remove it"
            )
        if self.frozen_encoder:
            network.freeze_encoder()
        if self.gradient_checkpointing:
            if not model.supports_gradient_checkpointing:
                raise InputError(
                    f"networks.depth.gradient_checkpointing: a {block.record.model_type} cannot do it; remove it"
                )
            # Transformers renames the function: only one of the two is in the first versions 5, and in 6.
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        return network


class TransformersDepth(nn.Module):
    """A depth network around a model of transformers. It returns inverse depth at stride 1 alone.

    Images of any size are resized to the nearest one that the model takes, and its result is resized back.

    Args:
        model: the model, a class of `AutoModelForDepthEstimation`.
        output: what the model predicts.
        mean: mean that is subtracted from RGB in [0, 1].
        std: standard deviation that RGB is divided by.

    Attributes:
        model: the model. A ReLU at its end is left out: `OutputScale` has its own.
        scale: the layer that computes inverse depth from the output of the model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, output: Output, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.scale = OutputScale(output)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.is_encoder_frozen = False
        if hasattr(model, "head"):
            open_end(model.head)
        config = model.config
        self.one_by_one = len(getattr(config, "bin_configurations", ())) > 1  # such a ZoeDepth chooses a head per batch
        self.cells = (0, 0)  # height and width of the present image, in patches
        if config.model_type == "dpt" and model.backbone is None and not config.is_hybrid:
            model.neck.register_forward_pre_hook(self._not_square)

    @property
    def encoder(self) -> nn.Module:
        """The pretrained encoder inside of the model."""
        name = "backbone" if getattr(self.model, "backbone", None) is not None else self.model.base_model_prefix
        encoder: nn.Module = getattr(self.model, name)
        return encoder

    def freeze_encoder(self) -> None:
        """Stop the training of the encoder, and keep it in evaluation mode."""
        self.is_encoder_frozen = True
        self.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> TransformersDepth:
        """Switch to training or evaluation mode. A frozen encoder stays in evaluation mode.

        Args:
            mode: true for training mode.
        """
        super().train(mode)
        if self.is_encoder_frozen:
            self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the inverse depth of images, a list of one [B, 1, H, W], 1/metres.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
        """
        return [resize_inv_depth(self.scale(self.output(image)), *image.shape[-2:])]

    def output(self, image: Tensor) -> Tensor:
        """Return the output of the model, [B, 1, h, w] of any size.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
        """
        height, width = input_size(self.model.config, *image.shape[-2:])
        step = patch_size(self.model.config)
        self.cells = (height // step, width // step)
        if image.shape[-2:] != (height, width):
            image = resize_image(image.float(), height, width)
        pixels = ((image - self.mean) / self.std).to(self.model.dtype)
        parts = [part[None] for part in pixels] if self.one_by_one else [pixels]
        return torch.cat([self.model(pixel_values=part).predicted_depth for part in parts])[:, None]

    def _not_square(self, neck: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Give DPT's neck the size of the image in patches, which it takes for a square otherwise."""
        return (inputs[0], *self.cells)


def predicted_by(config: Any, name: str) -> Output:
    """Return what a model predicts, by its configuration.

    Args:
        config: the configuration.
        name: name of the model, for the error message.

    Raises InputError if the configuration does not tell.
    """
    if getattr(config, "depth_estimation_type", None) == "metric":
        return "metric"
    encoder = getattr(config, "backbone_config", None)
    # DPT is MiDaS, which predicts inverse depth; but DPT on DINOv2 is that of DINOv2's authors, which predicts metres.
    is_doubtful = config.model_type == "dpt" and encoder is not None and encoder.model_type == "dinov2"
    if config.model_type not in OUTPUTS or is_doubtful:
        raise InputError(
            f"networks.depth.output: the configuration of {name} ({config.model_type}) does not say what the model "
            f"predicts; give output: inverse, depth or metric, by its description"
        )
    return OUTPUTS[config.model_type]


def patch_size(config: Any) -> int:
    """Return the side of an encoder's patches, in pixels of the image.

    Args:
        config: the configuration of the model.
    """
    encoder = getattr(config, "backbone_config", None) or config
    size = getattr(encoder, "patch_size", None) or getattr(config, "patch_size", None) or 1
    return int(size if isinstance(size, int) else max(size))


def input_size(config: Any, height: int, width: int) -> tuple[int, int]:
    """Return the size nearest to that of an image which a model takes without cropping or padding, height and width.

    Args:
        config: the configuration of the model.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
    """
    if config.model_type == "depth_pro":  # cuts squares out of a square
        side = round(config.patch_size / min(config.scaled_images_ratios))
        return side, side
    encoder = getattr(config, "backbone_config", None) or config
    if hasattr(encoder, "strides"):
        step = math.prod(encoder.strides)
    else:
        # Each stage of a Swin transformer after the first one halves the resolution.
        stages = len(encoder.depths) if encoder.model_type.startswith("swin") else 1
        step = patch_size(config) * 2 ** (stages - 1)
    cells = (max(round(size / step), MIN_CELLS) for size in (height, width))
    rows, columns = cells
    return rows * step, columns * step


def open_end(head: nn.Module) -> None:
    """Leave out a ReLU at the end of a head, and compute the convolution at its end in float32 or wider, in place.

    Args:
        head: the head of a depth network.

    >>> head = nn.Sequential(nn.Conv2d(4, 1, 1), nn.ReLU())
    >>> open_end(head)
    >>> [type(layer).__name__ for layer in head]
    ['LogitConv2d', 'Identity']
    """
    leaves = [(name, module) for name, module in head.named_modules() if name and not any(module.children())]
    if isinstance(leaves[-1][1], nn.ReLU):
        parent, _, own = leaves[-1][0].rpartition(".")
        setattr(head.get_submodule(parent), own, nn.Identity())
        leaves.pop()
    for _, module in reversed(leaves):
        if isinstance(module, nn.Conv2d):
            module.__class__ = LogitConv2d
            return


def _inside(network: nn.Module) -> TransformersDepth:
    """Return the network of this file inside of what `assemble` returned."""
    return next(module for module in network.modules() if isinstance(module, TransformersDepth))


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing a table of missing weights: `start` has a sentence for them."""
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _used(model: Any, names: Sequence[str]) -> list[str]:
    """Return those of a model's parameters that its output depends on."""
    if not names:
        return []
    parameters = dict(model.named_parameters())
    chosen = [name for name in names if name in parameters]
    height, width = input_size(model.config, 1, 1)
    output = model(pixel_values=torch.zeros(1, 3, height, width)).predicted_depth
    gradients = torch.autograd.grad(output.sum(), [parameters[name] for name in chosen], allow_unused=True)
    return [name for name, gradient in zip(chosen, gradients, strict=True) if gradient is not None]
