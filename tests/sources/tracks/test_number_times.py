"""Times that are numbers: every unit that a header names, and every rate and zero where it names none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.sources.tracks.read import read_track

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
NOW = 1_780_000_000.0  # seconds since 1970, of 2026


def drive(seconds: np.ndarray) -> np.ndarray:
    """Speeds of a drive, in metres per second: two rhythms, and at most 2.1 m/s2."""
    speeds: np.ndarray = 8 + 3 * np.sin(seconds / 2) + np.sin(seconds / 1.7)
    return speeds


def log(path: Path, header: str, times: np.ndarray, speeds: np.ndarray) -> Path:
    rows = [f"{time:.9f},{speed:.3f}" for time, speed in zip(times.tolist(), speeds.tolist(), strict=True)]
    path.write_text("\n".join([f"{header},speed_mps", *rows, ""]))
    return path


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    unit=st.sampled_from(sorted(UNITS)),
    rate=st.sampled_from([0.1, 0.2, 0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 60.0, 100.0, 200.0, 400.0, 500.0, 1000.0]),
    zero=st.sampled_from([0.0, 37.0, 170_000.0, NOW]),
    noise=st.sampled_from([0.0, 0.05, 0.2]),
    whole=st.booleans(),
)
def test_the_unit_is_found_or_asked_for(
    tmp_path: Path, unit: str, rate: float, zero: float, noise: float, whole: bool
) -> None:
    """Whatever the unit, the rate, the zero and the noise: the times are right, or a sentence asks; never others."""
    seconds = np.arange(max(round(40 * rate), 60)) / rate
    times = (zero + seconds) / UNITS[unit]
    if whole and 1 / rate / UNITS[unit] >= 1:
        times = np.round(times)
    speeds = np.abs(drive(seconds) + np.random.default_rng(0).normal(0, noise, len(seconds)))
    path = log(tmp_path / "log.csv", "timestamp", times, speeds)
    try:
        track = read_track(path)
    except InputError as error:
        asked, usual = "does not say its unit, and its values" in str(error), 5 <= rate <= 60
        assert asked and not usual, error  # noqa: PT017, PT018 - a sentence is right as well, for other rates
        return
    found = track.times - track.times[0]
    np.testing.assert_allclose(found, seconds, atol=0.6 * UNITS[unit] + 1e-3)
    assert (track.start is not None) == (zero == NOW)
    if track.start is not None:
        assert abs(track.start + track.times[0] - NOW) < 1e-3


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("time_min", 60.0),
        ("time [h]", 3600.0),
        ("Time (min)", 60.0),
        ("time (days)", 86400.0),
        ("time [0.1 s]", 0.1),
        ("time [10us]", 1e-5),
        ("time (100ns)", 1e-7),
        ("time (1/256 s)", 1 / 256),
        ("time_s_x100", 0.01),
        ("time since 1970-01-01 [0.1 s]", 0.1),
        ("time (ms) since the year 2000", 1e-3),
        ("timeMs", 1e-3),
        ("elapsedMs", 1e-3),
        ("timestampMillis", 1e-3),
        ("TimeUS", 1e-6),
    ],
)
def test_the_header_names_the_unit(tmp_path: Path, header: str, unit: float) -> None:
    seconds = np.arange(60) / 10
    track = read_track(log(tmp_path / "log.csv", header, seconds / unit, drive(seconds)))
    np.testing.assert_allclose(track.times, seconds, atol=1e-3)


@pytest.mark.parametrize(
    ("times", "start"),
    [
        ((NOW + 11_644_473_600 + np.arange(20) / 10) * 1e7, NOW),
        ((NOW + 62_135_596_800 + np.arange(20) / 10) * 1e7, NOW),
        (739_949.5 + np.arange(20) / 10 / 86400, None),
        (3.1e14 + np.arange(20) * 2e7, None),
    ],
    ids=["FILETIME", ".NET", "MATLAB", "uptime in ns"],
)
def test_zeros_of_other_clocks(tmp_path: Path, times: np.ndarray, start: float | None) -> None:
    seconds = np.arange(20) / (50 if times[1] - times[0] == 2e7 else 10)
    track = read_track(log(tmp_path / "log.csv", "timestamp", times, drive(seconds)))
    assert track.start == start
    np.testing.assert_allclose(track.times - track.times[0], seconds, atol=1e-3)


def test_atomic_time_is_not_utc(tmp_path: Path) -> None:
    track = read_track(log(tmp_path / "log.csv", "time_tai", NOW + np.arange(9.0), drive(np.arange(9.0))))
    assert (track.start, track.free_zero) == (None, True)


def test_positions_tell_the_unit(tmp_path: Path) -> None:
    for step, seconds in ((10, 0.01), (1, 1.0), (2000, 2.0)):
        places = [48 + 8 * seconds * i / 111_195 for i in range(80)]
        rows = [f"{i * step},{place:.9f},11.0" for i, place in enumerate(places)]
        path = tmp_path / "log.csv"
        path.write_text("\n".join(["t,latitude,longitude", *rows, ""]))
        np.testing.assert_allclose(read_track(path).speeds[20:-20], 8, atol=0.05)


def test_radians_are_converted_or_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    places = np.deg2rad(48 + 8 * np.arange(30) / 111_195)
    for header, right in (("latitude [rad],longitude [rad]", True), ("lat_rad,lon_rad", True), ("lat,lon", False)):
        rows = [f"{i},{place:.12f},0.19" for i, place in enumerate(places)]
        path.write_text("\n".join([f"time_s,{header}", *rows, ""]))
        if right:
            np.testing.assert_allclose(read_track(path).speeds, 8, atol=0.01)
            continue
        with pytest.raises(InputError, match=r"would be at sea, off Africa, in degrees \(radians\?\)"):
            read_track(path)


@pytest.mark.parametrize(
    "name", ["cmd_speed_mps", "targetSpeed [m/s]", "avg_speed_kmh", "airspeed m/s", "max speed mph"]
)
def test_what_is_not_measured_is_no_speed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"time_s,{name}\n0,8\n1,9\n2,8\n")
    with pytest.raises(InputError, match=r"has no column of speed; .* give column=NAME"):
        read_track(path)
    assert len(read_track(path, column=name).speeds) == 3
