"""Zooming: a window of a sample is what a camera of longer focal length sees, in all its parts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from hypothesis import given
from hypothesis import strategies as st

from packdepth.config import Augmentation
from packdepth.data.dataset import ClipDataset
from packdepth.data.transforms import Window, flipped, zoomed
from packdepth.records import Clip, Sample
from packdepth.sources.folder import Folder

FRAME = 2
SIZE = (world.CAMERA.height, world.CAMERA.width)
windows = st.integers(0, 9999).map(lambda seed: Window.draw(0.5, SIZE, np.random.default_rng(seed)))


def image_of(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).float()


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A sample of the world with all fields that are maps; each 8 columns have one label."""
    pixels, depth = world.render(FRAME)
    context = torch.stack([image_of(world.render(FRAME + offset)[0]) for offset in (-1, 1)])
    labels = (torch.arange(SIZE[1]) // 8).expand(*SIZE).byte()
    return Sample(
        names=["world"],
        offsets=(-1, 1),
        camera=world.CAMERA,
        image=image_of(pixels),
        context=context,
        network_image=image_of(pixels) / 2,
        network_context=context / 2,
        truth=torch.from_numpy(depth)[None].float(),
        right=image_of(world.render(FRAME, right=0.4)[0]),
        network_right=image_of(world.render(FRAME, right=0.4)[0]) / 2,
        baseline=torch.tensor(0.4),
        semantic=labels[None],
        context_semantic=labels.expand(2, 1, *SIZE),
        teacher=torch.from_numpy(1 / depth)[None].float(),
    )


@given(st.floats(0.2, 1), st.integers(1, 99), st.integers(1, 99), st.integers(0, 99))
def test_a_window_lies_in_its_image(smallest: float, height: int, width: int, seed: int) -> None:
    window = Window.draw(smallest, (height, width), np.random.default_rng(seed))
    cut = window.cut(torch.zeros(2, height, width)).shape
    assert cut == (2, window.height, window.width)
    assert window.height >= max(1, math.floor(smallest * height))


@given(windows)
def test_a_window_is_what_a_camera_of_longer_focal_length_sees(sample: Sample, window: Window) -> None:
    seen = zoomed(sample, window)
    pixels, depth = world.render(FRAME, seen.camera)
    inside = (slice(None), slice(1, -1), slice(1, -1))  # at the border the neighbors of a pixel are cut off
    assert (seen.image - image_of(pixels))[inside].abs().mean() < 0.02
    for index, offset in enumerate(seen.offsets):
        context = image_of(world.render(FRAME + offset, seen.camera)[0])
        assert (seen.context[index] - context)[inside].abs().mean() < 0.02
    right = image_of(world.render(FRAME, seen.camera, right=0.4)[0])
    assert seen.right is not None
    assert (seen.right - right)[inside].abs().mean() < 0.02
    assert seen.network_right is not None
    for network, plain in ((seen.network_image, seen.image), (seen.network_context, seen.context)):
        torch.testing.assert_close(network, plain / 2)
    torch.testing.assert_close(seen.network_right, seen.right / 2)
    inverse = torch.from_numpy(1 / depth)
    assert seen.teacher is not None
    assert (seen.teacher[0] - inverse).abs()[1:-1, 1:-1].max() < 0.01  # linear but for the foot of the wall
    assert seen.truth is not None
    known = seen.truth[0] > 0
    assert known.float().mean() > 0.2  # measurements move apart, but each stays
    assert (1 / seen.truth[0] - inverse)[known].abs().max() < 0.02  # 1/m: half a row of the ground


@given(windows)
def test_what_is_measured_stays_and_the_factor_is_that_of_the_focal_lengths(sample: Sample, window: Window) -> None:
    seen, camera = zoomed(sample, window), sample.camera
    assert seen.baseline is sample.baseline
    assert seen.focal_share is not None
    before, after = math.sqrt(camera.fx * camera.fy), math.sqrt(seen.camera.fx * seen.camera.fy)
    assert float(seen.focal_share) == pytest.approx(before / after)
    assert seen.whole_image is sample.network_image
    assert seen.whole_context is sample.network_context
    u = (torch.arange(SIZE[1]) - seen.camera.cx) / seen.camera.fx * camera.fx + camera.cx  # in the whole image
    labels = ((u + 0.5).floor() // 8).byte().expand(*SIZE)
    assert seen.semantic is not None
    assert seen.context_semantic is not None
    assert torch.equal(seen.semantic[0], labels)
    assert torch.equal(seen.context_semantic, labels.expand(2, 1, *SIZE))


def test_mirroring_turns_the_whole_images_too(sample: Sample) -> None:
    mirrored = flipped(zoomed(sample, Window(3, 5, 24, 48)))
    assert mirrored.whole_image is not None
    assert mirrored.whole_context is not None
    assert torch.equal(mirrored.whole_image, sample.network_image.flip(-1))
    assert torch.equal(mirrored.whole_context, sample.network_context.flip(-1))
    assert float(mirrored.focal_share) == 0.5  # type: ignore[arg-type]


def test_measured_depth_of_another_size_than_the_images_keeps_its_size(sample: Sample) -> None:
    truth = torch.zeros(1, 3 * SIZE[0], 2 * SIZE[1])
    truth[0, 3 * 20, 2 * 50], truth[0, 0, 0] = 7.0, 9.0  # inside and outside of the window
    sample = Sample(**vars(sample) | {"truth": truth})
    seen = zoomed(sample, Window(10, 40, 24, 48)).truth
    assert seen is not None
    assert seen.shape == truth.shape
    assert seen[seen > 0].tolist() == [7.0]
    row, column = ((3 * 20 + 0.5) / 3 - 10) * 2 * 3, ((2 * 50 + 0.5) / 2 - 40) * 2 * 2
    assert (seen[0] > 0).nonzero().tolist() == [[int(row), int(column)]]


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    (clip,) = Folder(root=moving_clip).clips()
    return clip


def test_windows_follow_from_the_draw_alone(clip: Clip) -> None:
    first, second = (
        ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation(), zoom=0.5, seed=3, cache=cache)
        for cache in (False, True)
    )
    draws = [0, 3, 9, 2, 9]
    for a, b in zip([first[d] for d in draws], [second[d] for d in reversed(draws)][::-1], strict=True):
        torch.testing.assert_close(a.image, b.image, rtol=0, atol=0)
        assert a.camera.numbers == b.camera.numbers
    focal = {float(first[n * len(first)].camera.fx) for n in range(12)}
    assert len(focal) > 6
    assert all(30 - 1e-6 <= value <= 60 + 1 for value in focal)


def test_whole_images_have_no_window(clip: Clip) -> None:
    sample = ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation())[0]
    assert sample.focal_share is None
    assert sample.whole_image is None


def test_no_context_frames_are_no_obstacle(clip: Clip) -> None:
    sample = ClipDataset([clip], (24, 48), (), augmentation=Augmentation(), zoom=0.5)[0]
    assert sample.context.shape == (0, 3, 24, 48)
    assert sample.focal_share is not None
