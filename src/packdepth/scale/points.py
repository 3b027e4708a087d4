"""Tape-measured points: a CSV of frame, u, v, metres."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.reading import refusing
from packdepth.records import Clip, Frame
from packdepth.sources.files import read_text
from packdepth.sources.undistort import UndistortedImage

COLUMNS = ("frame", "u", "v", "metres")


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the scene whose distance from the camera's lens was measured, as with a tape or a laser.

    >>> from packdepth.sources.files import ImageFile
    >>> camera = Camera(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=4, height=4)
    >>> frame = Frame("000000", 0.0, ImageFile(Path("000000.png")))
    >>> point = Point(Clip("clip", Path("clip"), camera, (frame,)), frame, u=0.0, v=1.0, metres=2.0)
    >>> round(point.z(camera), 3)
    1.414
    """

    clip: Clip
    """The clip."""
    frame: Frame
    """The frame in which the point is seen."""
    u: float
    """Column of the point in the image as it is read, which is undistorted, in pixels; 0 is the center of the first."""
    v: float
    """Row of the point in that image, in pixels; 0 is the center of the first."""
    metres: float
    """Distance from the lens to the point, along the straight line between them."""

    @property
    def name(self) -> str:
        """The frame, as clip/frame."""
        return f"{self.clip.name}/{self.frame.name}"

    def z(self, camera: Camera | None) -> float:
        """Return the z-depth of the point in metres: the part of the distance along the optical axis.

        Args:
            camera: the camera of the image. Without one the point cannot be used (InputError).
        """
        if camera is None:
            raise InputError(
                f"{self.clip.path}: has no camera, which turns the distance of a point into its depth; "
                f"write camera.yaml, or give --camera"
            )
        x, y = (self.u - camera.cx) / camera.fx, (self.v - camera.cy) / camera.fy
        return self.metres / math.sqrt(float(x) ** 2 + float(y) ** 2 + 1)


def read_points(path: Path, clips: Sequence[Clip]) -> list[Point]:
    """Read tape-measured points from a CSV with the columns frame, u, v and metres.

    Args:
        path: the file. `frame` is the name of a frame, or clip/frame; `u` and `v` are pixels of the image on disk;
            `metres` is the distance from the lens to the point, along the straight line between them.
        clips: the clips that hold the frames.

    Returns:
        The points, in the order of their frames. Raises InputError, which names the line, for a missing column, an
        unknown or ambiguous frame, a point outside of the image or of its undistorted part, and a number that is none
        or not positive.
    """
    rows = csv.DictReader(read_text(path, "a CSV with the columns frame, u, v, metres").splitlines())
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: lacks the column {missing[0]}; its first line must be {','.join(COLUMNS)}")
    with refusing(path, "a table", "look for a quote that is not closed"):
        points = [_point(f"{path}: line {rows.line_num}", row, clips) for row in rows]
    if not points:
        raise InputError(f"{path}: holds no point; add lines of {','.join(COLUMNS)}")
    order = {(id(clip), frame.name): i for clip in clips for i, frame in enumerate(clip.frames)}
    places = {id(clip): i for i, clip in enumerate(clips)}
    return sorted(points, key=lambda point: (places[id(point.clip)], order[id(point.clip), point.frame.name]))


def _point(place: str, row: dict[str, str | None], clips: Sequence[Clip]) -> Point:
    name = (row["frame"] or "").strip()
    found = [
        (clip, frame) for clip in clips for frame in clip.frames if name in (frame.name, f"{clip.name}/{frame.name}")
    ]
    if len(found) != 1:
        trouble = f"is in {len(found)} clips; write it as clip/frame" if found else "is not among the frames"
        example = f"{clips[0].name}/{clips[0].frames[0].name}" if found else clips[0].frames[0].name
        raise InputError(f"{place}: frame: '{name}' {trouble}, such as {example}")
    clip, frame = found[0]
    u, v, metres = (_number(place, column, row[column]) for column in COLUMNS[1:])
    height, width = clip.image_size(frame)
    if not (0 <= round(u) < width and 0 <= round(v) < height):
        raise InputError(f"{place}: u, v: ({u:g}, {v:g}) lies outside of the image of {width}x{height} pixels")
    if metres <= 0:
        raise InputError(f"{place}: metres: is {metres:g}; give the distance from the lens to the point")
    seen_u, seen_v = _undistorted(frame, u, v)
    if not (-0.5 <= seen_u < width - 0.5 and -0.5 <= seen_v < height - 0.5):
        raise InputError(
            f"{place}: u, v: ({u:g}, {v:g}) is cut off where the lens is undistorted; give a point nearer to the middle"
        )
    return Point(clip, frame, seen_u, seen_v, metres)


def _undistorted(frame: Frame, u: float, v: float) -> tuple[float, float]:
    """Return where a pixel of the image on disk lies in the image as it is read; NaN where no ray reaches the pixel."""
    if not isinstance(frame.image, UndistortedImage):
        return u, v
    lens = frame.image.view.lens
    raw, pinhole = frame.image.view.cameras()
    x, y = lens.undistort(torch.tensor([(u - raw.cx) / raw.fx, (v - raw.cy) / raw.fy], dtype=torch.float64))[0].tolist()
    return x * pinhole.fx + pinhole.cx, y * pinhole.fy + pinhole.cy


def _number(place: str, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{place}: {column}: must be a number (found '{text or ''}')")
    return number
