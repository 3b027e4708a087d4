"""Recordings that rosbags writes, in the formats of ROS 1 and ROS 2."""

from __future__ import annotations

import pickle
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the extra ros is not installed")

from bags import PIXELS, START, Fill, K, Recording, write_bag
from rosbags.rosbag1 import Writer as Writer1

from packdepth.errors import InputWarning
from packdepth.geometry.lens import BrownConrady, KannalaBrandt
from packdepth.sources.open import open_clips
from packdepth.sources.ros_messages import IMAGE, pixels_of
from packdepth.sources.rosbag import Rosbag, image_topics, read_messages, topics_of


@pytest.fixture(params=["ros1", "ros2-sqlite3", "ros2-mcap"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Fill], Path]:
    """Writes a recording of what a function adds."""
    return lambda fill: write_bag(request.param, tmp_path, fill)


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


SMOOTH = np.stack(np.broadcast_arrays(6 * np.arange(40), 20 * np.arange(12)[:, None], 130), axis=-1).astype(np.uint8)
"""Colors [12, 40, 3] that change slowly, so that neighbors may share them."""


def mosaic(colors: str) -> np.ndarray:
    """Return one color of each pixel of `SMOOTH`, [12, 40]: those of `colors` in blocks of 2 x 2 pixels."""
    found = np.empty_like(SMOOTH[..., 0])
    for place, color in enumerate(colors):
        block = np.s_[place // 2 :: 2, place % 2 :: 2]
        found[block] = SMOOTH[..., "rgb".index(color)][block]
    return found


def luma_and_chroma(luma_first: bool) -> np.ndarray:
    """Return `SMOOTH` as pairs of pixels that share their chroma (ITU-R BT.601, 16 to 235): [12, 40, 2]."""
    red, green, blue = np.moveaxis(SMOOTH / 255.0, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = np.stack([(blue - luma) / 1.772, (red - luma) / 1.402], axis=-1)
    shared = (chroma[:, ::2] + chroma[:, 1::2]) / 2  # [12, 20, 2]: blue, red
    both = np.stack([16 + 219 * luma, 128 + 224 * shared.reshape(luma.shape)], axis=-1).round().astype(np.uint8)
    return both if luma_first else both[..., ::-1]


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        *((f"bayer_{colors}8", mosaic(colors)) for colors in ("rggb", "bggr", "gbrg", "grbg")),
        *((name, luma_and_chroma(True)) for name in ("yuyv", "yuv422_yuy2")),
        *((name, luma_and_chroma(False)) for name in ("uyvy", "yuv422")),
    ],
)
def test_colors_that_neighbors_share(tmp_path: Path, encoding: str, pixels: np.ndarray) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info")
        bag.image("/camera/image", START, pixels, encoding, pad=3)
    (clip,) = source(tmp_path / "x.bag").clips()
    difference = clip.frames[0].image.read().astype(int) - SMOOTH
    assert np.abs(difference[1:-1, 1:-1]).max() <= 12  # half of the change between two rows that share colors, rounded


def test_a_mosaic_has_no_seams() -> None:
    """Threads that convert a part of the image each repeat colors at the borders of their parts, in lines."""
    ramp = np.broadcast_to(np.arange(0, 200, 2, dtype=np.uint8)[:, None], (100, 400))
    fields = {"encoding": "bayer_rggb8", "height": 100, "width": 400, "step": 400, "data": ramp.ravel()}
    found = pixels_of(SimpleNamespace(**fields), IMAGE, "an image").astype(int)
    assert np.abs(found - ramp[..., None])[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("encoding", ["bayer_grbg8", "uyvy"])
@pytest.mark.parametrize("size", [(11, 40), (12, 39)])
def test_an_odd_size_is_refused_where_neighbors_share_colors(
    tmp_path: Path, complaint: Callable[..., None], encoding: str, size: tuple[int, int]
) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info", size=size)
        bag.image("/camera/image", START, np.zeros((*size, 2 if encoding == "uyvy" else 1), dtype=np.uint8), encoding)
    (clip,) = source(tmp_path / "x.bag").clips()
    complaint(
        clip.frames[0].image.read, f"is {size[1]}x{size[0]} pixels, and packdepth reads the encoding '{encoding}'"
    )
    assert f"encoding '{encoding}' of an even width" in str(image_topics(tmp_path / "x.bag")[0].problem)


@pytest.mark.parametrize("encoding", ["bayer_grbg8", "uyvy", "rgb8"])
def test_an_empty_image_is_refused(tmp_path: Path, encoding: str) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        Recording(writer, 1).image("/camera/image", START, np.zeros((4, 0, 1), dtype=np.uint8), encoding)
    assert "is 0x4 pixels" in str(image_topics(tmp_path / "x.bag")[0].problem)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bayer_rggb16", "nv21", "32FC1"])
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
        bag.info("/camera/camera_info", distortion=0.04)
        bag.image("/camera/image_rect", START)

    path = record(fill)
    complaint(
        source(path).clips, path, "/camera/camera_info", "distorted", "/camera/image_rect", "give 'rectified': true"
    )
    assert source(path, rectified=True).clips()[0].camera.fx == 28
    assert source(path, rectified=True).clips()[0].corrected is None
    assert source(path, rectified=False).find()[0].lens == BrownConrady(*[0.04] * 5)


def test_rectified_images_without_distortion_ask_for_their_camera_if_p_is_another_one(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        bag.image("/camera/image_rect_color", START)

    path = record(fill)
    complaint(source(path).clips, path, "/camera/camera_info", "/camera/image_rect_color", "give 'rectified': true")
    assert source(path, rectified=True).clips()[0].camera.fx == 28
    assert source(path, rectified=False).clips()[0].camera.fx == 30


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
    complaint(rectified.clips, "/front/camera_info", "distorted (kannala_brandt)", "give 'rectified': true")
    assert source(path, image="/front/image_rect", rectified=True).find()[0].lens is None


@pytest.mark.parametrize("model", ["", "none", "plumb_bob", "pinhole"])
@pytest.mark.parametrize("topic", ["/camera/image_raw", "/camera/image_rect", "/camera/image_undistorted"])
def test_a_camera_without_distortion_is_a_pinhole(tmp_path: Path, model: str, topic: str) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info", model=model, count=0, K=[28.0, 0, 19, 0, 28, 5, 0, 0, 1])
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
        bag.image("/rear/image_raw", START, encoding="bayer_rggb16")

    path = record(fill)
    complaint(source(path).clips, path, "2 topics", "/camera/image_raw, /rear/image_raw")
    complaint(source(path, image="/front").clips, "no images on '/front'")
    complaint(source(path, image="/rear/image_raw").clips, "/rear/camera_info", "'camera_info'")
    complaint(source(path, image="/camera/image_raw", speed="/odom").clips, "'/odom'", "'/odometry'")
    (clip,) = source(path, image="/rear/image_raw", camera_info="/camera/camera_info").clips()
    complaint(clip.frames[0].image.read, path, "bayer_rggb16", "rgb8")


def test_a_recording_without_calibration_has_an_unknown_camera(record: Callable[[Fill], Path]) -> None:
    path = record(lambda bag: bag.image("/camera/image_raw", START))
    (clip,) = source(path).clips()
    assert clip.missing_camera == path.with_suffix(".yaml")
    assert (clip.camera.width, clip.camera.height, round(clip.camera.fov())) == (40, 12, 60)
    path.with_suffix(".yaml").write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n")
    (clip,) = source(path).clips()
    assert (clip.missing_camera, clip.camera.fx) == (None, 29)


def test_a_calibration_file_beside_a_recording_of_two_cameras_is_of_neither(record: Callable[[Fill], Path]) -> None:
    def fill(bag: Recording) -> None:
        bag.image("/left/image_raw", START)
        bag.image("/right/image_raw", START)

    path = record(fill)
    path.with_suffix(".yaml").write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n")
    (clip,) = source(path, image="/left/image_raw").clips()
    assert clip.missing_camera == path.with_suffix(".yaml")


def test_a_calibration_that_changes_is_refused_and_one_that_jitters_is_not(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        for number, zoom in enumerate((1.0, 1.001, 1.0, 2.0)):
            name = "/zoom" if number > 2 else "/steady"
            bag.info(f"{name}/camera_info", time=START + number, K=[K[0] * zoom, *K[1:]])
        bag.info("/zoom/camera_info", time=START + 9)
        bag.image("/zoom/image_raw", START)
        bag.image("/steady/image_raw", START)

    path = record(fill)
    assert source(path, image="/steady/image_raw").clips()[0].camera.fx == 30
    complaint(source(path, image="/zoom/image_raw").clips, path, "/zoom/camera_info changes", "60, 31", "30, 31")


FULL = [60.0, 0, 59.5, 0, 62, 31.5, 0, 0, 1]  # K of a sensor of 100x60 pixels


@pytest.mark.parametrize(
    ("part", "numbers"),
    [
        ((20, 25, 40, 12, 0, 0), (60, 62, 39.5, 6.5)),
        ((20, 25, 40, 12, 1, 1), (60, 62, 39.5, 6.5)),
        ((10, 20, 80, 24, 2, 2), (30, 31, 24.5, 5.5)),  # 59.5 - 10 is the place between 49 and 50, pixels of column 24
        ((10, 20, 81, 25, 2, 2), (30, 31, 24.5, 5.5)),  # of a row or column that is left over, there is no pixel
        ((0, 24, 80, 36, 2, 3), (30, 62 / 3, 29.5, 13 / 6)),
    ],
)
def test_images_of_a_part_of_the_sensor_have_the_camera_of_that_part(
    record: Callable[[Fill], Path], part: tuple[int, ...], numbers: tuple[float, ...]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", K=FULL, size=(60, 100), part=part)
        bag.image("/camera/image_raw", START)

    (clip,) = source(record(fill)).clips()
    assert clip.camera.numbers == pytest.approx(numbers)
    assert (clip.camera.width, clip.camera.height) == (40, 12)


def test_rectified_images_of_a_part_of_the_sensor_have_the_part_of_matrix_p(record: Callable[[Fill], Path]) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", K=FULL, size=(60, 100), part=(4, 2, 80, 24, 2, 2), distortion=0.04)
        bag.image("/camera/image_rect", START)

    (clip,) = source(record(fill), rectified=True).clips()
    assert clip.camera.numbers == pytest.approx((14, 14, 7.25, 1.25))


@pytest.mark.parametrize("part", [(0, 0, 0, 0, 0, 0), (0, 0, 40, 12, 0, 0), (0, 0, 40, 12, 1, 1), (0, 0, 0, 0, 1, 1)])
def test_a_roi_of_zeros_or_of_the_full_size_is_the_whole_sensor(tmp_path: Path, part: tuple[int, ...]) -> None:
    with Writer1(tmp_path / "x.bag") as writer:
        bag = Recording(writer, 1)
        bag.info("/camera/camera_info", part=part)
        bag.image("/camera/image_raw", START)
    assert source(tmp_path / "x.bag").clips()[0].camera.numbers == (30, 31, 19.5, 5.5)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ((5, 2, 40, 12, 0, 0), ["(roi 40x12 at 5, 2; binning 0x0)", "is not inside its 40x12 pixels", "set roi"]),
        ((5, 2, 0, 0, 0, 0), ["(roi 0x0 at 5, 2; binning 0x0)", "is not inside its 40x12 pixels"]),
        ((0, 0, 0, 0, 64, 64), ["binning 64x64", "is not inside its 40x12 pixels"]),
        ((0, 0, 0, 0, 2, 2), ["40x12 pixels, but its calibration is for 20x6 (roi 0x0 at 0, 0; binning 2x2)"]),
        ((4, 2, 32, 8, 0, 0), ["40x12 pixels, but its calibration is for 32x8 (roi 32x8 at 4, 2; binning 0x0)"]),
    ],
)
def test_a_part_of_the_sensor_that_is_not_that_of_the_images_is_refused(
    record: Callable[[Fill], Path], complaint: Callable[..., None], part: tuple[int, ...], words: list[str]
) -> None:
    """The size of the calibration is that of the images already, so that nobody knows which images K is for."""

    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", part=part)
        bag.image("/camera/image_raw", START)

    path = record(fill)
    complaint(source(path).clips, path, *words)
    own = path.with_name("own.yaml")
    own.write_text("width: 40\nheight: 12\nfx: 29\nfy: 29\ncx: 19.5\ncy: 5.5\n")
    assert source(path, camera=own).clips()[0].camera.fx == 29


def test_a_part_of_the_sensor_that_changes_is_refused(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        for number, left in enumerate((20, 20, 30)):
            bag.info("/camera/camera_info", time=START + number, K=FULL, size=(60, 100), part=(left, 25, 40, 12, 0, 0))
        bag.image("/camera/image_raw", START)

    path = record(fill)
    complaint(source(path).clips, path, "/camera/camera_info changes", "62, 39.5, 6.5", "62, 29.5, 6.5")


def test_a_folder_without_metadata_is_its_only_recording(tmp_path: Path, complaint: Callable[..., None]) -> None:
    written = write_bag("ros2-mcap", tmp_path, drive)
    (written / "metadata.yaml").unlink()
    (file,) = written.iterdir()
    (clip,) = open_clips(written)
    assert (clip.path, len(clip.frames)) == (file, 4)
    file.with_name("other.mcap").write_bytes(file.read_bytes())
    complaint(lambda: open_clips(written), written, "holds 2 recordings (drive.mcap, other.mcap)", "ros2 bag reindex")


def test_the_topics_of_images_and_why_some_cannot_be_read(record: Callable[[Fill], Path]) -> None:
    def fill(bag: Recording) -> None:
        drive(bag)
        bag.image("/depth/image_rect", START, encoding="32FC1")
        bag.compressed("/front/image/compressed", START)
        bag.advertise("/rear/image_raw")

    path = record(fill)
    topics = {topic.name: topic.problem for topic in image_topics(path)}
    assert [name for name, problem in topics.items() if problem is None] == [
        "/camera/image_raw",
        "/front/image/compressed",
    ]
    assert "has the encoding '32FC1'" in str(topics["/depth/image_rect"])
    assert topics_of(path) == {*topics, "/camera/camera_info", "/odometry"}
    speeds = [message.content.twist.linear.x for message in read_messages(path, ["geometry_msgs/msg/TwistStamped"])]
    assert speeds == [3, 4, 5, 6, 7]


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


def test_a_recording_that_lacks_messages_is_refused(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = write_bag("ros2-sqlite3", tmp_path, drive)
    with sqlite3.connect(next(path.glob("*.db3"))) as table:
        table.execute("delete from messages where id = 3")
    complaint(source(path).clips, path, "holds 4 messages of the 5 on /camera/camera_info, /camera/image_raw")


@pytest.mark.parametrize(
    "stamps",
    [
        [0, 1, 2, 3, 4, 5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5],  # its clock began anew
        list(range(12, 0, -1)),
        [*range(10, 14), 0, *range(14, 20)],
    ],
)
def test_images_that_are_not_in_the_order_of_their_stamps_are_refused(
    record: Callable[[Fill], Path], complaint: Callable[..., None], stamps: list[float]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number, stamp in enumerate(stamps):
            bag.image("/camera/image_raw", START + number * 10**8, stamp=START + int(stamp * 10**8))

    path = record(fill)
    complaint(
        source(path).clips, path, "the stamp of image", "is not between those beside it", "cut the recording there"
    )


def test_an_image_without_a_stamp_among_others_is_refused(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(5):
            bag.image("/camera/image_raw", START + number * 10**8, stamp=number and START + number * 10**8)

    path = record(fill)
    complaint(source(path).clips, path, "1 of 5 images of /camera/image_raw have no stamp, such as image 0")


def test_speeds_are_not_made_up_over_holes_nor_of_another_clock(
    record: Callable[[Fill], Path], complaint: Callable[..., None]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(60):
            bag.image("/camera/image_raw", START + number * 10**8)
            if number < 10 or number > 40:
                bag.twist("/odometry", START + number * 10**8, 3.0)
            bag.twist("/other", START + number * 10**8 - 10**18, 3.0)
        bag.twist("/once", START, 3.0)

    path = record(fill)
    (clip,) = source(path, speed="/odometry").clips()
    assert [frame.speed for frame in clip.frames] == [3.0] * 10 + [None] * 31 + [3.0] * 19
    complaint(source(path, speed="/other").clips, path, "speed: /other covers none of the images", "on one clock")
    complaint(source(path, speed="/once").clips, path, "speed: /once holds messages of one time only")


IMAGES, ODOMETRY = "/camera/image_raw", "/odometry"
LENGTH = 60  # images, and speeds, of a recording at 10 Hz


def nanoseconds(seconds: float) -> int:
    return START + round(seconds * 1e9)


def law(seconds: np.ndarray) -> np.ndarray:
    """The speed at a time after `START`."""
    return 8 + 2 * np.sin(seconds)


def add_speed(bag: Recording, filed: float, stamp: float | None, speed: float, topic: str = ODOMETRY) -> None:
    """Add a speed that is filed at a time (and 50 ms); without a stamp, one of a type that has no header."""
    zero = bag.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    linear = bag.make("geometry_msgs/msg/Vector3", x=speed, y=0.0, z=0.0)
    twist = bag.make("geometry_msgs/msg/Twist", linear=linear, angular=zero)
    if stamp is not None:
        twist = bag.make("geometry_msgs/msg/TwistStamped", header=bag.header(nanoseconds(stamp)), twist=twist)
    bag.add(topic, nanoseconds(filed), twist)


Shift = Callable[[int], float | None]  # seconds by which a stamp is ahead, by the message's number; None: no stamp


def two_clocks(images: Shift, speeds: Shift, length: int = LENGTH, headerless: bool = False) -> Fill:
    """Images and speeds that are filed at the same times, with stamps ahead of these; speeds follow the filing."""

    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(length):
            filed, ours, theirs = number / 10, images(number), speeds(number)
            bag.image(IMAGES, nanoseconds(filed), stamp=0 if ours is None else nanoseconds(filed + ours))
            stamp = None if headerless else -START / 1e9 if theirs is None else filed + theirs
            add_speed(bag, filed, stamp, float(law(np.array(filed))))

    return fill


def by(seconds: float | None) -> Shift:
    return lambda number: seconds


def known_speeds(path: Path, **options: Any) -> tuple[np.ndarray, str]:
    """Return the speeds of all frames, NaN where unknown, and what is said of them; no warning may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        (clip,) = source(path, speed=ODOMETRY, **options).clips()
    assert clip.speed_source is not None
    return np.array([np.nan if f.speed is None else f.speed for f in clip.frames]), clip.speed_source


@pytest.mark.parametrize(
    ("images", "speeds"),
    [(0, 0), (-0.6, 0), (0, -0.6), (0.1, -0.3), (37, 37), (37, 36.6), (-3600, -3600.5), (0.3, 0.25)],
)
def test_latency_is_no_clock_and_speeds_are_those_at_the_stamps(tmp_path: Path, images: float, speeds: float) -> None:
    found, said = known_speeds(write_bag("ros1", tmp_path, two_clocks(by(images), by(speeds))))
    times = np.arange(LENGTH) / 10 + images - speeds  # at which the speed of the same stamp was filed
    inside = (times >= 0) & (times <= (LENGTH - 1) / 10)
    np.testing.assert_allclose(found[inside], law(times[inside]), atol=3e-3)
    assert "matched by its stamps and those of the images" in said
    apart = abs(images - speeds) > 0.2
    assert (f"than their recording, and those of {ODOMETRY}" in said) == apart


@pytest.mark.parametrize(
    ("images", "speeds"), [(5, 0), (0, 5), (18, 0), (0, -18), (37, 35.5), (0.4, 0), (0, 0.5), (-1.5, 0), (1e8, 0)]
)
def test_stamps_of_two_clocks_are_refused_and_the_recording_can_match_them(
    record: Callable[[Fill], Path], complaint: Callable[..., None], images: float, speeds: float
) -> None:
    path = record(two_clocks(by(images), by(speeds), length=12))
    ours, theirs = images - 0.05, speeds - 0.05
    words = [f"{abs(ahead):.2f} s {'later' if ahead > 0 else 'earlier'}" for ahead in (ours, theirs)]
    complaint(
        source(path, speed=ODOMETRY).clips,
        f"{path}: speed: images and speeds have two clocks: the stamps of {IMAGES} are {words[0]}",
        f"those of {ODOMETRY} {words[1]}",
        "give 'clock': recording",
    )
    found, said = known_speeds(path, clock="recording")
    np.testing.assert_allclose(found, law(np.arange(12) / 10), atol=1e-6)
    assert "recorded" in said
    (clip,) = source(path, speed=ODOMETRY, clock="recording").clips()
    assert clip.frames[3].time - START / 1e9 == pytest.approx(0.3 + images, abs=1e-6)  # that of its stamp


def test_stamps_can_be_trusted_where_a_topic_was_recorded_late(tmp_path: Path) -> None:
    found, said = known_speeds(write_bag("ros1", tmp_path, two_clocks(by(0), by(-3))), clock="header")
    np.testing.assert_allclose(found[:30], law(np.arange(30) / 10 + 3), atol=3e-3)
    assert "are 0.05 s earlier than their recording, and those of /odometry 3.05 s earlier" in said


@pytest.mark.parametrize("late", [IMAGES, ODOMETRY])
@pytest.mark.parametrize("first", [130, 80, 10])
def test_a_clock_that_is_set_anew_on_the_way_is_noticed(
    tmp_path: Path, complaint: Callable[..., None], late: str, first: int
) -> None:
    def shift(topic: str) -> Shift:
        return lambda number: 37.0 if topic == late and number >= first else 0.0

    path = write_bag("ros1", tmp_path, two_clocks(shift(IMAGES), shift(ODOMETRY), length=160))
    complaint(source(path, speed=ODOMETRY).clips, "have two clocks", "36.95 s later")
    found, _ = known_speeds(path, clock="recording")
    np.testing.assert_allclose(found, law(np.arange(160) / 10), atol=1e-6)


@pytest.mark.parametrize(
    ("images", "speeds", "headerless", "words"),
    [
        (None, 5.0, False, f"all 60 messages on {IMAGES} have"),
        (5.0, None, False, f"all 60 messages on {ODOMETRY} have"),
        (5.0, None, True, f"all 60 messages on {ODOMETRY} have"),
        (0.0, "some", False, f"7 of the 60 messages on {ODOMETRY} have"),
    ],
)
def test_if_one_topic_has_no_stamps_both_are_matched_by_the_recording_and_that_is_said(
    tmp_path: Path, complaint: Callable[..., None], images: Any, speeds: Any, headerless: bool, words: str
) -> None:
    shift = (lambda number: None if number < 7 else 5.0) if speeds == "some" else by(speeds)
    path = write_bag("ros1", tmp_path, two_clocks(by(images), shift, headerless=headerless))
    with pytest.warns(InputWarning, match=f"{words} no stamp, so that images and speeds are matched by the times at"):
        (clip,) = source(path, speed=ODOMETRY).clips()
    found, said = known_speeds(path, clock="recording")
    np.testing.assert_allclose(found, law(np.arange(LENGTH) / 10), atol=1e-6)
    assert [frame.speed for frame in clip.frames] == found.tolist()
    assert (
        clip.speed_source
        == said
        == "/odometry: matched by the times at which its messages and the images were recorded"
    )
    complaint(source(path, speed=ODOMETRY, clock="header").clips, path, f"clock: is 'header', but {words} no stamp")


def test_without_any_stamp_the_recording_has_the_times(tmp_path: Path) -> None:
    found, said = known_speeds(write_bag("ros1", tmp_path, two_clocks(by(None), by(None))))
    np.testing.assert_allclose(found, law(np.arange(LENGTH) / 10), atol=1e-6)
    assert "recorded" in said


def test_frames_without_a_speed_are_counted(tmp_path: Path) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(20):
            bag.image(IMAGES, nanoseconds(number / 10))
            if number >= 10:
                add_speed(bag, number / 10, number / 10, 5.0)

    found, said = known_speeds(write_bag("ros1", tmp_path, fill))
    assert np.isnan(found).tolist() == [True] * 9 + [False] * 11
    assert said.endswith("; 9 of 20 frames have no speed and are context only: 000000 to 000008")


def test_speeds_that_are_sent_again_until_the_next_do_not_lag(tmp_path: Path) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(150):
            bag.image(IMAGES, nanoseconds(number / 10))
            add_speed(bag, number / 10, number / 10, float(law(np.array(number // 10))))

    found, said = known_speeds(write_bag("ros1", tmp_path, fill))
    np.testing.assert_allclose(found[:140], law(np.arange(140) / 10), atol=0.3)
    assert "it writes each value 10 times, of which the first counts" in said


def test_a_clock_without_speeds_is_refused(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = write_bag("ros1", tmp_path, drive)
    complaint(source(path, clock="recording").clips, path, "clock: is for the speeds of a topic; give 'speed' as well")


@pytest.mark.parametrize(
    ("topic", "commands"),
    [
        ("/cmd_vel", True),
        ("/robot/mobile_base/commands/velocity", True),
        ("/cmd_vel_mux/input/teleop", True),
        ("/joy_vel", True),
        ("/twistCmd", True),
        ("/odom", False),
        ("/diff_drive_controller/odom", False),
        ("/commander/odometry", False),
        ("/gps/vel", False),
    ],
)
def test_commanded_speeds_are_read_with_a_warning(tmp_path: Path, topic: str, commands: bool) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info")
        for number in range(3):
            bag.image(IMAGES, nanoseconds(number / 10))
            add_speed(bag, number / 10, number / 10, 5.0, topic)

    path = write_bag("ros1", tmp_path, fill)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (clip,) = source(path, speed=topic).clips()
    assert [frame.speed for frame in clip.frames] == [5.0] * 3
    said = [str(each.message) for each in caught if each.category is InputWarning]
    assert [f"{path}: speed: {topic} holds commands by its name" in each for each in said] == [True] * commands


@pytest.mark.parametrize(("ahead", "doubted"), [(37.0, True), (-18.0, True), (0.5, True), (-0.5, False), (0.0, False)])
def test_a_log_is_not_matched_silently_by_stamps_that_are_off_the_recorders_clock(
    tmp_path: Path, ahead: float, doubted: bool
) -> None:
    path = write_bag("ros1", tmp_path, two_clocks(by(ahead), by(0.0), length=5))

    def said(**options: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            source(path, **options).find()
        return [str(each.message) for each in caught if each.category is InputWarning]

    log = {"speeds": tmp_path / "log.csv"}
    found = said(**log)
    assert [f"the stamps of {IMAGES} are {abs(ahead - 0.05):.2f} s" in each for each in found] == [True] * doubted
    assert said(**log, offset="auto") == said() == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"K": [0.78, 0, 0.5, 0, 0.8, 0.5, 0, 0, 1]}, "as a share of the width, fx would be 31.2 pixels"),
        ({"K": [30, 0, 900, 0, 31, 5.5, 0, 0, 1]}, "cx: is 900, for images of 40x12 pixels"),
        ({"distortion": float("nan")}, "coefficients: hold nan, no number"),
        ({"distortion": 0.2}, "p1 and p2 are 0.2 and 0.2, and no lens is this far off its axis"),
    ],
)
def test_a_camera_info_is_judged_as_a_camera_yaml_is(
    record: Callable[[Fill], Path], complaint: Callable[..., None], wrong: dict[str, Any], words: str
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", **wrong)
        bag.image("/camera/image_raw", START)

    path = record(fill)
    complaint(source(path).clips, path, "/camera/camera_info", words)


def test_without_the_extra(tmp_path: Path, complaint: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    complaint(source(tmp_path / "x.bag").clips, "x.bag", "rosbags", "packdepth[ros]")
