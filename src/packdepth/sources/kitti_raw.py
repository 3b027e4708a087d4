"""KITTI raw: `<date>/calib_*.txt` and `<date>/<drive>/{image_00..03, velodyne_points, oxts}/data/<number>.*`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.files import DepthPng, ImageFile, VelodyneBin, check_sizes, found, read_text, require, required
from packdepth.sources.kitti import (
    Side,
    baseline,
    camera_offset,
    check_covered,
    frame_number,
    read_matrices,
)
from packdepth.sources.kitti_split import clip_parts, kitti_entry
from packdepth.sources.rigid import rigid
from packdepth.sources.split import Entry
from packdepth.sources.stills import IMAGES

RATE = 10.0  # nominal frames per second
EARTH_RADIUS = 6378137.0  # metres, as in KITTI's development kit
DATE = "????_??_??"  # pattern of a folder that holds the drives of one day
DRIVE = f"{DATE}_drive_*_sync"  # pattern of a drive's folder


class KittiRaw(Source):
    """Synchronized and rectified drives of KITTI raw.

    Images and calib_cam_to_cam.txt are required. Velodyne scans (lidar), oxts packets (pose and speed) and the depth
    maps of the depth benchmark (proj_depth/groundtruth) are used for the frames that have them. The world frame of the
    poses is the IMU (x ahead, y left, z up) at the first oxts packet of the drive; it is the same for all cameras.
    """

    renamed: ClassVar[Mapping[str, str]] = {"colour": "color"}
    kind: Literal["kitti_raw"] = "kitti_raw"
    root: Path
    """Folder that holds the folders of dates, such as 2011_09_26."""
    drives: Annotated[list[str], Field(min_length=1)] | None = None
    """Drives to use, such as ["2011_09_26_drive_0052_sync"]; if left out, those of the split file, or else all."""
    cameras: Annotated[tuple[Side, ...], Field(min_length=1)] | None = None
    """Cameras to use; each becomes a clip. A left clip also holds the right images.

    If left out, the cameras that the split file names, or the left one if there is no split file.
    """
    color: bool = True
    """Use the color cameras (image_02, image_03) instead of the gray ones (image_00, image_01)."""

    def restricted_to(self, split_file: Path) -> KittiRaw:
        """Return the source restricted to a split file, which names drives and cameras as well."""
        return self.model_copy(update={"split_file": split_file, "drives": None, "cameras": None})

    @model_validator(mode="after")
    def _split_names_drives(self) -> KittiRaw:
        """Raise an error for drives or cameras if there is a split file, because it names them already."""
        if self.split_file is not None and (self.drives is not None or self.cameras is not None):
            raise ValueError(
                "drives and cameras are those that the split_file names; remove them (of a path, give the root), or "
                "the split_file"
            )
        return self

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder holds drives below their dates, or is a date or a drive.

        Args:
            path: file or folder.
        """
        return path.is_dir() and bool(_drives_at(path))

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """Return root and drives of the data at a path, and the gray cameras if there are no others.

        Args:
            path: root, of which a split file may then choose the drives, a date, or one drive.
        """
        drives = _drives_at(path)
        if not drives:
            return super().block(path)
        color = any((drive / "image_02").is_dir() for drive in drives)
        root = drives[0].parents[1]
        if path.absolute() == root:
            return {"root": str(root), "color": color}
        return {"root": str(root), "drives": [drive.name for drive in drives], "color": color}

    def find(self) -> list[Clip]:
        """Find one clip for each drive and camera."""
        return [self._clip(drive, side) for drive, side in self._wanted()]

    def entry(self, where: str, line: str) -> Entry:
        """Parse a line of the split file, in packdepth's, packnet-sfm's or monodepth2's notation.

        Args:
            where: file and line number, for messages.
            line: text of the line.
        """
        return kitti_entry(where, line, self.color)

    def _wanted(self) -> list[tuple[str, Side]]:
        """Return the drives and cameras to use; with a split file and `partial`, only those that are on disk."""
        if self.split_file is not None:
            wanted = dict.fromkeys(clip_parts(entry) for entry in self.entries())
            return [clip for clip in wanted if not self.partial or self._images(*clip).is_dir()]
        drives = self.drives or sorted(path.name for path in self.root.glob(f"{DATE}/{DRIVE}"))
        if not drives:
            raise InputError(f"{self.root}: holds no drive, such as 2011_09_26/2011_09_26_drive_0052_sync; see root")
        return [(drive, side) for drive in drives for side in self.cameras or ("left",)]

    def _images(self, drive: str, side: Side) -> Path:
        """Return the folder of a camera's images."""
        index = ("02" if self.color else "00") if side == "left" else ("03" if self.color else "01")
        return self.root / drive[:10] / drive / f"image_{index}" / "data"

    def _clip(self, drive: str, side: Side) -> Clip:
        """Make the clip of a drive and camera."""
        if not re.fullmatch(r"\d{4}_\d\d_\d\d_drive_\d{4}_sync", drive):
            raise InputError(
                f"{self.root}: '{drive}' is no synchronised drive of KITTI raw; "
                f"name drives in full, such as 2011_09_26_drive_0052_sync"
            )
        date = self.root / drive[:10]
        folder = require(date / drive, f"KITTI raw drive {drive}")
        left, right = ("02", "03") if self.color else ("00", "01")
        index = left if side == "left" else right

        calibration = date / "calib_cam_to_cam.txt"
        shapes = {f"P_rect_{left}": (3, 4), f"P_rect_{right}": (3, 4), "R_rect_00": (3, 3), f"S_rect_{index}": (2,)}
        matrices = read_matrices(calibration, shapes)
        projection = matrices[f"P_rect_{index}"]
        width, height = (int(number) for number in matrices[f"S_rect_{index}"])

        images = required(self._images(drive, side), IMAGES, ImageFile, f"the images of the {side} camera")
        rights = found(folder / f"image_{right}/data", IMAGES, ImageFile) if side == "left" else {}
        depths = found(folder / f"proj_depth/groundtruth/image_{index}", (".png",), DepthPng)
        check_sizes([*images.values(), *rights.values(), *depths.values()], height, width, calibration)
        times = read_times(folder / f"image_{index}/timestamps.txt", images)

        scans = found(folder / "velodyne_points/data", (".bin",), Path)
        oxts = found(folder / "oxts/data", (".txt",), read_oxts)
        lidar: dict[str, VelodyneBin] = {}
        poses: dict[str, np.ndarray] = {}
        speeds: dict[str, float] = {}
        if scans or oxts:
            T_rect_cam = rigid(matrices["R_rect_00"])
            T_cam_velodyne = _read_rigid(date / "calib_velo_to_cam.txt")
            T_camera_velodyne = rigid(translation=camera_offset(projection)) @ T_rect_cam @ T_cam_velodyne
            lidar = {name: VelodyneBin(path, T_camera_velodyne) for name, path in scans.items()}
        if oxts:
            T_camera_imu = T_camera_velodyne @ _read_rigid(date / "calib_imu_to_velo.txt")
            packets = np.stack(list(oxts.values()))
            poses = dict(zip(oxts, imu_poses(packets) @ np.linalg.inv(T_camera_imu), strict=True))
            speeds = dict(zip(oxts, np.linalg.norm(packets[:, 8:11], axis=1).tolist(), strict=True))

        return Clip(
            name=f"kitti_raw/{drive}/{side}",
            drive=drive,
            interval=1 / RATE,
            path=folder,
            camera=Camera.from_matrix(projection[:, :3], width, height),
            frames=tuple(
                Frame(
                    name=name,
                    time=times[name],
                    image=image,
                    right=rights.get(name),
                    depth=depths.get(name),
                    lidar=lidar.get(name),
                    speed=speeds.get(name),
                    pose=poses.get(name),
                )
                for name, image in images.items()
            ),
            baseline=baseline(matrices[f"P_rect_{left}"], matrices[f"P_rect_{right}"]) if side == "left" else None,
        )


def _drives_at(path: Path) -> list[Path]:
    """Return the drives of a root or of a date; of a path that is a drive, this one."""
    path = path.absolute()
    if fnmatch(path.name, DRIVE):
        return [path]
    return sorted(path.glob(DRIVE if fnmatch(path.name, DATE) else f"{DATE}/{DRIVE}"))


def read_oxts(path: Path) -> np.ndarray:
    """Read a GPS/IMU packet: [30] float64.

    Numbers 0 to 5 are latitude and longitude (degrees), altitude (metres), roll, pitch and yaw (radians; yaw 0 is
    east). Numbers 6 and 7 are the velocity to the north and to the east, 8 to 10 that forward, left and up (m/s).

    Args:
        path: text file of the packet. Raises InputError if it does not hold 30 finite numbers.
    """
    what = "a GPS/IMU packet of 30 numbers"
    try:
        packet = np.array(read_text(path, what).split(), dtype=np.float64).reshape(30)
    except ValueError:
        packet = np.array(np.nan)
    if not np.isfinite(packet).all():
        raise InputError(f"{path}: is not {what}; copy it again")
    return packet


def imu_poses(packets: np.ndarray) -> np.ndarray:
    """Compute T_world_imu [N, 4, 4] in metres. The world frame is the IMU at the first packet.

    This follows KITTI's development kit: positions come from a Mercator projection that is true to scale at the first
    packet's latitude, the orientation is Rz(yaw) Ry(pitch) Rx(roll).

    Args:
        packets: [N, 30] GPS/IMU packets, see `read_oxts`.

    >>> imu_poses(np.zeros((1, 30)))[0, :3, 3]
    array([0., 0., 0.])
    """
    latitude, longitude = np.radians(packets[:, 0]), np.radians(packets[:, 1])
    scale = np.cos(latitude[0]) * EARTH_RADIUS
    poses = np.tile(np.eye(4), (len(packets), 1, 1))
    poses[:, :3, :3] = [_rotation(*angles) for angles in packets[:, 3:6]]
    poses[:, 0, 3] = scale * longitude
    poses[:, 1, 3] = scale * np.log(np.tan(np.pi / 4 + latitude / 2))
    poses[:, 2, 3] = packets[:, 2]
    poses[:] = np.linalg.inv(poses[0]) @ poses
    return poses


def _rotation(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Return Rz(yaw) Ry(pitch) Rx(roll), [3, 3], of angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    Rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    Ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    Rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation: np.ndarray = Rz @ Ry @ Rx
    return rotation


def _read_rigid(path: Path) -> np.ndarray:
    """Read the rigid motion [4, 4] of a calibration file with R and T, in metres."""
    matrices = read_matrices(path, {"R": (3, 3), "T": (3,)})
    return rigid(matrices["R"], matrices["T"])


def read_times(path: Path, images: dict[str, ImageFile]) -> dict[str, float]:
    """Return the time of each image, in seconds since frame 0.

    The frame number of an image is its line in timestamps.txt. If that file is missing, times follow from frame numbers
    at the nominal rate. In both cases a gap in the numbers is a gap in time.

    Args:
        path: timestamps.txt. Raises InputError if it has no line for an image, or holds something else than times.
        images: images by name, named by their frame numbers.
    """
    numbers = {name: frame_number(image.path) for name, image in images.items()}
    if not path.exists():
        return {name: number / RATE for name, number in numbers.items()}
    try:
        stamps = np.array(read_text(path, "a time a line").strip().splitlines(), dtype="datetime64[ns]")
    except ValueError:
        stamps = np.empty(0, dtype="datetime64[ns]")
    if not len(stamps) or np.isnat(stamps).any():
        raise InputError(f"{path}: is not a time a line, as in 2011-09-26 13:02:25.594360375; copy it again")
    seconds = (stamps - stamps[0]) / np.timedelta64(1, "s")
    for image in images.values():
        check_covered(image.path, len(seconds), path)
    return {name: float(seconds[number]) for name, number in numbers.items()}
