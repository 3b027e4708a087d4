"""What pose networks share: pairs in temporal order in, T_context_target out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from packdepth.geometry import se3


class PairPoseNetwork(nn.Module):
    """A pose network that looks at two frames, always the earlier one first.

    A subclass predicts, in `pair_motion`, the motion of a pair [B, 6, H, W] as a six-vector [B, 6] (translation in
    metres, rotation vector in radians) of T_later_earlier. Motion against the order of time is its inverse: forward
    and backward context then teach the same thing, which is what lets short runs learn.
    """

    def pair_motion(self, pair: Tensor) -> Tensor:
        """Six-vectors [B, 6] of T_later_earlier of pairs [B, 6, H, W] (earlier, later)."""
        raise NotImplementedError

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        """Ego-motion to each context frame.

        Args:
            target: [B, 3, H, W] RGB in [0, 1].
            context: [B, N, 3, H, W].
            offsets: of the N context frames from the target, in frames; negative ones are earlier.

        Returns:
            T_context_target [B, N, 4, 4].
        """
        pairs = [
            torch.cat([context[:, i], target] if offset < 0 else [target, context[:, i]], dim=1)
            for i, offset in enumerate(offsets)
        ]
        vectors = self.pair_motion(torch.cat(pairs)).float()
        with torch.autocast(vectors.device.type, enabled=False):  # bfloat16 would round metres to 0.4 %
            T_later_earlier = se3.from_vector(vectors).view(len(offsets), -1, 4, 4)  # [N, B, 4, 4]
            motions = [se3.inverse(T) if offset < 0 else T for T, offset in zip(T_later_earlier, offsets, strict=True)]
        return torch.stack(motions, dim=1)


def start_forward(conv: nn.Conv2d, metres: float, translation_z: int, scale: float) -> None:
    """Set a last convolution's bias so that an untrained network predicts `metres` forward between two frames.

    The camera moves along +z, so points of the earlier frame move along -z in the later one.
    """
    assert conv.bias is not None
    with torch.no_grad():
        conv.bias[translation_z] = -metres / scale
