"""Series of names: those of most recordings are not taken apart, with the same result as if they were."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from packdepth.sources import files, series
from packdepth.sources.files import in_order
from packdepth.sources.series import series_of, times_of

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
