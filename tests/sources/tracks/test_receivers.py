"""GPX, NMEA and the telemetry of a GoPro."""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import reduce
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError
from packdepth.sources.speeds import likely_log
from packdepth.sources.tracks.positions import (
    ODOMETRY,
    RECEIVER,
    Sensor,
    agreeing_speeds,
    places_of,
    speeds_from_places,
)
from packdepth.sources.tracks.read import read_track
from packdepth.sources.tracks.telemetry import has_telemetry

EARTH = 6371009.0


def gpx(path: Path, points: list[str]) -> Path:
    body = "".join(points)
    path.write_text(
        f'<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>{body}'
        f"</trkseg></trk></gpx>"
    )
    return path


def test_gpx_speeds_of_the_receiver(tmp_path: Path) -> None:
    point = (
        '<trkpt lat="48" lon="11"><time>2026-01-01T00:00:0{i}Z</time><extensions><x:speed xmlns:x="urn:x">{v}</x:speed>'
        "</extensions></trkpt>"
    )
    track = read_track(gpx(tmp_path / "a.gpx", [point.format(i=i, v=i + 1) for i in range(4)]))
    assert (track.start, track.speeds.tolist()) == (1767225600.0, [1, 2, 3, 4])
    assert track.times.tolist() == [0, 1, 2, 3]


def test_gpx_positions(tmp_path: Path) -> None:
    step = np.rad2deg(5 / EARTH) / np.cos(np.deg2rad(48))  # 5 metres to the east
    point = '<trkpt lat="48" lon="{lon:.9f}"><time>2026-01-01T00:00:0{i}Z</time></trkpt>'
    track = read_track(gpx(tmp_path / "a.gpx", [point.format(i=i, lon=11 + i * step) for i in range(6)]))
    np.testing.assert_allclose(track.speeds, 5, rtol=1e-3)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (['<trkpt lat="48" lon="11"></trkpt>'], "point 1 has no time"),
        ([], "no track point"),
        (["<trkpt"], "no valid GPX"),
    ],
)
def test_gpx_errors(tmp_path: Path, points: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_track(gpx(tmp_path / "a.gpx", points))


POINT = '<trkpt lat="{lat}" lon="11"><time>2026-01-01T00:00:{second:02d}Z</time></trkpt>'


def test_a_repeated_gpx_point_is_left_out_and_said(tmp_path: Path) -> None:
    points = [POINT.format(lat=48 + i * 1.2e-4, second=i) for i in range(8)]
    track = read_track(gpx(tmp_path / "a.gpx", [*points[:4], points[3], *points[4:]]))
    assert track.times.tolist() == list(range(8))
    assert "1 repeated values left out" in track.description


def test_two_gpx_positions_at_one_time_are_refused(tmp_path: Path) -> None:
    points = [POINT.format(lat=48 + i * 1e-4, second=i // 2) for i in range(12)]
    with pytest.raises(InputError, match=r"values 1 and 2 have the same time .*; 6 such places"):
        read_track(gpx(tmp_path / "a.gpx", points))


@pytest.mark.parametrize("longitude", [-122.4, 0.0, 139.7, 179.9995])
def test_speeds_are_compared_with_positions_at_any_longitude(longitude: float) -> None:
    seconds = np.arange(60.0)
    latitudes = 35.7 + np.rad2deg(8.0 * seconds / 6_371_009.0)
    longitudes = longitude + np.rad2deg(6.0 * seconds / 6_371_009.0) / np.cos(np.deg2rad(35.7))
    longitudes = (longitudes + 180) % 360 - 180
    places = places_of(latitudes, longitudes)
    agreeing_speeds("log.csv", seconds, np.full(60, 10.0), places, "give unit=")
    with pytest.raises(InputError, match=r"make 3\.60 times the path"):
        agreeing_speeds("log.csv", seconds, np.full(60, 36.0), places, "give unit=")


@pytest.mark.parametrize(("rate", "sensor"), [(1, RECEIVER), (10, RECEIVER), (20, ODOMETRY)])
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_speeds_of_0_are_unknown_where_the_positions_move_on(rate: int, sensor: Sensor, data: st.DataObject) -> None:
    stop, zeros = data.draw(st.floats(5, 40)), data.draw(st.floats(5, 40))  # seconds: the car stands, the sensor fails
    times = np.arange(0, 60, 1 / rate)
    true = np.clip(3 * np.abs(times - stop - 5) - 15, 0, 12)  # it brakes, stands for 10 s, and drives off
    places = np.stack([np.cumsum(true) / rate, np.zeros(len(times))], axis=-1)
    told = np.where((times >= zeros) & (times < zeros + 4), 0.0, true)
    noise = np.random.default_rng(0).normal(0, 0.3 if sensor is RECEIVER else 0.005, places.shape)
    found = agreeing_speeds("log.csv", times, told, places + noise, "give unit=", sensor)
    assert np.isnan(found[(told == 0) & (true > 8)]).all()
    assert (found[true == 0] == 0).all()
    np.testing.assert_array_equal(found[told > 0], told[told > 0])


def test_one_wrong_position_hardly_changes_speeds() -> None:
    times = np.arange(0, 4, 0.2)
    north = 48 + np.rad2deg(10 * times / EARTH)
    north[10] += np.rad2deg(30 / EARTH)
    speeds = speeds_from_places(times, places_of(north, np.full(len(times), 11.0)))
    np.testing.assert_allclose(np.delete(speeds, 10), 10, atol=0.5)


@pytest.mark.parametrize("rate", [1, 2, 5, 10])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0, 4.0])
def test_speeds_from_positions_hold_at_the_ends_too(rate: int, phase: float) -> None:
    times = np.arange(0, 20, 1 / rate)
    true = 8 + 4 * np.sin(times / 2 + phase)
    north = 48 + np.rad2deg((8 * times - 8 * np.cos(times / 2 + phase)) / EARTH)
    speeds = speeds_from_places(times, places_of(north, np.full(len(times), 11.0)))
    np.testing.assert_allclose(speeds, true, atol=0.5)
    noise = np.random.default_rng(0).normal(0, 0.3, (40, len(times)))
    noisy = [
        speeds_from_places(times, places_of(north + np.rad2deg(each / EARTH), np.full(len(times), 11.0)))
        for each in noise
    ]
    errors = np.sqrt(np.mean((np.array(noisy) - true) ** 2, axis=0))
    assert errors[1:-1].max() < 0.65
    assert errors.max() < 1.2


def sentence(body: str) -> str:
    return f"${body}*{reduce(lambda a, b: a ^ b, body.encode(), 0):02X}\n"


def test_nmea(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    rmc = "GNRMC,1200{:02d}.00,A,4800.000,N,01100.000,E,{:.1f},0.0,010126,,,A"
    void = "GNRMC,120003.00,V,,,,,,,010126,,,N"
    path.write_text("noise\n" + "".join(sentence(rmc.format(i, 10 + i)) for i in range(3)) + sentence(void))
    track = read_track(path)
    np.testing.assert_allclose(track.speeds, np.array([10, 11, 12]) * 1852 / 3600)
    assert track.start == 1767268800.0


def gga(seconds: float, north: float) -> str:
    """A fix at a time of the day, in seconds, some metres north of 48 degrees."""
    hours, rest = divmod(seconds % 86400, 3600)
    minutes = np.rad2deg(north / EARTH) * 60
    clock = f"{int(hours):02d}{int(rest // 60):02d}{rest % 60:05.2f}"
    return sentence(f"GPGGA,{clock},48{minutes:010.7f},N,01100.000,E,1,08,1.0,400.0,M,47.0,M,,")


def vtg(speed: float) -> str:
    return sentence(f"GPVTG,0.0,T,,M,{speed * 3600 / 1852:.4f},N,{speed * 3.6:.4f},K,A")


@pytest.mark.parametrize("first", [True, False], ids=["VTG before GGA", "VTG after GGA"])
@pytest.mark.parametrize("cut", [0, 1])
def test_vtg_is_of_its_own_fix(tmp_path: Path, first: bool, cut: int) -> None:
    seconds = np.arange(40.0)
    speeds, north = 8 + 4 * np.sin(seconds / 3), 8 * seconds - 12 * np.cos(seconds / 3) + 12
    lines = []
    for second, speed, place in zip(seconds, speeds, north, strict=True):
        both = [gga(36000 + second, place), vtg(speed)]
        lines += both[::-1] if first else both
    path = tmp_path / "log.nmea"
    path.write_text("".join(lines[cut:]))  # a log may begin within a burst
    track = read_track(path)
    assert len(track.speeds) == len(seconds) - cut
    np.testing.assert_allclose(track.speeds, speeds[cut:], atol=0.01)


def test_vtg_of_equal_speeds_are_of_different_fixes(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    path.write_text("".join(gga(36000 + second, 9.0 * second) + vtg(9) for second in range(20)))
    np.testing.assert_allclose(read_track(path).speeds, np.full(20, 9.0), atol=1e-3)


def test_gga_alone_goes_on_over_midnight(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    path.write_text("".join(gga(86390 + second, 10 * second) for second in range(20)))
    track = read_track(path)
    assert (track.start, track.free_zero) == (None, True)
    np.testing.assert_allclose(track.times, np.arange(20), atol=1e-6)
    np.testing.assert_allclose(track.speeds, 10, atol=0.01)


def test_fixes_before_the_first_date_are_dated_by_it(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    fixes = [gga(86398 + second, 10 * second) for second in range(4)]
    path.write_text("".join(fixes) + sentence("GPRMC,000002.00,A,4800.0215827,N,01100.000,E,,0.0,020126,,,A"))
    track = read_track(path)
    assert track.start == 1767311998.0  # two seconds before the second of January
    np.testing.assert_allclose(track.times, np.arange(5), atol=1e-6)


def test_a_wrong_checksum_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    lines = [sentence(f"GPRMC,12000{i}.00,A,4800.0,N,01100.0,E,{i}.0,0.0,010126,,") for i in range(4)]
    path.write_text("".join(lines).replace("E,2.0", "E,9.0"))
    assert read_track(path).times.tolist() == [0, 1, 3]


def test_unit_is_refused_where_the_file_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    path.write_text(sentence("GPRMC,120001.00,A,4800.0,N,01100.0,E,1.0,0.0,010126,,"))
    with pytest.raises(InputError, match="unit=mph is for tables"):
        read_track(path, unit="mph")


def rmc(second: float, knots: float, status: str = "A", mode: str = "A") -> str:
    return sentence(f"GPRMC,1200{second:05.2f},{status},4800.0,N,01100.0,E,{knots:.1f},0.0,010126,,,{mode}")


def test_several_sentences_of_one_second_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    path.write_text("".join(rmc(second // 10, second) for second in range(40)))
    with pytest.raises(InputError, match=r"36 of its 40 sentences GPRMC have the time of the one before.*fractions"):
        read_track(path)
    path.write_text("".join(2 * rmc(second, second) for second in range(9)))  # each is there twice
    assert len(read_track(path).times) == 9


@pytest.mark.parametrize("void", [{"status": "V"}, {"mode": "N"}, {"status": "V", "mode": "N"}])
def test_a_sentence_without_a_fix_is_a_gap_and_said(tmp_path: Path, void: dict[str, str]) -> None:
    path = tmp_path / "log.nmea"
    path.write_text(
        "".join(rmc(second, 0 if second in (3, 4) else 9, **void if second in (3, 4) else {}) for second in range(9))
    )
    track = read_track(path)
    assert track.times.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert track.description.endswith("; 2 sentences without a fix")


@pytest.mark.parametrize(
    "end",
    ["$GPRMC,120009.00,A,4800.0,N,01100.0,E,0.1,0.0,0101", "$GPRMC,120009.00,A,4800.0,N,01100.0,E,1.0,0.0,010126,,,A"],
)
def test_a_sentence_that_lost_its_checksum_is_damaged(tmp_path: Path, end: str) -> None:
    path = tmp_path / "log.nmea"
    path.write_text("".join(rmc(second, 9) for second in range(9)) + end)
    track = read_track(path)
    assert len(track.times) == 9
    assert "1 damaged sentence left out" in track.description


def test_a_log_whose_sentences_are_all_damaged_is_still_nmea(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    path.write_text("".join(rmc(second, 9) for second in range(9)).replace("E,9.0", "E,8.0"))
    with pytest.raises(InputError, match="no RMC or GGA sentence with a valid fix; 9 damaged sentences left out; log"):
        read_track(path)


def test_points_of_gpx_without_a_fix_count_neither_by_speed_nor_by_position(tmp_path: Path) -> None:
    points = [POINT.format(lat=48 + i * 1.23456e-4, second=i) for i in range(12)]
    lost = points[5].replace(f"{48 + 5 * 1.23456e-4}", "47.0").replace("</trkpt>", "<fix>none</fix></trkpt>")
    assert lost.count("fix") == 2
    found = read_track(gpx(tmp_path / "a.gpx", [*points[:5], lost, *points[6:]]))
    assert 5 not in found.times
    np.testing.assert_allclose(found.speeds, 13.73, atol=0.2)


# --- GoPro ------------------------------------------------------------------------------------------------------


def klv(key: str, kind: str, size: int, repeat: int, data: bytes) -> bytes:
    """One item of GoPro's metadata format: key, type, size, repeat, data, padded to four bytes."""
    head = key.encode() + (bytes([ord(kind)]) if kind else b"\0") + bytes([size]) + struct.pack(">H", repeat)
    return head + data + b"\0" * (-len(data) % 4)


def packet_of(speeds: list[float], fix: int = 3) -> bytes:
    scale = (10**7, 10**7, 1000, 1000, 100)
    rows = b"".join(
        struct.pack(">5i", *[round(value * by) for value, by in zip((48.0, 11.0, 100.0, v, v), scale, strict=True)])
        for v in speeds
    )
    stream = (
        klv("GPSF", "L", 4, 1, struct.pack(">I", fix))
        + klv("SCAL", "l", 4, 5, struct.pack(">5i", *scale))
        + klv("GPS5", "l", 20, len(speeds), rows)
    )
    body = klv("DVID", "L", 4, 1, struct.pack(">I", 1)) + klv("DVNM", "c", 1, 11, b"Hero9 Black")
    body += klv("STRM", "", 1, len(stream), stream)
    return klv("DEVC", "", 1, len(body), body)


def gopro(path: Path, packets: list[bytes]) -> Path:
    """A video of one second for each packet of telemetry."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        data = container.add_data_stream("bin_data")
        rng = np.random.default_rng(0)
        for number in range(10 * len(packets)):
            image = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8), format="rgb24")
            for packet in video.encode(image):
                container.mux(packet)
            if number % 10 == 0:
                piece = av.Packet(packets[number // 10])
                piece.stream, piece.time_base = data, Fraction(1, 1000)
                piece.pts = piece.dts = 100 * number
                piece.duration = 1000
                container.mux(piece)
        for packet in video.encode():
            container.mux(packet)
    return path


def test_telemetry_in_a_video(tmp_path: Path) -> None:
    pytest.importorskip("telemetry_parser")
    path = gopro(tmp_path / "GX01.mp4", [packet_of([1, 2, 3, 4, 5]), packet_of([9, 9], fix=0), packet_of([6, 7])])
    track = read_track(path)
    np.testing.assert_allclose(track.speeds, [1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_allclose(track.times, [0, 0.2, 0.4, 0.6, 0.8, 2.0, 2.5], atol=1e-3)


@pytest.mark.parametrize(
    ("packet", "has"), [(packet_of([1, 2]), True), (klv("DEVC", "", 1, 0, b""), False), (b"none", False)]
)
def test_the_telemetry_of_a_video_is_offered_unless_a_log_has_its_name(
    tmp_path: Path, packet: bytes, has: bool
) -> None:
    path = gopro(tmp_path / "GX01.MP4", [packet])
    assert has_telemetry(path) == has
    (tmp_path / "ride.gpx").touch()
    assert likely_log(path) == ("self" if has else str(tmp_path / "ride.gpx"))
    (tmp_path / "gx01.csv").touch()
    assert likely_log(path) == str(tmp_path / "gx01.csv")


def test_a_video_without_telemetry(tmp_path: Path) -> None:
    pytest.importorskip("telemetry_parser")
    with pytest.raises(InputError, match="telemetry"):
        read_track(gopro(tmp_path / "plain.mp4", [b"none"]))
