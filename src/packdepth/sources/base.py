"""Base class of all sources. A source is a block of the run file that finds its clips on disk."""

from __future__ import annotations

import gc
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np

from packdepth.blocks import Block, ByKind, Family, blaming, package_of
from packdepth.errors import InputError, InputWarning
from packdepth.geometry.height import HeightAboveRoad
from packdepth.reading import refusing
from packdepth.records import Clip, Frame
from packdepth.sources.calibrations.find import is_calibration
from packdepth.sources.camera_file import check_in_pixels, with_camera
from packdepth.sources.checked import checked_frame, checked_image
from packdepth.sources.guess import FieldOfView, assume_fov
from packdepth.sources.pose_scale import with_metric_poses
from packdepth.sources.rigid import is_rigid
from packdepth.sources.speeds import SpeedLog, UnattachedError, with_speeds
from packdepth.sources.split import Entry, own_entry, read_lines, select
from packdepth.sources.tracks.read import RECEIVERS, TABLES
from packdepth.sources.undistort import undistorted

LONGER = 1.5  # times the median step of a clip: a longer nominal interval is taken for one in another unit


def median_step(times: Sequence[float]) -> float | None:
    """Return the median step between consecutive times, in seconds; None for fewer than two times.

    Args:
        times: rising times, in seconds, of all frames that a data set lists, even if some are not on disk.

    >>> median_step([0.0, 0.1, 0.2, 0.9])
    0.1
    """
    return float(np.median(np.diff(times))) if len(times) > 1 else None


def check_frame_sizes(clip: Clip) -> None:
    """Raise InputError, which names the first deviating image, if the images of a clip differ in size.

    Args:
        clip: the clip.
    """
    for frame in clip.frames:
        if frame.size is not None:
            height, width = frame.size
            raise InputError(
                f"{frame.image.path}: is {width}x{height} pixels, but other images of {clip.path} are "
                f"{clip.camera.width}x{clip.camera.height}; give images of one size, as for all but prediction"
            )


def with_stated_fov(clip: Clip, fov: float) -> Clip:
    """Return a clip with a stated field of view.

    Args:
        clip: the clip.
        fov: horizontal field of view, in degrees.

    Raises InputError if the camera of the clip is known, or if its images differ in size.
    """
    if clip.missing_camera is None:
        raise InputError(
            f"{clip.path}: its camera is known, {clip.camera.fov():.1f} degrees across; leave out the field of view"
        )
    check_frame_sizes(clip)
    (assumed,) = assume_fov([clip], fov)
    return assumed


def check_known_camera(clip: Clip) -> None:
    """Raise InputError if the numbers of a known camera are none of an image's: each source reads its own calibration.

    Args:
        clip: the clip.
    """
    if clip.missing_camera is not None:
        return
    try:
        check_in_pixels(clip.camera)
    except ValueError as error:
        origin = clip.path if clip.calibration is None else clip.calibration[0]
        raise InputError(f"{origin}: camera of clip {clip.name}: {error}") from None


def check_interval(clip: Clip) -> None:
    """Raise InputError if the nominal interval of a clip is much longer than the median step between its frames.

    With such an interval, missing frames would not be noticed as gaps.

    Args:
        clip: the clip.
    """
    step = median_step([frame.time for frame in clip.frames])
    if clip.interval is not None and step is not None and clip.interval > LONGER * step > 0:
        raise InputError(
            f"{clip.path}: interval_s is {clip.interval:g}, but its frames are {step:.4g} s apart; write the seconds "
            f"from a frame to the next (neither milliseconds nor frames per second), or leave it out"
        )


def unread_names(paths: Iterable[Path], suffixes: Collection[str]) -> list[str]:
    """Return the names of files beside a source's data that packdepth does not read.

    Args:
        paths: files in the folder of the data, in order.
        suffixes: suffixes of the data, in lower case. Logs of speeds and calibrations are read, too.

    >>> unread_names([Path("a.mp4"), Path("a.srt"), Path("camera.yaml"), Path("speeds.csv")], (".mp4",))
    ['a.srt']
    """
    read = {*suffixes, *TABLES, *RECEIVERS}
    return [path.name for path in paths if path.suffix.lower() not in read and not is_calibration(path)]


def check_found(kind: str, clips: object) -> list[Clip]:
    """Return the clips that a source of another project has found, with files that are checked when they are read.

    Names, times, speeds and poses of all frames are checked. The first image of each clip is read, and what else its
    frame has.

    Args:
        kind: kind of the source.
        clips: result of its `find`.

    Raises InputError, one sentence, unless the clips are valid.
    """
    if not isinstance(clips, list) or not clips or not all(isinstance(clip, Clip) for clip in clips):
        found = "an empty list" if clips == [] else f"a {type(clips).__name__}"
        raise InputError(f"source '{kind}': find returns {found}; return a list of at least one packdepth.records.Clip")
    double = next((name for name, count in Counter(clip.name for clip in clips).items() if count > 1), None)
    if double is not None:
        raise InputError(f"source '{kind}': two clips are named {double}; give each its own name")
    checked = []
    for clip in clips:
        names = [frame.name for frame in clip.frames]
        if not names or len(set(names)) < len(names):
            what = "two frames of one name" if names else "no frame"
            raise InputError(f"source '{kind}': clip {clip.name} has {what}; give it frames, each with its own name")
        for frame in clip.frames:
            _check_frame(kind, clip, frame)
        times = [frame.time for frame in clip.frames]
        if not clip.independent and any(later <= earlier for earlier, later in pairwise(times)):
            raise InputError(f"source '{kind}': times of clip {clip.name} do not rise; order its frames by their time")
        checked.append(replace(clip, frames=tuple(checked_frame(kind, clip, frame) for frame in clip.frames)))
        first = checked[-1].frames[0]
        others = first.right, first.depth, first.lidar, first.semantic, first.instance, first.moving
        for file in filter(None, (checked_image(kind, clip, clip.frames[0]), *others)):
            file.read()
    return checked


def _check_frame(kind: str, clip: Clip, frame: Frame) -> None:
    """Raise InputError unless name, time, speed and pose of a frame are what they should be."""
    if not isinstance(frame.name, str):
        wrong = f"its name is {frame.name!r}; give a text"
    elif not _is_finite(frame.time):
        wrong = f"its time is {frame.time!r}; give seconds"
    elif frame.speed is not None and not (_is_finite(frame.speed) and frame.speed >= 0):
        wrong = f"its speed is {frame.speed!r}; give metres per second, 0 or more, or None where it is not known"
    elif frame.pose is not None and not (isinstance(frame.pose, np.ndarray) and is_rigid(frame.pose)):
        wrong = (
            "its pose is no rigid motion; give T_world_camera, an array [4, 4] with a rotation at the upper left, the "
            "position in metres in the last column, and 0, 0, 0, 1 in the last row"
        )
    else:
        return
    raise InputError(f"source '{kind}': frame {frame.name} of clip {clip.name}: {wrong}")


def _is_finite(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Let the garbage collector rest: frames hold no cycles, and a pass through a million of them takes seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Source(Block, ABC):
    """Data set on disk, in one format. Its `kind` is the name of the format in a run file."""

    place: ClassVar[str] = "root"
    """Name of the field that holds the path of the data."""
    class_names: ClassVar[tuple[str, ...] | None] = None
    """Names of the classes of the format's label maps, by class id; None if they differ from clip to clip
    (`Clip.classes`). Pixels without a class have the id 255."""

    split_file: Path | None = None
    """Split file, which lists the clips to use, or the frames of them that may be targets (docs/reference/files.md).

    The other frames of these clips serve as context frames only.
    """
    partial: bool = False
    """Accept that listed data is missing on disk: use the rest, with a warning. If false, missing data is an error."""
    frames: tuple[int, int] | None = None
    """Range of frames to use of each clip: index of the first, and index of the last plus one. All if left out."""
    height_m: HeightAboveRoad | None = None
    """Height of the camera above the road, in metres, in place of that of camera.yaml."""
    pose_scale: Literal["metric", "unknown"] | None = None
    """Scale of the poses: `unknown` for those of COLMAP or of monocular SLAM, which are not used then.

    If left out, they are metres, unless the calibration is COLMAP's.
    """
    speeds: Path | None = None
    """Log of speeds (CSV, GPX, NMEA, or a GoPro video), a folder with one for each clip, or `self`: the video itself.

    The frames get these speeds instead of those of the data (docs/how-to/speeds.md).
    """
    column: str | None = None
    """Name of the column of the speed in a table; if left out, it is recognized by the header. For the topic `speed`
    of a recording, the field of its messages."""
    unit: str | None = None
    """Unit of the speed in a table: m/s, km/h, mph or knots; if left out, the one that the table names. For the
    topic `speed` of a recording, the unit of its field."""
    offset: float | Literal["auto"] | None = None
    """Logger's time at the first frame, in seconds, or `auto`: found from the images. If left out, UTC clocks or 0."""

    @classmethod
    @abstractmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file or folder looks like this format.

        Args:
            path: file or folder, which exists.
        """

    @classmethod
    def tries(cls, path: Path) -> bool:
        """Return whether this format can try to read a file or folder that no format recognizes.

        Args:
            path: file or folder, which exists.
        """
        return False

    @classmethod
    def block(cls, path: Path) -> dict[str, Any]:
        """Return the fields, besides `kind`, that select the data at a path.

        Args:
            path: path of the data set, or of a part of it if the format has parts; only this part is then selected.
        """
        return {cls.place: str(path)}

    @abstractmethod
    def find(self) -> list[Clip]:
        """Find all clips of the source. Raises InputError if something is missing or does not fit together."""

    def entry(self, where: str, line: str) -> Entry:
        """Parse a line of the split file. A format may override this method to accept other notations.

        Args:
            where: file and line number, for messages.
            line: text of the line.
        """
        return own_entry(where, line)

    def entries(self) -> list[Entry]:
        """Return the entries of the split file; none if there is no split file."""
        return [self.entry(*line) for line in read_lines(self.split_file)] if self.split_file else []

    def restricted_to(self, split_file: Path) -> Self:
        """Return the source restricted to the clips and targets of a split file, in place of an earlier restriction.

        Args:
            split_file: the split file.
        """
        return self.model_copy(update={"split_file": split_file})

    def with_stated_camera(self, clip: Clip) -> Clip:
        """Return a clip with what the block itself states of its camera; the clip as it is, if it states nothing.

        Args:
            clip: the clip, with the camera of its calibration or a guess.
        """
        return clip

    def clips(
        self, one_size: bool = True, camera: Path | None = None, unattached: dict[str, UnattachedError] | None = None
    ) -> list[Clip]:
        """Return the clips of the source, restricted to the split file and to `frames`. Their images are undistorted.

        Args:
            one_size: refuse clips whose images differ in size, which only prediction can use.
            camera: camera file of the images on disk, in place of the camera that the source knows.
            unattached: receives, by the name of a clip, why a log of speeds does not fit it; such a clip then has no
                speeds. With None, this is an error.

        Raises InputError if something is missing, does not fit together or is refused.
        """
        at = getattr(self, self.place)
        blamed = blaming(f"source '{self.kind}'", type(self))
        with refusing(at, f"data of the kind '{self.kind}'"), blamed, _without_collection():
            clips = self.find()
            if package_of(type(self)) is not None:
                clips = check_found(self.kind, clips)
        if self.class_names is not None:
            clips = [replace(clip, classes=self.class_names) for clip in clips]
        clips = [clip if camera is None else with_camera(clip, camera) for clip in clips]
        for clip in clips:
            check_known_camera(clip)
        clips = [undistorted(self.with_stated_camera(clip)) for clip in clips]
        if one_size:
            for clip in clips:
                check_frame_sizes(clip)
        for clip in clips:
            check_interval(clip)
        if self.height_m is not None:
            clips = [replace(clip, camera_height=self.height_m) for clip in clips]
        clips = [with_metric_poses(clip, self.pose_scale) for clip in clips]
        log = self._speed_log()
        if log is not None:
            clips = with_speeds(clips, log, unattached)
        if self.split_file is not None:
            entries = self.entries()
            clips, absent = select(clips, entries)
            what = [f"{e.where}: {' '.join(filter(None, (e.clip, e.frame)))}" for e in absent]
            self.missing(what, len(entries), "entries", self.split_file)
        if self.frames is None:
            return clips
        first, last = self.frames
        for clip in clips:
            if not 0 <= first < last <= len(clip.frames):
                raise InputError(
                    f"{clip.path}: frames: [{first}, {last}] is not a range within its {len(clip.frames)} frames; "
                    f"give the first frame and one past the last"
                )
        return [replace(clip, frames=clip.frames[first:last]) for clip in clips]

    def _speed_log(self) -> SpeedLog | None:
        """Return what the run file says about speeds. Raises InputError for options of speeds without `speeds`."""
        if self.speeds is not None:
            return SpeedLog(self.speeds, self.column, self.unit, self.offset)
        for name in ("column", "unit", "offset"):
            if getattr(self, name) is not None:
                raise InputError(f"source '{self.kind}': {name} is of a log of speeds; give speeds=FILE as well")
        return None

    def missing(self, absent: Sequence[object], listed: int, what: str, where: Path) -> None:
        """Raise InputError for listed items that are not on disk. If `partial`, warn instead, unless all are absent.

        Args:
            absent: items that are not on disk; the message names the first one.
            listed: number of listed items.
            what: plural noun for the items, such as "images".
            where: file that lists the items.
        """
        if not absent:
            return
        count = f"{len(absent)} of the {listed} {what} of {where} are not on disk"
        if not self.partial or len(absent) == listed:
            raise InputError(f"{absent[0]}: not found ({count}); get it, or use what is there with 'partial: true'")
        warnings.warn(f"{count}; the others are used", InputWarning, stacklevel=2)


class UncalibratedSource(Source):
    """Base class of the formats whose data may lack a calibration."""

    fov: FieldOfView | None = None
    """Horizontal field of view of data without calibration, in degrees between the left and the right border."""

    def with_stated_camera(self, clip: Clip) -> Clip:
        """Return a clip with the field of view that the block states. Raises InputError if its camera is known.

        Args:
            clip: the clip, with the camera of its calibration or a guess.
        """
        return clip if self.fov is None else with_stated_fov(clip, self.fov)


SOURCES = Family(Source, "packdepth.sources", ("packdepth.sources",))  # type: ignore[type-abstract]
AnySource = Annotated[Source, ByKind(SOURCES, keep_unknown=True)]
