"""Target frames of a clip, distances between frames, and checks of clips before training."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.calibrations.find import likely
from packdepth.sources.guess import common_guess, guess_in_words, with_fov
from packdepth.sources.speeds import likely_log

GAP = 1.5  # times the interval of the clip: a longer step is a gap. One missing frame makes a step of 2; chosen by eye


class Targets(Sequence[tuple[Clip, int]]):
    """Target frames, each as its clip and its index there, a pair that is made when it is asked for.

    Args:
        parts: clips, each with the indices of its targets.

    >>> from pathlib import Path
    >>> one, other = (Clip(name, Path(name), Camera.from_fov(60, width=640, height=192), frames=()) for name in "ab")
    >>> targets = Targets([(one, [1, 2]), (other, [7])])
    >>> len(targets), [(clip.name, index) for clip, index in targets], targets[-1][1]
    (3, [('a', 1), ('a', 2), ('b', 7)], 7)
    """

    def __init__(self, parts: Iterable[tuple[Clip, Sequence[int]]]) -> None:
        self._parts = [(clip, np.array(indices, dtype=np.int32)) for clip, indices in parts]
        self._ends = list(accumulate(len(indices) for _, indices in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, place: int) -> tuple[Clip, int]:  # type: ignore[override]  # no slices
        place = range(len(self))[place]
        part = bisect_right(self._ends, place)
        clip, indices = self._parts[part]
        return clip, int(indices[place - self._ends[part]])  # counted from the end of its clip


def target_indices(clip: Clip, offsets: Sequence[int], measured: bool = False) -> list[int]:
    """Return the indices of the frames whose context frames all exist, without a gap in time between them.

    If the clip names its targets, only those are returned; every frame may be a context frame. Unrelated images have no
    context frames: with offsets, none of them is a target.

    Args:
        clip: the clip.
        offsets: offsets of the context frames, in frames.
        measured: return only frames whose distances to all their context frames are known (see `distance`).
    """
    if clip.independent and offsets:
        return []
    part = np.cumsum([0, *gaps(clip)])  # number of gaps before each frame: equal for frames without a gap between them
    reach = [0, *offsets]
    by_speed = distance_source(clip) == "speed"
    lacks = [(frame.speed if by_speed else frame.pose) is None for frame in clip.frames]
    unknown = np.cumsum([0, *lacks])  # number of frames without a measurement before each frame
    return [
        i
        for i, frame in enumerate(clip.frames)
        if clip.is_target(frame)
        and all(0 <= i + o < len(part) for o in reach)
        and part[i + min(reach)] == part[i + max(reach)]
        and (not measured or _is_measured(unknown, by_speed, i, offsets))
    ]


def _is_measured(unknown: np.ndarray, by_speed: bool, target: int, offsets: Sequence[int]) -> bool:
    """Return whether the distances from a frame to its context frames are known.

    `unknown` [frames + 1] counts the frames without a measurement before each frame.
    """
    places = [target + offset for offset in (0, *offsets)]
    if by_speed:  # speeds are integrated over all frames between
        return bool(unknown[max(places) + 1] == unknown[min(places)])
    return all(unknown[place + 1] == unknown[place] for place in places)


def gaps(clip: Clip) -> np.ndarray:
    """Return for each step between consecutive frames whether it is a gap in time: [frames - 1] bool.

    Args:
        clip: the clip.

    >>> from pathlib import Path
    >>> from packdepth.sources.files import ImageFile
    >>> image, camera = ImageFile("image.png"), Camera.from_fov(60.0, 640, 192)
    >>> frames = tuple(Frame(name=str(time), time=time, image=image) for time in (0.0, 0.1, 0.2, 0.5))
    >>> gaps(Clip(name="clip", path=Path("clip"), camera=camera, frames=frames))
    array([False, False,  True])
    """
    steps = np.diff([frame.time for frame in clip.frames])
    return np.asarray(steps > GAP * (frame_interval(clip) or 0.0), dtype=bool)


def frame_interval(clip: Clip) -> float | None:
    """Return the seconds between neighboring frames of a clip: the nominal ones, otherwise the median.

    Args:
        clip: the clip. With less than two frames, the result is None.

    >>> frame_interval(Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), frames=(), interval=0.1)) is None
    True
    """
    if len(clip.frames) < 2:
        return None
    return clip.interval or float(np.median(np.diff([frame.time for frame in clip.frames])))


def unbroken(clip: Clip) -> list[Clip]:
    """Return the parts of a clip between its gaps in time, in order; a clip without a gap is returned as it is.

    The name of a part ends in the names of its first and last frame.

    Args:
        clip: the clip.

    >>> from packdepth.sources.files import ImageFile
    >>> image, camera = ImageFile(Path("image.png")), Camera.from_fov(60.0, 640, 192)
    >>> frames = tuple(Frame(name=str(time), time=time, image=image) for time in (0.0, 0.1, 0.2, 0.5, 0.6))
    >>> [part.name for part in unbroken(Clip(name="images/a", path=Path("a"), camera=camera, frames=frames))]
    ['images/a/0.0-0.2', 'images/a/0.5-0.6']
    """
    ends = (np.flatnonzero(gaps(clip)) + 1).tolist()
    if not ends:
        return [clip]
    parts = [clip.frames[first:end] for first, end in pairwise([0, *ends, len(clip.frames)])]
    interval = frame_interval(clip)
    return [
        replace(clip, name=f"{clip.name}/{part[0].name}-{part[-1].name}", frames=part, interval=interval)
        for part in parts
    ]


@lru_cache(maxsize=32)  # `distance` asks once for every pair of frames, and each answer counts all frames
def distance_source(clip: Clip) -> str | None:
    """Return the source of the distance traveled: "speed" or "poses", whichever more frames have; None if none has any.

    Args:
        clip: the clip.
    """
    speeds = sum(frame.speed is not None for frame in clip.frames)
    poses = sum(frame.pose is not None for frame in clip.frames)
    return None if not speeds and not poses else "speed" if speeds >= poses else "poses"


def distance(clip: Clip, target: int, context: int) -> float | None:
    """Return the distance traveled between two frames, in metres; None if it is not known.

    It is the integral of the measured speed over time (trapezoidal rule), which all frames between must have, or the
    distance between the measured poses of the two frames (see `distance_source`).

    Args:
        clip: the clip.
        target: index of one frame.
        context: index of the other frame.
    """
    if distance_source(clip) == "speed":
        low, high = sorted((target, context))
        speeds = [frame.speed for frame in clip.frames[low : high + 1]]
        known = np.array([speed for speed in speeds if speed is not None], dtype=np.float64)
        times = np.array([frame.time for frame in clip.frames[low : high + 1]])
        return float(np.trapezoid(known, times)) if len(known) == len(speeds) else None
    start, end = clip.frames[target].pose, clip.frames[context].pose
    return None if start is None or end is None else float(np.linalg.norm(end[:3, 3] - start[:3, 3]))


def motion(clip: Clip, target: int, context: int) -> np.ndarray:
    """Return the measured motion T_context_target between two frames of known poses: [4, 4], metres.

    Args:
        clip: the clip.
        target: index of one frame.
        context: index of the other frame.
    """
    start, end = clip.frames[target].pose, clip.frames[context].pose
    assert start is not None, "a target without a pose"
    assert end is not None, "a context frame without a pose"
    moved: np.ndarray = np.linalg.inv(end) @ start
    return moved


def has_measured_depth(frame: Frame) -> bool:
    """Return whether a frame has a depth map or a LiDAR scan.

    Args:
        frame: the frame.

    >>> from packdepth.sources.files import ImageFile
    >>> has_measured_depth(Frame(name="000000", time=0.0, image=ImageFile("000000.png")))
    False
    """
    return frame.depth is not None or frame.lidar is not None


def depth_source(clip: Clip) -> str | None:
    """Return the source of measured depth: "maps", "lidar" or "lidar and maps", or None if there is none.

    Args:
        clip: the clip.
    """
    names = {"lidar" if frame.depth is None else "maps" for frame in clip.frames if has_measured_depth(frame)}
    return " and ".join(sorted(names)) or None


def has_metric_height(clip: Clip) -> bool:
    """Return whether the height of a clip's camera can give metres: if it is stated, and the camera is calibrated.

    Args:
        clip: the clip.

    >>> has_metric_height(Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), (), camera_height=1.5))
    True
    """
    return clip.camera_height is not None and clip.missing_camera is None


def _speed_option(clips: Sequence[Clip]) -> str:
    """Return the option that gives clips their speeds: a topic of the recording, the log of a clip, or any log."""
    topic = next((clip.speed_option for clip in clips if clip.speed_option is not None), None)
    first_of_folders = {clip.path.parent: clip.path for clip in reversed(clips)}
    logs = (likely_log(path) for path in first_of_folders.values())
    return topic or next((f"speeds={log}" for log in logs if log is not None), "speeds=LOG")


def metres_advice(clips: Sequence[Clip]) -> str:
    """Return what to add to the options of a source, so that depth has metres.

    Args:
        clips: the clips, which have no speeds.

    >>> metres_advice([Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), (), missing_camera=Path("a.yaml"))])
    'add speeds=LOG, or height_m=METRES with fov=DEGREES or camera=FILE'
    """
    speeds = _speed_option(clips)
    uncalibrated = [clip for clip in clips if clip.missing_camera is not None]
    if any(clip.camera_height is not None for clip in uncalibrated):
        return f"add fov=DEGREES or camera=FILE, which height_m needs for metres, or {speeds}"
    if uncalibrated:
        return f"add {speeds}, or height_m=METRES with fov=DEGREES or camera=FILE"
    return f"add {speeds} or height_m=METRES"


def scale_in_words(clips: Sequence[Clip]) -> str | None:
    """Return one line that says that nothing gives depth its metres; None if something does.

    Args:
        clips: the clips.

    >>> from packdepth.sources.files import ImageFile
    >>> clip = Clip("a", Path("a"), Camera.from_fov(60.0, 640, 192), (Frame("0", 0.0, ImageFile("0.png")),))
    >>> scale_in_words([clip])
    'scale: none, depth will be known up to a factor; add speeds=LOG or height_m=METRES'
    """
    drives = [clip for clip in clips if not clip.independent]
    measured = (
        distance_source(clip)
        or has_metric_height(clip)
        or (clip.baseline and any(frame.right is not None for frame in clip.frames))
        or any(map(has_measured_depth, clip.frames))
        for clip in drives
    )
    if not drives or any(measured):
        return None
    return f"scale: none, depth will be known up to a factor; {metres_advice(drives)}"


def camera_advice(missing: Path) -> str:
    """Return what to do about a camera that is not known.

    Args:
        missing: the calibration file, which does not exist or holds a guess.
    """
    write = "write a calibration into it" if missing.exists() else f"write a calibration as {missing}"
    near = likely(missing.parent)
    file = f"camera={near[0]}, if that is its calibration" if near else "camera=FILE"
    return (
        f"name its calibration with {file}, or {write} (width, height, fx, fy, cx, cy in pixels), or state the "
        f"field of view with fov=DEGREES (in the run file, camera: {{fov: DEGREES}}), or learn the camera there with "
        f"camera: {{learn: true}}"
    )


def check_calibrated(clips: Sequence[Clip]) -> None:
    """Raise InputError, which names the file to write, if the camera of a clip is not known.

    Args:
        clips: the clips.
    """
    for clip in clips:
        missing = clip.missing_camera
        if missing is not None:
            lacks = f"{missing}: holds" if missing.exists() else f"{clip.path}: has"
            raise InputError(
                f"{lacks} no calibration of clip {clip.name}, whose camera is a guess of {guess_in_words(clip)}; "
                f"{camera_advice(missing)}"
            )


def distinct_cameras(clips: Sequence[Clip]) -> list[Camera]:
    """Return the distinct cameras of clips. Cameras of the same calibration and image size count once.

    Args:
        clips: the clips.
    """
    return list({_numbers(clip.camera): clip.camera for clip in clips}.values())


def first_guesses(clips: Sequence[Clip], fov: float | None) -> list[Camera]:
    """Return the cameras that learning begins with, one for each of the `distinct_cameras`.

    Args:
        clips: the clips.
        fov: horizontal field of view, in degrees. With None, it is that of the guess for clips without calibration, the
            one that is stated for a clip, and a common one for calibrated clips, whose calibration is left unread.
    """
    own = {_numbers(clip.camera): clip for clip in clips}.values()
    guesses = [
        clip.camera
        if clip.missing_camera is not None or clip.stated_fov is not None
        else common_guess(clip.camera.height, clip.camera.width).camera
        for clip in own
    ]
    return guesses if fov is None else [with_fov(guess, fov) for guess in guesses]


def camera_index(clip: Clip, cameras: Sequence[Camera]) -> int:
    """Return the index of a clip's camera among distinct cameras. Raises InputError if it is not one of them.

    Args:
        clip: the clip.
        cameras: the distinct cameras.
    """
    numbers = [_numbers(camera) for camera in cameras]
    if _numbers(clip.camera) not in numbers:
        raise InputError(
            f"{clip.path}: clip {clip.name} has a camera that no training clip has, but cameras are learned from "
            f"those; validate on clips of the cameras that are trained on"
        )
    return numbers.index(_numbers(clip.camera))


def _numbers(camera: Camera) -> tuple[float, ...]:
    return *camera.numbers, camera.width, camera.height


def check_scans(clips: Sequence[Clip]) -> None:
    """Raise InputError, which names the clip, if a clip has no LiDAR scan at all.

    Args:
        clips: the clips.
    """
    for clip in clips:
        if all(frame.lidar is None for frame in clip.frames):
            raise InputError(
                f"data.beams chooses among the beams of LiDAR scans, but clip {clip.name} ({clip.path}) has no scan; "
                f"train on clips with scans, or remove data.beams"
            )
