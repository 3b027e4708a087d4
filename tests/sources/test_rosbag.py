"""Recordings that rosbags writes, in the formats of ROS 1 and ROS 2."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rosbags", reason="the extra ros is not installed")

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from packdepth.geometry.lens import BrownConrady, KannalaBrandt
from packdepth.sources.rosbag import Rosbag

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 40, 3), dtype=np.uint8)
START = 1_700_000_000 * 10**9  # nanoseconds
K = [30.0, 0, 19.5, 0, 31, 5.5, 0, 0, 1]
P = [28.0, 0, 19, 0, 0, 28, 5, 0, 0, 0, 1, 0]


class Recording:
    """Messages of ROS 1 or ROS 2, filed 50 ms after their stamps."""

    def __init__(self, writer: Any, ros: int) -> None:
        self.writer, self.ros = writer, ros
        self.connections: dict[str, Any] = {}
        self.types = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)

    def make(self, kind: str, **fields: Any) -> Any:
        return self.types.types[kind](**fields)

    def header(self, time: int) -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)
        number = {"seq": 0} if self.ros == 1 else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id="camera", **number)

    def add(self, topic: str, time: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.types)
        serialize = self.types.serialize_ros1 if self.ros == 1 else self.types.serialize_cdr
        self.writer.write(self.connections[topic], time + 50_000_000, bytes(serialize(message, kind)))

    def image(self, topic: str, time: int, pixels: np.ndarray = PIXELS, encoding: str = "rgb8", pad: int = 0) -> None:
        rows = np.pad(pixels.reshape(len(pixels), -1), ((0, 0), (0, pad)))
        message = self.make(
            "sensor_msgs/msg/Image",
            header=self.header(time),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=rows.shape[1],
            data=rows.ravel(),
        )
        self.add(topic, time, message)

    def compressed(self, topic: str, time: int, cut: int = 0) -> None:
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, "PNG")
        data = np.frombuffer(buffer.getvalue()[: -cut or None], dtype=np.uint8)
        kind = "sensor_msgs/msg/CompressedImage"
        self.add(topic, time, self.make(kind, header=self.header(time), format="png", data=data))

    def info(self, topic: str, distortion: float = 0.0, model: str = "plumb_bob", count: int = 5) -> None:
        roi = self.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        arrays = {"d": [distortion] * count, "k": K, "r": list(np.eye(3).ravel()), "p": P}
        values = {(n.upper() if self.ros == 1 else n): np.array(v, dtype=np.float64) for n, v in arrays.items()}
        message = self.make(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(START),
            height=12,
            width=40,
            distortion_model=model,
            binning_x=0,
            binning_y=0,
            roi=roi,
            **values,
        )
        self.add(topic, START, message)

    def twist(self, topic: str, time: int, x: float, y: float = 0.0) -> None:
        zero = self.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
        linear = self.make("geometry_msgs/msg/Vector3", x=x, y=y, z=0.0)
        twist = self.make("geometry_msgs/msg/Twist", linear=linear, angular=zero)
        kind = "geometry_msgs/msg/TwistStamped"
        self.add(topic, time, self.make(kind, header=self.header(time), twist=twist))


Fill = Callable[[Recording], None]


@pytest.fixture(params=["ros1", "ros2-sqlite3", "ros2-mcap"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Fill], Path]:
    """Writes a recording of what a function adds."""

    def write(fill: Fill) -> Path:
        if request.param == "ros1":
            path = tmp_path / "drive.bag"
            writer: Any = Writer1(path)
        else:
            path = tmp_path / "drive"
            plugin = StoragePlugin.MCAP if request.param.endswith("mcap") else StoragePlugin.SQLITE3
            writer = Writer2(path, version=9, storage_plugin=plugin)
        with writer:
            fill(Recording(writer, 1 if request.param == "ros1" else 2))
        return path

    return write


def source(file: Path, **changes: Any) -> Rosbag:
    return Rosbag(kind="rosbag", file=file, **changes)


def drive(bag: Recording) -> None:
    """Four images at 10 Hz at 5 m/s and more; the third is filed late."""
    bag.info("/camera/camera_info")
    for number in (0, 1, 3, 2):
        bag.image("/camera/image_raw", START + number * 10**8, np.roll(PIXELS, number, axis=1))
    for number in range(5):
        bag.twist("/odometry", START + number * 75_000_000, 3.0 + number, 4.0)


def test_images_in_order_of_their_stamps(record: Callable[[Fill], Path]) -> None:
    path = record(drive)
    assert Rosbag.recognizes(path)
    (clip,) = pickle.loads(pickle.dumps(source(path, speed="/odometry").clips()))
    assert clip.name == "rosbag/drive"
    assert (clip.camera.fx, clip.camera.fy, clip.camera.width, clip.camera.height) == (30, 31, 40, 12)
    assert [frame.name for frame in clip.frames] == ["000000", "000001", "000002", "000003"]
    assert [frame.time - START / 1e9 for frame in clip.frames] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-6)
    for number in (3, 0, 2, 1):
        np.testing.assert_array_equal(clip.frames[number].image.read(), np.roll(PIXELS, number, axis=1))
    assert clip.frames[0].speed == pytest.approx(5)
    between = (2 * np.hypot(4, 4) + np.hypot(5, 4)) / 3  # 0.1 s, of 0.075 and 0.15
    assert clip.frames[1].speed == pytest.approx(between, rel=1e-5)


def test_compressed_images_and_a_camera_of_ones_own(record: Callable[[Fill], Path], tmp_path: Path) -> None:
    def fill(bag: Recording) -> None:
        for number in range(2):
            bag.compressed("/camera/image/compressed", START + number * 10**8)

    (tmp_path / "camera.yaml").write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n")
    (clip,) = source(record(fill), camera=tmp_path / "camera.yaml").clips()
    assert clip.camera.fx == 29
    np.testing.assert_array_equal(clip.frames[1].image.read(), PIXELS)
    assert clip.frames[0].speed is None


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    gray = encoding == "mono8"
    pixels = PIXELS[..., :1] if gray else PIXELS[..., ::-1] if encoding.startswith("bgr") else PIXELS
    if encoding.endswith("a8"):
        pixels = np.concatenate([pixels, PIXELS[..., :1]], axis=-1)
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info")
        bag.image("/camera/image", START, pixels, encoding, pad=3)
    (clip,) = source(tmp_path / "x.bag").clips()
    np.testing.assert_array_equal(clip.frames[0].image.read(), PIXELS[..., [0, 0, 0]] if gray else PIXELS)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bayer_rggb8", "yuv422", "yuv422_yuy2", "32FC1"])
def test_other_encodings_are_refused_and_named(tmp_path: Path, complaint: Callable[..., None], encoding: str) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info")
        bag.image("/camera/image", START, PIXELS, encoding)
    (clip,) = source(tmp_path / "x.bag").clips()
    complaint(clip.frames[0].image.read, f"has the encoding '{encoding}'", "convert it to one of rgb8")


def test_speed_far_from_the_images_is_unknown(record: Callable[[Fill], Path]) -> None:
    def fill(bag: Recording) -> None:
        drive(bag)
        bag.image("/camera/image_raw", START + 10**9)

    (clip,) = source(record(fill), speed="/odometry").clips()
    assert [frame.speed is None for frame in clip.frames] == [False, False, False, False, True]


def test_distorted_images_of_a_rectified_topic_are_refused_and_rectified_ones_have_another_camera(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", distortion=0.1)
        bag.image("/camera/image_rect", START)

    path = record(fill)
    complaint(source(path).clips, path, "/camera/camera_info", "distorted", "/camera/image_rect", "rectified: true")
    assert source(path, rectified=True).clips()[0].camera.fx == 28
    assert source(path, rectified=True).clips()[0].corrected is None
    assert source(path, rectified=False).find()[0].lens == BrownConrady(*[0.1] * 5)


@pytest.mark.parametrize("model", ["equidistant", "fisheye"])
@pytest.mark.parametrize("count", [0, 4])
def test_a_fisheye_without_coefficients_is_no_pinhole(
    record: Callable[[Fill], Path], complaint: Callable[..., None], model: str, count: int
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", model=model, count=count)
        bag.image("/camera/image_raw", START)
        bag.info("/front/camera_info", model=model, count=count)
        bag.image("/front/image_rect", START)

    path = record(fill)
    assert source(path, image="/camera/image_raw").find()[0].lens == KannalaBrandt(0.0, 0.0, 0.0, 0.0)
    rectified = source(path, image="/front/image_rect")
    complaint(rectified.clips, "/front/camera_info", "distorted (kannala_brandt)", "rectified: true")
    assert source(path, image="/front/image_rect", rectified=True).find()[0].lens is None


@pytest.mark.parametrize("model", ["", "none", "plumb_bob", "pinhole"])
@pytest.mark.parametrize("topic", ["/camera/image_raw", "/camera/image_rect", "/camera/image_undistorted"])
def test_a_camera_without_distortion_is_a_pinhole(tmp_path: Path, model: str, topic: str) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info", model=model, count=0)
        bag.image(topic, START)
    assert source(tmp_path / "x.bag").find()[0].lens is None


def test_a_topic_of_undistorted_images_that_claims_distortion_is_refused(
    tmp_path: Path, complaint: Callable[..., None]
) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info", distortion=0.01)
        bag.image("/camera/image_undistorted", START)
    complaint(source(tmp_path / "x.bag").clips, "distorted (brown_conrady)", "/camera/image_undistorted")


def test_a_camera_yaml_counts_for_recordings_as_for_folders(tmp_path: Path) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.image("/camera/image", START)
    stated = "interval_s: 0.05\ndrive: monday\nheight_m: 1.5\n"
    (tmp_path / "my.yaml").write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n" + stated)
    (clip,) = source(tmp_path / "x.bag", camera=tmp_path / "my.yaml").clips()
    assert (clip.interval, clip.drive, clip.camera_height) == (0.05, "monday", 1.5)


def test_raw_images_are_undistorted(record: Callable[[Fill], Path], tmp_path: Path) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", distortion=0.01)
        bag.image("/camera/image_raw", START)

    path = record(fill)
    (clip,) = source(path).clips()
    assert clip.lens is None
    assert clip.corrected is not None
    assert "brown_conrady undistorted" in clip.corrected
    assert clip.frames[0].image.read().shape == (12, 40, 3)
    text = "width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n"
    (tmp_path / "mine.yaml").write_text(text + "lens: {kind: kannala_brandt, coefficients: [0, 0, 0, 0]}\n")
    (clip,) = source(path, camera=tmp_path / "mine.yaml").clips()
    assert clip.corrected is not None
    assert "kannala_brandt undistorted" in clip.corrected


def test_topics_that_are_not_there(record: Callable[[Fill], Path], complaint: Callable[..., None]) -> None:
    def fill(bag: Recording) -> None:
        drive(bag)
        bag.image("/rear/image_raw", START, encoding="bayer_rggb8")

    path = record(fill)
    complaint(source(path).clips, path, "2 topics", "/camera/image_raw, /rear/image_raw")
    complaint(source(path, image="/front").clips, "no images on '/front'")
    complaint(source(path, image="/rear/image_raw").clips, "/rear/camera_info", "'camera_info'")
    complaint(source(path, image="/camera/image_raw", speed="/odom").clips, "'/odom'", "'/odometry'")
    (clip,) = source(path, image="/rear/image_raw", camera_info="/camera/camera_info").clips()
    complaint(clip.frames[0].image.read, path, "bayer_rggb8", "rgb8")


def test_damaged_recordings(record: Callable[[Fill], Path], complaint: Callable[..., None], tmp_path: Path) -> None:
    def fill(bag: Recording) -> None:
        drive(bag)
        bag.image("/short/image", START)
        bag.compressed("/cut/image/compressed", START, cut=80)
        bag.compressed("/none/image/compressed", START, cut=2000)
        bag.twist("/nan", START, float("nan"))

    info = {"camera_info": "/camera/camera_info"}
    path = record(fill)
    (clip,) = source(path, image="/cut/image/compressed", **info).clips()
    complaint(clip.frames[0].image.read, path, "truncated or broken")
    complaint(source(path, image="/none/image/compressed", **info).clips, path, "no image that can be read")
    complaint(source(path, image="/camera/image_raw", speed="/nan").clips, path, "/nan", "no number")
    complaint(source(tmp_path / "none.bag").clips, "none.bag", "not found")
    file = path if path.is_file() else next(file for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    content = file.read_bytes()
    for damaged in (b"", content[: len(content) // 3], b"x" * 5000):
        file.write_bytes(damaged)
        complaint(source(path, image="/camera/image_raw").clips, path)


def test_without_the_extra(tmp_path: Path, complaint: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    complaint(source(tmp_path / "x.bag").clips, "x.bag", "rosbags", "packdepth[ros]")
