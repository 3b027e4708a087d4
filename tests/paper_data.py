"""Writers of the data sets of the papers in miniature: the world of world.py in the layouts of docs/reproduce.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import formats
import numpy as np
import world
from PIL import Image

from packdepth.sources.kitti_raw import EARTH_RADIUS

DRIVE = "2011_09_26_drive_0001_sync"
LATITUDE = 49.0  # degrees
AHEAD_IN_CAMERA = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # from x ahead, y left to x right, y down
CITY_FRAMES = ("000000_000018", "000000_000019", "000000_000020")


def tree(root: Path) -> Path:
    """Write KITTI raw with its split files, KITTI odometry in color, Cityscapes and DDAD."""
    kitti_raw(root / "kitti_raw")
    odometry(root / "kitti_odometry" / "dataset")
    cityscapes(root / "cityscapes")
    ddad(root / "ddad_train_val")
    return root


def kitti_raw(root: Path) -> Path:
    """Write a drive: color stereo, scans, oxts, depth of the depth benchmark; and split files of its frames."""
    formats.kitti_raw(root, DRIVE, range(world.FRAMES))
    drive = root / DRIVE[:10] / DRIVE
    folders = {name: drive / name for name in ("image_03/data", "velodyne_points/data", "oxts/data")}
    depths = drive / "proj_depth" / "groundtruth" / "image_02"
    for folder in (*folders.values(), depths):
        folder.mkdir(parents=True)
    for index in range(world.FRAMES):
        name = f"{index:010d}"
        Image.fromarray(world.picture(index, formats.BASELINE)).save(folders["image_03/data"] / f"{name}.png")
        points = world.scan(index) @ AHEAD_IN_CAMERA
        cloud = np.column_stack([points, np.zeros(len(points))]).astype("<f4")
        (folders["velodyne_points/data"] / f"{name}.bin").write_bytes(cloud.tobytes())
        packet = np.zeros(30)
        packet[0] = LATITUDE + np.degrees(world.STEP * index / EARTH_RADIUS)
        packet[5] = np.pi / 2  # to the north
        packet[8] = world.STEP * world.RATE
        (folders["oxts/data"] / f"{name}.txt").write_text(formats.numbers(packet))
        depth = (world.render(index)[1] * 256).clip(0, 65535).astype(np.uint16)
        Image.fromarray(depth).save(depths / f"{name}.png")
    date = root / DRIVE[:10]
    (date / "calib_velo_to_cam.txt").write_text(f"R: {formats.numbers(AHEAD_IN_CAMERA)}\nT: 0 0 0\n")
    (date / "calib_imu_to_velo.txt").write_text(f"R: {formats.numbers(np.eye(3))}\nT: 0 0 0\n")
    splits = root / "data_splits"
    splits.mkdir()
    for name, frames in (("eigen_zhou_files", (1, 2, 3)), ("eigen_zhou_val_files", (4,)), ("kept", (1, 3))):
        lines = [f"{DRIVE[:10]}/{DRIVE} {frame} l" for frame in frames]
        (splits / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return root


def odometry(root: Path) -> Path:
    """Write the sequences 00 to 08 in color, with poses."""
    (root / "poses").mkdir(parents=True)
    poses = "".join(f"{formats.numbers(world.relative_pose(0, index)[:3])}\n" for index in range(3))
    for sequence in range(9):
        folder = root / "sequences" / f"{sequence:02d}"
        (folder / "image_2").mkdir(parents=True)
        for index in range(3):
            Image.fromarray(world.picture(index)).save(folder / "image_2" / f"{index:06d}.png")
        lines = (f"P{camera}: {formats.projection(0.0 if camera == 2 else formats.BASELINE)}\n" for camera in range(4))
        (folder / "calib.txt").write_text("".join(lines))
        (folder / "times.txt").write_text("".join(f"{index / world.RATE}\n" for index in range(3)))
        (root / "poses" / f"{sequence:02d}.txt").write_text(poses)
    return root


def cityscapes(root: Path) -> Path:
    """Write a snippet of three frames with calibration and fine labels, for the splits train and val."""
    camera = world.CAMERA
    values = {
        "extrinsic": {"baseline": formats.BASELINE},
        "intrinsic": {"fx": camera.fx, "fy": camera.fy, "u0": camera.cx, "v0": camera.cy},
    }
    labels = np.where(np.arange(camera.height)[:, None] > camera.cy, 7, 23).repeat(camera.width, 1)  # road under sky
    for split in ("train", "val"):
        for index, moment in enumerate(CITY_FRAMES):
            image = Image.fromarray(world.picture(index))
            image.save(_city_file(root, "leftImg8bit_sequence", split, moment, "leftImg8bit.png"))
        annotated = CITY_FRAMES[1]
        _city_file(root, "camera", split, annotated, "camera.json").write_text(json.dumps(values))
        label_map = Image.fromarray(labels.astype(np.uint8))
        label_map.save(_city_file(root, "gtFine", split, annotated, "gtFine_labelIds.png"))
    return root


def _city_file(root: Path, folder: str, split: str, moment: str, what: str) -> Path:
    """Return the path of a file of Cityscapes, whose folder exists."""
    path = root / folder / split / "aachen" / f"aachen_{moment}_{what}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def ddad(root: Path) -> Path:
    """Write a scene of three samples of CAMERA_01 with scans, which both splits name."""
    camera = world.CAMERA
    scene: dict[str, Any] = {"name": "", "samples": [], "data": [], "log": "x"}
    folder = root / "000000"
    for name in ("rgb/CAMERA_01", "point_cloud/LIDAR", "calibration", "scene"):
        (folder / name).mkdir(parents=True)
    for index in range(3):
        image, cloud = f"rgb/CAMERA_01/{index}.png", f"point_cloud/LIDAR/{index}.npz"
        Image.fromarray(world.picture(index)).save(folder / image)
        points = world.scan(index) @ AHEAD_IN_CAMERA
        np.savez(folder / cloud, data=np.column_stack([points, np.zeros(len(points))]))
        stamp = f"2019-05-15T00:38:50.{index}00000Z"
        shape = {"height": camera.height, "width": camera.width}
        in_camera = {"filename": image, "pose": _motion(index, rotated=True)} | shape
        in_scanner = {"filename": cloud, "point_format": ["X", "Y", "Z", "I"], "pose": _motion(index)}
        for key, name, datum in (
            (f"C{index}", "CAMERA_01", {"image": in_camera}),
            (f"L{index}", "LIDAR", {"point_cloud": in_scanner}),
        ):
            scene["data"].append({"key": key, "id": {"name": name, "timestamp": stamp}, "datum": datum})
        scene["samples"].append({"calibration_key": "c", "datum_keys": [f"C{index}", f"L{index}"]})
    intrinsics = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    calibration = {
        "names": ["CAMERA_01", "LIDAR"],
        "intrinsics": [intrinsics, {}],
        "extrinsics": [_motion(0, rotated=True), _motion(0)],
    }
    (folder / "calibration" / "c.json").write_text(json.dumps(calibration))
    (folder / "scene_0.json").write_text(json.dumps(scene))
    splits = {split: {"filenames": ["000000/scene_0.json"]} for split in ("0", "1")}
    (root / "ddad.json").write_text(json.dumps({"metadata": {}, "scene_splits": splits}))
    return root


def _motion(index: int, rotated: bool = False) -> dict[str, Any]:
    """Return the pose of a sensor of the vehicle, which drives ahead, as DGP writes it."""
    names = ("qx", "qy", "qz", "qw")
    quaternion = dict(zip(names, world.QUATERNION if rotated else (0.0, 0.0, 0.0, 1.0), strict=True))
    return {"translation": {"x": world.STEP * index, "y": 0.0, "z": 0.0}, "rotation": quaternion}
