from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from packdepth.sources.kitti import baseline, camera_offset, read_matrices

K = np.array([[720.0, 0, 600], [0, 720, 170], [0, 0, 1]])


def projection(offset: list[float]) -> np.ndarray:
    """P [3, 4] of a rectified camera at this offset."""
    return K @ np.column_stack([np.eye(3), offset])


def test_offset_is_exact_where_cameras_are_not_aligned() -> None:
    np.testing.assert_allclose(camera_offset(projection([0.06, 0.001, 0.003])), [0.06, 0.001, 0.003])
    assert baseline(projection([0.06, 0.0, 0.003]), projection([-0.47, 0.0, 0.003])) == pytest.approx(0.53)


def test_matrices(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "calib.txt"
    path.write_text("calib_time: 09-Jan-2012 13:57:47\nR: 1 2 3 4\nT: 5e-1 6\n\nword: many\n")
    matrices = read_matrices(path, {"R": (2, 2), "T": (2,)})
    np.testing.assert_array_equal(matrices["R"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(matrices["T"], [0.5, 6])
    complaint(lambda: read_matrices(path, {"S": (2,)}), path, "'S:'")
    complaint(lambda: read_matrices(path, {"T": (3,)}), path, "'T:'", "3 numbers")
    complaint(lambda: read_matrices(path, {"word": (1,)}), path, "'word:'", "1 number")
    complaint(lambda: read_matrices(tmp_path / "none", {"T": (3,)}), tmp_path / "none", "not found", "T:")
