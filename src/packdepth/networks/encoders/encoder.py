"""The contract of an encoder, which maps images to features at five strides, and the options that all encoders have."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from packdepth.blocks import ByKind, Family
from packdepth.errors import InputError
from packdepth.networks.blocks import PartBlock
from packdepth.reading import check_archive, check_views, read_weights_file, reason_of

STRIDE = 32  # pixels of the image for each pixel of the coarsest features
STRIDES = (2, 4, 8, 16, STRIDE)  # strides of the features, finest first
PROBE = 64  # pixels, height and width of the image by which `freeze` finds the layers of a stage
GROUPS = 16  # groups of the group normalizations that replace batch normalizations, as in PackNet
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # tensors that group normalization lacks

Normalization = Literal["frozen", "batch", "group"]


class Encoder(nn.Module):
    """A network that maps images to features at strides 2, 4, 8, 16 and 32.

    Its `forward` takes images [B, C, H, W], RGB in [0, 1], whose height and width are multiples of 32; C is 3, or 6 for
    a pair of images. It returns five feature maps [B, C_s, H / s, W / s], finest first, and normalizes the images
    itself.

    Attributes:
        channels: channels of the five feature maps, finest first.
        multiple: number of pixels that height and width must be multiples of; 1 if the encoder takes any size, with
            feature maps that are rounded up.
        images: number of images that the input holds.
        has_fixed_statistics: whether batch normalizations keep their statistics in training.
    """

    channels: list[int]
    multiple: int = STRIDE
    images: int = 1
    has_fixed_statistics: bool = False

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five feature maps [B, C_s, H / s, W / s], finest first.

        Args:
            image: images [B, C, H, W] in [0, 1].
        """
        raise NotImplementedError

    @property
    def body(self) -> nn.Module:
        """The part that pretrained weights belong to; a subclass with layers around it overrides this."""
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation mode. Normalizations whose statistics are fixed stay in evaluation mode.

        Args:
            mode: true for training mode.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                is_frozen = module.weight is not None and not module.weight.requires_grad
                if self.has_fixed_statistics or is_frozen:
                    module.eval()
        return self

    def freeze(self, stages: int) -> None:
        """Switch off the gradients of the weights that the features of the first stages depend on.

        Args:
            stages: number of stages, from 0 to 5; with 5 the whole encoder is frozen.

        Raises InputError if no pretrained weight belongs to these stages.
        """
        if stages == 0:
            return
        parameters = list(self.body.parameters())
        if stages < len(STRIDES):
            channels = 3 * self.images
            feature = self.eval()(torch.zeros(1, channels, PROBE, PROBE))[stages - 1]
            gradients = torch.autograd.grad(feature.sum(), parameters, allow_unused=True)
            parameters = [p for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
        if not parameters:
            raise InputError(
                f"encoder.frozen: {stages}: layers that are never pretrained compute the features up to stride "
                f"{STRIDES[stages - 1]} of this encoder; remove it, or give more stages"
            )
        for parameter in parameters:
            parameter.requires_grad_(False)
        self.train()

    @property
    def has_batch_normalization(self) -> bool:
        """Whether there is a batch normalization, so that statistics can be fixed or replaced."""
        return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.modules())

    def use_group_normalization(self) -> None:
        """Replace every batch normalization by a group normalization of the same weights."""
        found = [
            (parent, name, module)
            for parent in self.modules()
            for name, module in parent.named_children()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
        ]
        for parent, name, module in found:
            channels = module.num_features
            setattr(parent, name, nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=module.eps))


class EncoderBlock(PartBlock):
    """The options of all encoders.

    >>> from packdepth.networks.encoders.resnet import ResNetEncoderBlock
    >>> [tuple(x.shape) for x in ResNetEncoderBlock().assemble()(torch.rand(1, 3, 64, 96))][-1]
    (1, 512, 2, 3)
    """

    learning_rate: PositiveFloat = 1.0
    """Factor of the learning rate of pretrained weights. Adam trains them, also where Muon trains the rest."""
    frozen: Annotated[int, Field(ge=0, le=len(STRIDES))] = 0
    """Number of first stages, of the strides 2, 4, 8, 16 and 32, whose weights stay as they are."""
    normalization: Normalization | None = None
    """Batch normalization in training: statistics that are `frozen`, statistics of each `batch`, or `group`
    normalization in its place. If left out: `frozen` with pretrained weights, `batch` without. Only for encoders with
    batch normalization: `efficientnet_lite`, `resnet`, and some of transformers."""

    training_options: ClassVar[frozenset[str]] = frozenset({"learning_rate", "frozen", "normalization", "weights"})
    """Names of the options that affect training only. Weights can be loaded if these options differ."""

    @model_validator(mode="after")
    def _no_idle_options(self) -> Self:
        """Raise ValueError for an option that could do nothing, as the whole encoder is frozen."""
        if self.frozen == len(STRIDES) and self.learning_rate != 1:
            raise ValueError(f"learning_rate is that of weights which frozen: {self.frozen} keeps; remove one of them")
        if self.frozen == len(STRIDES) and self.normalization == "batch":
            raise ValueError(f"normalization: batch is for stages that learn, but frozen: {self.frozen}; remove one")
        return self

    @property
    def keeps_random(self) -> str | None:
        """The option that keeps random weights or statistics as they are; None if there is none."""
        if self.is_pretrained:
            return None
        if self.frozen:
            return "frozen"
        return "normalization" if self.normalization == "frozen" else None

    @abstractmethod
    def build(self, channels_in: int = 3) -> Encoder:
        """Return the encoder with random weights.

        Args:
            channels_in: 3 for one image, 6 for a pair.
        """

    @property
    def is_pretrained(self) -> bool:
        """Whether `pretrained` returns weights."""
        return False

    def pretrained(self) -> dict[str, Tensor]:
        """Return the pretrained weights, by the names of the encoder's state dict, for one image.

        Raises InputError if they are not there or cannot be used.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Return the kind, the variant and the origin of the weights in a few words."""
        return self.kind

    def architecture(self) -> dict[str, Any]:
        """Return the options that must be equal in two encoders for one to load the weights of the other."""
        groups = {"normalization": "group"} if self.normalization == "group" else {}
        return self.model_dump(exclude=dict.fromkeys(self.training_options, True)) | groups

    def assemble(self, channels_in: int = 3) -> Encoder:
        """Return the encoder with random weights and with the options of training.

        Args:
            channels_in: 3 for one image, 6 for a pair.

        Raises InputError if an option does not fit the encoder.
        """
        encoder = self.build(channels_in)
        encoder.images = channels_in // 3
        if self.normalization is not None and not encoder.has_batch_normalization:
            raise InputError(
                f"encoder.normalization: {self.normalization}: the encoder {self.describe()} has no batch "
                f"normalization; remove it"
            )
        if self.normalization == "group":
            encoder.use_group_normalization()
        encoder.has_fixed_statistics = (self.normalization or ("frozen" if self.is_pretrained else "batch")) == "frozen"
        encoder.freeze(self.frozen)
        if self.is_pretrained or self.learning_rate != 1:
            encoder.body.learning_rate_factor = self.learning_rate  # type: ignore[assignment]
        return encoder.train()

    def start(self, encoder: Encoder) -> None:
        """Load the pretrained weights, if the block names some.

        Args:
            encoder: what `assemble` returned.

        Raises InputError if the weights cannot be used.
        """
        if self.is_pretrained:
            load(encoder, self.pretrained(), self.describe())


ENCODERS = Family(EncoderBlock, "packdepth.encoders", ("packdepth.networks.encoders",))  # type: ignore[type-abstract]
AnyEncoder = Annotated[EncoderBlock, ByKind(ENCODERS)]


def normalized(image: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """Return images with their mean subtracted and divided by their deviation.

    Args:
        image: one image or several of them, [B, 3 N, H, W], in [0, 1].
        mean: mean of the three channels, or one number for all.
        deviation: standard deviation of the three channels, or one number for all.

    >>> normalized(torch.ones(1, 6, 1, 1), (0.5,), (0.25,)).flatten()
    tensor([2., 2., 2., 2., 2., 2.])
    """
    channels = image.shape[1]
    center, width = (
        torch.tensor(values, dtype=image.dtype, device=image.device).repeat(channels // len(values)).view(-1, 1, 1)
        for values in (mean, deviation)
    )
    return (image - center) / width


def widened(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights whose first convolution takes as many images as the wanted one.

    The kernel of a convolution of one image is repeated for each image and divided by their number: for equal images
    the result is that of one image.

    Args:
        weights: weights for one image, by name.
        wanted: the state dict to fill.

    >>> kernel = torch.ones(8, 3, 3, 3)
    >>> widened({"conv": kernel}, {"conv": torch.zeros(8, 6, 3, 3)})["conv"].unique()
    tensor([0.5000])
    """

    def fitted(name: str, tensor: Tensor) -> Tensor:
        other = wanted.get(name)
        if other is None or tensor.ndim != 4 or tensor.shape[1] != 3 or other.shape[1] % 3:
            return tensor
        count = other.shape[1] // 3
        return tensor.repeat(1, count, 1, 1) / count

    return {name: fitted(name, tensor) for name, tensor in weights.items()}


def load(encoder: Encoder, weights: Mapping[str, Tensor], origin: str) -> None:
    """Load weights for one image into an encoder of one image or of a pair.

    Args:
        encoder: the encoder, whose batch normalizations may have been replaced.
        weights: its weights, by the names of `encoder.body`.
        origin: what the weights are, for an error.

    Raises InputError if weights are missing, are too many or have another shape.
    """
    wanted = encoder.body.state_dict()
    weights = widened(weights, wanted)
    has_statistics = any(name.endswith(STATISTICS) for name in wanted)
    if not has_statistics:
        weights = {name: tensor for name, tensor in weights.items() if not name.endswith(STATISTICS)}
    problems = [
        *(f"{name} is missing" for name in wanted if name not in weights),
        *(f"{name} belongs to another network" for name in weights if name not in wanted),
        *(
            f"{name} is {list(tensor.shape)}, not {list(wanted[name].shape)}"
            for name, tensor in weights.items()
            if name in wanted and tensor.shape != wanted[name].shape
        ),
    ]
    if problems:
        raise InputError(
            f"{origin}: its weights do not fit this encoder: {problems[0]}"
            f"{f' and {len(problems) - 1} more' if len(problems) > 1 else ''}; name weights of the same architecture"
        )
    encoder.body.load_state_dict(weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights. Nothing in the file is executed.

    Args:
        path: a file that `torch.save` wrote (.pth, .pt, .bin), or a safetensors file.

    Raises InputError if the file cannot be read or holds anything but tensors.
    """
    if path.suffix == ".safetensors":
        return read_weights_file(path)
    try:
        check_archive(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason_of(error)}); give a file of weights") from None
    except Exception as error:  # a damaged pickle may fail in any way, and torch refuses one that names code
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(f"{path}: is no file of weights alone ({reason}); save the state dict and give that") from None
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds more than tensors by name; save the state dict alone and give that")
    check_views(content, path)
    return content
