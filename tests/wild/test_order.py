"""Order of frames by names as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.data.targets import gaps, target_indices
from packdepth.errors import InputError
from packdepth.sources.files import by_name, in_order
from packdepth.sources.folder import read_clip
from packdepth.sources.open import open_clips
from packdepth.sources.series import times_of

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


@settings(max_examples=50, deadline=None)
@given(
    kept=st.sets(st.integers(0, 60), min_size=2),
    step=st.sampled_from([1, 2, 5]),
    first=st.integers(0, 9999),
    name=st.sampled_from(["{:06d}", "frame_{}", "left-{:04d}_rgb"]),
)
def test_a_hole_in_the_numbers_of_images_is_a_gap_in_time(kept: set[int], step: int, first: int, name: str) -> None:
    numbers = sorted(kept)
    times = times_of([name.format(first + step * number) for number in numbers], rate=10)
    steps = np.diff(numbers)
    usual = sorted(steps)[(len(steps) - 1) // 2]
    np.testing.assert_allclose(np.diff(times), steps / usual / 10, rtol=1e-9)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_names_that_are_time_stamps_are_times_in_any_unit(unit: int) -> None:
    stamps = [1_700_000_000 * unit + number * unit // 10 for number in range(0, 50, 10)]
    np.testing.assert_allclose(np.diff(times_of([str(stamp) for stamp in stamps], rate=10)), 1.0)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a1", "b2", "c3"), ("1_1", "1_2", "2_1"), ("7",)])
def test_names_that_do_not_count_are_taken_in_order(names: tuple[str, ...]) -> None:
    assert times_of(names, rate=5) == [index / 5 for index in range(len(names))]


def test_frames_on_two_sides_of_a_hole_are_no_neighbors(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4, 9, 10, 11):
        image(tmp_path / f"frame_{number}.png")
    (clip,) = open_clips(tmp_path)
    assert gaps(clip).tolist() == [False, False, False, True, False, False]
    assert [clip.frames[index].name for index in target_indices(clip, (-1, 1))] == ["frame_2", "frame_3", "frame_10"]
