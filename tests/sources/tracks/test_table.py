"""Logs in the dialects of loggers, phones and spreadsheets become one track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError, InputWarning
from packdepth.sources.tracks.read import read_track
from packdepth.sources.tracks.speed_names import OTHER, OWN, speed_kind
from packdepth.sources.tracks.table import read_speed_table
from packdepth.sources.tracks.track import Track
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
        ("GPSDateTime,speed_mps\n2026:01:01 00:00:00Z,1\n2026:01:01 00:00:01.5Z,2\n", 1767225600.0, [0, 1.5]),
        ("clock,speed_mps\n23:59:59.5,1\n00:00:00.5,2\n", None, [0, 1]),
        ("date,time,speed_mps\n2026-01-01,12:00:01,1\n2026-01-01,12:00:03,2\n", None, [0, 2]),
        ("date,time,speed_mps\n26.11.26,23:59:59,1\n27.11.26,00:00:01,2\n", None, [0, 2]),  # a year of two digits
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


def test_a_date_of_digits_is_not_taken_for_the_time(tmp_path: Path) -> None:
    rows = [f"261126,{81530 + second if second < 30 else 81570 + second},{second}" for second in range(60)]
    track = read_track(written(tmp_path / "log.csv", "\n".join(["DATE,TIME,speed_kmh", *rows])))
    np.testing.assert_allclose(np.diff(track.times), 1)
    assert "times of the day in column 'TIME' (HHMMSS)" in track.description


def test_reverse_is_a_speed_and_is_said(tmp_path: Path) -> None:
    track = read_track(written(tmp_path / "log.csv", "time_s,velocity_mps\n0,-1\n1,2\n"))
    assert track.speeds.tolist() == [1, 2]
    assert "1 negative value taken as speed in reverse" in track.description


def test_positions_become_speeds(tmp_path: Path) -> None:
    rows = "".join(f"{i},{48 + i * 1e-4:.8f},11.0\n" for i in range(6))
    track = read_track(written(tmp_path / "log.csv", f"time_s,Latitude,Longitude\n{rows}"))
    np.testing.assert_allclose(track.speeds, np.deg2rad(1e-4) * 6371009, rtol=1e-4)


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("x_m,y_m", 1.0),
        ("pos_x [mm],pos_y [mm],pos_z [mm]", 1e-3),
        ("x (ft),y (ft)", 0.3048),
        ("UTM Easting,UTM Northing", 1.0),
        ("/odom/pose/pose/position/x,/odom/pose/pose/position/y,/odom/pose/pose/position/z", 1.0),
        ("field.pose.pose.position.x,field.pose.pose.position.y", 1.0),
        ("p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m]", 1.0),
    ],
)
@pytest.mark.parametrize("others", ["", ",acc_x [m/s2],acc_y [m/s2],q_x,q_y,gyro_x,gyro_y,lead_x_m,lead_y_m"])
def test_positions_in_metres_become_speeds(tmp_path: Path, header: str, unit: float, others: str) -> None:
    times = np.arange(0, 6, 0.1)
    path = 5 * times - 2 * np.cos(times)
    places = np.stack([0.6 * path, 0.8 * path, np.full(len(path), 3.0)], axis=-1)[:, : header.count(",") + 1] / unit
    rest = ",1.5" * others.count(",")
    rows = "".join(
        f"{t:.1f},{','.join(map(repr, place))}{rest}\n" for t, place in zip(times, places.tolist(), strict=True)
    )
    track = read_track(written(tmp_path / "log.csv", f"time_s,{header}{others}\n{rows}"))
    np.testing.assert_allclose(track.speeds, 5 + 2 * np.sin(times), atol=1.0 if "Easting" in header else 0.2)
    assert track.description.startswith(f"positions in columns '{header.split(',')[0]}', ")


def test_speeds_in_another_unit_than_the_path_in_metres_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{i / 10},{i * 0.2:.1f},0.0,{7.2}\n" for i in range(300))
    log = written(tmp_path / "log.csv", f"time_s,x_m,y_m,speed\n{rows}")
    assert read_track(log, unit="km/h").speeds[0] == pytest.approx(2.0)
    with pytest.raises(InputError, match=r"its speeds make 3\.60 times the path that its positions make"):
        read_track(log, unit="m/s")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("time,x,y,yaw\n0,1,1,0\n1,2,2,0\n", {}, "a position in columns 'x', 'y', and does not say in which unit"),
        ("time,vx,vy\n0,1,1\n1,2,2\n", {}, "does not say in which unit its column 'vx' is"),
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
        ("time,speed_kmh\n08:15,1\n08:16,2\n", {}, "in column 'time', such as 08:15, may be hours and minutes or min"),
        ("time,speed_kmh\n8:15 AM,1\n8:15 AM,2\n", {}, "whole minutes, with several values each: export it with sec"),
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


# --- factors of units -------------------------------------------------------------------------------------------

FACTORS = {  # header, and the size of a unit of its numbers
    "Speed (0.1 {})": 0.1,
    "Speed [0.01 {}]": 0.01,
    "Speed (0,1{})": 0.1,
    "speed 0.5 {}": 0.5,
    "Speed [1e-3 {}]": 1e-3,
    "Speed [1/256 {}]": 1 / 256,
    "Speed (0.01 {}/bit)": 0.01,
    "speed (10 {})": 10.0,
    "speed (10{})": 10.0,
    "Speed ({}) x10": 0.1,
    "Speed ({}) x 100": 0.01,
    "Speed ({}) × 10": 0.1,
    "speed {}*10": 0.1,
    "speed_x10 [{}]": 0.1,
    "speed_{}_times_100": 0.01,
}
LABELS = (  # headers with numbers that are no factors
    "speed2 ({})",
    "GPS 1 speed [{}]",
    "Speed(OBD) 0x0D ({})",
    "Speed 0x10 ({})",
    "wheel_speed_1_{}",
    "wheel_speed_2_{}",
    "Speed ({}) [1]",
    "speed_{}_2",
    "GPS 10Hz speed ({})",
    "speed ({}) 10 Hz",
    "Speed 2D ({})",
    "speed_can10_{}",
)
DOUBTS = (
    "Speed ({}) 0.1",
    "Speed ({}, 0.1)",
    "Speed ({}) x 0.1",
    "Speed ({}) x2",
    "speed ({}) / 10",
    "speed 10x {}",
    "speed_10_{}",
    "speed_{}_x_100",
    "speed_{} factor 10",
    "Speed (10^-2 {})",
    "Speed (0 {})",
    "Speed (0.1 {}) x10",
    "speed_e3 [{}]",
    "speed in tenths of {}",
)


def of_header(folder: Path, header: str, speeds: list[float], size: float, **options: str) -> Track:
    """Write a log with a column of speeds, in metres per second, by a header and the size of its unit, and read it."""
    rows = "".join(f"{index};{speed / size!r}\n" for index, speed in enumerate(speeds))
    return read_track(written(folder / "log.csv", f"time_s;{header}\n{rows}"), **options)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.sampled_from([*FACTORS, *LABELS]),
    unit=st.sampled_from(sorted(SPEED_UNITS)),
    speeds=st.lists(st.floats(0, 30), min_size=2, max_size=8),
)
def test_a_factor_beside_the_unit_counts_and_is_said(
    tmp_path: Path, header: str, unit: str, speeds: list[float]
) -> None:
    factor = FACTORS.get(header, 1.0)
    track = of_header(tmp_path, header.format(unit), speeds, factor * SPEED_UNITS[unit])
    np.testing.assert_allclose(track.speeds, speeds, rtol=1e-9)
    said = unit if factor == 1 else f"units of {factor:g} {unit}"
    assert f"column '{header.format(unit)}' in {said}, times" in track.description


@pytest.mark.parametrize("unit", ["m/s", "km/h", "mph"])
@pytest.mark.parametrize("header", DOUBTS)
def test_a_number_that_may_be_a_factor_is_asked_about(tmp_path: Path, header: str, unit: str) -> None:
    speeds, name = [8.0, 9.0], header.format(unit)
    with pytest.raises(InputError, match=r"has a number beside its unit that may be a factor; give unit=") as caught:
        of_header(tmp_path, name, speeds, SPEED_UNITS[unit])
    assert f"column '{name}'" in str(caught.value)
    for option, factor in ((unit, 1.0), (f"0.1 {unit}", 0.1)):
        track = of_header(tmp_path, name, speeds, factor * SPEED_UNITS[unit], unit=option)
        np.testing.assert_allclose(track.speeds, speeds)


def test_a_factor_and_the_unit_may_stand_apart(tmp_path: Path) -> None:
    for header, options in (("speed_x10", {"unit": "km/h"}), ("speed", {"unit": "0.1 km/h"})):
        np.testing.assert_allclose(of_header(tmp_path, header, [8, 9], 0.1 / 3.6, **options).speeds, [8, 9])
    for text in ("time,speed x10\ns,km/h\n0,36\n1,72\n", "time,speed\n[s],[0.1 km/h]\n0,36\n1,72\n"):
        np.testing.assert_allclose(read_track(written(tmp_path / "log.csv", text)).speeds, [1, 2])
    with pytest.raises(InputError, match=r"says 0\.1 km/h, but unit=km/h is given; remove unit, or mend the log"):
        of_header(tmp_path, "Speed (0.1 km/h)", [8, 9], 1.0, unit="km/h")


# --- components, and speeds of others ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "v_north (m/s),v_east (m/s)",
        "vn_mps,ve_mps",
        "velN [m/s],velE [m/s],velD [m/s]",
        "North velocity m/s,East velocity m/s,Vertical velocity m/s",
        "vx (m/sec),vy (m/sec)",
        "velocity.x [m/s],velocity.y [m/s],velocity.z [m/s]",
        "linear_x_mps,linear_y_mps",
        "v_RS_R_x [m s^-1],v_RS_R_y [m s^-1],v_RS_R_z [m s^-1]",
    ],
)
def test_the_components_of_a_velocity_make_a_speed(tmp_path: Path, header: str) -> None:
    names = header.split(",")
    rng = np.random.default_rng(0)
    velocity = np.array([9.0, -6.0, 2.0])[: len(names)] + rng.normal(0, 0.5, (20, len(names)))
    rows = "".join(f"{index},{','.join(map(repr, row))}\n" for index, row in enumerate(velocity.tolist()))
    path = written(tmp_path / "log.csv", f"time_s,{header}\n{rows}")
    track = read_track(path)
    np.testing.assert_allclose(track.speeds, np.linalg.norm(velocity, axis=-1))
    assert f"length of the velocity in column '{names[0]}' in m/s and column '{names[1]}' in m/s" in track.description
    with pytest.warns(InputWarning, match="is one component of a velocity, and less than the speed wherever"):
        alone = read_track(path, column=names[0])
    np.testing.assert_allclose(alone.speeds, np.abs(velocity[:, 0]))
    assert "(one component of a velocity)" in alone.description


def test_each_component_has_its_own_unit_and_its_gaps_are_gaps(tmp_path: Path) -> None:
    rows = "0,10.8,400\n1,,400\n2,-21.6,800\n"
    track = read_track(written(tmp_path / "log.csv", f"time_s,v_north (km/h),v_east (0.01 m/s)\n{rows}"))
    np.testing.assert_allclose(track.speeds, [5, 10])
    assert "1 of 3 rows have no value" in track.description


@pytest.mark.parametrize("own", ["speed_mps", "longitudinal_velocity_mps", "gSpeed [m/s]"])
@pytest.mark.parametrize("others", ["v_north (m/s),v_east (m/s)", "lateral_velocity_mps,vertical_speed_mps", "vx,vy"])
def test_a_speed_is_read_beside_components(tmp_path: Path, own: str, others: str) -> None:
    track = read_track(written(tmp_path / "log.csv", f"time_s,{others},{own}\n0,1,2,8\n1,1,2,9\n"))
    assert track.speeds.tolist() == [8, 9]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("v_north (m/s),rpm", r"components of a velocity, and not all of them \('v_north \(m/s\)'\); add a column of"),
        ("vertical_speed_mps,v_east_mps", r"not all of them \('vertical_speed_mps', 'v_east_mps'\)"),
        ("lateral_velocity_mps,rpm", r"not all of them \('lateral_velocity_mps'\)"),
        ("vx_mps,vy_mps,ins_vx_mps", r"several columns of one component of a velocity \('vx_mps', 'ins_vx_mps'\)"),
    ],
)
def test_components_that_make_no_speed_are_refused(tmp_path: Path, header: str, message: str) -> None:
    rows = "".join(f"{index}{',8' * len(header.split(','))}\n" for index in range(3))
    with pytest.raises(InputError, match=message):
        read_track(written(tmp_path / "log.csv", f"time_s,{header}\n{rows}"))


def test_the_forward_component_alone_is_a_speed_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "time_s,vel_x (m/s)\n0,8\n1,9\n")
    with pytest.warns(InputWarning, match=r"column 'vel_x \(m/s\)' is one component of a velocity"):
        assert read_track(path).speeds.tolist() == [8, 9]


def test_positions_are_read_beside_a_component(tmp_path: Path) -> None:
    rows = "".join(f"{i},{48 + i * 1e-4:.8f},11.0,5.0\n" for i in range(6))
    track = read_track(written(tmp_path / "log.csv", f"time_s,Latitude,Longitude,v_north (m/s)\n{rows}"))
    np.testing.assert_allclose(track.speeds, np.deg2rad(1e-4) * 6371009, rtol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "lead_speed_mps",
        "leadVehicleSpeed [m/s]",
        "vLead_mps",
        "relative_speed_mps",
        "vRel [m/s]",
        "closing_speed m/s",
        "target_speed_mps",
        "object_speed_mps",
        "obj_vx_mps",
        "obstacle velocity (m/s)",
        "other_car_speed_mps",
        "front vehicle speed m/s",
        "speed of the car ahead (m/s)",
        "preceding_vehicle_speed_mps",
        "range rate (m/s)",
        "speed_acc_mps",
    ],
)
def test_speeds_of_others_are_no_speed_of_the_camera(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "log.csv", f"time_s,{name}\n0,8\n1,9\n")
    assert speed_kind(name) == OTHER
    with pytest.raises(InputError, match=r"has no column of speed; .* give column=NAME"):
        read_track(path)
    assert read_track(path, column=name).speeds.tolist() == [8, 9]
    both = written(tmp_path / "both.csv", f"time_s,{name},ego_speed_mps\n0,1,8\n1,2,9\n")
    assert read_track(both).speeds.tolist() == [8, 9]


def test_good_names_stay_names_of_the_speed() -> None:
    for headers in (*HEADERS.values(), [form.format("km/h") for form in (*FACTORS, *LABELS)]):
        assert {speed_kind(header) for header in headers} == {OWN}
    for name in ("vEgo [m/s]", "v [m/s]", "forward_speed_mps", "Speed 3D (m/s)", "front_wheel_speed_kmh"):
        assert speed_kind(name) == OWN
