"""Series of names: those of most recordings are not taken apart, with the same result as if they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputWarning
from packdepth.sources import files, series
from packdepth.sources.files import in_order
from packdepth.sources.images import Images
from packdepth.sources.series import series_of, times_of

START = 1_764_145_139 * 10**9  # nanoseconds since 1970, a second before a full minute
FORMS: dict[str, Callable[[int, int], str]] = {  # names by an index and by nanoseconds since 1970
    "date, microseconds": lambda _, t: f"{date(t)}_{t // 1000 % 10**6:06d}",
    "date, milliseconds": lambda _, t: f"IMG-{date(t)}-{t // 10**6 % 1000:03d}",
    "index, date, milliseconds": lambda i, t: f"{i:05d}_{date(t)}_{t // 10**6 % 1000:03d}",
    "index, milliseconds": lambda i, t: f"{i:04d}_{t // 10**6}",
    "index, nanoseconds, camera": lambda i, t: f"frame{i}_{t}_cam0",
    "seconds, nanoseconds": lambda _, t: f"{t // 10**9}_{t % 10**9:09d}",
    "camera, seconds, nanoseconds": lambda _, t: f"left-{t // 10**9}-{t % 10**9:09d}",
    "index, seconds with a fraction": lambda i, t: f"{i}_{t // 10**9}.{t % 10**9 // 10**6:03d}",
}


def date(stamp: int) -> str:
    return datetime.fromtimestamp(stamp // 10**9, UTC).strftime("%Y%m%d_%H%M%S")


PREFIXES = ("", "frame_", "a.", "12.", "IMG_20261126_", "cam1_", "2026-11-26 ", "17000000", "20261126", "v1.2_")


@given(
    prefix=st.sampled_from(PREFIXES),
    digits=st.sampled_from([1, 2, 4, 6, 14, 19]),
    numbers=st.sets(st.integers(0, 10**19), min_size=1, max_size=8),
)
def test_names_with_one_number_at_their_end_need_not_be_taken_apart(
    prefix: str, digits: int, numbers: set[int]
) -> None:
    names = {f"{prefix}{number % 10**digits:0{digits}}" for number in numbers}
    ordered = in_order(names)
    found = series_of(ordered), times_of(ordered, 10)
    with (
        patch.object(series, "number_start", return_value=None),
        patch.object(files, "number_start", return_value=None),
    ):
        assert in_order(names) == ordered
        assert (series_of(ordered), times_of(ordered, 10)) == found


@pytest.mark.parametrize("form", FORMS)
@given(steps=st.lists(st.integers(5, 3000), min_size=2, max_size=40))
def test_stamps_are_times_in_whatever_form(form: str, steps: list[int]) -> None:
    stamps = START + 10**6 * np.cumsum([0, *steps])
    names = [FORMS[form](index, int(stamp)) for index, stamp in enumerate(stamps)]
    times = times_of(names, rate=10)
    np.testing.assert_allclose(np.diff(times), np.array(steps) / 1000, rtol=1e-3)
    assert [(each.names, others) for each in series_of(names)[0] for others in [series_of(names)[1]]] == [(names, [])]
    if "date" not in form:
        np.testing.assert_allclose(times, stamps / 1e9)


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("a_second", [None, 3, 30])
def test_a_counter_behind_a_date_is_no_fraction(count: int, a_second: int | None) -> None:
    seconds = [0 if a_second is None else index // a_second for index in range(count)]
    names = [f"{date(START + 10**9 * at)}_{index:03d}" for index, at in enumerate(seconds)]
    assert times_of(names, rate=10) == pytest.approx([index / 10 for index in range(count)])


@pytest.mark.parametrize(("name", "options"), [("{:04d}", {"rate": 10.0}), ("17000000{:02d}000000000", {})])
def test_speeds_at_an_assumed_rate_are_a_warning(tmp_path: Path, name: str, options: dict[str, float]) -> None:
    for index in range(4):
        Image.fromarray(np.full((8, 16, 3), 40 * index, np.uint8)).save(tmp_path / f"{index:04d}.png")
    log = tmp_path / "log.csv"
    log.write_text("time,speed\n0,1\n1,1\n")
    with pytest.warns(InputWarning, match="tell no times.*assumed 10 images a second; give rate=NUMBER"):
        Images(root=tmp_path, speeds=log).find()
    for path in sorted(tmp_path.glob("*.png")):
        path.rename(tmp_path / f"{name.format(int(path.stem))}.png")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*assumed")
        Images(root=tmp_path, speeds=log, **options).find()
