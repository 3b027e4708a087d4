"""Rigid motions as 4x4 matrices and as six-vectors (translation in metres, rotation vector in radians).

A matrix `T_dst_src` maps homogeneous points of frame src into frame dst.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hat(vector: Tensor) -> Tensor:
    """The skew-symmetric matrix [..., 3, 3] of vector [..., 3]: hat(a) @ b = a x b."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y), (z, zero, -x), (-y, x, zero)
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def rotation_exp(rotvec: Tensor) -> Tensor:
    """Rotation matrix [..., 3, 3] of a rotation vector [..., 3] (radians), smooth through zero (Rodrigues)."""
    squared = (rotvec * rotvec).sum(-1)[..., None, None]
    small = squared < 1e-6 if rotvec.dtype == torch.float64 else squared < 1e-4
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / safe)
    skew = hat(rotvec)
    return torch.eye(3, dtype=rotvec.dtype, device=rotvec.device) + sine * skew + cosine * (skew @ skew)


def rotation_log(rotation: Tensor) -> Tensor:
    """Rotation vector [..., 3] (radians, angle at most pi) of a rotation matrix [..., 3, 3], by way of a quaternion.

    Of the four forms of the quaternion the best conditioned is taken, so that angles near zero and near pi are exact.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    x, y, z = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Rows: 4 * q * (its w, x, y or z component), q = (w, x, y, z).
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, x, y, z], -1),
            torch.stack([x, 1 + xx - yy - zz, xy, xz], -1),
            torch.stack([y, xy, 1 - xx + yy - zz, yz], -1),
            torch.stack([z, xz, yz, 1 - xx - yy + zz], -1),
        ],
        dim=-2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*m.shape[:-2], 1, 4)
    quaternion = candidates.gather(-2, best).squeeze(-2)
    quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < 1e-12 if m.dtype == torch.float64 else squared < 1e-6
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # angle / sin(angle / 2), with its limit 2 (1 + s^2 / 6) at zero.
    factor = torch.where(small, 2 + squared / 3, 2 * torch.atan2(sine, w) / sine)
    return factor * xyz


def from_rotation(rotation: Tensor, translation: Tensor) -> Tensor:
    """T [..., 4, 4] of a rotation matrix [..., 3, 3] and a translation [..., 3] (metres)."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1
    return torch.cat([top, bottom], dim=-2)


def from_vector(vector: Tensor) -> Tensor:
    """T [..., 4, 4] of a six-vector [..., 6]: translation (metres), rotation vector (radians)."""
    return from_rotation(rotation_exp(vector[..., 3:]), vector[..., :3])


def to_vector(T: Tensor) -> Tensor:
    """The six-vector [..., 6] of T [..., 4, 4]; the inverse of `from_vector`."""
    return torch.cat([T[..., :3, 3], rotation_log(T[..., :3, :3])], dim=-1)


def inverse(T: Tensor) -> Tensor:
    """T_src_dst of T_dst_src, both [..., 4, 4]."""
    rotation = T[..., :3, :3].transpose(-1, -2)
    return from_rotation(rotation, -(rotation @ T[..., :3, 3:])[..., 0])


def compose(T_a_b: Tensor, T_b_c: Tensor) -> Tensor:
    """T_a_c, all [..., 4, 4]."""
    return T_a_b @ T_b_c


def with_length(T: Tensor, length: Tensor) -> Tensor:
    """T [..., 4, 4] with its translation stretched to a length [...] (metres), its direction kept."""
    translation = T[..., :3, 3]
    norm = torch.linalg.vector_norm(translation, dim=-1).clamp(min=torch.finfo(T.dtype).eps)
    return from_rotation(T[..., :3, :3], translation * (length / norm)[..., None])


def transform(T_dst_src: Tensor, points: Tensor) -> Tensor:
    """Points [B, 3, ...] of frame src in frame dst, by T_dst_src [B, 4, 4]."""
    flat = points.flatten(2)
    moved = T_dst_src[:, :3, :3] @ flat + T_dst_src[:, :3, 3:]
    return moved.view_as(points)
