"""Logs of speeds with the clocks and the marks of real loggers, phones, receivers and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.sources.tracks.clocks import utc_of_gps
from packdepth.sources.tracks.read import read_track
from packdepth.sources.tracks.track import Track

SPEEDS = [10 + index % 5 for index in range(12)]  # metres per second
ROWS = range(len(SPEEDS))


def log(folder: Path, header: str, row: Callable[[int], str], name: str = "log.csv", **options: str) -> Track:
    """Write a log with a row for each of `ROWS` and read it."""
    path = folder / name
    path.write_text(header + "\n" + "".join(f"{row(index)}\n" for index in ROWS))
    return read_track(path, **options)


def clock(second: int, start: int = 46_794) -> str:
    """Return a time of the day, HH:MM:SS, from 12:59:54 on."""
    return f"{(start + second) // 3600 % 24:02d}:{(start + second) // 60 % 60:02d}:{(start + second) % 60:02d}"


# --- clocks -----------------------------------------------------------------------------------------------------

LOCAL = {  # one value a second, whose clock is changed by an hour after the sixth
    "to winter time": lambda i: f"2026-10-25 {'02:59' if i < 6 else '02:00'}:{54 + i if i < 6 else i - 6:02d}",
    "to summer time": lambda i: f"2026-03-29 {'01:59' if i < 6 else '03:00'}:{54 + i if i < 6 else i - 6:02d}",
}


@pytest.mark.parametrize("change", LOCAL)
def test_local_time_goes_on_where_summer_time_begins_or_ends(tmp_path: Path, change: str) -> None:
    track = log(tmp_path, "time,speed_mps", lambda i: f"{LOCAL[change](i)},{SPEEDS[i]}")
    np.testing.assert_allclose(track.times, ROWS)
    assert track.start is None
    assert "changed by an hour at line 8, which is corrected" in track.description


def test_a_pause_of_another_length_is_no_change_of_the_clock(tmp_path: Path) -> None:
    track = log(tmp_path, "time,speed_mps", lambda i: f"2026-10-25 {clock(i + 1800 * (i > 5))},{SPEEDS[i]}")
    assert track.times[6] - track.times[5] == 1801
    assert "corrected" not in track.description


@settings(max_examples=30, deadline=None)
@given(second=st.integers(1025136016, 2_000_000_000))
def test_gps_time_is_utc_but_for_leap_seconds(second: int) -> None:
    utc = utc_of_gps(second // 604800, second % 604800)
    ahead = second + 315964800 - utc
    expected = 18 if utc >= datetime(2017, 1, 1, tzinfo=UTC).timestamp() else 17 if second >= 1119744017 else 16
    assert ahead == expected


@pytest.mark.parametrize("names", ["gps_week,tow", "GPSWeek,GPSTime", "WN,iTOW"])
def test_week_and_second_of_gps_are_a_clock(tmp_path: Path, names: str) -> None:
    factor = 1000 if "iTOW" in names else 1
    track = log(tmp_path, f"{names},speed_mps", lambda i: f"2393,{(345_618 + i * 0.2) * factor:.10g},{SPEEDS[i]}")
    assert track.start == datetime(2025, 11, 20, tzinfo=UTC).timestamp()
    np.testing.assert_allclose(track.times, np.arange(12) * 0.2, atol=1e-6)


def test_seconds_of_the_week_go_on_on_sunday(tmp_path: Path) -> None:
    track = log(tmp_path, "tow_s,speed_mps", lambda i: f"{(604_799 + i) % 604_800},{SPEEDS[i]}")
    np.testing.assert_allclose(track.times, ROWS)
    assert track.free_zero


SAME_SECONDS = {
    "HHMMSS": lambda i: clock(i).replace(":", ""),
    "HHMMSS.ss": lambda i: clock(i).replace(":", "") + ".00",
    "YYYYMMDDHHMMSS": lambda i: "20261126" + clock(i).replace(":", ""),
    "MM:SS.f of Excel": lambda i: clock(i)[3:] + ".0",
    "AM and PM": lambda i: f"{(46_794 + i) // 3600 - 12 or 12}{clock(i)[2:]} PM",
    "American date": lambda i: f"11/26/2026 {(46_794 + i) // 3600 - 12 or 12}{clock(i)[2:]} PM",
    "date of ambiguous order": lambda i: f"03/04/2026 {clock(i)}",
    "days of Excel": lambda i: f"{46_352.5 + i / 86_400:.9f}",
}


@pytest.mark.parametrize("name", ["time", "utc"])
@pytest.mark.parametrize("form", SAME_SECONDS)
def test_seconds_are_seconds_in_whatever_form(tmp_path: Path, form: str, name: str) -> None:
    track = log(tmp_path, f"{name},speed_kmh", lambda i: f"{SAME_SECONDS[form](i)},{SPEEDS[i]}")
    np.testing.assert_allclose(track.times, ROWS, atol=1e-3)
    assert track.start is None


def test_the_order_of_month_and_day_is_the_one_that_makes_one_night(tmp_path: Path) -> None:
    night = lambda i: f"{3 + (i > 5):02d}/04/2026 {clock(i, 86_394)}"  # noqa: E731
    np.testing.assert_allclose(log(tmp_path, "time,speed_mps", lambda i: f"{night(i)},{SPEEDS[i]}").times, ROWS)


def test_seconds_and_nanoseconds_of_ros_are_one_time(tmp_path: Path) -> None:
    row = lambda i: f"{1_700_000_000 + i // 10},{i % 10 * 100_000_000},{SPEEDS[i]}"  # noqa: E731
    for names in ("secs,nsecs", "header.stamp.secs,header.stamp.nsecs", "sec,nanosec"):
        track = log(tmp_path, f"{names},speed_mps", row)
        assert track.start == 1_700_000_000
        np.testing.assert_allclose(track.times, np.arange(12) / 10, atol=1e-6)


def test_times_that_a_spreadsheet_has_rounded_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds 1\.79564E\+12, whose last digits a spreadsheet has cut off"):
        log(tmp_path, "timestamp,speed_mps", lambda i: f"1.79564E+12,{SPEEDS[i]}")


# --- order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 17])
def test_a_logger_that_starts_again_is_not_to_be_sorted(tmp_path: Path, first: int) -> None:
    with pytest.raises(InputError, match=r"its clock begins anew, as after a restart .*: cut the log there, and do"):
        log(tmp_path, "time_s,speed_mps", lambda i: f"{first + i % 6},{SPEEDS[i]}")


def test_repeated_rows_are_left_out_and_said(tmp_path: Path) -> None:
    track = log(tmp_path, "time_s,speed_mps", lambda i: f"{i // 2},{SPEEDS[i // 2]}")
    assert track.times.tolist() == list(range(6))
    assert "6 repeated values left out" in track.description


def test_several_values_in_a_second_need_fractions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whole seconds, with several values each: export it with fractions"):
        log(tmp_path, "time,speed_mps", lambda i: f"12:00:{i // 4:02d},{SPEEDS[i]}")


# --- columns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("sensor,time_s,speed_mps", lambda i: f"{'gps' if i % 2 else 'obd'},{i},{SPEEDS[i] + 5 * (i % 2)}"),
        ("sensor_id,time_s,speed_mps", lambda i: f"{i % 2},{i},{SPEEDS[i] + 5 * (i % 2)}"),
        ("time_s,PID,value_kmh", lambda i: f"{i},{'Speed' if i % 2 else 'RPM'},{30 if i % 2 else 2000}"),
    ],
)
def test_rows_of_two_sensors_are_no_log(tmp_path: Path, header: str, row: Callable[[int], str]) -> None:
    with pytest.raises(InputError, match="so that its rows are of several sensors or quantities; keep those of one"):
        log(tmp_path, header, row)


@pytest.mark.parametrize("fences", ["{}", "[{}]", "({})"])
def test_units_may_stand_in_a_second_row(tmp_path: Path, fences: str) -> None:
    units = ",".join(fences.format(unit) for unit in ("ms", "km/h", "1/min"))
    for types in ("", "\nfloat,float,int"):
        track = log(tmp_path, f"time,speed,rpm\n{units}{types}", lambda i: f"{i * 200},{SPEEDS[i] * 3.6:.1f},2000")
        np.testing.assert_allclose(track.times, np.arange(12) * 0.2)
        np.testing.assert_allclose(track.speeds, SPEEDS)


@pytest.mark.parametrize(
    ("unit", "factor"), [("speed_cms", 100), ("v [mm/s]", 1000), ("speed (ft/s)", 1 / 0.3048), ("v_kmh", 3.6)]
)
def test_small_units_are_units_too(tmp_path: Path, unit: str, factor: float) -> None:
    track = log(tmp_path, f"time_s,{unit}", lambda i: f"{i},{SPEEDS[i] * factor:.6f}")
    np.testing.assert_allclose(track.speeds, SPEEDS, rtol=1e-5)


@pytest.mark.parametrize("mark", [-1, -9999])
def test_a_negative_mark_is_no_speed_in_reverse(tmp_path: Path, mark: int) -> None:
    track = log(tmp_path, "time_s,speed_kmh", lambda i: f"{i},{mark if i in (4, 5) else SPEEDS[i]}")
    assert len(track.times) == 10
    assert f"2 values of {mark} taken for unknown" in track.description


@pytest.mark.parametrize("mark", [255, 65535, 9999])
def test_a_mark_that_no_vehicle_drives_is_refused(tmp_path: Path, mark: int) -> None:
    with pytest.raises(InputError, match=r"values 4 and 5 are 3\.6 and .* m/s within 1 s, as no vehicle drives"):
        log(tmp_path, "time_s,speed_kmh", lambda i: f"{i},{mark if i in (4, 5) else SPEEDS[i]}")


def test_full_braking_is_driven(tmp_path: Path) -> None:
    track = log(tmp_path, "time_s,speed_mps", lambda i: f"{i / 10:.1f},{max(30 - i, 0)}")
    assert track.speeds[0] == 30


def test_rows_without_a_fix_have_no_speed(tmp_path: Path) -> None:
    track = log(tmp_path, "time_s,speed_kmh,fix", lambda i: f"{i},{0 if i < 4 else SPEEDS[i]},{0 if i < 4 else 3}")
    assert track.times[0] == 4
    places = log(tmp_path, "time_s,lat,lon", lambda i: f"{i},{48 + i * 1e-4 if i > 3 else 0},{11.5 if i > 3 else 0}")
    assert places.times[0] == 4
    np.testing.assert_allclose(places.speeds, np.deg2rad(1e-4) * 6371009, rtol=1e-4)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (lambda i: f"{481_000_000 + i * 1000},115000000", r"degrees x 10\^7\?"),
        (lambda i: f"{4807.038 + i * 0.006:.4f},1131.000", "degrees and minutes, as in NMEA"),
    ],
)
def test_positions_in_other_forms_are_refused(tmp_path: Path, place: Callable[[int], str], hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        log(tmp_path, "time_s,lat,lon", lambda i: f"{i},{place(i)}")


@pytest.mark.parametrize("noise", [0.0, 2e-5])
@pytest.mark.parametrize(("factor", "fine"), [(1.0, True), (1.1, True), (3.6, False), (2.237, False), (1 / 3.6, False)])
def test_speeds_in_a_wrong_unit_do_not_make_the_path_of_positions(
    tmp_path: Path, noise: float, factor: float, fine: bool
) -> None:
    path = tmp_path / "log.csv"
    places = 48 + np.arange(60) * 1e-4 + noise * np.random.default_rng(0).standard_normal(60)
    speed = np.deg2rad(1e-4) * 6371009 * factor
    path.write_text("time_s,speed,lat,lon\n" + "".join(f"{i},{speed:.3f},{places[i]:.8f},11.5\n" for i in range(60)))
    if fine:
        np.testing.assert_allclose(read_track(path, unit="m/s").speeds, speed, rtol=1e-3)
    else:
        with pytest.raises(InputError, match="times the path that its positions make") as caught:
            read_track(path, unit="m/s")
        said = float(str(caught.value).partition("make ")[2].partition(" ")[0])
        assert said == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(("separator", "quoted"), [(";", False), (",", True)])
def test_thousands_are_thousands_or_refused(tmp_path: Path, separator: str, quoted: bool) -> None:
    path = tmp_path / "log.csv"
    if separator == ";":
        path.write_text("time_s;speed_mps\n" + "".join(f"1.{i:03d},5;10,5\n" for i in ROWS))
        assert read_track(path).times[0] == 1000.5
        return
    rows = "".join(f'"{i * 200:,}",10\n' for i in ROWS)
    path.write_text(f"time_ms,speed_mps\n{rows}")
    np.testing.assert_allclose(read_track(path).times, np.arange(12) * 0.2)
    path.write_text("time_ms,speed_mps\n" + "".join(f'"{12_000 + i * 200:,}",10\n' for i in ROWS))
    with pytest.raises(InputError, match="'12,000' in column 'time_ms' may be a thousand or a decimal comma"):
        read_track(path)


def test_phones_write_minus_one_into_gpx_where_they_know_no_speed(tmp_path: Path) -> None:
    points = "".join(
        f'<trkpt lat="{48 + i * 1e-4}" lon="11.5"><time>2026-11-26T08:00:{i:02d}Z</time>'
        f"<speed>{-1 if i < 3 else 11.1}</speed></trkpt>"
        for i in range(30)
    )
    path = tmp_path / "log.gpx"
    path.write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    track = read_track(path)
    assert len(track.times) == 27
    assert set(track.speeds.tolist()) == {11.1}
    path.write_text(path.read_text().replace("11.1<", "40.0<"))
    with pytest.raises(InputError, match=r"its speeds make 3\.[56]\d times the path"):
        read_track(path)
