"""Flip fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from packdepth.inference.flip import fuse_flipped


def test_the_reference(golden: Path) -> None:
    content = {name: torch.from_numpy(array) for name, array in np.load(golden / "metrics.npz").items()}
    fused = fuse_flipped(1 / content["pred"], content["post_process_flipped_input"])
    torch.testing.assert_close(fused, content["post_process"], atol=1e-6, rtol=1e-6)


def test_the_roles_of_the_two_predictions_are_symmetric() -> None:
    plain, mirrored = torch.rand(2, 2, 1, 5, 37, dtype=torch.float64)
    torch.testing.assert_close(fuse_flipped(plain, mirrored).flip(-1), fuse_flipped(mirrored, plain))


def test_closed_form() -> None:
    plain, mirrored = torch.full((1, 1, 1, 101), 1.0), torch.full((1, 1, 1, 101), 3.0)
    fused = fuse_flipped(plain, mirrored)[0, 0, 0]
    assert (fused[:5] == 3).all()  # the left border from the mirrored image
    assert (fused[-5:] == 1).all()
    torch.testing.assert_close(fused[11:90], torch.full((79,), 2.0))
    assert 2 < fused[7] < 3


def test_equal_predictions_stay() -> None:
    plain = torch.rand(1, 1, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(fuse_flipped(plain, plain.flip(-1)), plain)
