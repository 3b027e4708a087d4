"""Fingerprints of clips, which show whether the data of a run has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from packdepth.records import Clip, Frame

SIZED = 256  # number of frames, spread over a clip, whose files are looked at: a few milliseconds on a local disk
FILES = ("image", "right", "depth", "lidar", "semantic")  # fields of a frame that are files


class Fingerprint(TypedDict):
    """The fingerprint of a clip."""

    clip: str  # name
    frames: int  # number of frames
    names: str  # hash of the names of the frames
    measurements: str  # hash of times, speeds and poses, and of the calibration
    files: str  # hash of the sizes of up to `SIZED` frames' files


def fingerprint(clip: Clip) -> Fingerprint:
    """Return the fingerprint of a clip: it is computed from what is known of the clip, and the sizes of some files.

    It holds no paths and no times of files, so that data may move to another disk. A file of the same size in place of
    another is not noticed, and of long clips, only some files are looked at.

    Args:
        clip: the clip.

    >>> from pathlib import Path
    >>> from packdepth.geometry.camera import Camera
    >>> clip = Clip("folder/a", Path("a"), Camera.from_fov(60, width=640, height=192), frames=())
    >>> fingerprint(clip)["frames"]
    0
    """
    frames = clip.frames
    numbers = np.empty((len(frames), 2))
    numbers[:, 0] = [frame.time for frame in frames]
    numbers[:, 1] = [np.nan if frame.speed is None else frame.speed for frame in frames]
    poses = [frame.pose for frame in frames if frame.pose is not None]
    camera = clip.camera
    facts = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, clip.baseline, clip.camera_height)
    return Fingerprint(
        clip=clip.name,
        frames=len(frames),
        names=_hash("\n".join(frame.name for frame in frames).encode()),
        measurements=_hash(
            numbers.tobytes()
            + (np.stack(poses).astype(np.float64).tobytes() if poses else b"")
            + repr(tuple(None if fact is None else float(fact) for fact in facts)).encode()
        ),
        files=_hash(repr([_sizes(frame) for frame in _spread(frames)]).encode()),
    )


def _spread(frames: Sequence[Frame]) -> list[Frame]:
    """Return up to `SIZED` frames, evenly spread, the first and the last among them."""
    places = np.unique(np.linspace(0, len(frames) - 1, min(SIZED, len(frames))).round().astype(int))
    return [frames[place] for place in places]


def _sizes(frame: Frame) -> list[int | None]:
    """Return the sizes of the files of a frame in bytes; None for a file that it does not have."""
    files = [getattr(frame, name) for name in FILES]
    return [file.path.stat().st_size if file is not None and file.path.is_file() else None for file in files]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def difference(before: Sequence[Fingerprint], after: Sequence[Fingerprint]) -> str | None:
    """Return in words the first difference between the clips of a run and the clips there are now; None without one.

    Args:
        before: the fingerprints of the clips of the run.
        after: the fingerprints of the clips there are now.

    >>> clip = Fingerprint(clip="folder/a", frames=6, names="n", measurements="m", files="f")
    >>> difference([clip], [clip | {"frames": 5, "names": "k"}])
    'clip folder/a had 6 frames, and has 5 now'
    """
    for old, new in zip(before, after, strict=False):
        if old["clip"] != new["clip"]:
            return f"clip {new['clip']} stands where {old['clip']} was"
        if old["frames"] != new["frames"]:
            return f"clip {old['clip']} had {old['frames']} frames, and has {new['frames']} now"
        if old["names"] != new["names"]:
            return f"the frames of clip {old['clip']} have other names"
        if old["measurements"] != new["measurements"]:
            return f"the times, speeds, poses or the calibration of clip {old['clip']} are others"
        if old["files"] != new["files"]:
            return f"the images or the measured depth of clip {old['clip']} are files of other sizes"
    if len(before) != len(after):
        return f"the number of clips was {len(before)}, and is {len(after)} now"
    return None
