"""Flip fusion: one prediction from an image and its mirror image, after a network or as a layer of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from packdepth.networks.uncertainty import Estimate

BORDER = 0.05  # share of the width: width of the two ramps at each border (Godard et al. 2017)


def fuse_flipped(inv_depth: Tensor, inv_depth_of_mirrored: Tensor) -> Tensor:
    """Return the mean of two predictions, with a ramp to the better of the two at the left and right borders.

    A network predicts poorly at the left border, because stereo and self-supervision have occlusions there. In the
    mirrored image the same place is the right border. So the leftmost 5 % are taken from the mirrored prediction, the
    rightmost 5 % from the plain one, and both fade into the mean over the next 5 %.

    Source: Godard et al., CVPR 2017 (post-processing), on inverse depth as in PackNet, CVPR 2020.

    Args:
        inv_depth: [B, 1, H, W], predicted from the image.
        inv_depth_of_mirrored: [B, 1, H, W], predicted from the image mirrored left to right, as predicted.

    Returns:
        [B, 1, H, W] in the frame of the image.

    >>> fuse_flipped(torch.ones(1, 1, 1, 3), torch.full((1, 1, 1, 3), 3.0))
    tensor([[[[3., 2., 1.]]]])
    """
    back = inv_depth_of_mirrored.flip(-1)
    x = torch.linspace(0, 1, inv_depth.shape[-1], dtype=inv_depth.dtype, device=inv_depth.device)
    left = 1 - ((1 / BORDER) * (x - BORDER)).clamp(0, 1)
    right = left.flip(-1)
    return right * inv_depth + left * back + (1 - left - right) * (inv_depth + back) / 2


class FlipFused(nn.Module):
    """A depth network that predicts its image and the mirror image, and fuses the two at every scale, with gradients.

    Mirroring the image mirrors the result, exactly. It is twice the work. Source: SuperDepth, ICRA 2019, section III.C.

    Args:
        network: maps images [B, 3, H, W], and the input of its guidance, to inverse depths, finest first.

    >>> network = FlipFused(lambda image: [image[:, :1]])
    >>> network(torch.rand(1, 3, 4, 6))[0].shape
    torch.Size([1, 1, 4, 6])
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image: Tensor, guide_input: Tensor | None = None, with_log_scale: bool = False
    ) -> list[Tensor] | Estimate:
        """Return inverse depths [B, 1, H / 2^s, W / 2^s], finest first.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            guide_input: input of the guidance [B, C, H, W]; None for the image itself.
            with_log_scale: return an `Estimate`, whose log-scale is fused likewise; the network must have one.
        """
        inputs = [with_mirrored(x) for x in (image, guide_input) if x is not None]
        if with_log_scale:
            estimate: Estimate = self.network(*inputs, with_log_scale=True)
            return Estimate(_fused(estimate.inv_depths), *_fused([estimate.log_scale]))
        return _fused(self.network(*inputs))


def _fused(both: list[Tensor]) -> list[Tensor]:
    """Return maps [B, 1, H, W] of images, each fused from the maps [2 B, 1, H, W] of the images and their mirrors."""
    # Chunks would be exported for one batch size only.
    return [fuse_flipped(*x.view(2, -1, *x.shape[1:])) for x in both]


def with_mirrored(x: Tensor) -> Tensor:
    """Return maps and their mirror images as one batch.

    Args:
        x: [B, C, H, W].

    Returns:
        [2 B, C, H, W].

    >>> with_mirrored(torch.tensor([[[[1.0, 2.0]]]])).flatten()
    tensor([1., 2., 2., 1.])
    """
    return torch.cat([x, x.flip(-1)])
