"""Speeds of a log at the times of frames: interpolated, never extrapolated, and said."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packdepth.errors import InputError, InputWarning
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.files import ImageFile
from packdepth.sources.folder import Folder
from packdepth.sources.offset import Offset
from packdepth.sources.recognize import source_at
from packdepth.sources.speeds import SpeedLog, likely_log, ranges, with_speeds
from packdepth.sources.tracks.track import Track


def clip_at(times: np.ndarray, name: str = "folder/drive") -> Clip:
    frames = tuple(Frame(f"{i:06d}", float(time), ImageFile(Path("a.png"))) for i, time in enumerate(times))
    return Clip(name, Path("drive"), Camera.from_fov(60, 64, 48), frames)


def table(path: Path, times: np.ndarray, speeds: np.ndarray, header: str = "time_s,speed_kmh") -> Path:
    rows = "".join(f"{time:.9f},{3.6 * speed:.9f}\n" for time, speed in zip(times, speeds, strict=True))
    path.write_text(f"{header}\n{rows}")
    return path


def speeds_of(clip: Clip) -> np.ndarray:
    return np.array([np.nan if frame.speed is None else frame.speed for frame in clip.frames])


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0.05, 4.0), min_size=3, max_size=20),
    values=st.lists(st.floats(0, 40), min_size=21, max_size=21),
    places=st.lists(st.floats(-5, 60), min_size=1, max_size=30),
)
def test_interpolation_is_numpys_within_the_log_and_unknown_elsewhere(
    steps: list[float], values: list[float], places: list[float]
) -> None:
    times = np.cumsum([0.0, *steps])
    track = Track(Path("log"), times, np.array(values[: len(times)]), None, "")
    wanted = np.array(places)
    found = track.speeds_at(wanted)
    hole = max(2.0, 3 * float(np.median(steps)))
    for place, speed in zip(wanted, found, strict=True):
        if 0 < np.abs(times - place).min() < 1e-3:
            continue  # equal but for rounding
        inside = [(a, b) for a, b in pairwise(times) if a <= place <= b]
        known = any(b - a <= hole or place in (a, b) for a, b in inside)
        assert known == np.isfinite(speed)
        if known:
            assert speed == pytest.approx(np.interp(place, times, track.speeds), abs=1e-9)


def test_offset_is_the_loggers_time_at_the_first_frame(tmp_path: Path) -> None:
    clip = clip_at(7.0 + np.arange(20) / 10)  # a clip's own times may begin anywhere
    log = table(tmp_path / "log.csv", np.arange(0, 3.01, 0.2), 5 + np.arange(0, 3.01, 0.2))
    (found,) = with_speeds([clip], SpeedLog(log, None, None, 1.7))
    speeds = speeds_of(found)
    np.testing.assert_allclose(speeds[:14], 5 + 1.7 + np.arange(14) / 10)
    assert np.isnan(speeds[14:]).all()
    assert found.speed_source is not None
    assert "offset 1.7 s, as given (from the logger's zero)" in found.speed_source
    assert "6 of 20 frames have no speed and are context only: 000014 to 000019" in found.speed_source


def test_a_log_that_starts_at_zero_is_assumed_to_start_with_the_clip(tmp_path: Path) -> None:
    log = table(tmp_path / "log.csv", np.arange(5.0), np.arange(5.0))
    (found,) = with_speeds([clip_at(np.arange(3.0))], SpeedLog(log, None, None, None))
    assert speeds_of(found).tolist() == pytest.approx([0, 1, 2])
    assert "assumed that the log starts with the first frame" in str(found.speed_source)


@pytest.mark.parametrize(
    ("times", "header", "message"),
    [
        (1.7 + np.arange(9.0), "time_s,speed_kmh", "starts at 1.7 s, and nothing tells its time at the first frame"),
        (
            1767225600.0 + np.arange(9.0),
            "time_s,speed_kmh",
            "has a clock of its own.*counted from the log's first value",
        ),
    ],
)
def test_an_unknown_offset_is_not_guessed(tmp_path: Path, times: np.ndarray, header: str, message: str) -> None:
    log = table(tmp_path / "log.csv", times, np.ones(9), header)
    with pytest.raises(InputError, match=message):
        with_speeds([clip_at(np.arange(3.0))], SpeedLog(log, None, None, None))


def test_utc_of_frames_and_log_agree_by_themselves_for_several_clips(tmp_path: Path) -> None:
    log = table(tmp_path / "log.csv", 1767225600.0 + np.arange(100.0), np.arange(100.0))
    clips = [clip_at(1767225600.0 + begin + np.arange(3.0), f"folder/{begin}") for begin in (10, 50)]
    first, second = with_speeds(clips, SpeedLog(log, None, None, None))
    assert speeds_of(first).tolist() == pytest.approx([10, 11, 12])
    assert speeds_of(second).tolist() == pytest.approx([50, 51, 52])
    assert "by the clocks" in str(first.speed_source)


@pytest.mark.parametrize(
    ("by_images", "offset", "said"),
    [
        (Offset(12.4, 0.05, 0.0, 80.0), 12.4, "found from the images, .*; by the clocks it is 12.0 s"),
        ("the speed hardly changes", 12.0, "creation time.*; the images cannot tell whether it is right"),
        (Offset(52.0, 0.1, 0.0, 80.0), None, "creation time.*, but by the images of drive offset 52.00 s .*local time"),
    ],
)
def test_the_images_are_asked_about_a_creation_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_images: Offset | str,
    offset: float | None,
    said: str,
) -> None:
    start, asked = 1_780_000_000.0, []
    log = table(tmp_path / "log.csv", start + np.arange(100.0), np.arange(100.0) / 4)

    def find(clip: Clip, track: Track) -> Offset | str:
        asked.append(clip.name)
        return by_images

    monkeypatch.setattr("packdepth.sources.offset.find_offset", find)
    monkeypatch.setattr("packdepth.sources.speeds.creation_time", lambda _: start + 12)
    clips = [replace(clip_at(np.arange(5) / 10, name), path=Path("drive.mp4")) for name in ("drive", "other")]
    if offset is None:
        with pytest.raises(InputError, match=said):
            with_speeds(clips, SpeedLog(log, None, None, None))
        return
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        first, second = with_speeds(clips, SpeedLog(log, None, None, None))
    untold = [str(each.message) for each in warned if each.category is InputWarning]
    assert [str(log) in words and "local time; if so, give offset" in words for words in untold] == [True] * (
        offset == 12
    )
    np.testing.assert_allclose(speeds_of(first), (offset + np.arange(5) / 10) / 4)
    np.testing.assert_allclose(speeds_of(second), (12 + np.arange(5) / 10) / 4)
    assert re.search(said, first.speed_source or "")
    assert asked == ["drive"]


def test_one_relative_log_does_not_serve_two_clips_but_a_folder_does(tmp_path: Path) -> None:
    clips = [clip_at(np.arange(3.0), "folder/one"), clip_at(np.arange(3.0), "folder/two")]
    log = table(tmp_path / "one.csv", np.arange(5.0), np.arange(5.0))
    with pytest.raises(InputError, match="can serve one clip only, but 2 share it"):
        with_speeds(clips, SpeedLog(log, None, None, None))
    with pytest.raises(InputError, match="holds no log for clip folder/two"):
        with_speeds(clips, SpeedLog(tmp_path, None, None, None))
    table(tmp_path / "two.csv", np.arange(5.0), 2 + np.arange(5.0))
    assert speeds_of(with_speeds(clips, SpeedLog(tmp_path, None, None, None))[1]).tolist() == pytest.approx([2, 3, 4])


def test_a_log_beside_the_clip_in_time_is_an_error(tmp_path: Path) -> None:
    log = table(tmp_path / "log.csv", np.arange(5.0), np.arange(5.0))
    with pytest.raises(InputError, match=r"covers none of the frames.*offset 60 s, as given.*give another offset"):
        with_speeds([clip_at(np.arange(3.0))], SpeedLog(log, None, None, 60.0))


def test_any_source_takes_speeds_and_says_when_options_lack_them(moving_clip: Path, tmp_path: Path) -> None:
    (before,) = Folder(kind="folder", root=moving_clip).clips()
    times = np.array([frame.time for frame in before.frames])
    log = table(tmp_path / "log.csv", times - times[0] + 1.7, np.linspace(3, 4, len(times)))
    options = (f"speeds={log}", "offset=1.7", "frames=[1, 4]")
    said = rf"log.csv: its speeds take the place of those that {len(times)} frames of clip .* times as fast"
    with pytest.warns(InputWarning, match=said):
        (found,) = source_at(moving_clip, None, options).clips()
    np.testing.assert_allclose(speeds_of(found), np.linspace(3, 4, len(times))[1:4], rtol=1e-6)
    with pytest.raises(InputError, match="unit is of a log of speeds; give speeds=FILE as well"):
        source_at(moving_clip, None, ("unit=km/h",)).clips()


def test_the_telemetry_of_other_files_than_videos(moving_clip: Path) -> None:
    with pytest.raises(InputError, match="speeds=self reads the telemetry in a video, but this is none"):
        source_at(moving_clip, None, ("speeds=self",)).clips()


def test_a_folder_of_videos_may_hold_logs(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    write_video(tmp_path / "a.mp4", codec="mpeg4", rate=25)
    table(tmp_path / "a.csv", np.arange(5.0), np.arange(5.0))
    (found,) = source_at(tmp_path, None, (f"speeds={tmp_path}",)).clips()
    np.testing.assert_allclose(
        speeds_of(found), [frame.time - found.frames[0].time for frame in found.frames], atol=1e-6
    )


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["drive.csv", "other.csv"], "drive.csv"),
        (["Drive.TXT", "notes.txt"], "Drive.TXT"),
        (["gps.csv", "readme.txt"], "gps.csv"),
        (["ride.gpx"], "ride.gpx"),
        (["a.csv", "b.csv"], None),
        (["readme.txt"], None),
        ([], None),
    ],
)
def test_the_log_beside_a_video_is_offered_if_only_one_can_be_meant(
    files: list[str], found: str | None, tmp_path: Path
) -> None:
    for name in ("drive.mp4", *files):
        (tmp_path / name).write_bytes(b"")
    assert likely_log(tmp_path / "drive.mp4") == (None if found is None else str(tmp_path / found))
    assert likely_log(tmp_path) is None


def test_ranges_are_short() -> None:
    names = [f"{i}" for i in range(20)]
    assert ranges([True] * 3 + [False] * 17, names) == "0 to 2"
    assert ranges([i % 2 == 0 for i in range(20)], names) == "0, 2, 4, 6 and 6 more ranges"
