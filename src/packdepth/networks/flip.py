"""Flip fusion: one prediction of an image and of its mirror image, after a network or as a layer of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def fuse_flipped(inv_depth: Tensor, inv_depth_of_mirrored: Tensor) -> Tensor:
    """The mean of two predictions, with a ramp to the better of the two at the left and right borders.

    A network predicts poorly at the left border, where stereo and self-supervision see occlusions; the same place is
    the right border in the mirrored image. So the mirrored prediction rules the leftmost 5 %, the plain one the
    rightmost 5 %, and both fade into the mean over the next 5 %. Source: Godard et al., CVPR 2017 (post-processing),
    on inverse depth as in PackNet, CVPR 2020.

    Args:
        inv_depth: [B, 1, H, W], predicted on the image.
        inv_depth_of_mirrored: [B, 1, H, W], predicted on the image mirrored left to right, as predicted.

    Returns:
        [B, 1, H, W] in the frame of the image.
    """
    back = inv_depth_of_mirrored.flip(-1)
    x = torch.linspace(0, 1, inv_depth.shape[-1], dtype=inv_depth.dtype, device=inv_depth.device)
    left = 1 - (20 * (x - 0.05)).clamp(0, 1)
    right = left.flip(-1)
    return right * inv_depth + left * back + (1 - left - right) * (inv_depth + back) / 2


class FlipFused(nn.Module):
    """A depth network that predicts its image and the mirror image, and fuses the two at every scale, with gradients.

    Mirroring the image mirrors the result, exactly. Twice the work. Source: SuperDepth, ICRA 2019, section III.C.

    Args:
        network: image [B, 3, H, W], and what its guidance sees, to inverse depths, finest first.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, guide_input: Tensor | None = None) -> list[Tensor]:
        """Return inverse depths [B, 1, H / 2^s, W / 2^s], finest first. Guidance sees `guide_input`, if it is given."""
        inputs = (image,) if guide_input is None else (image, guide_input)
        both: list[Tensor] = self.network(*map(with_mirrored, inputs))
        return [fuse_flipped(*inv_depth.chunk(2)) for inv_depth in both]


def with_mirrored(x: Tensor) -> Tensor:
    """[B, C, H, W] and its mirror images as one batch [2 B, C, H, W]."""
    return torch.cat([x, x.flip(-1)])
