"""`packdepth study reconstruction`: its networks, tiny as a whole."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from packdepth import cli
from packdepth.studies.reconstruction import (
    VARIANTS,
    PackedImage,
    PooledImage,
    Variant,
    build,
    crops,
    detail,
    read_images,
)


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """Return folders of training images and of an image to judge by, with stripes in its lower right part."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 2), ("val", 1)):
        (tmp_path / name).mkdir()
        for index in range(count):
            image = rng.integers(100, 110, (65, 97, 3), dtype=np.uint8)
            image[16:, 48::2] = 255
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    return tmp_path / "train", tmp_path / "val"


def test_a_study_compares_all_layers(images: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "study"
    folders = [str(folder) for folder in images]
    options = ["--images", *folders, "--quick", "--processes", "1"]
    assert cli.main(["study", "reconstruction", str(output), *options]) == 0
    with (output / "reconstruction.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == [variant.name for variant in VARIANTS]
    assert all(0 < float(row["images L1"]) < 1 for row in rows)
    page = (output / "reconstruction.html").read_text()
    assert page.count("<img") == 1 + len(VARIANTS)
    assert (output / "runs" / "packing-2-images-1" / "detail.png").exists()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_layers_give_back_an_image_of_its_size(variant: Variant) -> None:
    assert build(variant, channels=4)(torch.rand(2, 3, 8, 12)).shape == (2, 3, 8, 12)


def test_pooling_keeps_the_2d_convolutions() -> None:
    packed, pooled = PackedImage(channels=4, features=2), PooledImage(channels=4)
    for layer in ("pack", "unpack", "colors"):
        kept, own = (getattr(network, layer) for network in (packed, pooled))
        assert kept.kernel_size == own.kernel_size
    assert packed.pack.out_channels == pooled.pack.out_channels == 4


def test_space_to_depth_can_reproduce_what_pooling_cannot() -> None:
    """With 12 channels, packing can be the identity. Pooling maps a checkerboard and its negative to one image."""
    packed = PackedImage(channels=12, features=0)
    with torch.no_grad():
        for parameter in packed.parameters():
            parameter.zero_()
        for channel in range(12):
            packed.pack.weight[channel, channel, 1, 1] = 1
            packed.unpack.weight[channel, channel, 1, 1] = 1  # 12 of 48: the first three of the unpacked channels
        for color in range(3):
            packed.colors.weight[color, color] = 1
    board = torch.zeros(1, 3, 8, 8)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = 1
    torch.testing.assert_close(packed(board), board)
    pooled = PooledImage(channels=12)
    torch.testing.assert_close(pooled(board), pooled(1 - board))


def test_images_are_read_with_even_sides(images: tuple[Path, Path]) -> None:
    (image,) = read_images(images[1])
    assert tuple(image.shape) == (3, 64, 96)
    found = crops([image], 5, 16, np.random.default_rng(0))
    assert found.shape == (5, 3, 16, 16)
    assert 100 / 255 <= found.min().item() < 110 / 255


def test_the_detail_is_where_the_contrast_is(images: tuple[Path, Path]) -> None:
    _, top, left = detail(read_images(images[1]))
    assert (top, left) in {(16, 48), (24, 48)}  # within the stripes


def test_an_odd_number_of_channels_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "reconstruction", str(tmp_path / "study"), "--channels", "3"]) == 2
    assert "--channels: is 3; it must be even" in capsys.readouterr().err
