"""packdepth's folder contract: a clip is a folder of `camera.yaml`, `frames.csv`, `frames/` and optional measurements.

    camera.yaml     width, height, fx, fy, cx, cy; lens; baseline_m with right/; independent: true for unrelated images
                    (or another calibration: ROS, OpenCV, Kalibr, COLMAP)
    frames.csv      frame, time_s; speed_mps; x, y, z, qx, qy, qz, qw (T_world_camera, metres)
    frames/         one image for each line, named <frame>.jpg or .png
    right/          the rectified right images
    depth/          16-bit PNG, metres x 256, 0 where unknown
    lidar/          npz with `points` [N, 3], metres, in the camera frame; `origin` [3], the scanner's position in it
    semantic/       8-bit PNG, class ids, 255 where there is none
    semantic.yaml   classes: their names by id; without it they are Cityscapes' train ids
    instance/       16-bit PNG, ids of countable objects, 0 elsewhere
    moving/         8-bit PNG, not 0 on objects that move at the time of the frame

Everything except frames.csv and frames/ is optional. Without camera.yaml, or with one that has the line `guess`, the
camera is a guess. A measurement may exist for some frames only, and the cells of optional columns may be empty.
"""

from __future__ import annotations

import csv
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from packdepth.blocks import nearest
from packdepth.errors import InputError, InputWarning
from packdepth.reading import refusing
from packdepth.records import Clip, Frame, Readable
from packdepth.sources.base import UncalibratedSource
from packdepth.sources.calibrations.find import in_folder
from packdepth.sources.camera_file import camera_facts, guessed_facts, read_camera
from packdepth.sources.class_list import read_class_list
from packdepth.sources.files import (
    DepthPng,
    ImageFile,
    InstancePng,
    LabelPng,
    MaskPng,
    PointsNpz,
    by_name,
    check_sizes,
    common_size,
    found,
    is_clutter,
    read_text,
    require,
    required,
)
from packdepth.sources.guess import Guess, guess_of_images
from packdepth.sources.images import image_folder
from packdepth.sources.ranges import with_ranges
from packdepth.sources.rigid import pose
from packdepth.sources.stills import IMAGES
from packdepth.sources.tracks.units import SPEED_UNITS, speed_unit

R = TypeVar("R", bound=Readable)


class Folder(UncalibratedSource):
    """Clips in packdepth's own folder contract (see `packdepth.sources.folder`)."""

    kind: Literal["folder"] = "folder"
    root: Path
    """Folder of a clip, or a folder that holds clips."""
    names: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the clip folders in `root` to use; all of them if left out."""
    depth: Literal["z", "range"] = "z"
    """Content of depth/: depth along the optical axis, or `range`: distances along the rays of pixels, as many
    simulators and range cameras write them, which are converted when they are read."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a path is a clip's folder, even if files are missing, or a folder that holds such folders.

        Args:
            path: file or folder.
        """
        children = [child for child in path.iterdir() if not is_clutter(child)] if path.is_dir() else []
        return (_is_clip(path) and image_folder(path) is None) or any(map(_is_clip, children))

    def find(self) -> list[Clip]:
        """Return one clip for each clip folder, sorted by name or in the order of `names`."""
        clips = [read_clip(folder) for folder in self._folders()]
        return [with_ranges(clip) for clip in clips] if self.depth == "range" else clips

    def _folders(self) -> list[Path]:
        """Return the folders of the clips. Raises InputError if there is none, or no folder of a name."""
        require(self.root, "a clip's folder, or a folder of them")
        if not self.root.is_dir():
            raise InputError(f"{self.root}: is a file; give a clip's folder, or a folder of them")
        if self.names is None and _is_clip(self.root):
            return [self.root]
        folders = {path.name: path for path in by_name(self.root.iterdir()) if _is_clip(path) and not is_clutter(path)}
        if not folders:
            raise InputError(
                f"{self.root}: is no clip and holds none; a clip's folder holds camera.yaml, frames.csv and frames/"
            )
        for name in self.names or ():
            if name not in folders:
                raise InputError(f"{self.root}: names: holds no clip '{name}'; {nearest(name, list(folders))}")
        return [folders[name] for name in self.names or folders]


class FrameRow(NamedTuple):
    """Row of frames.csv."""

    frame: str  # name of the frame
    time: float  # seconds
    speed: float | None  # metres per second
    pose: np.ndarray | None  # T_world_camera [4, 4], metres


def read_clip(folder: Path) -> Clip:
    """Read the clip in a folder, with images as they are on disk: `Clip.lens` is their distortion.

    Args:
        folder: the clip folder. Raises InputError if a file is missing, has another size, or belongs to no frame.
    """
    camera_path, table = in_folder(folder), folder / "frames.csv"
    if camera_path is None:
        facts, assumed = guessed_facts(_guess(folder), folder / "camera.yaml"), False
    else:
        file = read_camera(camera_path)
        facts, assumed = camera_facts(file, camera_path), file.times_assumed
    camera = facts["camera"]
    rows = read_frames(table, ordered=not facts.get("independent", False))
    names = [row.frame for row in rows]
    if assumed and any(row.speed is not None for row in rows):
        warnings.warn(
            f"{table}: its times are an assumption (times_assumed in {camera_path}), so that metres by its speeds are "
            f"as wrong as they are; write the true times, and remove times_assumed",
            InputWarning,
            stacklevel=3,
        )
    _check_names(table, names, required(folder / "frames", IMAGES, ImageFile, "the clip's images"))
    images = _frame_files(names, folder / "frames", IMAGES, ImageFile)
    rights = _frame_files(names, folder / "right", IMAGES, ImageFile)
    depths = _frame_files(names, folder / "depth", (".png",), DepthPng)
    lidar = _frame_files(names, folder / "lidar", (".npz",), PointsNpz)
    semantics = _frame_files(names, folder / "semantic", (".png",), LabelPng)
    instances = _frame_files(names, folder / "instance", (".png",), InstancePng)
    moving = _frame_files(names, folder / "moving", (".png",), MaskPng)
    for files in (images, rights, depths, semantics, instances, moving):
        check_sizes(files.values(), camera.height, camera.width, camera_path or folder)
    return Clip(
        name=f"folder/{folder.resolve().name}",
        path=folder,
        classes=read_class_list(folder) if semantics else None,
        times_assumed=assumed,
        frames=tuple(
            Frame(
                name=row.frame,
                time=row.time,
                image=images[row.frame],
                right=rights.get(row.frame),
                depth=depths.get(row.frame),
                lidar=lidar.get(row.frame),
                semantic=semantics.get(row.frame),
                instance=instances.get(row.frame),
                moving=moving.get(row.frame),
                speed=row.speed,
                pose=row.pose,
            )
            for row in rows
        ),
        **facts,
    )


def _check_names(table: Path, names: list[str], images: Mapping[str, ImageFile]) -> None:
    """Raise InputError, which says which file was meant, if a frame of frames.csv has no image."""
    for name in names:
        if name in images:
            continue
        start = f"{table}: frame '{name}' has no image in {table.parent / 'frames'}"
        if Path(name).stem in images:
            raise InputError(f"{start}; names stand there without suffix: write '{Path(name).stem}'")
        meant = [image for image in images if name.isdigit() and image.isdigit() and int(image) == int(name)]
        if meant:
            raise InputError(f"{start}; '{meant[0]}' is meant, whose zeros a spreadsheet may have removed: write them")
        raise InputError(f"{start}; add it, or remove the line")


def _guess(folder: Path) -> Guess:
    """Guess the camera of a clip folder without camera.yaml."""
    images = required(folder / "frames", IMAGES, ImageFile, "the clip's images")
    return guess_of_images([image.path for image in images.values()], *common_size(images.values()))


def _is_clip(folder: Path) -> bool:
    """Return whether a folder holds at least one part of a clip. Reading the clip reports parts that are missing."""
    return any((folder / name).exists() for name in ("camera.yaml", "frames.csv", "frames"))


def _frame_files(names: list[str], folder: Path, suffixes: tuple[str, ...], kind: Callable[[Path], R]) -> dict[str, R]:
    """Return the files in a folder by frame; none if it does not exist. Raises InputError for a file of no frame."""
    files = found(folder, suffixes, kind)
    known = set(names)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_clutter(path) or (path.stem in known and path.stem in files):
            continue
        what = f"{path}: is no {' or '.join(suffixes)} file"
        if path.stem in known:
            raise InputError(f"{what}; write frame {path.stem} in that form (docs/reference/files.md)")
        raise InputError(f"{what} of a frame in frames.csv; add its line there, or rename or remove the file")
    return files


# --- frames.csv -------------------------------------------------------------------------------------------------

POSE_COLUMNS = ("x", "y", "z", "qx", "qy", "qz", "qw")  # T_world_camera: position in metres, and quaternion
COLUMNS = ("frame", "time_s", "speed_mps", *POSE_COLUMNS)


def read_frames(path: Path, ordered: bool = True) -> list[FrameRow]:
    """Read the rows of a frames.csv.

    Args:
        path: the table. Raises InputError for a column or value that is missing, unknown or no number, and for a frame
            that has two rows.
        ordered: whether times must rise from row to row; if they do not, InputError is raised.
    """
    text = read_text(path, f"a table of the clip's frames with the columns {', '.join(COLUMNS)}")
    with refusing(path, "a table", "look for a quote that is not closed"):
        header, lines = _cells(text)
    _check_header(path, header)
    rows: list[FrameRow] = []
    for number, cells in lines:
        where = f"{path}: line {number}"
        if len(cells) != len(header):
            raise InputError(f"{where} has {len(cells)} values for {len(header)} columns; write one for each")
        row = _row(dict(zip(header, cells, strict=True)), where)
        if ordered and rows and row.time <= rows[-1].time:
            raise InputError(
                f"{where}: time_s {row.time} is not after the {rows[-1].time} before; sort the lines by time, "
                f"or say 'independent: true' in camera.yaml if the images have no order"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: has no line below its header; write one for each image in frames/")
    last = {row.frame: row for row in rows}
    if len(last) < len(rows):
        name = next(row.frame for row in rows if last[row.frame] is not row)
        raise InputError(f"{path}: frame '{name}' has two lines; remove one")
    return rows


def _cells(text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a frames.csv, and its rows, each with the number of its line.

    Lines that begin with # are comments. Spreadsheets write dialects: semicolons or tabs may divide cells, and numbers
    may then have decimal commas. Empty lines and trailing columns without name and content are left out, and so are =
    and quotes around a cell, with which spreadsheets keep the zeros at the beginning of a name.
    """
    written = _without_comments(text.splitlines())
    first = next((line for line in written if line.strip()), "")
    delimiter = next((each for each in ("\t", ";", ",", " ") if each in first.strip()), ",")
    lines = csv.reader((line.strip(" ") for line in written), delimiter=delimiter, skipinitialspace=delimiter == " ")
    rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(cell.strip() for cell in row)]
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    while header and not header[-1] and all(not any(row[len(header) - 1 :]) for _, row in rows):
        header.pop()
        rows = [(number, row[: len(header)]) for number, row in rows]
    body = [(number, [re.sub(r'^="?(.*?)"?$', r"\1", cell) for cell in row]) for number, row in rows[1:]]
    if delimiter != ",":
        names = header.index("frame") if "frame" in header else None
        body = [
            (line, [cell if at == names else cell.replace(",", ".") for at, cell in enumerate(row)])
            for line, row in body
        ]
    return header, body


def _without_comments(lines: Sequence[str]) -> list[str]:
    """Return lines with comments (#) emptied. A header may be a comment above the rows; it is returned without #."""
    plain = ["" if line.lstrip().startswith("#") else line for line in lines]
    first = next((number for number, line in enumerate(plain) if line.strip()), len(lines))
    if not re.search(r"\btime_s\b", "".join(plain[first : first + 1]), re.IGNORECASE):
        for number in reversed(range(first)):
            if re.search(r"\btime_s\b", lines[number], re.IGNORECASE):
                plain[number] = lines[number].lstrip("# \t")
                break
    return plain


def _check_header(path: Path, header: list[str]) -> None:
    """Raise InputError for a column that is unknown, doubled or missing."""
    for name in header:
        unit = speed_unit(name)
        if name not in COLUMNS and unit is not None:
            raise InputError(
                f"{path}: the column '{name}' is in {unit}; write metres per second, as speed_mps (1 {unit} is "
                f"{SPEED_UNITS[unit]:.4g} m/s)"
            )
        if name not in COLUMNS:
            raise InputError(f"{path}: unknown column '{name}': {nearest(name, list(COLUMNS))}")
        if header.count(name) > 1:
            raise InputError(f"{path}: has the column '{name}' twice; remove one")
    needed = ("frame", "time_s", *(POSE_COLUMNS if set(header) & set(POSE_COLUMNS) else ()))
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(f"{path}: has no column {' and '.join(missing)} in its header; add it")


def _row(cells: dict[str, str], where: str) -> FrameRow:
    """Parse the cells of a row, given by column; empty cells of optional columns are unknown values."""
    if not cells["frame"]:
        raise InputError(f"{where}: frame is empty; write the name of its image, without the suffix")
    place = [_number(cells, name, where) for name in POSE_COLUMNS if cells.get(name)]
    if len(place) not in (0, len(POSE_COLUMNS)):
        raise InputError(f"{where}: its pose is incomplete; fill in all of {', '.join(POSE_COLUMNS)}, or none")
    speed = _number(cells, "speed_mps", where) if cells.get("speed_mps") else None
    if speed is not None and speed < 0:
        raise InputError(f"{where}: speed_mps is {speed}; write how fast the camera moves, without a direction")
    return FrameRow(
        frame=cells["frame"],
        time=_number(cells, "time_s", where),
        speed=speed,
        pose=pose(place, where) if place else None,
    )


def _number(cells: dict[str, str], name: str, where: str) -> float:
    """Parse the number in a column. Raises InputError if it is not a finite number."""
    try:
        value = float(cells[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        empty = "" if name == "time_s" else ", or leave the cell empty"
        empty = f", or leave {', '.join(POSE_COLUMNS)} empty" if name in POSE_COLUMNS else empty
        raise InputError(f"{where}: {name} is '{cells[name]}', no number; write one{empty}")
    return value
