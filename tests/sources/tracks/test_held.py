"""Logs that write more rows than their sensor has values, and clocks that were set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError, InputWarning
from packdepth.sources.tracks.read import read_track
from packdepth.sources.tracks.track import held

EARTH = 6_371_009.0  # metres


def written(path: Path, header: str, *columns: np.ndarray) -> Path:
    rows = "".join(",".join(f"{value:.9f}" for value in row) + "\n" for row in np.stack(columns, axis=-1))
    path.write_text(f"{header}\n{rows}")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.sampled_from([5, 10, 20, 50]),
    seed=st.integers(0, 100),
    step=st.sampled_from([0.0, 0.1, 1 / 3.6]),
    still=st.sampled_from([0, 8]),
)
def test_held_values_are_taken_when_they_come(tmp_path: Path, times: int, seed: int, step: float, still: int) -> None:
    """Whatever the rates, the rounding and a time of standing: the speeds are those of the sensor, and no row lags."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(60.0)
    true = 9 + 4 * np.sin(seconds / 3 + rng.uniform(0, 6)) + rng.normal(0, 0.05, 60)
    true[20 : 20 + still] = 0
    sensed = np.round(true / step) * step if step else true
    rows = np.arange(60 * times) / times
    path = written(tmp_path / "log.csv", "time_s,speed_mps", rows, np.repeat(sensed, times))
    track = read_track(path)
    np.testing.assert_allclose(track.speeds_at(seconds[1:-1]), sensed[1:-1], atol=1e-6)
    between = (sensed[1:] + sensed[:-1]) / 2
    assert np.abs(track.speeds_at(seconds[:-1] + 0.5) - between).mean() < (0.05 if not step else 0.15)


@given(
    rate=st.sampled_from([1.0, 5.0, 10.0, 50.0]), seed=st.integers(0, 100), step=st.sampled_from([0.1, 1 / 3.6, 0.447])
)
def test_rounded_speeds_are_not_taken_for_held_ones(rate: float, seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    times = np.arange(0, 120, 1 / rate)
    speeds = (
        9 + 4 * np.sin(times / rng.uniform(2, 9) + rng.uniform(0, 6)) + rng.normal(0, rng.choice([0, 0.05]), len(times))
    )
    later = held(times, np.round(speeds / step) * step)
    assert later.mean() < 0.05


def test_held_positions_are_taken_when_they_come(tmp_path: Path) -> None:
    rows = np.arange(600) / 10
    seconds = np.floor(rows)
    north = 48 + np.rad2deg((10 * seconds - 80 * np.cos(seconds / 20)) / EARTH)
    path = written(tmp_path / "log.csv", "time_s,lat,lon", rows, north, np.full(600, 11.1234567))
    track = read_track(path)
    np.testing.assert_allclose(track.speeds, 10 + 4 * np.sin(track.times / 20), atol=0.2)
    assert len(track.times) == 60


@pytest.mark.parametrize(("decimals", "metres"), [(3, 111), (4, 11), (5, None)])
def test_coarse_positions_are_a_warning(tmp_path: Path, decimals: int, metres: int | None) -> None:
    rows = np.arange(60.0)
    north = np.round(48 + np.rad2deg(10 * rows / EARTH), decimals)
    path = written(tmp_path / "log.csv", "time_s,lat,lon", rows, north, np.round(11 + rows * 1e-5, decimals))
    if metres is None:
        read_track(path)  # warnings are errors here
        return
    with pytest.warns(InputWarning, match=f"its positions are rounded to steps of {metres} m, so that speeds from"):
        read_track(path)


@pytest.mark.parametrize(("factor", "said"), [(1.04, None), (0.95, None), (1.15, "1.15"), (0.87, "0.87")])
def test_speeds_that_the_positions_deny_a_little_are_a_warning(tmp_path: Path, factor: float, said: str | None) -> None:
    rows = np.arange(90.0)
    north = 48 + np.rad2deg(10 * rows / EARTH)
    path = written(
        tmp_path / "log.csv", "time_s,speed_mps,lat,lon", rows, np.full(90, 10 * factor), north, np.full(90, 11.0)
    )
    if said is None:
        read_track(path)
        return
    with pytest.warns(InputWarning, match=f"its speeds make {said} times the path that its positions make"):
        read_track(path)


@pytest.mark.parametrize("header", ["time_s,speed_mps", "unix_time_s,speed_mps,lat,lon"])
def test_a_clock_that_was_set_is_named_and_costs_no_memory(tmp_path: Path, header: str) -> None:
    times = np.concatenate([np.arange(5.0), 1.79e9 + np.arange(60)])
    north = 48 + np.rad2deg(10 * np.arange(65) / EARTH)
    columns = [times, np.full(65, 10.0), north, np.full(65, 11.0)][: header.count(",") + 1]
    with pytest.raises(InputError, match="values 5 and 6 are 56 years apart, so that its clock was set between them"):
        read_track(written(tmp_path / "log.csv", header, *columns))


@pytest.mark.parametrize(
    ("name", "none", "some"),
    [
        ("fix", "0", "3"),
        ("fix_type", "NO_FIX", "3D_FIX"),
        ("fixType", "1", "3"),
        ("fix_quality", "0", "1"),
        ("gps_fix", "none", "3d"),
        ("GPS (2D) [fix]", "0", "3"),
        ("status", "V", "A"),
        ("gps valid", "false", "true"),
    ],
)
def test_rows_without_a_fix_have_no_speed(tmp_path: Path, name: str, none: str, some: str) -> None:
    rows = [f"{i},{0 if 4 <= i < 8 else 9},{none if 4 <= i < 8 else some}" for i in range(20)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"time_s,speed_mps,{name}", *rows, ""]))
    track = read_track(path)
    assert track.speeds.tolist() == [9.0] * 16
    assert "4 of 20 rows have no value" in track.description


def test_positions_may_have_the_letter_of_their_hemisphere(tmp_path: Path) -> None:
    rows = [f"{i},{33.9 + i * 1.23456e-4:.7f}S,{18.4123456:.7f}W" for i in range(12)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["time_s,latitude,longitude", *rows, ""]))
    np.testing.assert_allclose(read_track(path).speeds, 13.73, atol=0.03)
