"""Means over valid pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from packdepth.errors import InputError
from packdepth.objectives import masked_mean, sample_means

SIZES = st.tuples(*[st.integers(1, 4)] * 4)


def selected(values: Tensor, valid: Tensor) -> Tensor:
    """The same by selection: [B], with 0 where nothing is valid."""
    means = [v[m].mean() if m.any() else v.new_zeros(()) for v, m in zip(values, valid, strict=True)]
    return torch.stack(means)


@given(SIZES, st.integers(0, 99))
def test_means_are_those_of_the_selected_values(size: tuple[int, int, int, int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, dtype=torch.float64, generator=generator)
    valid = torch.rand(size, generator=generator) > 0.5
    torch.testing.assert_close(sample_means(values, valid), selected(values, valid))
    torch.testing.assert_close(masked_mean(values, valid), selected(values, valid).mean())


@given(SIZES, st.integers(0, 99))
def test_a_mask_of_one_channel_counts_for_all(size: tuple[int, int, int, int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, dtype=torch.float64, generator=generator)
    valid = torch.rand(size[0], 1, *size[2:], generator=generator) > 0.5
    assert torch.equal(sample_means(values, valid), sample_means(values, valid.repeat(1, size[1], 1, 1)))


@pytest.mark.parametrize("rest", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_valid_changes_neither_the_mean_nor_its_gradient(rest: float) -> None:
    values = torch.tensor([[[[1.0, 3.0, rest]]], [[[rest, rest, rest]]]], requires_grad=True)
    valid = values.detach().isfinite()
    mean = masked_mean(values, valid)
    assert mean == 1.0
    (gradient,) = torch.autograd.grad(mean, values)
    assert gradient.flatten(1).tolist() == [[0.25, 0.25, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "shape", [(1, 3, 4, 5), (1, 1, 4, 5), (2, 2, 4, 5), (2, 1, 1, 5), (2, 1, 5, 4), (4, 5), (3, 4, 5), (2, 1, 1, 4, 5)]
)
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^the valid mask is \[.*\], but the values are \[2, 3, 4, 5\]; give "):
        sample_means(torch.ones(2, 3, 4, 5), torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_a_mask_that_is_not_bool_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=r"^the valid mask holds torch\..*; give torch\.bool, such as mask > 0$"):
        masked_mean(torch.ones(2, 1, 4, 5), torch.ones(2, 1, 4, 5, dtype=dtype))
