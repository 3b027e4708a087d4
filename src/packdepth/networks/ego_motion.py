"""What pose networks share: pairs in temporal order in, T_context_target out."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.networks.blocks import Sparsity
from packdepth.networks.layers.formats import without_autocast
from packdepth.networks.layers.sparsity import sparse


class PairPoseNetwork(nn.Module):
    """A pose network that looks at two frames, always the earlier one first.

    A subclass predicts, in `pair_motion`, the motion of a pair of views as a six-vector [B, 6] (translation in metres,
    rotation vector in radians) of T_later_earlier. A view is an image [3, H, W], RGB in [0, 1]; for a network that
    `uses_depth` its inverse depth, in 1/metres and 0 where unknown, is a fourth channel. Motion against the order of
    time is its inverse: forward and backward context then teach the same thing, which is what lets short runs learn.

    Attributes:
        sparsity: pixels that views lose in training; None for none.
        progress: share of the training that is over, by which they are fewer or more.
    """

    uses_depth: ClassVar[bool] = False
    context_offsets: ClassVar[tuple[int, ...]] = (1,)
    """Offsets, in frames from the target, of the context frames that it needs at once to predict the motion from the
    target to the next frame, which is the last of them."""
    depth_gradient: bool = False  # whether the depth in its views is to have a gradient

    def __init__(self) -> None:
        super().__init__()
        self.sparsity: Sparsity | None = None
        self.progress = 0.0

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Six-vectors [B, 6] of T_later_earlier of pairs of views [B, 2 C, H, W] (earlier, later)."""
        raise NotImplementedError

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Ego-motion to each context frame.

        Args:
            target: views [B, C, H, W], C = 3 or, with inverse depth, 4.
            context: views [B, N, C, H, W].
            offsets: of the N context frames from the target, in frames; negative ones are earlier.

        Returns:
            T_context_target [B, N, 4, 4].
        """
        return self._motions(target, context, [offset < 0 for offset in offsets])

    def reversed_motion(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """As `forward`, but each pair is shown with the later frame first, as in a film that runs backward."""
        return self._motions(target, context, [offset > 0 for offset in offsets])

    def _motions(self, target: Tensor, context: Tensor, context_first: list[bool]) -> Tensor:
        pairs = torch.cat(
            [
                torch.cat([context[:, i], target] if first else [target, context[:, i]], dim=1)
                for i, first in enumerate(context_first)
            ]
        )
        if self.training and self.sparsity is not None:
            pairs = sparse(pairs, self.sparsity, self.progress)
        vectors = self.pair_motion(pairs)
        if not isinstance(vectors, Tensor) or vectors.shape != (len(pairs), 6):
            found = list(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
            raise InputError(
                f"networks.pose: pair_motion of {type(self).__name__} returns {found} for {len(pairs)} pairs; return "
                f"six-vectors {[len(pairs), 6]}: translation in metres, rotation vector in radians"
            )
        vectors = vectors.float()
        with without_autocast(vectors.device):  # bfloat16 would round metres to 0.4 %
            T_second_first = se3.from_vector(vectors).view(len(context_first), -1, 4, 4)  # [N, B, 4, 4]
            motions = [se3.inverse(T) if first else T for T, first in zip(T_second_first, context_first, strict=True)]
        return torch.stack(motions, dim=1)


def views(images: Tensor, inv_depths: Tensor) -> Tensor:
    """Images [..., 3, H, W] with their inverse depths [..., 1, H, W] (1/metres): [..., 4, H, W]."""
    return torch.cat([images, inv_depths.to(torch.promote_types(images.dtype, torch.float32))], dim=-3)


def start_forward(conv: nn.Conv2d, metres: float, translation_z: int, scale: float) -> None:
    """Set a last convolution's bias so that an untrained network predicts `metres` forward between two frames.

    The camera moves along +z, so points of the earlier frame move along -z in the later one.
    """
    assert conv.bias is not None
    with torch.no_grad():
        conv.bias[translation_z] = -metres / scale
