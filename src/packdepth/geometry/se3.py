"""Rigid motions as 4x4 matrices and as six-vectors (translation in metres, rotation vector in radians).

A matrix `T_dst_src` maps homogeneous points of frame src into frame dst.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Squared angles, in radians^2, below which a Taylor series replaces a quotient that is 0 / 0 at zero. The terms that
# the series drops are then smaller than the rounding of the type.
EXP_SERIES_FLOAT64, EXP_SERIES_FLOAT32 = 1e-6, 1e-4  # the squared angle; the series drops its third power
LOG_SERIES_FLOAT64, LOG_SERIES_FLOAT32 = 1e-12, 1e-6  # the squared sine of half the angle; the series drops its square


def hat(vector: Tensor) -> Tensor:
    """Return the skew-symmetric matrix of a vector: hat(a) @ b = a x b.

    Args:
        vector: [..., 3].

    Returns:
        [..., 3, 3].

    >>> a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    >>> hat(a) @ b
    tensor([0., 0., 1.])
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y), (z, zero, -x), (-y, x, zero)
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def rotation_exp(rotvec: Tensor) -> Tensor:
    """Return the rotation matrix of a rotation vector, smooth through zero (Rodrigues).

    Args:
        rotvec: rotation vector [..., 3], radians.

    Returns:
        [..., 3, 3].

    >>> rotation_exp(torch.zeros(3))
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """
    squared = (rotvec * rotvec).sum(-1)[..., None, None]
    small = squared < (EXP_SERIES_FLOAT64 if rotvec.dtype == torch.float64 else EXP_SERIES_FLOAT32)
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / safe)
    skew = hat(rotvec)
    return torch.eye(3, dtype=rotvec.dtype, device=rotvec.device) + sine * skew + cosine * (skew @ skew)


def rotation_log(rotation: Tensor) -> Tensor:
    """Return the rotation vector of a rotation matrix, by way of a quaternion.

    Of the four forms of the quaternion the best conditioned is taken, so that angles near zero and near pi are exact.

    Args:
        rotation: [..., 3, 3].

    Returns:
        Rotation vector [..., 3] in radians, of an angle of at most pi.

    >>> rotation_log(rotation_exp(torch.tensor([0.0, 0.5, 0.0])))
    tensor([0.0000, 0.5000, 0.0000])
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
    small = squared < (LOG_SERIES_FLOAT64 if m.dtype == torch.float64 else LOG_SERIES_FLOAT32)
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # angle / sin(angle / 2), with its limit 2 (1 + s^2 / 6) at zero.
    factor = torch.where(small, 2 + squared / 3, 2 * torch.atan2(sine, w) / sine)
    return factor * xyz


def from_rotation(rotation: Tensor, translation: Tensor) -> Tensor:
    """Return the rigid motion of a rotation and a translation.

    Args:
        rotation: rotation matrix [..., 3, 3].
        translation: [..., 3], metres.

    Returns:
        T [..., 4, 4].

    >>> from_rotation(torch.eye(3), torch.tensor([1.0, 2.0, 3.0]))[:3, 3]
    tensor([1., 2., 3.])
    """
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1
    return torch.cat([top, bottom], dim=-2)


def from_vector(vector: Tensor) -> Tensor:
    """Return the rigid motion of a six-vector.

    Args:
        vector: [..., 6], translation in metres, then rotation vector in radians.

    Returns:
        T [..., 4, 4].

    >>> torch.equal(from_vector(torch.zeros(6)), torch.eye(4))
    True
    """
    return from_rotation(rotation_exp(vector[..., 3:]), vector[..., :3])


def to_vector(T: Tensor) -> Tensor:
    """Return the six-vector of a rigid motion: the inverse of `from_vector`.

    Args:
        T: [..., 4, 4].

    Returns:
        [..., 6], translation in metres, then rotation vector in radians.

    >>> to_vector(from_vector(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])))
    tensor([1., 2., 3., 0., 0., 0.])
    """
    return torch.cat([T[..., :3, 3], rotation_log(T[..., :3, :3])], dim=-1)


def inverse(T: Tensor) -> Tensor:
    """Return the inverse of a rigid motion: T_src_dst of T_dst_src.

    Args:
        T: T_dst_src [..., 4, 4].

    Returns:
        T_src_dst [..., 4, 4].

    >>> to_vector(inverse(from_vector(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))))[:3]
    tensor([-1., -2., -3.])
    """
    rotation = T[..., :3, :3].transpose(-1, -2)
    return from_rotation(rotation, -(rotation @ T[..., :3, 3:])[..., 0])


def compose(T_a_b: Tensor, T_b_c: Tensor) -> Tensor:
    """Return the composition of two rigid motions: T_a_c.

    Args:
        T_a_b: [..., 4, 4].
        T_b_c: [..., 4, 4].

    Returns:
        T_a_c [..., 4, 4].

    >>> T = from_vector(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))
    >>> torch.equal(compose(T, inverse(T)), torch.eye(4))
    True
    """
    return T_a_b @ T_b_c


def with_length(T: Tensor, length: Tensor) -> Tensor:
    """Return rigid motions whose translation keeps its direction and gets a new length.

    Args:
        T: [..., 4, 4].
        length: length of the translation, [...], metres.

    Returns:
        T [..., 4, 4].

    >>> with_length(from_vector(torch.tensor([0.0, 0.0, 2.0, 0.0, 0.0, 0.0])), torch.tensor(5.0))[:3, 3]
    tensor([0., 0., 5.])
    """
    translation = T[..., :3, 3]
    norm = torch.linalg.vector_norm(translation, dim=-1).clamp(min=torch.finfo(T.dtype).eps)
    return from_rotation(T[..., :3, :3], translation * (length / norm)[..., None])


def transform(T_dst_src: Tensor, points: Tensor) -> Tensor:
    """Return points of frame src in frame dst.

    Args:
        T_dst_src: [B, 4, 4].
        points: points [B, 3, ...] in frame src, metres.

    Returns:
        Points [B, 3, ...] in frame dst, metres.

    >>> T = from_vector(torch.tensor([[0.0, 0.0, 2.0, 0.0, 0.0, 0.0]]))
    >>> transform(T, torch.tensor([[[1.0], [1.0], [1.0]]])).flatten()
    tensor([1., 1., 3.])
    """
    flat = points.flatten(2)
    moved = T_dst_src[:, :3, :3] @ flat + T_dst_src[:, :3, 3:]
    return moved.view_as(points)
