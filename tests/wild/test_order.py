"""Order of frames by names as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.sources.files import by_name, in_order
from packdepth.sources.folder import read_clip
from packdepth.sources.open import open_clips

CAMERA = "width: 32\nheight: 24\nfx: 30\nfy: 30\ncx: 15.5\ncy: 11.5\n"


def image(path: Path, value: int = 0) -> None:
    """Write a gray image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((24, 32, 3), value, np.uint8)).save(path)


@settings(max_examples=50, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 10**6), min_size=1, max_size=12, unique=True),
    width=st.integers(1, 8),
    before=st.sampled_from(["", "frame_", "img-", "left 2 "]),
    behind=st.sampled_from(["", "_rgb", " (1)"]),
)
def test_names_sort_by_their_numbers_whatever_their_width(
    numbers: list[int], width: int, before: str, behind: str
) -> None:
    names = [f"{before}{number:0{width}d}{behind}" for number in numbers]
    expected = [name for _, name in sorted(zip(numbers, names, strict=True))]
    assert in_order(names) == expected
    assert [path.stem for path in by_name(Path(f"{name}.png") for name in names)] == expected


@pytest.mark.parametrize("names", [("frame_2", "frame_10"), ("frame_9999", "frame_10000"), ("9", "010", "11")])
def test_a_folder_of_images_is_in_the_order_of_numbers(tmp_path: Path, names: tuple[str, ...]) -> None:
    for value, name in enumerate(names):
        image(tmp_path / f"{name}.png", value)
    (clip,) = open_clips(tmp_path)
    assert [frame.name for frame in clip.frames] == list(names)
    assert [int(frame.image.read()[0, 0, 0]) for frame in clip.frames] == list(range(len(names)))


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("0000003000.jpg", "names stand there without suffix: write '0000003000'"),
        ("3000", "'0000003000' is meant, whose zeros a spreadsheet may have removed: write them"),
        ("elsewhere", "add it, or remove the line"),
    ],
)
def test_a_frame_without_image_says_which_file_was_meant(tmp_path: Path, written: str, advice: str) -> None:
    image(tmp_path / "frames" / "0000003000.jpg")
    (tmp_path / "camera.yaml").write_text(CAMERA)
    (tmp_path / "frames.csv").write_text(f"frame,time_s\n{written},0\n")
    with pytest.raises(InputError) as caught:
        read_clip(tmp_path)
    assert f"frame '{written}' has no image" in str(caught.value)
    assert str(caught.value).endswith(advice)
