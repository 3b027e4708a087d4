"""Image files as phones, recorders and careless tools leave them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.inference.predictor import image_tensor
from packdepth.sources.files import ImageFile
from packdepth.sources.stills import image_size

NOISE = np.random.default_rng(0).integers(0, 255, (48, 96, 3), dtype=np.uint8)
HEIF_HEAD = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


def encoded(kind: str, **options: object) -> bytes:
    """Return an image file as bytes."""
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **options)
    return file.getvalue()


KINDS = {
    "jpeg": encoded("JPEG", quality=95),
    "progressive jpeg": encoded("JPEG", quality=95, progressive=True),
    "jpeg with restarts": encoded("JPEG", restart_marker_blocks=2),
    "png": encoded("PNG"),
}


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.png", "a.PNG"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", [b"", b"\0" * 8192, bytes(range(256)) * 80], ids=["nothing", "zeros", "20 kB"])
def test_an_image_is_whole_whatever_its_name_and_whatever_follows_it(
    tmp_path: Path, kind: str, name: str, behind: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(KINDS[kind] + behind)
    assert image_size(path) == (48, 96)
    assert ImageFile(path).read().shape == (48, 96, 3)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), share=st.floats(0.3, 0.99), zeros=st.sampled_from([0, 8192]))
def test_an_image_that_was_cut_is_truncated_whatever_follows_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, share: float, zeros: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.jpg"
    path.write_bytes(KINDS[kind][: int(share * len(KINDS[kind]))] + b"\0" * zeros)
    with pytest.raises(InputError, match="is truncated"):
        image_size(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_is_turned_as_exif_asks_for(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(kind, exif=exif))
    turned = {
        1: NOISE,
        2: NOISE[:, ::-1],
        3: NOISE[::-1, ::-1],
        4: NOISE[::-1],
        5: NOISE.transpose(1, 0, 2),
        6: np.rot90(NOISE, -1),
        7: np.rot90(NOISE, 2).transpose(1, 0, 2),
        8: np.rot90(NOISE, 1),
    }[orientation]
    read = ImageFile(path).read()
    assert read.shape == turned.shape == (*image_size(path), 3)
    if kind == "PNG":
        np.testing.assert_array_equal(read, turned)
    shown = image_tensor(Image.open(path))[0].permute(1, 2, 0).numpy()  # opened by who calls `predict`
    np.testing.assert_array_equal((shown * 255).round().astype(np.uint8), read)


def test_a_photo_in_heic_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(HEIF_HEAD + bytes(1000))
    with pytest.raises(InputError, match="HEIC photo, which is not read; export it as JPEG"):
        image_size(path)


def test_an_image_of_too_many_pixels_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow refuses twice as many
    path = tmp_path / "a.png"
    path.write_bytes(KINDS["png"])
    with pytest.raises(InputError, match=r"has more than .* pixels; make it smaller"):
        image_size(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # more than Pillow warns of, and less than it refuses
    assert image_size(path) == (48, 96)
