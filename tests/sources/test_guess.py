"""The first guess of a camera without calibration: EXIF, orientation, crops, and the shape of a video's pixels."""

from __future__ import annotations

import math
import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import formats
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import packdepth
from packdepth.data.targets import first_guesses
from packdepth.errors import InputError
from packdepth.inspection.import_data import import_data
from packdepth.sources.decoding import probe
from packdepth.sources.files import ImageFile
from packdepth.sources.guess import EXIF_IFD, GUESSED_FOV, focal_in_exif, guess_of_images
from packdepth.sources.recognize import source_at
from packdepth.sources.stills import image_size
from packdepth.sources.video import Video

FILM, FOCAL = {0xA405: 26}, {0x920A: 4.25}
PLANE = {0x920A: 50.0, 0xA20E: 4000.0, 0xA20F: 4000.0, 0xA210: 3, 0xA002: 6000, 0xA003: 4000}  # 400 pixels a mm


def photo(path: Path, tags: dict[int, Any], size: tuple[int, int] = (60, 40), orientation: int = 1) -> Path:
    """Write an image of width and height `size`, lying as in the file, with tags of EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(EXIF_IFD).update(tags)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@given(film=st.integers(12, 50), width=st.integers(16, 90), height=st.integers(16, 90))
def test_the_focal_length_on_film_is_a_share_of_the_diagonal(folder: Path, film: int, width: int, height: int) -> None:
    path = photo(folder / "a.jpg", {0xA405: film}, (width, height))
    guess = guess_of_images([path], height, width)
    diagonal = 2 * math.atan(math.hypot(width, height) / 2 / guess.camera.fx)
    assert diagonal == pytest.approx(2 * math.atan(math.hypot(36, 24) / 2 / film))
    assert guess.camera.fx == guess.camera.fy
    assert (guess.camera.cx, guess.camera.cy) == ((width - 1) / 2, (height - 1) / 2)
    assert guess.origin == f"EXIF of a.jpg: {film} mm on 35 mm film"


@given(unit=st.sampled_from([(2, 25.4), (3, 10.0), (4, 1.0)]), smaller=st.sampled_from([1, 10, 100]))
def test_a_focal_length_counts_in_pixels_of_the_sensor(folder: Path, unit: tuple[int, float], smaller: int) -> None:
    """50 mm at 400 pixels a mm is 20000 pixels of the whole image; a resized image has its share of them."""
    code, millimetres = unit
    tags = PLANE | {0xA20E: 40 * millimetres, 0xA20F: 40 * millimetres, 0xA210: code, 0xA002: 600, 0xA003: 400}
    path = photo(folder / "b.jpg", tags, (600 // smaller, 400 // smaller))
    focal = focal_in_exif(path, 400 // smaller, 600 // smaller)
    assert focal is not None
    assert focal.fx == pytest.approx(2000 / smaller, rel=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright_and_focal_lengths_with_them(tmp_path: Path, orientation: int) -> None:
    """Pillow's own turn is the oracle. The pixels of this sensor are not square."""
    tags = PLANE | {0xA20E: 40.0, 0xA20F: 20.0, 0xA210: 4, 0xA002: 60, 0xA003: 40, 0x920A: 2.0}
    path = photo(tmp_path / "a.png", tags, orientation=orientation)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(ImageFile(path).read(), upright)
    assert image_size(path) == upright.shape[:2]
    camera = guess_of_images([path], *upright.shape[:2]).camera
    assert (camera.fx, camera.fy) == pytest.approx((80, 40) if orientation < 5 else (40, 80))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        FOCAL,
        {0xA405: 0},
        {0xA405: 9000},
        FILM | {0xA002: 4000, 0xA003: 2250},
        PLANE | {0xA210: 1},
        PLANE | {0x920A: 0},
    ],
    ids=["no EXIF", "no sensor size", "unknown", "impossible", "cropped", "no unit", "no focal length"],
)
def test_what_exif_does_not_say_is_assumed(tmp_path: Path, tags: dict[int, Any]) -> None:
    guess = guess_of_images([photo(tmp_path / "a.jpg", tags)], 40, 60)
    assert guess.camera.fov() == pytest.approx(GUESSED_FOV)
    assert guess.origin == "assumed"


@given(noise=st.binary(min_size=1, max_size=200), place=st.integers(0, 300))
def test_damaged_exif_is_no_exif(folder: Path, noise: bytes, place: int) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update(PLANE)
    content = exif.tobytes()
    content = content[: 8 + place] + noise + content[8 + place + len(noise) :]
    Image.new("RGB", (60, 40)).save(folder / "c.jpg", exif=content)
    size = image_size(folder / "c.jpg")
    assert guess_of_images([folder / "c.jpg"], *size).camera.width == size[1]
    assert ImageFile(folder / "c.jpg").read().shape == (*size, 3)


def test_images_that_were_zoomed_are_named(tmp_path: Path) -> None:
    for name, film in (("a", 26), ("b", 52), ("c", 28)):
        photo(tmp_path / f"{name}.jpg", {0xA405: film})
    (clip,) = packdepth.open(tmp_path)
    assert clip.guess == "EXIF of c.jpg: 28 mm on 35 mm film; other images have other focal lengths"
    assert clip.missing_camera == tmp_path / "camera.yaml"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9), None])
def test_pixels_of_a_video_need_not_be_square(tmp_path: Path, name: str, aspect: Fraction | None) -> None:
    """Both fields of view are those of a square sensor of that width."""
    images = [np.full((64, 96, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    path = formats.video(tmp_path / name, images, pixel_aspect=aspect)
    (clip,) = Video(kind="video", file=path).clips()
    ratio = float(aspect or 1)
    assert clip.camera.fov() == pytest.approx(GUESSED_FOV)
    assert clip.camera.fy / clip.camera.fx == pytest.approx(ratio)
    across, down = (math.tan(angle) for angle in (math.atan(48 / clip.camera.fx), math.atan(32 / clip.camera.fy)))
    assert across / down == pytest.approx(96 * ratio / 64)
    words = "" if aspect is None else f"; its pixels are {ratio:.4g} times as wide as high"
    assert clip.guess == f"assumed{words}"


def test_a_turned_video_has_turned_pixels(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    images = [np.full((64, 96, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    path = formats.video(tmp_path / "a.mp4", images, pixel_aspect=Fraction(4, 3))
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # the matrix in a track header of version 0
    content[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    info = probe(path)
    assert (info.height, info.width, info.pixel_aspect) == (96, 64, pytest.approx(3 / 4))


def test_a_stated_field_of_view_takes_the_place_of_a_guess(
    tmp_path: Path, moving_clip: Path, complaint: Callable[..., None]
) -> None:
    images = [np.full((64, 96, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    path = formats.video(tmp_path / "a.mp4", images, pixel_aspect=Fraction(4, 3))
    (clip,) = packdepth.open(path, fov=80.0)
    assert (clip.camera.fov(), clip.camera.fy / clip.camera.fx) == pytest.approx((80, 4 / 3))
    assert (clip.missing_camera, clip.guess) == (None, None)
    complaint(lambda: packdepth.open(moving_clip, fov=80.0), moving_clip, "its camera is known", "leave out")
    complaint(lambda: packdepth.open(path, fov=200.0), "--fov", "between 10 and 150")
    complaint(lambda: packdepth.open(path, camera=tmp_path / "a.yaml", fov=80.0), "give one of them")


def test_sources_that_may_lack_a_calibration_take_a_field_of_view(
    tmp_path: Path, moving_clip: Path, complaint: Callable[..., None]
) -> None:
    images = [np.full((64, 96, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    video = formats.video(tmp_path / "a.mp4", images, pixel_aspect=Fraction(4, 3))
    folder = shutil.copytree(moving_clip, tmp_path / "clip")
    (folder / "camera.yaml").unlink()
    for path in (video, moving_clip / "frames", folder):
        source = source_at(path, None, ("fov=80",))
        (guessed,), (clip,) = source_at(path).clips(), source.clips()
        assert (clip.missing_camera, clip.guess, clip.stated_fov) == (None, None, 80)
        assert clip.camera.fov() == pytest.approx(80)
        assert clip.camera.fy / clip.camera.fx == pytest.approx(guessed.camera.fy / guessed.camera.fx)
        assert first_guesses([clip], None) == [clip.camera]  # a camera that is learned begins with it
    complaint(source_at(moving_clip, None, ("fov=80",)).clips, moving_clip, "its camera is known", "leave out")
    complaint(lambda: source_at(video, None, ("fov=200",)), "fov", "150")


def test_an_import_with_a_field_of_view_is_no_guess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [np.full((64, 96, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    video = formats.video(tmp_path / "a.mp4", images)
    guessed, stated = (
        import_data(video, tmp_path / name, options=options)[0]
        for name, options in (("guessed", ()), ("stated", ("fov=81.5",)))
    )
    assert "by the stated field of view of 81.5 degrees" in capsys.readouterr().out
    assert "stated field of view of 81.5 degrees" in (stated / "camera.yaml").read_text().splitlines()[0]
    (clip,) = source_at(stated).clips()
    assert (clip.missing_camera, clip.camera.fov()) == (None, pytest.approx(81.5))
    (later,) = source_at(guessed, None, ("fov=81.5",)).clips()  # stated of what was imported with a guess
    assert (later.missing_camera, later.camera.numbers) == (None, pytest.approx(clip.camera.numbers))
    with pytest.raises(InputError, match=r"its camera is known, 81\.5 degrees across; leave out the field of view"):
        source_at(stated, None, ("fov=81.5",)).clips()
