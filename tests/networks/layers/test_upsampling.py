"""The forms for export of upsampling and of logits: they compute the same, whatever the size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.networks.layers.finest import FoldedFinestLevel
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.layers.upsampling import Refinement, UpsamplingConv2d

SIDES = st.integers(2, 7)


@given(height=SIDES, width=SIDES, channels=st.integers(1, 4), skip=st.integers(1, 4))
def test_a_convolution_after_upsampling_is_one_at_the_coarse_resolution(
    height: int, width: int, channels: int, skip: int
) -> None:
    layer = UpsamplingConv2d(channels, skip, 3).double()
    x, joined = random(channels, height, width), random(skip, 2 * height, 2 * width)
    torch.testing.assert_close(layer.folded()(x, joined), layer(x, joined))


def test_guided_maps_are_upsampled_before_they_are_guided() -> None:
    layer = UpsamplingConv2d(2, 2, 3).double()
    x, joined = random(2, 3, 4), random(2, 6, 8)
    fine = layer.folded()(x, joined, lambda maps: maps.roll(1, dims=-1))
    torch.testing.assert_close(fine, layer(x, joined, lambda maps: maps.roll(1, dims=-1)))
    assert not torch.allclose(fine, layer(x, joined))


@given(height=SIDES, width=SIDES)
def test_refined_logits_are_upsampled_bilinearly(height: int, width: int) -> None:
    layer = Refinement()
    fine, coarse = random(1, 2 * height, 2 * width).float(), random(1, height, width).float()
    torch.testing.assert_close(layer.folded()(fine, coarse), layer(fine, coarse))
    assert layer.folded()(fine, None) is fine


@given(height=st.integers(2, 6), width=st.integers(2, 6), logits=st.integers(1, 2), bias=st.booleans())
def test_the_finest_level_needs_no_maps_at_full_resolution(height: int, width: int, logits: int, bias: bool) -> None:
    layer = UpsamplingConv2d(3, 0, 4).double()
    head = LogitConv2d(4, logits, 3, padding=1, padding_mode="reflect", bias=bias).double()
    x = random(3, 2 * height, 2 * width)
    features = F.elu(layer(x))
    folded = FoldedFinestLevel(layer, head)
    for found, expected in zip(folded(x), (head(features), features), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
@given(height=SIDES, width=SIDES, logits=st.sampled_from([1, 2, 4, 5]), bias=st.booleans())
def test_logits_of_a_block_of_pixels_are_channels(mode: Any, height: int, width: int, logits: int, bias: bool) -> None:
    layer = LogitConv2d(3, logits, 3, padding=1, padding_mode=mode, bias=bias).double()
    for size in ((height, width), (4 * height, 4 * width)):
        x = random(3, *size)
        torch.testing.assert_close(layer.folded()(x), layer(x))


@pytest.mark.parametrize(
    "layer",
    [
        LogitConv2d(3, 1, 1),
        LogitConv2d(3, 1, 3),
        LogitConv2d(3, 1, 3, padding=1, stride=2),
        LogitConv2d(3, 1, 3, padding=1, dilation=2),
        LogitConv2d(3, 3, 3, padding=1, groups=3),
    ],
)
def test_another_form_of_convolution_is_not_folded(layer: LogitConv2d) -> None:
    assert layer.folded() is layer


def random(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(1, channels, height, width, dtype=torch.float64)
