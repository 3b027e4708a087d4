"""Speeds of topics of recordings: the same drive told by messages of many types."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the extra ros is not installed")

from bags import PIXELS, START, Recording, write_bag
from rosbags.highlevel import AnyReader
from rosbags.typesys import get_types_from_msg

from packdepth.errors import InputWarning
from packdepth.sources.open import open_clips
from packdepth.sources.rosbag import Rosbag
from packdepth.sources.speed_topics import POSES, TYPES, speed_topics
from packdepth.sources.tracks.positions import EARTH

LENGTH = 20.0  # seconds
STATUS = "uint8 gear\nfloat32 speed_kmh\nfloat32 forward\nfloat32[4] wheels\nfloat32 target_speed"
FIX = "std_msgs/Header header\nfloat64 latitude\nfloat64 longitude\nfloat64 speed\ngps_msgs/GPSStatus status"
GIVEN = {
    "vehicle_msgs/msg/Status": f"std_msgs/Header header\n{STATUS}",
    "gps_msgs/msg/GPSStatus": "int16 status",
    "gps_msgs/msg/GPSFix": FIX,
    "autoware_vehicle_msgs/msg/VelocityReport": "std_msgs/Header header\nfloat32 longitudinal_velocity",
}
Say = Callable[[Recording, int, float, np.ndarray], None]  # adds messages of a time, a speed, and a place [2], metres


def speed(seconds: np.ndarray) -> np.ndarray:
    return 8 + 3 * np.sin(seconds / 2)


def place(seconds: np.ndarray) -> np.ndarray:
    """Positions [..., 2] on a straight line to the north-east, in metres."""
    path = 8 * seconds - 6 * np.cos(seconds / 2)
    return np.stack([0.6 * path, 0.8 * path], axis=-1)


def vector(bag: Recording, x: float, y: float = 0.0) -> Any:
    return bag.make("geometry_msgs/msg/Vector3", x=float(x), y=float(y), z=0.0)


def pose_of(bag: Recording, at: np.ndarray) -> Any:
    position = bag.make("geometry_msgs/msg/Point", x=float(at[0]), y=float(at[1]), z=0.0)
    turn = bag.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    return bag.make("geometry_msgs/msg/Pose", position=position, orientation=turn)


def odometry(factor: float, moves: bool = True) -> Say:
    """Odometry whose velocity is a multiple of the speed."""

    def say(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
        twist = bag.make("geometry_msgs/msg/Twist", linear=vector(bag, factor * speed), angular=vector(bag, 0))
        none = np.zeros(36)
        message = bag.make(
            "nav_msgs/msg/Odometry",
            header=bag.header(time),
            child_frame_id="base_link",
            pose=bag.make("geometry_msgs/msg/PoseWithCovariance", pose=pose_of(bag, moves * at), covariance=none),
            twist=bag.make("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=none),
        )
        bag.add("/speed", time, message)

    return say


def pose(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
    bag.add("/speed", time, bag.make("geometry_msgs/msg/PoseStamped", header=bag.header(time), pose=pose_of(bag, at)))


def degrees(at: np.ndarray) -> dict[str, float]:
    latitude = 48 + np.rad2deg(at[1] / EARTH)
    return {"latitude": latitude, "longitude": 11 + np.rad2deg(at[0] / EARTH / np.cos(np.deg2rad(latitude)))}


def fix(first: float) -> Say:
    """Fixes, one each second; before the first one, in seconds, the receiver writes zeros."""

    def say(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
        if (time - START) % 10**9:
            return
        found = time - START >= first * 1e9
        message = bag.make(
            "sensor_msgs/msg/NavSatFix",
            header=bag.header(time),
            status=bag.make("sensor_msgs/msg/NavSatStatus", status=0 if found else -1, service=1),
            altitude=500.0,
            position_covariance=np.zeros(9),
            position_covariance_type=0,
            **(degrees(at) if found else {"latitude": 0.0, "longitude": 0.0}),
        )
        bag.add("/speed", time, message)

    return say


def gps(factor: float) -> Say:
    def say(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
        status = bag.make("gps_msgs/msg/GPSStatus", status=0)
        values = {"speed": factor * speed, "status": status, **degrees(at)}
        bag.add("/speed", time, bag.make("gps_msgs/msg/GPSFix", header=bag.header(time), **values))

    return say


def report(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
    kind = "autoware_vehicle_msgs/msg/VelocityReport"
    bag.add("/speed", time, bag.make(kind, header=bag.header(time), longitudinal_velocity=-speed))


def status(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
    values = {"gear": 3, "speed_kmh": 3.6 * speed, "forward": speed, "target_speed": 0.0}
    wheels = np.full(4, speed / 0.44704, dtype=np.float32)
    bag.add("/speed", time, bag.make("vehicle_msgs/msg/Status", header=bag.header(time), wheels=wheels, **values))


def recording(say: Say, folder: Path, kind: str = "ros2-mcap") -> Path:
    """Write a drive with images at 5 Hz and messages at 10 Hz."""

    def fill(bag: Recording) -> None:
        for name, text in GIVEN.items():
            bag.types.register(get_types_from_msg(text, name))
        bag.info("/camera/camera_info")
        for number in range(round(10 * LENGTH)):
            time, seconds = START + number * 10**8, number / 10
            if number % 2 == 0:
                bag.image("/camera/image_raw", time, PIXELS)
            say(bag, time, float(speed(np.array(seconds))), place(np.array(seconds)))

    return write_bag(kind, folder, fill)


def found(path: Path, **options: Any) -> tuple[np.ndarray, str]:
    """Return the speeds of all frames, NaN where unknown, and what is said of them; no warning may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        (clip,) = Rosbag(kind="rosbag", file=path, speed="/speed", **options).clips()
    assert clip.speed_source is not None
    return np.array([np.nan if frame.speed is None else frame.speed for frame in clip.frames]), clip.speed_source


@pytest.mark.parametrize(
    ("say", "options", "said", "error"),
    [
        (odometry(1.0), {}, "", 0.01),
        (odometry(1.0, moves=False), {}, "", 0.01),
        (odometry(0.0), {}, ", speeds from its positions, as its own are all 0", 0.1),
        (odometry(3.6), {"unit": "km/h"}, "", 0.01),
        (pose, {}, ", speeds from its positions", 0.1),
        (fix(2), {}, ", speeds from its positions; 14 of 100 frames have no speed", 0.5),
        (gps(1.0), {}, "", 0.01),
        (gps(np.nan), {}, ", speeds from its positions", 0.5),
        (report, {}, "", 0.01),
        (status, {"column": "speed_kmh"}, ", field 'speed_kmh' in km/h", 0.01),
        (status, {"column": "forward", "unit": "m/s"}, ", field 'forward' in m/s", 0.01),
        (status, {"column": "wheels.2", "unit": "mph"}, ", field 'wheels.2' in mph", 0.01),
    ],
)
def test_a_drive_has_the_same_speeds_whatever_tells_them(
    say: Say, options: dict[str, Any], said: str, error: float, tmp_path: Path
) -> None:
    speeds, source = found(recording(say, tmp_path, "ros1" if options else "ros2-mcap"), **options)
    known = np.isfinite(speeds)
    times = np.arange(0, LENGTH, 0.2)
    np.testing.assert_allclose(speeds[known], speed(times)[known], atol=error)
    assert known[times >= 2].mean() > 0.9
    assert source.startswith("/speed: matched by its stamps and those of the images" + said)


def test_a_vehicle_that_stands_has_the_speeds_that_it_tells(tmp_path: Path) -> None:
    def parked(bag: Recording, time: int, speed: float, at: np.ndarray) -> None:
        noise = np.random.default_rng(time % 2**32).normal(0, 1, 2)
        gps(0.0)(bag, time, speed, noise)

    speeds, _ = found(recording(parked, tmp_path))
    assert speeds.tolist() == [0.0] * 100


@pytest.mark.parametrize(
    ("say", "options", "words"),
    [
        (odometry(3.6), {}, ["make 3.60 times the path that its positions make", "give 'unit'"]),
        (gps(1.9438), {}, ["make 1.94 times the path that its positions make", "give 'unit'"]),
        (status, {}, ["of the type vehicle_msgs/msg/Status; name the field", "'column': speed_kmh, gear, forward"]),
        (status, {"column": "forward"}, ["does not say in which unit its field 'forward' is; give 'unit': m/s"]),
        (status, {"column": "Speed"}, ["has no field 'Speed'; name that of the speed as 'column': "]),
        (status, {"column": "wheels.4"}, ["has no field 'wheels.4'"]),
        (status, {"column": "wheels"}, ["its field 'wheels' is no number, and no vector"]),
        (status, {"column": "forward", "unit": "furlongs"}, ["unit: 'furlongs' is no unit of speed"]),
        (fix(2), {"unit": "km/h"}, ["tells positions, which have no unit of speed; leave out 'unit'"]),
        (fix(19), {}, ["holds 0 speeds, as of a receiver without a fix"]),
    ],
)
def test_what_tells_no_speed_is_refused(
    say: Say, options: dict[str, Any], words: list[str], tmp_path: Path, complaint: Callable[..., None]
) -> None:
    path = recording(say, tmp_path)
    source = Rosbag(kind="rosbag", file=path, speed="/speed", **options)
    complaint(source.clips, *words)


def test_a_field_without_a_topic_is_refused(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = recording(status, tmp_path)
    complaint(Rosbag(kind="rosbag", file=path, column="speed_kmh").clips, "column is of a log of speeds")


def test_a_type_that_the_recording_does_not_define_is_named(
    tmp_path: Path, complaint: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(status, tmp_path)
    opened = AnyReader.open

    def undefined(reader: AnyReader) -> None:
        opened(reader)
        reader.typestore.fielddefs.pop("vehicle_msgs/msg/Status")

    monkeypatch.setattr(AnyReader, "open", undefined)
    complaint(
        Rosbag(kind="rosbag", file=path, speed="/speed", column="speed_kmh").clips,
        "messages of the type vehicle_msgs/msg/Status, which the recording does not define; record it as .mcap",
    )


def test_the_topics_that_tell_a_speed_are_offered_where_metres_are_missing(tmp_path: Path) -> None:
    (clip,) = open_clips(recording(odometry(1.0), tmp_path))
    assert clip.speed_option == "speed=/speed"
    types = {kind.replace("/", "_"): kind for kind in [*POSES, *reversed(TYPES)]}
    assert [types[topic] for topic in speed_topics(types)] == list(TYPES)
    assert speed_topics({"/cmd_vel": "geometry_msgs/msg/TwistStamped"}) == []
