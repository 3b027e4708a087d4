"""Base class of pose networks, which predict T_context_target from pairs of frames in temporal order."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.networks.layers.formats import without_autocast
from packdepth.networks.layers.sparsity import sparse
from packdepth.networks.options import MOTION_SCALE, Sparsity

TRANSLATION, ROTATION = slice(0, 3), slice(3, 6)  # channels of the last convolution, in the order of six-vectors
PUBLISHED = (MOTION_SCALE, MOTION_SCALE)  # factors of translation and rotation, in metres and radians


class PairPoseNetwork(nn.Module):
    """A pose network that takes two frames, always the earlier one first.

    A subclass predicts, in `pair_motion`, the motion of a pair of views as a six-vector [B, 6] (translation in metres,
    rotation vector in radians) of T_later_earlier. A view is an image [3, H, W], RGB in [0, 1]; for a network that
    `uses_depth`, its inverse depth, in 1/metres and 0 where unknown, is a fourth channel. The motion to an earlier
    context frame is the inverse of the predicted forward motion. So earlier and later context frames train the same
    function, and short trainings suffice.

    Attributes:
        sparsity: random dropping of pixels of the views in training; None: no pixel is dropped.
        progress: finished share of the training, from 0 to 1, on which the share of dropped pixels depends.
        scale: factor of the translations.

    >>> class Still(PairPoseNetwork):
    ...     def pair_motion(self, pair):
    ...         return pair.new_zeros(len(pair), 6)
    >>> target, context = torch.rand(1, 3, 8, 8), torch.rand(1, 2, 3, 8, 8)
    >>> Still()(target, context, offsets=(-1, 1)).shape
    torch.Size([1, 2, 4, 4])
    """

    uses_depth: ClassVar[bool] = False
    context_offsets: ClassVar[tuple[int, ...]] = (1,)
    """Offsets of the context frames with which prediction has to call the network, in frames from the target.

    The last offset is 1: prediction uses the motion from the target to the next frame.
    """
    depth_gradient: bool = False  # whether the gradient flows through the views into the depth network

    def __init__(self) -> None:
        super().__init__()
        self.sparsity: Sparsity | None = None
        self.progress = 0.0
        self.scale = 1.0

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Return six-vectors [B, 6] of T_later_earlier.

        Args:
            pair: pairs of views [B, 2 C, H, W], earlier and later.
        """
        raise NotImplementedError

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Return the ego-motion to each context frame.

        Args:
            target: views [B, C, H, W], C = 3 or, with inverse depth, 4.
            context: views [B, N, C, H, W].
            offsets: offsets of the N context frames from the target, in frames; negative ones are earlier.

        Returns:
            T_context_target [B, N, 4, 4].
        """
        return self._motions(target, context, [offset < 0 for offset in offsets])

    def reversed_motion(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Return the ego-motion as `forward` does, but predict it from pairs with the later frame first.

        Args:
            target: views [B, C, H, W], C = 3 or, with inverse depth, 4.
            context: views [B, N, C, H, W].
            offsets: offsets of the N context frames from the target, in frames; negative ones are earlier.

        Returns:
            T_context_target [B, N, 4, 4].
        """
        return self._motions(target, context, [offset > 0 for offset in offsets])

    def scaled(self, vectors: Tensor) -> Tensor:
        """Return six-vectors with their translations multiplied by `scale`.

        Args:
            vectors: [..., 6], translation and rotation.
        """
        return torch.cat([self.scale * vectors[..., :3], vectors[..., 3:]], dim=-1)

    def _motions(self, target: Tensor, context: Tensor, context_first: list[bool]) -> Tensor:
        """Return T_context_target [B, N, 4, 4]. In the pair of context frame i, it is first if `context_first[i]`."""
        pairs = torch.cat(
            [
                torch.cat([context[:, i], target] if first else [target, context[:, i]], dim=1)
                for i, first in enumerate(context_first)
            ]
        )
        if self.training and self.sparsity is not None:
            pairs = sparse(pairs, self.sparsity, self.progress)
        vectors = self.pair_motion(pairs)
        if not isinstance(vectors, Tensor) or vectors.shape != (pairs.shape[0], 6):
            found = list(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
            raise InputError(
                f"networks.pose: pair_motion of {type(self).__name__} returns {found} for {len(pairs)} pairs; return "
                f"six-vectors {[len(pairs), 6]}: translation in metres, rotation vector in radians"
            )
        vectors = self.scaled(vectors.float())
        with without_autocast(vectors.device):  # bfloat16 would round translations to 0.4 %
            T_second_first = se3.from_vector(vectors).view(len(context_first), -1, 4, 4)  # [N, B, 4, 4]
            motions = [se3.inverse(T) if first else T for T, first in zip(T_second_first, context_first, strict=True)]
        return torch.stack(motions, dim=1)


def views(images: Tensor, inv_depths: Tensor) -> Tensor:
    """Return images with their inverse depths as a fourth channel.

    Args:
        images: [..., 3, H, W].
        inv_depths: inverse depths [..., 1, H, W], 1/metres.

    Returns:
        [..., 4, H, W].

    >>> views(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """
    return torch.cat([images, inv_depths.to(torch.promote_types(images.dtype, torch.float32))], dim=-3)


def start_forward(conv: nn.Conv2d, metres: float, translation_z: int, scale: float) -> None:
    """Set the bias of the last convolution so that an untrained network predicts forward motion.

    If the camera moves along +z, T_later_earlier translates along -z.

    Args:
        conv: the last convolution, with a bias.
        metres: forward motion along the optical axis between two frames, in metres.
        translation_z: index of the channel for z of the translation.
        scale: factor by which the network multiplies the result of the convolution.

    >>> conv = nn.Conv2d(8, 6, 1)
    >>> start_forward(conv, metres=1.0, translation_z=2, scale=0.5)
    >>> conv.bias[2].item()
    -2.0
    """
    assert conv.bias is not None
    with torch.no_grad():
        conv.bias[translation_z] = -metres / scale


def start_motion(
    conv: nn.Conv2d,
    initial_forward: float,
    scales: tuple[float, float],
    translation: slice = TRANSLATION,
    rotation: slice = ROTATION,
) -> None:
    """Set the last convolution so that an untrained network predicts forward motion, and little else.

    Its random weights are divided by the factors, so that the motion that they give is as small as with the published
    ones (`MOTION_SCALE`), which leave them as they are.

    Args:
        conv: the last convolution, with a bias.
        initial_forward: forward motion along the optical axis between two frames, in metres.
        scales: the factors of translation and rotation, in metres and radians for each unit.
        translation: the channels of the translation.
        rotation: the channels of the rotation vector.

    >>> conv = nn.Conv2d(8, 6, 1)
    >>> start_motion(conv, initial_forward=1.0, scales=(0.5, 0.1))
    >>> conv.bias[2].item()
    -2.0
    """
    with torch.no_grad():
        for channels, scale in zip((translation, rotation), scales, strict=True):
            conv.weight[channels] *= MOTION_SCALE / scale
    start_forward(conv, initial_forward, translation.start + 2, scales[0])


def scaled_motion(translation: Tensor, rotation: Tensor, scales: tuple[float, float]) -> Tensor:
    """Return six-vectors [..., 6] in metres and radians.

    Args:
        translation: translations [..., 3] in units of their factor.
        rotation: rotation vectors [..., 3] in units of theirs.
        scales: the factors of translation and rotation, in metres and radians for each unit.

    >>> scaled_motion(torch.ones(1, 3), torch.ones(1, 3), (0.5, 0.25))
    tensor([[0.5000, 0.5000, 0.5000, 0.2500, 0.2500, 0.2500]])
    """
    return torch.cat([scales[0] * translation, scales[1] * rotation], dim=-1)
