"""`packdepth predict CHECKPOINT drive.bag -o OUT.mcap`, read back by two libraries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rosbags", reason="the extra ros is not installed")

from bags import START, Recording, write_bag
from rosbags.highlevel import AnyReader

from packdepth.cli import main
from packdepth.inference.predictor import Predictor
from packdepth.inference.ros import recording

STEP = 10**8  # nanoseconds between images
SIZE = (45, 83)  # height and width of the images, as those of the fixture `image`
K = [60.0, 0, 41.0, 0, 58.0, 22.0, 0, 0, 1]
TOPICS = ("depth/image_raw", "depth/camera_info", "depth/points")


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    """The checkpoint is loaded once for all tests."""
    monkeypatch.setattr(recording, "load", lambda *args, **kwargs: predictor)
    monkeypatch.setattr(predictor, "batch", 1)  # which a command sets


@pytest.fixture
def drive(image: np.ndarray) -> Callable[[Recording], None]:
    """Two cameras, of which the left one is filed later, and transforms."""

    def fill(bag: Recording) -> None:
        bag.transform("/tf_static", START, 1.5)
        for number in range(2):
            time = START + number * STEP
            bag.transform("/tf", time + STEP // 2, float(number))
            for place, name in enumerate(("/right", "/left")):
                bag.info(f"{name}/camera_info", K=K, size=SIZE, time=time)
                rolled = np.roll(image, 5 * number, axis=1)
                bag.image(f"{name}/image_raw", time + 1000 * place + number, rolled, frame_id=f"{name[1:]}_optical")

    return fill


def predict(path: Path, output: Path, *options: str) -> int:
    return main(["predict", "checkpoint", str(path), *options, "-o", str(output)])


def read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Time of recording and content of the messages of each topic, read by rosbags."""
    found = defaultdict(list)
    with AnyReader([path]) as reader:
        for connection, time, data in reader.messages():
            found[connection.topic].append((time, reader.deserialize(data, connection.msgtype)))
    return found


def depth_of(message: Any) -> np.ndarray:
    return np.frombuffer(bytes(message.data), "<f4").reshape(message.height, message.width)


def points_of(message: Any) -> np.ndarray:
    return np.frombuffer(bytes(message.data), "<f4").reshape(message.width, message.point_step // 4)


@pytest.mark.parametrize("kind", ["ros1", "ros2-sqlite3"])
def test_depth_of_two_cameras(
    kind: str,
    tmp_path: Path,
    drive: Callable[[Recording], None],
    predictor: Predictor,
    image: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "new" / "out.mcap"
    assert predict(write_bag(kind, tmp_path, drive), output, "--all-points") == 0
    assert [path.name for path in output.parent.iterdir()] == ["out.mcap"]
    printed = capsys.readouterr().out
    assert f"recording of 4 frames: {output}" in printed
    assert "/left/depth/points (2 each, in frame left_optical)" in printed
    assert printed.endswith("depth is metric, from velocity (speed)\n")
    found = read(output)
    cameras = {f"/{name}/{topic}" for name in ("left", "right") for topic in TOPICS}
    assert set(found) == {*cameras, "/tf", "/tf_static", "/packdepth/about"}
    assert "velocity (speed)" in found["/packdepth/about"][0][1].data
    assert found["/tf_static"][0][1].transforms[0].transform.translation.x == 1.5
    assert [message.transforms[0].child_frame_id for _, message in found["/tf"]] == ["camera"]  # the other comes late
    for name, late in (("left", 1000), ("right", 0)):
        for number in range(2):
            taken = START + number * STEP + late + number
            (time, depth), (_, info), (_, cloud) = (found[f"/{name}/{topic}"][number] for topic in TOPICS)
            assert time == taken + 50_000_000
            for message in (depth, info, cloud):
                assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == taken
                assert message.header.frame_id == f"{name}_optical"
            expected = predictor.predict(np.roll(image, 5 * number, axis=1))
            np.testing.assert_allclose(depth_of(depth), expected.depth, rtol=1e-4)
            assert (info.k.tolist(), (info.height, info.width)) == (K, SIZE)
            v, u = np.indices(SIZE)
            z = depth_of(depth).ravel()
            x, y = (u.ravel() - K[2]) / K[0] * z, (v.ravel() - K[5]) / K[4] * z
            np.testing.assert_allclose(
                points_of(cloud)[:, :3], np.stack([x, y, z], axis=-1)[z <= 80], rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("kind", ["ros1", "ros2-sqlite3", "ros2-mcap"])
def test_batches_write_the_same_messages_in_the_same_order(
    kind: str, tmp_path: Path, drive: Callable[[Recording], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sizes, image_maps = write_bag(kind, tmp_path, drive), list[int](), Predictor.image_maps

    def noted(self: Predictor, images: Any, *rest: Any) -> Any:
        sizes.append(len(images))
        return image_maps(self, images, *rest)

    monkeypatch.setattr(Predictor, "image_maps", noted)
    assert predict(path, tmp_path / "one.mcap") == 0
    assert predict(path, tmp_path / "three.mcap", "--batch", "3") == 0
    assert sizes == [1, 1, 1, 1, 3, 1]
    one, three = read(tmp_path / "one.mcap"), read(tmp_path / "three.mcap")
    assert {topic: [time for time, _ in each] for topic, each in one.items()} == {
        topic: [time for time, _ in each] for topic, each in three.items()
    }
    for topic in ("/left/depth/image_raw", "/right/depth/image_raw"):
        for (_, first), (_, other) in zip(one[topic], three[topic], strict=True):
            assert repr(first.header) == repr(other.header)
            np.testing.assert_allclose(depth_of(other), depth_of(first), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--batch", "0"], "--batch: is 0; it must be at least 1"),
        (["--plain"], "--colormap, --beside and --plain: are of pictures, but"),
        (["--colormap", "gray"], "are of pictures, but"),
        (["--save", "cloud"], "--save cloud: is for folders, but"),
    ],
)
def test_options_that_no_recording_has_are_refused(
    tmp_path: Path,
    drive: Callable[[Recording], None],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    assert predict(write_bag("ros1", tmp_path, drive), tmp_path / "out.mcap", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.mcap").exists()


def test_the_output_is_read_by_the_library_of_foxglove(tmp_path: Path, drive: Callable[[Recording], None]) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    output = tmp_path / "out.mcap"
    assert predict(write_bag("ros2-mcap", tmp_path, drive), output, "--max-depth", "50", "--cut-depth") == 0
    latest: dict[str, Any] = {}
    compared, times = 0, []
    with output.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()], validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        profiles = {each.topic: each.metadata["offered_qos_profiles"] for each in summary.channels.values()}
        for _, channel, message, content in reader.iter_decoded_messages():
            times.append(message.log_time)
            latest[channel.topic] = content
            if channel.topic.endswith("points"):
                depth = depth_of(latest[channel.topic.replace("points", "image_raw")])
                np.testing.assert_array_equal(points_of(content)[:, 2], depth[np.isfinite(depth)])
                compared += 1
    assert (compared, times) == (4, sorted(times))
    # Codes of rmw: reliable is 1; transient local, for late subscribers, is 1, and volatile is 2.
    assert "durability: 2" in profiles["/left/depth/points"]
    assert "reliability: 1" in profiles["/left/depth/points"]
    assert "durability: 1" in profiles["/tf_static"]


def test_distorted_images_are_undistorted_and_the_calibration_is_that_of_the_result(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", distortion=0.01, K=K, size=SIZE)
        bag.image("/camera/image_raw", START, image)

    assert predict(write_bag("ros2-mcap", tmp_path, fill), tmp_path / "out.mcap", "--depth-encoding", "16UC1") == 0
    assert "brown_conrady undistorted" in capsys.readouterr().out
    found = read(tmp_path / "out.mcap")
    info = found["/camera/depth/camera_info"][0][1]
    assert info.d.tolist() == [0] * 5
    assert info.k[0] != K[0]
    depth = found["/camera/depth/image_raw"][0][1]
    assert (depth.encoding, depth.step, len(depth.data)) == ("16UC1", 2 * 83, 2 * 83 * 45)


def test_topics_that_cannot_be_predicted_are_named(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", K=K, size=SIZE)
        bag.image("/camera/image_raw", START, image)
        bag.compressed("/camera/image_raw/compressed", START)
        bag.image("/camera/depth/image_raw", START, encoding="16UC1")
        bag.advertise("/rear/image_raw")

    assert predict(write_bag("ros1", tmp_path, fill), tmp_path / "out.mcap") == 0
    printed = capsys.readouterr()
    assert "left out: /camera/depth/image_raw: has the encoding '16UC1'" in printed.err
    assert "left out: /camera/image_raw/compressed: has the images of /camera/image_raw" in printed.err
    assert "left out: /rear/image_raw: holds no image" in printed.err
    assert "the input has /camera/depth/image_raw, too" in printed.out


def test_of_a_camera_the_colors_are_predicted_and_not_the_mosaic_that_they_come_from(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    mosaic = image[:-1, :-1, :1]  # its sides are even

    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", K=K, size=SIZE)
        bag.image("/camera/image_raw", START, mosaic, encoding="bayer_rggb8")
        bag.image("/camera/image_color", START, image)
        bag.info("/rear/camera_info", K=K, size=(SIZE[0] - 1, SIZE[1] - 1))
        bag.image("/rear/image_raw", START, mosaic, encoding="bayer_rggb8")

    assert predict(write_bag("ros1", tmp_path, fill), tmp_path / "out.mcap") == 0
    printed = capsys.readouterr()
    assert "left out: /camera/image_raw: is the mosaic of /camera/image_color" in printed.err
    assert "/camera/image_color: " in printed.out
    assert "/rear/image_raw: " in printed.out


def test_images_without_a_namespace_and_without_a_frame(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("camera_info", K=K, size=SIZE)
        bag.image("image_raw", START, image, frame_id="")

    assert predict(write_bag("ros1", tmp_path, fill), tmp_path / "out.mcap") == 0
    assert "/depth/points (1 each, without a frame_id" in capsys.readouterr().out
    assert {"/depth/image_raw", "/depth/camera_info", "/depth/points"} < set(read(tmp_path / "out.mcap"))


def test_only_what_packdepth_wrote_is_replaced(
    tmp_path: Path, drive: Callable[[Recording], None], capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = write_bag("ros2-mcap", tmp_path, drive), tmp_path / "out.mcap"
    recorded = next(path.glob("*.mcap"))
    content = recorded.read_bytes()
    assert predict(path, output, "image=/left/image_raw") == 0
    assert predict(path, output, "image=/right/image_raw") == 0
    assert f"replaced: {output}" in capsys.readouterr().err
    assert "/left/depth/points" not in read(output)
    mine = tmp_path / "mine.mcap"
    mine.write_bytes(content)
    for target, reason in (
        (mine, "packdepth did not write it"),
        (recorded, "would be written into the input"),
        (path / "out.mcap", "would be written into the input"),
        (tmp_path / "out.bag", "written as .mcap; name"),
    ):
        assert predict(path, target) == 2
        assert reason in capsys.readouterr().err
    assert predict(recorded, recorded) == 2
    assert recorded.read_bytes() == mine.read_bytes() == content
    assert predict(output, tmp_path / "again.mcap") == 2
    assert "has no images to predict: /right/depth/image_raw: has the encoding '32FC1'" in capsys.readouterr().err


def test_options_of_one_camera_and_of_folders(
    tmp_path: Path, drive: Callable[[Recording], None], capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = write_bag("ros1", tmp_path, drive), tmp_path / "out.mcap"
    Image.new("RGB", (83, 45)).save(tmp_path / "a.png")
    for input, where, options, reason in (
        (path, output, ("--camera", "camera.yaml"), "has 2 cameras, but --camera is of one"),
        (path, output, ("camera_info=/left/camera_info",), "has 2 cameras, but camera_info is of one"),
        (path, output, ("--save", "cloud"), "--save cloud: is for folders"),
        (path, tmp_path / "out", ("--cut-depth",), "name OUT.mcap"),
        (tmp_path / "a.png", output, (), "is none; name a folder"),
        (path, output, ("--fov", "70"), "its camera is known"),
    ):
        assert predict(input, where, *options) == 2
        assert reason in capsys.readouterr().err
    assert not output.exists()


def test_a_camera_without_calibration(tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_bag("ros1", tmp_path, lambda bag: bag.image("/camera/image_raw", START, image))
    assert predict(path, tmp_path / "out.mcap") == 2
    assert "has no calibration of /camera/image_raw, which a point cloud needs" in capsys.readouterr().err
    assert predict(path, tmp_path / "out.mcap", "--fov", "90") == 0
    (_, info), *_ = read(tmp_path / "out.mcap")["/camera/depth/camera_info"]
    assert info.k[0] == pytest.approx(41.5)


def test_two_topics_of_one_camera_are_not_mixed(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(bag: Recording) -> None:
        for name in ("image_raw", "image_color"):
            bag.image(f"/camera/{name}", START, image)

    assert predict(write_bag("ros1", tmp_path, fill), tmp_path / "out.mcap") == 2
    assert "/camera/image_color and /camera/image_raw are of one camera" in capsys.readouterr().err


def test_depth_without_a_scale_is_refused(
    tmp_path: Path,
    drive: Callable[[Recording], None],
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unscaled = predictor.meta.model_copy(update={"metric": False, "scale_source": "none"})
    monkeypatch.setattr(predictor, "meta", unscaled)
    assert predict(write_bag("ros1", tmp_path, drive), tmp_path / "out.mcap") == 2
    assert "messages of ROS hold metres: see packdepth calibrate" in capsys.readouterr().err


def test_nothing_is_left_of_a_recording_with_a_damaged_image(
    tmp_path: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(bag: Recording) -> None:
        bag.info("/camera/camera_info", K=K, size=SIZE)
        bag.image("/camera/image_raw", START, image)
        bag.image("/camera/image_raw", START + STEP, image, encoding="bayer_rggb16")

    path = write_bag("ros1", tmp_path, fill)
    assert predict(path, tmp_path / "out.mcap") == 2
    assert "has the encoding 'bayer_rggb16'" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["drive.bag"]
