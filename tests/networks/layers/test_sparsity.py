"""Pixels that an ego-motion network loses in training."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from packdepth.networks.layers.sparsity import BLOCK, kept, sparse
from packdepth.networks.options import Pattern, Sparsity
from packdepth.networks.posenet import PoseNet

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
ALL = pytest.mark.parametrize("pattern", PATTERNS)


@ALL
@given(seed=st.integers(0, 99), lost=st.floats(0, 0.95))
def test_the_share_that_goes_is_the_one_asked_for(pattern: Pattern, seed: int, lost: float) -> None:
    torch.manual_seed(seed)
    mask = kept(pattern, torch.full((8,), lost), 96, 320)
    assert mask.shape == (8, 1, 96, 320)
    tolerance = 0.2 if pattern == "blocks" else 0.03  # of some hundred squares
    assert (~mask).float().mean().item() == pytest.approx(lost, abs=tolerance)


@ALL
def test_nothing_and_everything(pattern: Pattern) -> None:
    mask = kept(pattern, torch.tensor([0.0, 1.0]), 33, 50)
    assert mask[0].all()
    assert not mask[1].any()


def test_a_grid_is_rows_and_columns_evenly_spaced() -> None:
    torch.manual_seed(0)
    (mask,) = kept("grid", torch.tensor([1 - 1 / 16]), 64, 96)[:, 0]
    rows, columns = mask.any(1), mask.any(0)
    assert torch.equal(mask, rows[:, None] & columns)
    for lines in (rows, columns):
        assert (lines.nonzero().flatten().diff() == 4).all()


def test_blocks_are_squares() -> None:
    torch.manual_seed(0)
    (mask,) = kept("blocks", torch.tensor([0.5]), 64, 96)[:, 0]
    for axis in (0, 1):  # all edges lie at one place modulo the square's side
        edges = mask.float().diff(dim=axis).nonzero()[:, axis] % BLOCK
        assert len(edges) > 0
        assert (edges == edges[0]).all()


@ALL
@pytest.mark.parametrize("same", [True, False])
def test_all_channels_of_a_view_lose_the_same_pixels_and_views_as_told(pattern: Pattern, same: bool) -> None:
    torch.manual_seed(0)
    lost = sparse(torch.ones(4, 8, 48, 64), Sparsity(pattern=pattern, start=0.9, same=same), progress=0.0) == 0
    first, second = lost[:, :4], lost[:, 4:]
    assert torch.equal(first, first[:, :1].expand_as(first))
    assert torch.equal(second, second[:, :1].expand_as(second))
    assert torch.equal(first, second) == same


def test_the_limit_goes_from_start_to_end() -> None:
    pairs, sparsity = torch.ones(400, 2, 20, 20), Sparsity(start=0.8, end=0.2)
    for progress, limit in ((0.0, 0.8), (0.5, 0.5), (1.0, 0.2)):
        torch.manual_seed(0)
        shares = (sparse(pairs, sparsity, progress) == 0).float().mean((1, 2, 3))
        assert shares.mean().item() == pytest.approx(limit / 2, abs=0.02)  # each pair's is drawn below the limit
        assert shares.max().item() == pytest.approx(limit, abs=0.06)


def test_a_seed_repeats_it() -> None:
    pairs, sparsity = torch.rand(2, 6, 32, 48), Sparsity(pattern="blocks")
    results = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        results.append(sparse(pairs, sparsity, 0.3))
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


def test_networks_lose_pixels_in_training_alone() -> None:
    torch.manual_seed(0)
    network, target, context = PoseNet(), torch.rand(1, 3, 64, 96), torch.rand(1, 1, 3, 64, 96)
    with torch.no_grad():
        whole = network(target, context, (1,))
        network.sparsity = Sparsity(start=0.9)
        assert not torch.equal(network(target, context, (1,)), whole)
        network.progress = 1.0  # where the default has come to nothing
        assert torch.equal(network(target, context, (1,)), whole)
        network.progress = 0.0
        assert torch.equal(network.eval()(target, context, (1,)), whole)
