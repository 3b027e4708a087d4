"""Images that no pinhole camera makes: combs without a mark, raw mosaics, panoramas, circles, several in one file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import world
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from packdepth.errors import InputError
from packdepth.inspection.findings import findings
from packdepth.inspection.picture import ALTERNATING, alternation, has_black_corners, is_panorama
from packdepth.inspection.survey import survey
from packdepth.sources.open import open_clips

from .conftest import Command

NOISE = np.random.default_rng(0).random((200, 800, 3))
SCENE = np.asarray(gaussian_filter(NOISE, (1.5, 1.5, 0), mode="wrap"))
SCENE = (255 * (SCENE - SCENE.min()) / np.ptp(SCENE)).astype(np.uint8)


def drive(height: int = 96, width: int = 192, frames: int = 8, step: int = 4) -> list[np.ndarray]:
    """Return images of a pattern that moves to the left."""
    return [SCENE[:height, step * index : step * index + width].copy() for index in range(frames)]


def interlaced(images: list[np.ndarray]) -> list[np.ndarray]:
    """Return images whose odd rows are those of the next one."""
    return [np.where(np.arange(len(a))[:, None, None] % 2 == 0, a, b) for a, b in pairwise(images)]


def mosaic(image: np.ndarray) -> np.ndarray:
    """Return what a sensor with color filters (RGGB) measures of a colored scene, as a gray image."""
    tinted = image * np.array([1.0, 0.6, 0.2])
    raw = tinted[..., 1].copy()
    raw[::2, ::2], raw[1::2, 1::2] = tinted[::2, ::2, 0], tinted[1::2, 1::2, 2]
    return raw.astype(np.uint8)[..., None].repeat(3, -1)


def circled(image: np.ndarray) -> np.ndarray:
    """Return an image that is black outside of a circle through the middles of its sides, but a little larger."""
    height, width = image.shape[:2]
    v, u = np.mgrid[:height, :width]
    inside = np.hypot((u - width / 2) / width, (v - height / 2) / height) < 0.55
    return np.where(inside[..., None], np.maximum(image, 40), 3).astype(np.uint8)


def found_in(folder: Path, images: list[np.ndarray]) -> dict[str, str]:
    """Return the findings of a folder of images: what was found, by name."""
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:06d}.png")
    return {finding.name: finding.found for finding in findings(survey(open_clips(folder)[0]))}


def test_each_kind_is_found_and_a_scene_is_none(tmp_path: Path) -> None:
    kinds = {
        "interlaced": interlaced(drive()),
        "mosaic": [mosaic(image) for image in drive()],
        "black corners": [circled(image) for image in drive()],
        "scene": drive(),
    }
    around = np.asarray(gaussian_filter(NOISE[:, :400], (1.5, 1.5, 0), mode="wrap"))
    around = (255 * (around - around.min()) / np.ptp(around)).astype(np.uint8)
    kinds["panorama"] = [np.roll(around, -4 * index, axis=1) for index in range(8)]
    names = {"interlaced", "mosaic", "panorama", "black corners"}
    for kind, images in kinds.items():
        folder = tmp_path / kind
        folder.mkdir()
        assert names & set(found_in(folder, images)) == {kind} & names


@settings(max_examples=30, deadline=None)
@given(sigma=st.floats(0.3, 4), shift=st.integers(0, 200), noise=st.floats(0, 20))
def test_scenes_do_not_alternate(sigma: float, shift: int, noise: float) -> None:
    scene = gaussian_filter(255 * NOISE[:96, shift : shift + 192], (sigma, sigma, 0))
    scene = scene + np.random.default_rng(1).normal(0, noise, scene.shape)
    assert max(alternation([scene.clip(0, 255).astype(np.uint8)])) < ALTERNATING - 0.05


def test_images_of_the_shape_of_panoramas_that_end_at_the_borders_are_none() -> None:
    assert not is_panorama([SCENE[:100, 50:250]])
    assert not is_panorama(drive())
    dark = np.zeros((96, 192, 3), np.uint8)
    assert not is_panorama([dark])
    assert not has_black_corners([dark])
    barred = np.pad(np.maximum(SCENE[:96, :192], 40), ((16, 16), (0, 0), (0, 0)))
    assert not has_black_corners([barred])


def test_views_in_pairs_and_panoramas_are_not_trained_on(tmp_path: Path, train: Command) -> None:
    pairs = [np.concatenate([image, np.roll(image, -4, 1)], 1) for image in drive()]
    for number, image in enumerate(pairs):
        Image.fromarray(image).save(tmp_path / f"{number:06d}.png")
    source: dict[str, object] = {"kind": "images", "root": str(tmp_path)}
    status, _, messages = train(source, [{"kind": "photometric"}], camera={"fov": 90})
    assert status == 2
    assert "the left and right half of the images show the same scene" in messages


@pytest.mark.parametrize("suffix", ["tiff", "webp", "png"])
def test_a_file_of_several_images_is_not_read_as_its_first(tmp_path: Path, suffix: str) -> None:
    first, *others = [Image.fromarray(image) for image in drive(frames=3)]
    first.save(tmp_path / f"0.{suffix}", save_all=True, append_images=others)
    with pytest.raises(InputError, match=rf"0\.{suffix}: holds 3 images; write each into a file of its own"):
        open_clips(tmp_path)


def test_a_preview_in_a_file_is_no_second_image(tmp_path: Path) -> None:
    image = Image.fromarray(SCENE[:96, :192])
    image.save(tmp_path / "0.tiff", save_all=True, append_images=[image.resize((48, 24))])
    (clip,) = open_clips(tmp_path)
    assert clip.frames[0].image.read().shape == (96, 192, 3)


def test_points_in_the_axes_of_a_scanner_are_given_away(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    (folder / "lidar").mkdir()
    for index in range(world.FRAMES):
        points = world.scan(index)[:, [2, 0, 1]] * [1, -1, -1]  # x ahead, y to the left, z up
        np.savez(folder / "lidar" / f"{index:06d}.npz", points=points)
    (clip,) = open_clips(folder)
    found = {finding.name: finding.found for finding in findings(survey(clip))}
    assert found["LiDAR"].endswith(
        "0% of whose returns fall into the image; of x ahead, y to the left and z up, 96% would"
    )
