from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from present import present

from packdepth.data.targets import target_indices
from packdepth.geometry.lidar import depth_map
from packdepth.sources.kitti_raw import EARTH_RADIUS, KittiRaw, imu_poses
from packdepth.sources.speeds import frames_in_words

DRIVE = "2011_09_26_drive_0007_sync"
K = np.array([[30.0, 0, 19.5], [0, 30, 5.5], [0, 0, 1]])
OFFSETS = {0: [0.0, 0, 0], 1: [-0.5, 0, 0], 2: [0.06, 0.001, 0.003], 3: [-0.47, 0.002, 0.003]}
R_CAMERA_VELODYNE = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # from x ahead, y left to x right, y down
LATITUDE = 49.0


def source(root: Path, **changes: Any) -> KittiRaw:
    return KittiRaw(**{"kind": "kitti_raw", "root": root, "drives": [DRIVE], **changes})


def numbers(values: np.ndarray | list[float]) -> str:
    return " ".join(f"{value:.12g}" for value in np.ravel(values))


def oxts_packet(north: float = 0.0, east: float = 0.0, roll: float = 0, pitch: float = 0, yaw: float = 0) -> np.ndarray:
    """A packet at this place in metres, at 10 m/s ahead and 1 m/s down."""
    packet = np.zeros(30)
    packet[0] = LATITUDE + np.degrees(north / EARTH_RADIUS)
    packet[1] = 8 + np.degrees(east / EARTH_RADIUS / np.cos(np.radians(LATITUDE)))
    packet[2] = 110
    packet[3:6] = roll, pitch, yaw
    packet[8:11] = 10, 0, -1
    return packet


@pytest.fixture
def root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A drive of four stereo frames of 40x12 pixels without anything but images and their calibration."""
    date = tmp_path / DRIVE[:10]
    for camera in OFFSETS:
        for number in range(4):
            write_image(date / DRIVE / f"image_0{camera}/data/{number:010d}.png")
    lines = ["calib_time: 09-Jan-2012 13:57:47", f"R_rect_00: {numbers(np.eye(3))}"]
    for camera, offset in OFFSETS.items():
        lines += [
            f"S_0{camera}: 1392 512",
            f"S_rect_0{camera}: 4.000000e+01 1.200000e+01",
            f"P_rect_0{camera}: {numbers(K @ np.column_stack([np.eye(3), offset]))}",
        ]
    (date / "calib_cam_to_cam.txt").write_text("\n".join(lines))
    (date / "calib_velo_to_cam.txt").write_text(f"R: {numbers(R_CAMERA_VELODYNE)}\nT: 0 -0.08 -0.27\n")
    (date / "calib_imu_to_velo.txt").write_text(f"R: {numbers(np.eye(3))}\nT: -0.8 0.3 -0.8\n")
    return tmp_path


def write_oxts(root: Path, packets: dict[int, np.ndarray]) -> None:
    folder = root / DRIVE[:10] / DRIVE / "oxts/data"
    folder.mkdir(parents=True)
    for number, packet in packets.items():
        (folder / f"{number:010d}.txt").write_text(numbers(packet) + "\n")


def test_images_and_calibration_are_enough(root: Path) -> None:
    (clip,) = source(root).clips()
    assert clip.name == f"kitti_raw/{DRIVE}/left"
    assert (clip.camera.fx, clip.camera.cy, clip.camera.width, clip.camera.height) == (30, 5.5, 40, 12)
    assert clip.baseline == pytest.approx(0.53)
    assert [frame.time for frame in clip.frames] == [0, 0.1, 0.2, 0.3]
    frame = clip.frames[1]
    assert frame.name == "0000000001"
    assert frame.image.path == root / DRIVE[:10] / DRIVE / "image_02/data/0000000001.png"
    assert present(frame.right).path == root / DRIVE[:10] / DRIVE / "image_03/data/0000000001.png"
    assert (frame.depth, frame.lidar, frame.semantic, frame.speed, frame.pose) == (None,) * 5


def test_cameras(root: Path) -> None:
    left, right = source(root, cameras=["left", "right"], color=False).clips()
    assert (left.baseline, right.baseline) == (pytest.approx(0.5), None)
    assert right.frames[0].right is None
    assert left.frames[0].image.path.parents[1].name == "image_00"
    assert right.frames[0].image.path.parents[1].name == "image_01"


def test_gaps_in_numbers_are_gaps_in_time(root: Path) -> None:
    (root / DRIVE[:10] / DRIVE / "image_02/data/0000000001.png").unlink()
    assert [frame.time for frame in source(root).clips()[0].frames] == [0, 0.2, pytest.approx(0.3)]
    (root / DRIVE[:10] / DRIVE / "image_02/timestamps.txt").write_text(
        "2011-09-26 23:59:59.950000000\n2011-09-27 00:00:00.054000000\n"
        "2011-09-27 00:00:00.157500000\n2011-09-27 00:00:00.261000001\n"
    )
    times = [frame.time for frame in source(root).clips()[0].frames]
    np.testing.assert_allclose(times, [0, 0.2075, 0.311000001], rtol=1e-12)


def test_ground_truth_depth_of_the_depth_benchmark(root: Path, write_image: Callable[..., Path]) -> None:
    folder = root / DRIVE[:10] / DRIVE / "proj_depth/groundtruth"
    write_image(folder / "image_02/0000000002.png", mode="I;16")
    write_image(folder / "image_03/0000000003.png", mode="I;16")
    left, right = source(root, cameras=["left", "right"]).clips()
    assert [frame.depth is not None for frame in left.frames] == [False, False, True, False]
    assert [frame.depth is not None for frame in right.frames] == [False, False, False, True]
    assert present(left.frames[2].depth).read().shape == (12, 40)


def test_scans_are_in_the_frame_of_the_camera(root: Path, complaint: Callable[..., None]) -> None:
    path = root / DRIVE[:10] / DRIVE / "velodyne_points/data/0000000002.bin"
    path.parent.mkdir(parents=True)
    np.array([[10, 1, -2, 0.3], [-10, 0, 0, 0]], dtype=np.float32).tofile(path)
    left, right = source(root, cameras=["left", "right"]).clips()
    assert [frame.lidar is not None for frame in left.frames] == [False, False, True, False]
    for clip, camera in ((left, 2), (right, 3)):
        scan = pickle.loads(pickle.dumps(clip.frames[2].lidar))
        expected = np.array([[-1, 2 - 0.08, 10 - 0.27], [0, -0.08, -10 - 0.27]]) + OFFSETS[camera]
        np.testing.assert_allclose(scan.read(), expected, rtol=1e-6)
    path.write_bytes(path.read_bytes()[:20])
    complaint(present(left.frames[2].lidar).read, path, "truncated", "20 bytes")
    (root / DRIVE[:10] / "calib_velo_to_cam.txt").unlink()
    complaint(source(root).clips, "calib_velo_to_cam.txt", "not found")


def test_driving_north_moves_along_the_axis_of_the_camera(root: Path) -> None:
    write_oxts(root, {number: oxts_packet(north=float(number), yaw=np.pi / 2) for number in range(4)})
    (clip,) = source(root).clips()
    assert all(frame.speed == pytest.approx(np.hypot(10, 1)) for frame in clip.frames)
    for number, frame in enumerate(clip.frames):
        motion = np.linalg.inv(present(clip.frames[0].pose)) @ present(frame.pose)
        np.testing.assert_allclose(motion, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, number], [0, 0, 0, 1]], atol=1e-5)


def test_world_is_the_first_imu_and_cameras_are_where_they_are_mounted(root: Path) -> None:
    write_oxts(root, {number: oxts_packet(north=number, yaw=1.2, pitch=0.1) for number in range(4)})
    left, right = source(root, cameras=["left", "right"]).clips()
    for clip, camera in ((left, 2), (right, 3)):
        # From IMU to camera, ahead 0.27 + 0.8, left -0.3, up 0.8 - 0.08, less the camera's own offset.
        x, y, z = OFFSETS[camera]
        np.testing.assert_allclose(present(clip.frames[0].pose)[:3, 3], [1.07 - z, -0.3 + x, 0.72 + y], atol=1e-9)
        np.testing.assert_allclose(present(clip.frames[0].pose)[:3, :3], R_CAMERA_VELODYNE.T, atol=1e-9)
        assert np.linalg.det(present(clip.frames[3].pose)) == pytest.approx(1)


def test_turning_turns_the_camera() -> None:
    """Yaw is to the left, positive pitch lowers the nose, positive roll the right side; the order is roll first."""

    def turned(**angles: float) -> np.ndarray:
        return imu_poses(np.stack([oxts_packet(), oxts_packet(**angles)]))[1]

    yawed, pitched, rolled = turned(yaw=0.1), turned(pitch=0.1), turned(roll=0.1)
    ahead, left = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    np.testing.assert_allclose(yawed[:3, :3] @ ahead, [np.cos(0.1), np.sin(0.1), 0])
    np.testing.assert_allclose(pitched[:3, :3] @ ahead, [np.cos(0.1), 0, -np.sin(0.1)])
    np.testing.assert_allclose(rolled[:3, :3] @ left, [0, np.cos(0.1), np.sin(0.1)])
    one_by_one = turned(yaw=0.3) @ turned(pitch=0.1) @ turned(roll=0.2)
    np.testing.assert_allclose(turned(roll=0.2, pitch=0.1, yaw=0.3), one_by_one, atol=1e-12)


def test_places_are_metres_in_all_directions() -> None:
    packets = np.stack([oxts_packet(yaw=0.7), oxts_packet(north=30, east=40, yaw=0.7)])
    packets[1, 2] += 12
    assert np.linalg.norm(imu_poses(packets)[1, :3, 3]) == pytest.approx(np.sqrt(30**2 + 40**2 + 12**2), rel=1e-4)


def test_frames_without_a_packet(root: Path) -> None:
    write_oxts(root, {number: oxts_packet(north=number) for number in (0, 1, 3)})
    (clip,) = source(root).clips()
    assert [frame.pose is None for frame in clip.frames] == [False, False, True, False]
    assert [frame.speed is None for frame in clip.frames] == [False, False, True, False]
    assert frames_in_words(clip) == "1 of 4 frames have no speed and are context only: 0000000002"


def test_broken_oxts_is_an_error(root: Path, complaint: Callable[..., None]) -> None:
    write_oxts(root, {0: oxts_packet()[:25]})
    complaint(source(root).clips, "0000000000.txt", "30 numbers")


def test_oxts_needs_its_calibration(root: Path, complaint: Callable[..., None]) -> None:
    write_oxts(root, {0: oxts_packet()})
    (root / DRIVE[:10] / "calib_imu_to_velo.txt").unlink()
    complaint(source(root).clips, "calib_imu_to_velo.txt", "not found")


def test_errors(root: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    date = root / DRIVE[:10]
    folder = date / DRIVE

    def fails(*parts: object) -> None:
        complaint(source(root).clips, *parts)

    for drive in ("0007", "2011_09_26_drive_0007_extract"):
        complaint(source(root, drives=[drive]).clips, f"'{drive}'", "_sync")
    complaint(source(root, drives=["2011_09_26_drive_0008_sync"]).clips, "2011_09_26_drive_0008_sync", "not found")
    (folder / "image_02/timestamps.txt").write_text("2011-09-26 13:02:25.594360375\n")
    fails("0000000001.png", "timestamps.txt", "1 line")
    (folder / "image_02/timestamps.txt").write_text("soon\n")
    fails("timestamps.txt", "a time a line")
    (folder / "image_02/timestamps.txt").unlink()
    write_image(folder / "image_03/data/0000000001.png", 6, 20)
    fails("image_03/data/0000000001.png", "20x6", "calib_cam_to_cam.txt", "40x12")
    write_image(folder / "image_02/data/0000000001.png", 6, 20)
    fails("image_02/data/0000000001.png", "20x6", "calib_cam_to_cam.txt", "40x12")
    for path in (folder / "image_02/data").iterdir():
        path.unlink()
    fails(folder / "image_02/data", "no .png")
    (date / "calib_cam_to_cam.txt").write_text("S_rect_02: 40 12\n")
    fails("calib_cam_to_cam.txt", "P_rect_02")
    (date / "calib_cam_to_cam.txt").unlink()
    fails("calib_cam_to_cam.txt", "not found")


def test_all_drives_that_are_there(root: Path) -> None:
    (clip,) = source(root, drives=None).clips()
    assert clip.name == f"kitti_raw/{DRIVE}/left"
    assert KittiRaw.recognizes(root)
    assert not KittiRaw.recognizes(root / DRIVE[:10] / DRIVE / "image_02")


def test_a_split_names_drives_cameras_and_targets(root: Path, tmp_path: Path, complaint: Callable[..., None]) -> None:
    split = tmp_path / "split.txt"
    images = f"{DRIVE[:10]}/{DRIVE}/image_02/data"
    split.write_text(f"{images}/0000000001.png {images}/0000000002.png\n{DRIVE[:10]}/{DRIVE} 2 r\n")
    left, right = source(root, drives=None, split_file=split).clips()
    assert (left.name, left.targets) == (f"kitti_raw/{DRIVE}/left", {"0000000001"})
    assert (right.name, right.targets) == (f"kitti_raw/{DRIVE}/right", {"0000000002"})
    assert len(left.frames) == len(right.frames) == 4
    assert left.drive == right.drive == DRIVE
    other = DRIVE.replace("0007", "0008")
    split.write_text(split.read_text() + f"{DRIVE[:10]}/{other} 2 r\n{DRIVE[:10]}/{DRIVE} 9 l\n")
    complaint(source(root, drives=None, split_file=split).clips, other, "not found")
    with pytest.warns(UserWarning, match="2 of the 4 entries"):
        left, right = source(root, drives=None, split_file=split, partial=True).clips()
    assert left.targets == {"0000000001"}
    with pytest.raises(ValueError, match="drives and cameras are those that the split_file names"):
        source(root, split_file=split)


def test_nan_is_no_pose(root: Path, complaint: Callable[..., None]) -> None:
    packet = oxts_packet()
    packet[3] = np.nan
    write_oxts(root, {0: packet})
    complaint(source(root).clips, "0000000000.txt", "30 numbers")


def test_a_real_split_in_both_notations(data: Path, tmp_path: Path) -> None:
    split, date = tmp_path / "split.txt", "2011_09_26"
    one, other = f"{date}/{date}_drive_0001_sync", f"{date}/{date}_drive_0052_sync"
    lines = [f"{one}/image_02/data/0000000001.png", f"{one} 1 r", f"{other} 30 l", f"{other} 31 l", f"{other} 400 l"]
    split.write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="1 of the 5 entries"):
        clips = source(data / "kitti_raw", drives=None, split_file=split, partial=True).clips()
    assert [clip.name.split("_sync/")[1] for clip in clips] == ["left", "right", "left"]
    assert [len(target_indices(clip, (-1, 1))) for clip in clips] == [1, 1, 2]
    assert present(clips[0].frames[0].right).read().shape == clips[1].frames[0].image.read().shape


def test_real_drive(data: Path) -> None:
    (clip,) = source(data / "kitti_raw", drives=["2011_09_26_drive_0052_sync"]).clips()
    assert len(clip.frames) == 78
    assert clip.frames[77].time == pytest.approx(7.7)
    assert [frame.name for frame in clip.frames if frame.lidar] == [f"{number:010d}" for number in range(0, 78, 12)]
    assert clip.frames[0].image.read().shape == (375, 1242, 3)
    assert clip.camera.fx == pytest.approx(721.5377)
    assert clip.frames[0].right is None


def test_real_stereo_frames(data: Path) -> None:
    (clip,) = source(data / "kitti_raw", drives=["2011_09_26_drive_0001_sync"]).clips()
    assert clip.baseline == pytest.approx(0.5327, abs=1e-4)
    assert all(frame.right is not None for frame in clip.frames)


def test_scans_project_as_in_monodepth2(data: Path, golden: Path) -> None:
    """Its maps hold the rounded pixel minus one; otherwise they agree but for single points on a rounding boundary."""
    (clip,) = source(data / "kitti_raw", drives=["2011_09_26_drive_0052_sync"]).clips()
    frames = {frame.name: frame for frame in clip.frames}
    files = [path for path in sorted(golden.glob("kitti_velodyne_depth_*.npz")) if path.stem.split("_")[-1] in frames]
    if not files:
        pytest.skip(f"no kitti_velodyne_depth_<frame>.npz in {golden}")
    for path in files:
        reference = np.load(path)
        expected = np.zeros(reference["shape"], dtype=np.float32)
        expected[reference["rows"], reference["cols"]] = reference["depth"]
        points = torch.from_numpy(present(frames[path.stem.split("_")[-1]].lidar).read())
        depth = depth_map(points, clip.camera)[0].numpy()
        ours, theirs = depth[1:, 1:], expected[:-1, :-1]
        known = theirs > 0
        assert known.sum() > 10_000
        assert np.isclose(ours, theirs, rtol=1e-5).mean(where=known | (ours > 0)) > 0.999
