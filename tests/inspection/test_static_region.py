"""The static region: found as a whole in images that move, and nowhere else."""

from __future__ import annotations

import numpy as np
from fill import uniform

from packdepth.inspection.static_region import MIN_IMAGES, static_region


def moving_images(count: int = 24) -> list[np.ndarray]:
    """Gray images [96, 320] of a texture that slides by; its coarse cells are 6 pixels wide."""
    wide = np.repeat(np.repeat(uniform("unmoved", (16, 140)), 6, 0), 6, 1)
    return [0.1 + 0.8 * wide[:, 17 * i : 17 * i + 320] for i in range(count)]


def with_logo(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[8:32, 16:80] = np.where(np.indices((24, 64)).sum(0) // 4 % 2, 0.95, 0.1)
    return image


def with_hood(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    return np.where(rows > 76 + (columns - 160) ** 2 / 2500, 0.02, image)


def test_nothing_is_found_where_all_moves() -> None:
    assert not static_region(moving_images()).any()


def test_a_logo_is_found_where_it_is() -> None:
    mask = static_region([with_logo(image) for image in moving_images()])
    assert mask[8:32, 16:80].mean() > 0.9
    mask[4:36, 12:84] = False
    assert not mask.any()


def test_all_of_a_hood_is_found() -> None:
    images = moving_images()
    mask = static_region([with_hood(image) for image in images])
    hood = with_hood(images[0]) == np.float32(0.02)
    assert mask[hood].mean() > 0.95
    assert mask[:68].sum() == 0


def test_a_few_images_tell_nothing() -> None:
    assert not static_region([with_hood(image) for image in moving_images(MIN_IMAGES - 1)]).any()
    assert static_region([]).shape == (0, 0)
