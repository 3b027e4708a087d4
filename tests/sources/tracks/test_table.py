"""Logs in the dialects of loggers, phones and spreadsheets become one track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.sources.tracks.read import read_track
from packdepth.sources.tracks.table import read_speed_table
from packdepth.sources.tracks.units import SPEED_UNITS

HEADERS = {
    "m/s": ["speed_mps", "v [m/s]", "Velocity (m/s)", "GPS Speed (Meters/second)"],
    "km/h": ["speed_kmh", "Geschwindigkeit [km/h]", "OBD vehicle speed km/h", "VITESSE (KM/H)", "Speed (OBD)(km/h)"],
    "mph": ["Speed (mph)", "speed_mph"],
    "knots": ["Speed over ground (knots)", "sog [kn]"],
}
CLOCKS = {"time_s": 1.0, "Zeit [ms]": 1e-3, "timestamp_us": 1e-6, "t (ns)": 1e-9, "Time": 1.0}


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_every_dialect_gives_the_speeds_that_were_written(tmp_path: Path, draw: st.DataObject) -> None:
    unit = draw.draw(st.sampled_from(sorted(HEADERS)))
    header = draw.draw(st.sampled_from(HEADERS[unit]))
    clock = draw.draw(st.sampled_from(sorted(CLOCKS)))
    other = draw.draw(st.sampled_from(["Engine RPM", "battery [V]", "Battery_V", "Supply voltage V", "wind speed m/s"]))
    delimiter = draw.draw(st.sampled_from([",", ";", "\t"]))
    comma = delimiter != "," and draw.draw(st.booleans())
    encoding = draw.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    preamble = draw.draw(st.sampled_from(["", "# made by a logger\n\n", "Logger 3000\nDriver: A\n\n"]))
    ending = draw.draw(st.sampled_from(["\n", "\r\n"]))
    count = draw.draw(st.integers(6, 20))
    values = [draw.draw(st.one_of(st.none(), st.integers(0, 3000))) for _ in range(count)]
    values[:2] = [100, 250]
    times = np.arange(count) * 0.2
    rows = []
    for time, value in zip(times, values, strict=True):
        cells = [f"{time / CLOCKS[clock]:.10g}", "7", "" if value is None else f"{value / 100:.2f}"]
        rows.append(delimiter.join(cell.replace(".", ",") if comma else cell for cell in cells))
    text = ending.join([preamble + delimiter.join([clock, other, header]), *rows, ""])
    track = read_speed_table(written(tmp_path / "log.csv", text, encoding))
    known = [index for index, value in enumerate(values) if value is not None]
    expected = np.array([values[index] for index in known], dtype=float) / 100 * SPEED_UNITS[unit]
    np.testing.assert_allclose(track.times, times[known], atol=1e-9)
    np.testing.assert_allclose(track.speeds, expected, rtol=1e-9)
    assert header in track.description
    assert f"in {unit}" in track.description
    gaps = count - len(known)
    assert (f"{gaps} of {count} rows have no value" in track.description) == (gaps > 0)


@pytest.mark.parametrize(
    ("text", "start", "times"),
    [
        ("time,speed_mps\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:01.5Z,2\n", 1767225600.0, [0, 1.5]),
        ("time,speed_mps\n2026-01-01 01:00:00+01:00,1\n2026-01-01 01:00:01+01:00,2\n", 1767225600.0, [0, 1]),
        ("timestamp,speed_mps\n1767225600500,1\n1767225601500,2\n", 1767225600.0, [0.5, 1.5]),
        ("timestamp,speed_mps\n1767225600.25,1\n1767225601.5,2\n", 1767225600.0, [0.25, 1.5]),
        ("clock,speed_mps\n23:59:59.5,1\n00:00:00.5,2\n", None, [0, 1]),
        ("date,time,speed_mps\n2026-01-01,12:00:01,1\n2026-01-01,12:00:03,2\n", None, [0, 2]),
        ("t,speed_mps\n0,1\n200,2\n400,3\n", None, [0, 0.2, 0.4]),
        ("# t speed_mps\n0 1\n1 2\n", None, [0, 1]),
        ("time;speed\ns;m/s\n0;1\n1;2\n", None, [0, 1]),
        ('"time","speed"\n"0,5","1,0 m/s"\n"1,5","2,0 m/s"\n', None, [0.5, 1.5]),
        ("time_s,speed_mps\n0,1\n1,2\n2", None, [0, 1]),  # cut off while the last line was written
    ],
)
def test_clocks_and_shapes(tmp_path: Path, text: str, start: float | None, times: list[float]) -> None:
    track = read_track(written(tmp_path / "log.csv", text))
    assert track.start == start
    np.testing.assert_allclose(track.times, times, atol=1e-6)
    np.testing.assert_allclose(track.speeds[:2], [1, 2])


def test_reverse_is_a_speed_and_is_said(tmp_path: Path) -> None:
    track = read_track(written(tmp_path / "log.csv", "time_s,velocity_mps\n0,-1\n1,2\n"))
    assert track.speeds.tolist() == [1, 2]
    assert "1 negative value taken as speed in reverse" in track.description


def test_positions_become_speeds(tmp_path: Path) -> None:
    rows = "".join(f"{i},{48 + i * 1e-4:.8f},11.0\n" for i in range(6))
    track = read_track(written(tmp_path / "log.csv", f"time_s,Latitude,Longitude\n{rows}"))
    np.testing.assert_allclose(track.speeds, np.deg2rad(1e-4) * 6371009, rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("time,speed\n0,1\n1,2\n", {}, r"does not say in which unit its column 'speed' is; give unit=m/s"),
        ("time,speed\n0,1\n1,2\n", {"unit": "parsec"}, "'parsec' is no unit of speed; give one of m/s, km/h"),
        ("time,speed_kmh\n0,1\n1,2\n", {"unit": "m/s"}, "says km/h, but unit=m/s is given"),
        ("time,speed_kmh,gps_speed_kmh\n0,1,1\n1,2,2\n", {}, r"several columns of speed .*name one with column=NAME"),
        ("time,speed_kmh\n0,1\n1,2\n", {"column": "sped_kmh"}, "no column 'sped_kmh': did you mean 'speed_kmh'"),
        ("time,rpm\n0,1\n1,2\n", {}, "has no column of speed; its columns are 'time', 'rpm'"),
        ("x,speed_kmh\n0,1\n1,2\n", {}, "has no column of times"),
        ("0,1\n1,2\n", {}, "has no header"),
        ("time_s,speed_kmh\n0,1\n1,abc\n2,3\n", {}, "line 3: 'abc' in column 'speed_kmh' is no number"),
        ("time_s,speed_kmh\n0,1\n1,2\n1,3\n", {}, r"values 2 and 3 have the same time \(1 s"),
        ("time_s,speed_kmh\n0,1\n2,2\n1,3\n", {}, "values 2 and 3 are not in the order of time"),
        ("time_s,speed_kmh\n0,1\n,2\n2,3\n", {}, "line 3: '' in column 'time_s' is no time"),
        ("time_s,speed_kmh\n0,1\n1\n2,3\n", {}, "line 3 has 1 cells for 2 columns"),
        ("time_s,speed_kmh\n0,1\n", {}, "holds 1 speeds; give a log with two at least"),
        ("nothing here\n", {}, "holds no row of numbers"),
        ("nothing\n", {}, "is no table"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_track(written(tmp_path / "log.csv", text), **options)
