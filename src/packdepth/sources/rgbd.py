"""RGB-D sequences, in the layouts of 7-Scenes and of the TUM benchmark.

    7-Scenes    <sequence>/frame-000000.{color.png, depth.png, pose.txt}; depth in millimetres, 65535 where unknown
    TUM         <sequence>/{rgb.txt, depth.txt, groundtruth.txt}, rgb/, depth/; depth in metres x 5000

Depth maps are assumed to be aligned with the color images. This holds for TUM, and nearly for 7-Scenes.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from packdepth.blocks import nearest
from packdepth.errors import InputError, InputWarning
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import BrownConrady
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source, median_step
from packdepth.sources.camera_file import CameraFacts, calibrated_camera
from packdepth.sources.files import DepthPng, ImageFile, by_name, check_sizes, inside, read_text, require
from packdepth.sources.rigid import is_rigid, pose

SCENES_RATE = 30.0  # nominal frames per second of 7-Scenes
MAX_APART = 0.02  # seconds between an image and its depth map or pose: the default of TUM's associate.py
SCENES_CAMERA = Camera(585.0, 585.0, 320.0, 240.0, width=640, height=480)  # as 7-Scenes publishes it
TUM_CAMERAS = {  # as TUM publishes them, with their lenses, by a part of the sequence's name
    "freiburg1": CameraFacts(
        camera=Camera(517.3, 516.5, 318.6, 255.3, width=640, height=480),
        lens=BrownConrady(0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    ),
    "freiburg2": CameraFacts(
        camera=Camera(520.9, 521.0, 325.1, 249.7, width=640, height=480),
        lens=BrownConrady(0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    ),
    "freiburg3": CameraFacts(camera=Camera(535.4, 539.2, 320.1, 247.6, width=640, height=480)),  # undistorted images
}
SCENES_STEPS, TUM_STEPS = 1000, 5000  # value of one metre in their depth maps


class Rgbd(Source):
    """RGB-D sequences with poses, in the layout of 7-Scenes or of the TUM benchmark; the layout is recognized."""

    kind: Literal["rgbd"] = "rgbd"
    root: Path
    """Folder of a sequence, or a folder that holds sequences."""
    sequences: Annotated[list[str], Field(min_length=1)] | None = None
    """Folders in `root` to use, such as ["seq-01"]; all of them if left out."""
    camera: Path | None = None
    """camera.yaml of the color images; if left out, the calibration that the data set publishes."""
    depth_steps: PositiveInt | None = None
    """Value of one metre in the depth maps, such as 1000 for millimetres; if left out, that of the data set of this
    layout: 1000 of 7-Scenes, 5000 of TUM."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder is a sequence, or holds one.

        Args:
            path: file or folder.
        """
        return path.is_dir() and any(map(_is_sequence, [path, *path.iterdir()]))

    def find(self) -> list[Clip]:
        """Find one clip for each sequence."""
        require(self.root, "an RGB-D sequence, or a folder of them")
        if self.sequences is None and _is_sequence(self.root):
            return [self._clip(self.root)]
        folders = {path.name: path for path in sorted(self.root.iterdir()) if _is_sequence(path)}
        if not folders:
            raise InputError(
                f"{self.root}: is no RGB-D sequence and holds none; one holds frame-000000.color.png and so on "
                f"(7-Scenes), or rgb.txt (TUM)"
            )
        for name in self.sequences or ():
            if name not in folders:
                raise InputError(f"{self.root}: sequences: holds no '{name}'; {nearest(name, list(folders))}")
        return [self._clip(folders[name]) for name in self.sequences or folders]

    def _clip(self, folder: Path) -> Clip:
        """Make the clip of a sequence."""
        tum = (folder / "rgb.txt").exists()
        depth_png = partial(DepthPng, steps=self.depth_steps or (TUM_STEPS if tum else SCENES_STEPS))
        found = self._tum_frames(folder, depth_png) if tum else (_scenes_frames(folder, depth_png), 1 / SCENES_RATE)
        frames, interval = found
        facts = self._camera(folder, tum)
        camera = facts["camera"]
        maps = [frame.depth for frame in frames if frame.depth is not None]
        of_tum = any(name in folder.resolve().name for name in TUM_CAMERAS)
        if tum and maps and self.depth_steps is None and not of_tum:
            warnings.warn(
                f"{folder}: its depth is read as TUM's, {TUM_STEPS} for a metre; give depth_steps={SCENES_STEPS} if it "
                f"is in millimetres",
                InputWarning,
                stacklevel=2,
            )
        calibration = self.camera or folder
        check_sizes([*(frame.image for frame in frames), *maps], camera.height, camera.width, calibration)
        place = f"{folder.resolve().parent.name}/{folder.resolve().name}"
        facts = facts | CameraFacts(drive=facts.get("drive") or place, interval=facts.get("interval") or interval)
        return Clip(name=f"rgbd/{place}", path=folder, frames=tuple(frames), **facts)

    def _camera(self, folder: Path, tum: bool) -> CameraFacts:
        """Return the camera of a sequence, of TUM's layout or of 7-Scenes'."""
        if self.camera is not None:
            return calibrated_camera(self.camera)
        if not tum:
            return CameraFacts(camera=SCENES_CAMERA)
        for name, facts in TUM_CAMERAS.items():
            if name in folder.resolve().name:
                return facts
        raise InputError(
            f"{folder}: its name holds none of {', '.join(TUM_CAMERAS)}, so its camera is not known; "
            f"give its camera.yaml as 'camera'"
        )

    def _tum_frames(self, folder: Path, depth_png: Callable[[Path], DepthPng]) -> tuple[list[Frame], float | None]:
        """Return frames with the depth map and pose nearest in time, and the median time between images."""
        images = read_stamped(folder / "rgb.txt", 1)
        maps = read_stamped(folder / "depth.txt", 1) if (folder / "depth.txt").exists() else []
        path = folder / "groundtruth.txt"
        poses = read_stamped(path, 7) if path.exists() else []
        places = [_tum_pose(words, f"{path}: time {time}") for time, words in poses]
        files = {name: inside(folder, folder, name, folder / "rgb.txt") for _, (name,) in images}
        absent = [file for file in files.values() if not file.exists()]
        self.missing(absent, len(images), "images", folder / "rgb.txt")
        map_times, pose_times = [time for time, _ in maps], [time for time, _ in poses]
        frames = []
        for time, (name,) in images:
            if not files[name].exists():
                continue
            depth, place = _nearest(map_times, time), _nearest(pose_times, time)
            depth_path = None
            if depth is not None:
                depth_path = inside(folder, folder, maps[depth][1][0], folder / "depth.txt")
            frames.append(
                Frame(
                    name=Path(name).stem,
                    time=time,
                    image=ImageFile(files[name]),
                    depth=depth_png(depth_path) if depth_path is not None and depth_path.exists() else None,
                    pose=None if place is None else places[place],
                )
            )
        return frames, median_step([time for time, _ in images])


def _is_sequence(folder: Path) -> bool:
    """Return whether a folder is a sequence of either layout."""
    return (folder / "rgb.txt").is_file() or any(True for _ in folder.glob("frame-*.color.*"))


# --- 7-Scenes -----------------------------------------------------------------------------------------------------


def _scenes_frames(folder: Path, depth_png: Callable[[Path], DepthPng]) -> list[Frame]:
    """Return the frames of a sequence, sorted by number, with the depth maps and poses that exist."""
    frames = []
    for image in by_name(folder.glob("frame-*.color.*")):
        match = re.fullmatch(r"frame-(\d+)\.color\.(png|jpg)", image.name)
        if match is None:
            raise InputError(f"{image}: is not named like frame-000000.color.png; rename or remove it")
        number = match[1]
        depth, place = folder / f"frame-{number}.depth.png", folder / f"frame-{number}.pose.txt"
        frames.append(
            Frame(
                name=f"frame-{number}",
                time=int(number) / SCENES_RATE,
                image=ImageFile(image),
                depth=depth_png(depth) if depth.exists() else None,
                pose=read_pose(place) if place.exists() else None,
            )
        )
    return frames


def read_pose(path: Path) -> np.ndarray:
    """Read T_world_camera [4, 4] in metres from a text file of 16 numbers.

    Args:
        path: the text file. Raises InputError if it does not hold a rigid motion.
    """
    what = "a camera-to-world pose: 4 lines of 4 numbers, a rigid motion"
    try:
        T = np.array(read_text(path, what).split(), dtype=np.float64).reshape(4, 4)
    except ValueError:
        T = np.full((4, 4), np.nan)
    if not is_rigid(T):
        raise InputError(f"{path}: is not {what}; copy it again, or remove it to do without this pose")
    return T


# --- TUM ----------------------------------------------------------------------------------------------------------


def read_stamped(path: Path, values: int) -> list[tuple[float, list[str]]]:
    """Read a text file of lines `time value ...`: time (seconds) and values of each line, sorted by time.

    Args:
        path: the text file; lines that begin with # are comments. Raises InputError for a line with another number of
            values, for a time that is no number, and for one that occurs twice.
        values: values in each line.
    """
    what = f"lines of a time and {values} value{'s' if values > 1 else ''}"
    rows: dict[float, list[str]] = {}
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            time = float(words[0])
        except ValueError:
            time = np.nan
        if not np.isfinite(time) or len(words) != values + 1:
            raise InputError(f"{path}: line {number} is not a time and {values} values; copy the file again")
        if time in rows:
            raise InputError(f"{path}: line {number} has the time {time} a second time; copy the file again")
        rows[time] = words[1:]
    if not rows:
        raise InputError(f"{path}: has no line; it should hold {what}")
    return sorted(rows.items())


def _tum_pose(words: list[str], where: str) -> np.ndarray:
    """Return T_world_camera [4, 4] of the words tx ty tz qx qy qz qw."""
    try:
        return pose([float(word) for word in words], where)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: '{' '.join(words)}' are no numbers; copy the file again") from None


def _nearest(times: list[float], time: float) -> int | None:
    """Return the index of the sorted time that is nearest to a time; None if it is farther than `MAX_APART`."""
    place = bisect_left(times, time)
    candidates = range(max(place - 1, 0), min(place + 1, len(times)))
    best = min(candidates, key=lambda i: abs(times[i] - time), default=None)
    return best if best is not None and abs(times[best] - time) <= MAX_APART else None
