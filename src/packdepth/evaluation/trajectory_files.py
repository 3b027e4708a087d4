"""Writers of trajectories in the formats of TUM RGB-D and of KITTI. If writing fails, a file is as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from packdepth.files import replacing
from packdepth.sources.rigid import quaternion


def write_tum(path: Path, times: Sequence[float], poses: np.ndarray) -> None:
    """Write a trajectory in TUM RGB-D's format: a line `time x y z qx qy qz qw` for each frame.

    Args:
        path: the file.
        times: the times of the N frames, seconds.
        poses: T_world_camera [N, 4, 4], metres.
    """
    rows = ((time, *T[:3, 3], *quaternion(T[:3, :3])) for time, T in zip(times, poses, strict=True))
    _write(path, rows, "%.6f" + " %.9g" * 7)


def write_kitti(path: Path, poses: np.ndarray) -> None:
    """Write a trajectory in KITTI odometry's format: the first three rows of each pose, a line for each frame.

    Args:
        path: the file.
        poses: T_world_camera [N, 4, 4], metres.
    """
    _write(path, poses[:, :3].reshape(-1, 12), " ".join(["%.9g"] * 12))


def _write(path: Path, rows: Iterable[Sequence[float] | np.ndarray], form: str) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(form % tuple(row) + "\n" for row in rows)
