"""DDAD and other data sets in TRI's DGP format, read from their JSON files.

<root>/ddad.json                                    scenes of each split
<root>/<scene>/scene_<hash>.json                    samples: images and scans with their poses
<root>/<scene>/calibration/<key>.json               intrinsics and T_vehicle_sensor of each sensor
<root>/<scene>/rgb/<CAMERA>/<stamp>.jpg
<root>/<scene>/point_cloud/<LIDAR>/<stamp>.npz      `data` [N, 4]: x, y, z in metres in the scanner's frame, intensity
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AwareDatetime, ConfigDict, Field

from packdepth.blocks import nearest
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source, median_step
from packdepth.sources.files import ImageFile, check_sizes, common_size, finite_points, inside, read_points, require
from packdepth.sources.json_file import Content, read_json
from packdepth.sources.rigid import pose
from packdepth.sources.tracks.clocks import LATEST

SPLITS = {"train": "0", "val": "1", "test": "2", "train_overfit": "3"}  # keys of the JSON
DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "s1", "s2", "s3", "s4", "taux", "tauy")  # in DGP's JSON
STAMP_ERROR = 10  # factor by which DDAD's time stamps are too large: they lie in the year 2463


class Ddad(Source):
    """DDAD or another data set in the DGP format.

    Images and calibration are required; scans are used where they exist. Image and scan have poses of their own, so a
    scan is moved to where the camera sees it, although the car moves between scan and image.
    """

    kind: Literal["ddad"] = "ddad"
    root: Path
    """JSON of the data set, such as ddad.json, or the folder that holds it."""
    split: Literal["train", "val", "test", "train_overfit"] = "train"
    """Split of the JSON to use."""
    scenes: Annotated[list[str], Field(min_length=1)] | None = None
    """Folders of the scenes to use, such as ["000150"]; all of the split if left out."""
    cameras: Annotated[list[str], Field(min_length=1)] | None = None
    """Cameras to use, such as ["CAMERA_01"]; each becomes a clip. All cameras of a scene if left out."""
    lidar: str = "LIDAR"
    """Name of the scanner."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a JSON lists scenes, or a folder holds such a JSON.

        Args:
            path: file or folder.
        """
        return any(map(_lists_scenes, path.glob("*.json"))) if path.is_dir() else _lists_scenes(path)

    def find(self) -> list[Clip]:
        """Find one clip for each scene and camera."""
        return [clip for path in self._scene_files() for clip in self._clips_of(path)]

    def _scene_files(self) -> list[Path]:
        """Return the JSON of each scene to use."""
        path = self.root
        if require(path, "the JSON of a DGP data set, or its folder").is_dir():
            lists = [file for file in sorted(path.glob("*.json")) if _lists_scenes(file)]
            if len(lists) != 1:
                names = ", ".join(file.name for file in lists) or "none"
                raise InputError(f"{path}: must hold one JSON that lists scenes (found {names}); give the JSON as root")
            (path,) = lists
        content = read_json(path, DataSet, "the JSON of a DGP data set")
        if SPLITS[self.split] not in content.scene_splits:
            found = ", ".join(name for name, number in SPLITS.items() if number in content.scene_splits)
            raise InputError(f"{path}: has no split '{self.split}'; it has {found or 'none'}")
        listed = content.scene_splits[SPLITS[self.split]].filenames
        files = [inside(path.parent, path.parent, name, path) for name in listed]
        scenes = list(dict.fromkeys(file.parent.name for file in files))
        for name in self.scenes or ():
            if name not in scenes:
                raise InputError(f"{path}: scenes: split '{self.split}' has no scene '{name}'; {nearest(name, scenes)}")
        files = [file for file in files if self.scenes is None or file.parent.name in self.scenes]
        there = [file for file in files if file.exists()]
        self.missing([file for file in files if not file.exists()], len(files), "scenes", path)
        return there

    def _clips_of(self, path: Path) -> list[Clip]:
        """Make one clip for each camera of a scene."""
        scene = read_json(path, Scene, "a scene of a DGP data set")
        data = {entry.key: entry for entry in scene.data}
        samples: list[dict[str, Entry]] = []
        for sample in scene.samples:
            for key in sample.datum_keys:
                if key not in data:
                    raise InputError(f"{path}: has no datum '{key}', which a sample names; copy the file again")
            samples.append({data[key].id.name.upper(): data[key] for key in sample.datum_keys})
        there = dict.fromkeys(name for sample in samples for name, entry in sample.items() if entry.datum.image)
        cameras = list(there) if self.cameras is None else [name.upper() for name in self.cameras]
        for name in cameras:
            if name not in there:
                raise InputError(f"{path}: cameras: has no camera '{name}'; {nearest(name, list(there))}")
        if not cameras:
            raise InputError(f"{path}: has no camera in its samples; copy the file again")
        folder = path.parent / "calibration"
        calibrations = {
            key: _read_calibration(inside(folder, folder, f"{key}.json", path))
            for key in dict.fromkeys(sample.calibration_key for sample in scene.samples)
        }
        rigs = [calibrations[sample.calibration_key] for sample in scene.samples]
        return [self._clip(path, name, samples, rigs) for name in cameras]

    def _clip(self, path: Path, name: str, samples: list[dict[str, Entry]], rigs: list[dict[str, Sensor]]) -> Clip:
        """Make the clip of camera `name`, from the entries and the sensors of each sample by name."""
        scene, frames, images, sensors = path.parent, [], [], []
        for sample, rig in zip(samples, rigs, strict=True):
            if name not in sample:
                continue
            entry = sample[name]
            image = entry.datum.image
            if image is None or name not in rig:
                raise InputError(f"{path}: '{name}' is a camera in some samples alone; copy the file again")
            images.append(image)
            sensors.append(rig[name])
            frames.append(
                Frame(
                    name=Path(image.filename).stem,
                    time=seconds(entry.id.timestamp),
                    image=ImageFile(inside(scene, scene, image.filename, path)),
                    lidar=self._scan(path, sample, rig, name),
                    pose=_motion(image.pose, f"{path}: {image.filename}"),
                )
            )
        first = sensors[0]
        for sensor, frame in zip(sensors, frames, strict=True):
            if sensor.intrinsics != first.intrinsics:
                raise InputError(
                    f"{path}: the intrinsics of {name} change at {frame.name}; a clip has one camera: "
                    f"leave the scene out, with 'scenes'"
                )
        there = [frame for frame in frames if frame.image.path.exists()]
        self.missing([f.image.path for f in frames if not f.image.path.exists()], len(frames), f"{name} images", path)
        height, width = images[0].height, images[0].width
        if height is None or width is None:
            height, width = common_size(frame.image for frame in there)
        check_sizes((frame.image for frame in there), height, width, path)
        K = first.intrinsics
        if K.skew or K.distortion or min(K.fx, K.fy) <= 0:
            raise InputError(f"{path}: {name} is no pinhole camera without skew ({K}); leave it out, with 'cameras'")
        return Clip(
            name=f"ddad/{scene.name}/{name}",
            drive=scene.name,
            interval=median_step([frame.time for frame in frames]),
            path=scene,
            camera=Camera(K.fx, K.fy, K.cx, K.cy, width=width, height=height),
            frames=tuple(there),
            corrected=_correction([sample[name].id.timestamp for sample in samples if name in sample]),
        )

    def _scan(self, path: Path, sample: dict[str, Entry], rig: dict[str, Sensor], camera: str) -> DgpScan | None:
        """Return the scan of a sample in the frame of a camera; None if there is none, or it is not on disk."""
        lidar = self.lidar.upper()
        scan = sample[lidar].datum.point_cloud if lidar in sample else None
        image = sample[camera].datum.image
        if scan is None or image is None:
            return None
        file = inside(path.parent, path.parent, scan.filename, path)
        if not file.exists():
            return None
        T_world_lidar = _motion(scan.pose, f"{path}: {scan.filename}")
        T_world_camera = _motion(image.pose, f"{path}: {image.filename}")
        if T_world_lidar is None or T_world_camera is None:  # the car's motion between scan and image is unknown
            if lidar not in rig:
                raise InputError(f"{path}: {scan.filename} has neither pose nor calibration; copy the scene again")
            T_world_lidar, T_world_camera = rig[lidar].T_vehicle_sensor, rig[camera].T_vehicle_sensor
        return DgpScan(file, np.linalg.solve(T_world_camera, T_world_lidar))


@dataclass(frozen=True, eq=False)
class DgpScan:
    """LiDAR scan of the DGP format: an npz with `data` [N, 3 or more], in metres in the scanner's frame."""

    path: Path  # npz of the scan
    T_camera_lidar: np.ndarray  # [4, 4] float64, metres, to the camera's pose at the time of its image

    @property
    def origin(self) -> np.ndarray:
        """Position of the camera, [3] zeros: DDAD merges several scanners, so the scan has no single position."""
        return np.zeros(3)

    def read(self) -> np.ndarray:
        """Read all points that are numbers, also behind the camera: [N, 3] float32, metres, in the camera frame."""
        points = read_points(self.path, "data")
        if not len(points):
            raise InputError(f"{self.path}: 'data' holds no point; copy it again")
        return finite_points(points @ self.T_camera_lidar[:3, :3].T + self.T_camera_lidar[:3, 3])


def seconds(stamp: datetime) -> float:
    """Return the seconds since 1970 of a time stamp. Stamps that are ten times too large, as in DDAD, are corrected.

    Args:
        stamp: time stamp of a datum.

    >>> from datetime import UTC
    >>> seconds(datetime(2019, 5, 3, tzinfo=UTC))
    1556841600.0
    """
    value = stamp.timestamp()
    return value / STAMP_ERROR if value > LATEST else value


def _correction(stamps: Sequence[datetime]) -> str | None:
    """Describe what `seconds` corrects in the time stamps of a clip; None if nothing."""
    late = [stamp for stamp in stamps if stamp.timestamp() > LATEST]
    if not late:
        return None
    return f"time stamps are ten times too large (the first says {late[0]:%Y-%m-%d}) and are divided by ten"


def _lists_scenes(path: Path) -> bool:
    """Return whether a file is the JSON of a data set."""
    if path.suffix != ".json":
        return False
    try:
        read_json(path, DataSet, "the JSON of a DGP data set")
    except InputError:
        return False
    return True


# --- the JSON -----------------------------------------------------------------------------------------------------
# protobuf leaves out numbers that are zero, so zero is the default.


class Vector(Content):
    """Translation, in metres."""

    x: float = 0.0
    """Component along the x axis."""
    y: float = 0.0
    """Component along the y axis."""
    z: float = 0.0
    """Component along the z axis."""


class Quaternion(Content):
    """Rotation as a unit quaternion."""

    qx: float = 0.0
    """Imaginary component along the x axis."""
    qy: float = 0.0
    """Imaginary component along the y axis."""
    qz: float = 0.0
    """Imaginary component along the z axis."""
    qw: float = 0.0
    """Real component."""


class Motion(Content):
    """Rigid motion: T_world_sensor or T_vehicle_sensor."""

    rotation: Quaternion
    """Rotation, applied before the translation."""
    translation: Vector = Vector()
    """Translation, in metres."""


class Intrinsics(Content):
    """Intrinsics of a camera, in pixels."""

    model_config = ConfigDict(extra="allow")  # DGP's JSON may hold coefficients of distortion

    fx: float = 0.0
    """Horizontal focal length."""
    fy: float = 0.0
    """Vertical focal length."""
    cx: float = 0.0
    """Column of the principal point."""
    cy: float = 0.0
    """Row of the principal point."""
    skew: float = 0.0
    """Skew of the pixel axes; only 0 is supported."""

    @property
    def distortion(self) -> dict[str, float]:
        """The coefficients of distortion that are not 0, by name."""
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if name in DISTORTION and value}


class Image(Content):
    """Image with its pose."""

    filename: str
    """Path of the image, relative to the scene's folder."""
    height: int | None = None
    """Height in pixels, if it is known."""
    width: int | None = None
    """Width in pixels, if it is known."""
    pose: Motion | None = None
    """T_world_camera at the time of the image, if it is known."""


class PointCloud(Content):
    """LiDAR scan with its pose."""

    filename: str
    """Path of the npz, relative to the scene's folder."""
    pose: Motion | None = None
    """T_world_scanner at the time of the scan, if it is known."""


class Datum(Content):
    """Image or scan; what is neither has both fields empty."""

    image: Image | None = None
    """Image, if the datum is one."""
    point_cloud: PointCloud | None = None
    """LiDAR scan, if the datum is one."""


class Identity(Content):
    """Sensor and time of a datum."""

    name: str
    """Name of the sensor."""
    timestamp: AwareDatetime
    """Time of the recording, as the file gives it."""


class Entry(Content):
    """Datum with its key, sensor and time."""

    key: str
    """Key by which samples name the datum."""
    id: Identity
    """Sensor and time."""
    datum: Datum
    """Image or scan."""


class Sample(Content):
    """Keys of the data that all sensors recorded at about one moment."""

    calibration_key: str
    """Name of the calibration file, without its suffix."""
    datum_keys: list[str]
    """Keys of the data."""


class Scene(Content):
    """Scene: a short drive."""

    samples: Annotated[list[Sample], Field(min_length=1)]
    """Samples in the order of time."""
    data: list[Entry]
    """Data of all samples."""


class SceneFiles(Content):
    """Scenes of a split."""

    filenames: list[str]
    """Paths of the scenes' JSON files, relative to the data set's folder."""


class DataSet(Content):
    """Scenes of each split."""

    scene_splits: dict[str, SceneFiles]
    """Scenes by the number of their split, see `SPLITS`."""


class Calibration(Content):
    """Sensors of a car, in parallel lists."""

    names: list[str]
    """Names of the sensors."""
    intrinsics: list[Intrinsics]
    """Intrinsics of each sensor."""
    extrinsics: list[Motion]
    """T_vehicle_sensor of each sensor."""


class Sensor(NamedTuple):
    """Camera or scanner of a car."""

    intrinsics: Intrinsics  # intrinsics in pixels, used for cameras only
    T_vehicle_sensor: np.ndarray  # [4, 4], metres


def _read_calibration(path: Path) -> dict[str, Sensor]:
    """Read the sensors of a calibration file, by their names in capitals."""
    content = read_json(path, Calibration, "the calibration of a scene")
    lists = content.names, content.intrinsics, content.extrinsics
    if len({len(values) for values in lists}) > 1:
        raise InputError(
            f"{path}: names, intrinsics and extrinsics differ in length ({', '.join(str(len(v)) for v in lists)}); "
            f"copy the file again"
        )
    return {
        name.upper(): Sensor(intrinsics, _matrix(motion, f"{path}: {name}"))
        for name, intrinsics, motion in zip(*lists, strict=True)
    }


def _motion(motion: Motion | None, where: str) -> np.ndarray | None:
    """Return the matrix [4, 4] of a motion; None if it is unknown."""
    return None if motion is None else _matrix(motion, where)


def _matrix(motion: Motion, where: str) -> np.ndarray:
    """Return the matrix [4, 4] of a motion."""
    t, q = motion.translation, motion.rotation
    return pose((t.x, t.y, t.z, q.qx, q.qy, q.qz, q.qw), where)
