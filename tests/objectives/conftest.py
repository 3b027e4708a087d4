"""What tests of stereo terms share."""

from __future__ import annotations

import pytest
import torch
import world
from torch import Tensor

from packdepth.records import Sample

BASELINE = 0.4  # metres


@pytest.fixture(scope="module")
def truth() -> tuple[Sample, Tensor, Tensor]:
    """A rendered pair as a sample, and the inverse depth [1, H, W] of its left and right views."""
    (image, depth), (right, right_depth) = world.render(0), world.render(0, right=BASELINE)
    left_image, right_image = (torch.from_numpy(x).permute(2, 0, 1).float() for x in (image, right))
    nothing = left_image.new_empty(0, *left_image.shape)
    sample = Sample(["a"], (), world.CAMERA, left_image, nothing, left_image, nothing)
    sample.right = sample.network_right = right_image
    sample.baseline = torch.tensor(BASELINE)
    left_inv, right_inv = (torch.from_numpy(1 / x)[None].float() for x in (depth, right_depth))
    return sample, left_inv, right_inv
