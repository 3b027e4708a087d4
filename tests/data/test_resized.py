from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from packdepth.data.resized import resized_depth, resized_image, resized_labels
from packdepth.geometry.camera import Camera
from packdepth.geometry.lidar import depth_map

sizes = st.integers(1, 12)


@given(height=sizes, width=sizes, rows=sizes, columns=sizes, seed=st.integers(0, 99))
def test_measurements_are_moved_and_never_mixed(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = np.where(rng.random((rows, columns)) < 0.5, rng.uniform(1, 80, (rows, columns)), 0).astype(np.float32)
    small = resized_depth(depth, height, width)
    assert small.shape == (height, width)
    assert set(small.ravel()) <= {0.0, *depth.ravel()}
    if (depth > 0).any():
        assert small[small > 0].min() == depth[depth > 0].min()
    labels = rng.integers(0, 5, (rows, columns)).astype(np.uint8)
    taken = resized_labels(labels, height, width)
    assert taken.shape == (height, width)
    assert set(taken.ravel()) <= set(labels.ravel())


def test_the_same_size_is_the_same() -> None:
    values = np.random.default_rng(0).uniform(1, 9, (5, 7)).astype(np.float32)
    np.testing.assert_array_equal(resized_depth(values, 5, 7), values)
    np.testing.assert_array_equal(resized_labels(values, 5, 7), values)


def test_depth_agrees_with_a_scan_seen_by_the_smaller_camera() -> None:
    """The oracle projects each pixel's point with the intrinsics of the resized camera."""
    camera = Camera(30.0, 30.0, 19.5, 5.5, width=40, height=12)
    depth = np.random.default_rng(1).uniform(2, 50, (12, 40))
    v, u = np.mgrid[:12, :40]
    points = np.stack([(u - 19.5) / 30 * depth, (v - 5.5) / 30 * depth, depth], -1).reshape(-1, 3)
    expected = depth_map(torch.from_numpy(points), camera.resized(4, 8))[0].numpy()
    np.testing.assert_allclose(resized_depth(depth, 4, 8), expected)


def test_images_keep_their_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    small = resized_image(image, 12, 20)
    assert small.dtype == np.uint8
    assert small.shape == (12, 20, 3)
    assert abs(float(small.mean()) - float(image.mean())) < 2
