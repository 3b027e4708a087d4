"""The contract of a depth network, on which training, prediction and export rely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.networks.guidance import Guidance
from packdepth.networks.uncertainty import Estimate

SCALES = 4  # largest number of inverse depths of a network, at strides 1, 2, 4 and 8


class DepthNetwork(Protocol):
    """A module that predicts inverse depth from an image. It returns the same in training and in evaluation mode.

    The image is [B, 3, H, W], RGB in [0, 1], of any height and width; a network that needs it normalized normalizes it
    itself. The result is a list of inverse depths [B, 1, ceil(H / s), ceil(W / s)] in 1/metres, at strides s = 1, 2, 4
    and 8, finest first, or the first of these, at least that of stride 1. All values are positive; the network chooses
    their range.
    """

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the inverse depths of an image."""


@runtime_checkable
class GuidedDepthNetwork(Protocol):
    """A depth network whose decoder can be guided by semantics.

    Attributes:
        stride: the network pads height and width of its image to a multiple of this many pixels, at the right and the
            bottom; guidance gets images of that size.
        decoder_channels: number of channels of the decoder's features, by their stride, before the skip connection is
            joined. The features of strides 2 to 16 can be guided.
        guidance: the module that guides them; None without guidance. The network calls it once in each forward pass. It
            returns a function, which the network calls for each decoder stage: `guide(features, stride)`.
    """

    stride: int
    decoder_channels: Mapping[int, int]
    guidance: Guidance | None

    def __call__(self, image: Tensor, guide_input: Tensor | None = None) -> list[Tensor]:
        """Return the inverse depths of an image, as specified by `DepthNetwork`.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            guide_input: input of the guidance: label maps [B, 1, H, W], or the image without color jitter [B, 3, H, W].
                None for the image itself.
        """


class TimesDepth:
    """A forward hook of a depth network that multiplies depth by a factor.

    Args:
        factor: the factor.

    >>> import torch
    >>> from torch import nn
    >>> network = nn.Identity()
    >>> _ = network.register_forward_hook(TimesDepth(2.0))
    >>> network([torch.tensor(0.5)])
    [tensor(0.2500)]
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, network: nn.Module, inputs: object, result: list[Tensor] | Estimate) -> list[Tensor] | Estimate:
        """Return the inverse depths divided by the factor. The log-scale of relative errors stays as it is.

        Args:
            network: the network, which is not used.
            inputs: its arguments, which are not used.
            result: its result.
        """
        if isinstance(result, Estimate):
            return result._replace(inv_depths=[inv_depth / self.factor for inv_depth in result.inv_depths])
        return [inv_depth / self.factor for inv_depth in result]


def check_inverse_depths(inv_depths: object, image: Tensor, name: str) -> None:
    """Raise InputError, one sentence, unless the result of a network fulfills the contract of `DepthNetwork`.

    Args:
        inv_depths: the result of the network.
        image: the image that the network was called with, [B, 3, H, W].
        name: name of the network, for the error message.

    >>> import torch
    >>> levels = [torch.ones(1, 1, 8 // 2**s, 16 // 2**s) for s in range(4)]
    >>> check_inverse_depths(levels, torch.rand(1, 3, 8, 16), "my_network")
    """
    height, width = image.shape[-2:]
    wanted = [(len(image), 1, -(-height // 2**s), -(-width // 2**s)) for s in range(SCALES)]
    some = [wanted[:count] for count in range(1, SCALES + 1)]
    is_list = isinstance(inv_depths, (list, tuple)) and all(isinstance(level, Tensor) for level in inv_depths)
    found = [tuple(level.shape) for level in inv_depths] if is_list else type(inv_depths).__name__  # type: ignore[attr-defined]
    if found not in some:
        raise InputError(
            f"networks.depth: '{name}' returns {found} for an image {list(image.shape)}, but a depth network returns a "
            f"list of inverse depths {wanted}, finest first, or the first of these"
        )
    for level in inv_depths:  # type: ignore[attr-defined]
        if torch.promote_types(level.dtype, image.dtype) != image.dtype:  # warping takes both alike
            raise InputError(
                f"networks.depth: '{name}' returns inverse depths in {level.dtype} for an image in {image.dtype}; "
                f"return them in the type of the image, such as inv_depth.to(image.dtype)"
            )
        if not bool((level > 0).all()):
            raise InputError(
                f"networks.depth: '{name}' predicts inverse depths that are not positive "
                f"({float(level.detach().min()):g}); end the network in a sigmoid or a softplus"
            )


def check_motions(T_context_target: Tensor, name: str) -> None:
    """Raise InputError, one sentence, unless the motions that a pose network predicts are finite.

    Args:
        T_context_target: the motions [B, N, 4, 4].
        name: the kind of the network, for the error message.
    """
    if not bool(T_context_target.isfinite().all()):
        raise InputError(f"networks.pose: '{name}' predicts a motion that is not finite; see to its first weights")
