"""Our own contract: a clip is a folder of `camera.yaml`, `frames.csv`, `frames/` and, where it has them, measurements.

    camera.yaml     width, height, fx, fy, cx, cy; baseline_m with right/; independent: true for unrelated images
    frames.csv      frame, time_s; speed_mps; x, y, z, qx, qy, qz, qw (T_world_camera, metres)
    frames/         one image for each line, named <frame>.jpg or .png
    right/          the rectified right images
    depth/          16-bit PNG, metres x 256, 0 where unknown
    lidar/          npz with `points` [N, 3], metres, in the camera frame; `origin` [3], where the scanner stands in it
    semantic/       8-bit PNG, class ids
    instance/       16-bit PNG, numbers of countable objects, 0 for what is none
    moving/         8-bit PNG, not 0 on objects that move at this moment

All but the first three are optional, as are measurements of single frames and the cells of optional columns.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from packdepth.blocks import nearest
from packdepth.errors import InputError
from packdepth.records import Clip, Frame, Readable
from packdepth.sources.base import Source
from packdepth.sources.camera_file import read_camera
from packdepth.sources.files import (
    IMAGES,
    DepthPng,
    ImageFile,
    InstancePng,
    LabelPng,
    MaskPng,
    PointsNpz,
    check_sizes,
    found,
    read_text,
    require,
    required,
)
from packdepth.sources.images import image_folder
from packdepth.sources.rigid import pose

R = TypeVar("R", bound=Readable)


class Folder(Source):
    """Clips in packdepth's own folder contract (see `packdepth.sources.folder`)."""

    kind: Literal["folder"]
    root: Path
    """A clip's folder, or a folder of them."""
    names: Annotated[list[str], Field(min_length=1)] | None = None
    """Of the clip folders in `root` to use; all of them if left out."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder means to be a clip, or holds one. Images without a frames.csv are no clip."""
        children = [child for child in path.iterdir() if child.name[0] != "."] if path.is_dir() else []
        return (_is_clip(path) and image_folder(path) is None) or any(map(_is_clip, children))

    def find(self) -> list[Clip]:
        """One clip for each clip folder, by name."""
        require(self.root, "a clip's folder, or a folder of them")
        if self.names is None and _is_clip(self.root):
            return [read_clip(self.root)]
        folders = {path.name: path for path in sorted(self.root.iterdir()) if _is_clip(path) and path.name[0] != "."}
        if not folders:
            raise InputError(
                f"{self.root}: is no clip and holds none; a clip's folder holds camera.yaml, frames.csv and frames/"
            )
        for name in self.names or ():
            if name not in folders:
                raise InputError(f"{self.root}: names: holds no clip '{name}'; {nearest(name, list(folders))}")
        return [read_clip(folders[name]) for name in self.names or folders]


class Line(NamedTuple):
    """A line of frames.csv."""

    frame: str
    time: float  # seconds
    speed: float | None  # metres per second
    pose: np.ndarray | None  # T_world_camera [4, 4], metres


def read_clip(folder: Path) -> Clip:
    """The clip in a folder. Raises InputError if something is missing, of another size or belongs to no frame."""
    camera_path, table = folder / "camera.yaml", folder / "frames.csv"
    camera_file = read_camera(camera_path)
    camera = camera_file.camera
    lines = read_frames(table, ordered=not camera_file.independent)
    names = [line.frame for line in lines]
    required(folder / "frames", IMAGES, ImageFile, "the clip's images")
    images = _of_frames(names, folder / "frames", IMAGES, ImageFile)
    for name in names:
        if name not in images:
            raise InputError(f"{table}: frame '{name}' has no image in {folder / 'frames'}; add it, or remove the line")
    rights = _of_frames(names, folder / "right", IMAGES, ImageFile)
    depths = _of_frames(names, folder / "depth", (".png",), DepthPng)
    lidar = _of_frames(names, folder / "lidar", (".npz",), PointsNpz)
    semantics = _of_frames(names, folder / "semantic", (".png",), LabelPng)
    instances = _of_frames(names, folder / "instance", (".png",), InstancePng)
    moving = _of_frames(names, folder / "moving", (".png",), MaskPng)
    for files in (images, rights, depths, semantics, instances, moving):
        check_sizes(files.values(), camera.height, camera.width, camera_path)
    return Clip(
        name=f"folder/{folder.resolve().name}",
        drive=camera_file.drive,
        interval=camera_file.interval_s,
        path=folder,
        camera=camera,
        frames=tuple(
            Frame(
                name=line.frame,
                time=line.time,
                image=images[line.frame],
                right=rights.get(line.frame),
                depth=depths.get(line.frame),
                lidar=lidar.get(line.frame),
                semantic=semantics.get(line.frame),
                instance=instances.get(line.frame),
                moving=moving.get(line.frame),
                speed=line.speed,
                pose=line.pose,
            )
            for line in lines
        ),
        baseline=camera_file.baseline,
        independent=camera_file.independent,
    )


def _is_clip(folder: Path) -> bool:
    """Whether a folder means to be a clip, if only in part."""
    return any((folder / name).exists() for name in ("camera.yaml", "frames.csv", "frames"))


def _of_frames(names: list[str], folder: Path, suffixes: tuple[str, ...], kind: Callable[[Path], R]) -> dict[str, R]:
    """The files of a folder by frame; none where there is no folder. A file that belongs to no frame is an error."""
    files = found(folder, suffixes, kind)
    known = set(names)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and (path.stem not in known or path.stem not in files):
            raise InputError(
                f"{path}: is no {' or '.join(suffixes)} file of a frame in frames.csv; "
                f"add its line there, or rename or remove the file"
            )
    return files


# --- frames.csv -------------------------------------------------------------------------------------------------

PLACE = ("x", "y", "z", "qx", "qy", "qz", "qw")
COLUMNS = ("frame", "time_s", "speed_mps", *PLACE)


def read_frames(path: Path, ordered: bool = True) -> list[Line]:
    """The lines of a frames.csv.

    Raises InputError for a column or value that is missing, unknown or no number, for a frame named twice, and, if
    `ordered`, for a time that is not after the one before.
    """
    text = read_text(path, f"a table of the clip's frames with the columns {', '.join(COLUMNS)}")
    reader = csv.reader(text.splitlines())
    header = [cell.strip() for cell in next(reader, [])]
    _check_header(path, header)
    lines: list[Line] = []
    for cells in reader:
        if not any(cells):
            continue
        where = f"{path}: line {reader.line_num}"
        if len(cells) != len(header):
            raise InputError(f"{where} has {len(cells)} values for {len(header)} columns; write one for each")
        line = _parse(dict(zip(header, (cell.strip() for cell in cells), strict=True)), where)
        if ordered and lines and line.time <= lines[-1].time:
            raise InputError(
                f"{where}: time_s {line.time} is not after the {lines[-1].time} before; sort the lines by time, "
                f"or say 'independent: true' in camera.yaml if the images have no order"
            )
        lines.append(line)
    if not lines:
        raise InputError(f"{path}: has no line below its header; write one for each image in frames/")
    twice = {line.frame: line for line in lines}
    if len(twice) < len(lines):
        name = next(line.frame for line in lines if twice[line.frame] is not line)
        raise InputError(f"{path}: frame '{name}' has two lines; remove one")
    return lines


def _check_header(path: Path, header: list[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise InputError(f"{path}: unknown column '{name}': {nearest(name, list(COLUMNS))}")
        if header.count(name) > 1:
            raise InputError(f"{path}: has the column '{name}' twice; remove one")
    needed = ("frame", "time_s", *(PLACE if set(header) & set(PLACE) else ()))
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(f"{path}: has no column {' and '.join(missing)} in its header; add it")


def _parse(cells: dict[str, str], where: str) -> Line:
    """A line from its cells by column; empty cells of optional columns are unknown."""
    if not cells["frame"]:
        raise InputError(f"{where}: frame is empty; write the name of its image, without the suffix")
    place = [_number(cells, name, where) for name in PLACE if cells.get(name)]
    if len(place) not in (0, len(PLACE)):
        raise InputError(f"{where}: its pose is incomplete; fill in all of {', '.join(PLACE)}, or none")
    speed = _number(cells, "speed_mps", where) if cells.get("speed_mps") else None
    if speed is not None and speed < 0:
        raise InputError(f"{where}: speed_mps is {speed}; write how fast the camera moves, without a direction")
    return Line(
        frame=cells["frame"],
        time=_number(cells, "time_s", where),
        speed=speed,
        pose=pose(place, where) if place else None,
    )


def _number(cells: dict[str, str], name: str, where: str) -> float:
    try:
        value = float(cells[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is '{cells[name]}', no number; write one")
    return value
