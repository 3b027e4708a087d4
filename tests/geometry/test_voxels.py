"""Voxels: properties of thinning, and grids that add up frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.geometry.voxels import CELLS, Cloud, VoxelGrid, packed, thinned, unpacked


def random_cloud(count: int, seed: int) -> Cloud:
    """Random points within 3 m of the origin, with colors and confidence."""
    generator = np.random.default_rng(seed)
    points, colors = generator.uniform(-3, 3, (count, 3)), generator.integers(0, 256, (count, 3), dtype=np.uint8)
    return Cloud(points, colors, generator.uniform(0, 1, count))


def cells(points: np.ndarray, size: float) -> set[tuple[int, ...]]:
    return {tuple(cell) for cell in np.floor(points / size).astype(int).tolist()}


@given(count=st.integers(1, 300), seed=st.integers(0, 99), size=st.sampled_from([0.3, 1.0, 2.5]))
def test_thinning_leaves_the_mean_of_each_cube(count: int, seed: int, size: float) -> None:
    points, colors, confidence = cloud = random_cloud(count, seed)
    assert confidence is not None
    means = thinned(cloud, size)
    assert means.confidence is not None
    assert len(means.points) == len(cells(points, size))
    assert cells(means.points, size) == cells(points, size)
    for mean, color, sure in zip(means.points, means.colors, means.confidence, strict=True):
        same = (np.floor(points / size) == np.floor(mean / size)).all(1)
        np.testing.assert_allclose(mean, points[same].mean(0), atol=1e-9)
        np.testing.assert_allclose(color, colors[same].mean(0), atol=0.5 + 1e-9)
        np.testing.assert_allclose(sure, confidence[same].mean(), atol=1e-9)


@given(count=st.integers(1, 100), seed=st.integers(0, 99))
def test_the_order_of_points_does_not_matter(count: int, seed: int) -> None:
    points, colors, _ = random_cloud(count, seed)
    order = np.random.default_rng(seed).permutation(count)
    one, other = thinned(Cloud(points, colors), 0.7), thinned(Cloud(points[order], colors[order]), 0.7)
    np.testing.assert_allclose(one.points, other.points)
    np.testing.assert_allclose(one.colors.astype(float), other.colors.astype(float), atol=1)
    assert one.confidence is None


def test_thinning_again_changes_nothing() -> None:
    once = thinned(random_cloud(200, 0), 0.5)
    np.testing.assert_allclose(thinned(once, 0.5).points, once.points)


@given(st.lists(st.tuples(*[st.integers(-CELLS, CELLS - 1)] * 3), min_size=1, max_size=20))
def test_keys_give_back_their_cells(chosen: list[tuple[int, int, int]]) -> None:
    array = np.array(chosen)
    np.testing.assert_array_equal(unpacked(packed(array)), array)


def test_frames_are_counted_once_each_and_weights_count() -> None:
    grid = VoxelGrid(1.0)
    black, white = np.zeros((2, 3), np.uint8), np.full((1, 3), 200, np.uint8)
    grid.add(np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4]]), black, np.ones(2))  # one frame, twice in one voxel
    grid.add(np.array([[0.9, 0.9, 0.9]]), white, np.array([2.0]))
    (points, colors, confidence), frames = grid.means()
    np.testing.assert_allclose(points, [[0.6, 0.6, 0.6]])
    assert colors.tolist() == [[100, 100, 100]]
    assert frames.tolist() == [2]
    assert confidence is None
    assert len(grid.means(min_frames=3)[1]) == 0


def test_points_very_far_away_are_kept() -> None:
    far = np.array([[0.0, 0.0, 1e6]])
    np.testing.assert_allclose(thinned(Cloud(far, np.zeros((1, 3), np.uint8)), 0.01).points, far)


def test_memory_is_bounded_by_larger_voxels() -> None:
    grid = VoxelGrid(0.01, max_voxels=500)
    for seed in range(3):
        points, colors, _ = random_cloud(1000, seed)
        grid.add(points, colors, np.ones(1000))
    (means, _, _), frames = grid.means()
    assert 50 < len(means) <= 500
    assert grid.size == 0.01 * 2 ** round(np.log2(grid.size / 0.01))
    whole = np.concatenate([random_cloud(1000, seed).points for seed in range(3)])
    assert cells(means, grid.size) == cells(whole, grid.size)
    assert frames.max() <= 3


@pytest.mark.parametrize("size", [0, -1.0, np.nan, np.inf])
def test_cubes_without_a_side_are_refused(size: float) -> None:
    with pytest.raises(InputError, match=f"size {size:g}: is no length; give a positive number"):
        VoxelGrid(size)
    with pytest.raises(InputError, match=f"size {size:g}: is no length"):
        thinned(random_cloud(10, 0), size)
