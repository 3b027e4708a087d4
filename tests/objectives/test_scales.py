"""Scales brought to one size, in both conventions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from packdepth.objectives.scales import enlarged, reduced


def test_reduced_images_average_what_there_is() -> None:
    image = torch.arange(15.0).view(1, 1, 3, 5)
    assert reduced(image, 1)[0, 0].tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    stack = torch.rand(2, 4, 3, 8, 8)
    torch.testing.assert_close(reduced(stack, 2)[1, 2], F.avg_pool2d(stack[1, 2], 4))
    assert reduced(stack, 0) is stack


def test_reduced_images_of_the_reference_keep_their_corners() -> None:
    stack = torch.rand(2, 4, 3, 8, 12)
    found = reduced(stack, 1, "reference")
    assert found.shape == (2, 4, 3, 4, 6)
    torch.testing.assert_close(found[..., [0, 0, -1, -1], [0, -1, 0, -1]], stack[..., [0, 0, -1, -1], [0, -1, 0, -1]])


def test_enlarged_inverse_depth() -> None:
    inv_depth = torch.tensor([[[[0.0, 4.0]]]])
    assert enlarged(inv_depth, 1, 1, 4)[0, 0, 0].tolist() == [0.0, 1.0, 3.0, 4.0]  # about pixel centers
    assert enlarged(inv_depth, 1, 1, 4, "reference")[0, 0, 0].tolist() == [0.0, 0.0, 4.0, 4.0]


@pytest.mark.parametrize("convention", ["packdepth", "reference"])
def test_enlarging_covers_any_size_and_leaves_full_size_alone(convention: str) -> None:
    full = torch.rand(2, 1, 13, 21)
    assert torch.equal(enlarged(full, 2, 13, 21, convention), full)  # type: ignore[arg-type]
    assert enlarged(torch.rand(2, 1, 4, 6), 2, 13, 21, convention).shape == full.shape  # type: ignore[arg-type]
    assert reduced(full, 2, convention).shape == (2, 1, 4, 6)  # type: ignore[arg-type]
