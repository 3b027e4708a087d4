"""Data of any kind at a path, opened as clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.base import with_stated_fov
from packdepth.sources.guess import MAX_FOV, MIN_FOV
from packdepth.sources.recognize import source_at


def open_clips(
    path: str | Path,
    kind: str | None = None,
    options: Sequence[str] = (),
    camera: Path | None = None,
    fov: float | None = None,
) -> list[Clip]:
    """Return the clips at a path, which is an image, a folder of images, a video or a data set of any kind.

    Images are read on demand (`frame.image.read()`). Those of a plain folder may differ in size.

    Args:
        path: a file or a folder. For KITTI, it may also be the folder of a date, a drive or a sequence.
        kind: the kind of source, such as "kitti_raw"; if left out, it is recognized by the content.
        options: options of the source, each as `key=value`, such as "cameras=[left, right]".
        camera: a calibration file for the images, in place of the camera that the source knows.
        fov: horizontal field of view of images without calibration, in degrees between the left and the right border.

    Raises InputError for data of no known kind or of several, for data that cannot be read, for an unknown option, for
    a camera of another image size, and for a field of view of images whose camera is known.
    """
    if fov is not None:
        check_fov(fov, camera)
        return [with_stated_fov(clip, fov) for clip in open_clips(path, kind, options)]
    source = source_at(Path(path), kind, options)
    if camera is not None and "camera" in type(source).model_fields:
        return source.model_copy(update={"camera": camera}).clips(one_size=False)
    return source.clips(one_size=False, camera=camera)


def check_names(clips: Sequence[Clip], path: str | Path, action: str) -> None:
    """Raise InputError if clips or frames cannot be written side by side, for two of them have one name.

    Args:
        clips: the clips.
        path: their path, for the sentence.
        action: what is done with them, a verb.

    >>> check_names([], "data", "predict")
    """
    for name, count in Counter(clip.short_name for clip in clips).items():
        if count > 1:
            raise InputError(f"{path}: has several clips of one name ({name}); {action} them one by one")
        if name in ("", ".", ".."):
            raise InputError(f"{path}: has a clip of the name '{name}', which no folder can have; rename it")
    for clip in clips:
        paths: dict[str, Path] = {}
        for frame in clip.frames:
            if len(Path(frame.name).parts) != 1 or frame.name == "..":
                raise InputError(f"{path}: has a frame of the name '{frame.name}', which no file can have; rename it")
            if frame.name in paths:
                raise InputError(
                    f"{frame.image.path}: has the name of another frame of {clip.name}, {paths[frame.name]}; rename "
                    f"one of them"
                )
            paths[frame.name] = frame.image.path


def check_fov(fov: float, camera: Path | None) -> None:
    """Raise InputError for a stated field of view that no camera has, and for one beside a calibration file.

    Args:
        fov: horizontal field of view, in degrees.
        camera: the calibration file, or None.

    >>> check_fov(70.0, None)
    """
    if camera is not None:
        raise InputError(f"{camera}: is given beside a field of view; give one of them")
    if not MIN_FOV <= fov <= MAX_FOV:
        raise InputError(f"--fov: is {fov:g}; give degrees between {MIN_FOV:g} and {MAX_FOV:g}")
