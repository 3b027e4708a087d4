"""Video files: frames by number for training, in order for prediction.

A frame's number is its place in the order of showing. Numbers and times come from the stamps of the packets, which are
read without decoding. PyAV is imported when a video is opened.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.files import require

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

REORDERING = 16  # frames that a codec may hold back: the most that H.264 and H.265 allow


@dataclass(frozen=True)
class VideoInfo:
    """What a video is, without decoding more than its first frame."""

    times: tuple[float, ...]  # seconds, of each frame
    fps: Fraction  # nominal frames per second, such as 30000/1001
    height: int  # pixels, as it is shown: a rotation that the file asks for is applied
    width: int

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.times)


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video. Reading frames in rising order is fast: each process keeps its last videos open."""

    path: Path
    index: int  # of the frame, from 0

    def read(self) -> np.ndarray:
        """[H, W, 3] uint8, RGB."""
        modified = require(self.path, "a video").stat().st_mtime_ns
        return _decoder(self.path, modified, os.getpid()).read(self.index)


def probe(path: Path) -> VideoInfo:
    """Times, rate and size of a video. Raises InputError if it cannot be decoded or is cut off."""
    index = _index(path)
    with _open(path) as container:
        for _, frame in _frames(container, index, path):
            height, width = _upright(frame).shape[:2]
            return VideoInfo(index.times, index.fps, height, width)
    raise InputError(f"{path}: none of its frames can be decoded; convert it to H.264 in mp4")


def iterate(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Time (seconds) and image [H, W, 3] (uint8, RGB) of each frame, in order."""
    index = _index(path)
    with _open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in _frames(container, index, path):
            yield index.times[number], _upright(frame)


# --- frames by number -------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _decoder(path: Path, modified: int, process: int) -> _Decoder:
    """The open video of a process: a forked one opens its own, so as not to share the place in the file."""
    return _Decoder(path)


class _Decoder:
    """An open video. It is read forward; to go back, or past a key frame ahead, it is entered at a key frame.

    It decodes in one thread: the workers of a data loader fill the cores already, and no thread survives a fork.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = _index(path)
        self._container: InputContainer
        self._coming: Iterator[tuple[int, av.VideoFrame]]  # numbers and frames, from `_next` on
        self._next: int
        self._recent: deque[tuple[int, av.VideoFrame]] = deque(maxlen=8)  # neighbors are read in any order
        self._enter(0)

    def read(self, number: int) -> np.ndarray:
        """[H, W, 3] uint8, RGB, of a frame."""
        if not 0 <= number < len(self._index.times):
            raise InputError(f"{self._path}: has no frame {number}; it has {len(self._index.times)} frames")
        for recent, frame in self._recent:
            if recent == number:
                return _upright(frame)
        return _upright(self._find(number))

    def _find(self, number: int) -> av.VideoFrame:
        key = bisect_right(self._index.keys, number) - 1
        if not self._index.keys[key] <= self._next <= number:
            self._enter(key)
        while True:
            for coming, frame in self._coming:
                self._recent.append((coming, frame))
                self._next = coming + 1
                if coming == number:
                    return frame
                if coming > number:
                    break
            if key == 0:
                raise InputError(f"{self._path}: frame {number} cannot be decoded; convert the video to H.264 in mp4")
            key //= 2  # the video was entered too late: seeking is not exact in every format
            self._enter(key)

    def _enter(self, key: int) -> None:
        """Go to a key frame, so that it is the next frame to come, or one of the next."""
        import av

        if key > 0:
            try:
                number = self._index.keys[key]
                self._container.seek(self._index.stamps[number], stream=self._container.streams.video[0])
            except av.FFmpegError:  # a format without seeking
                key = 0
        if key == 0:
            self._container = _open(self._path)
            self._container.streams.video[0].codec_context.thread_count = 1
        self._coming = _frames(self._container, self._index, self._path)
        self._next = self._index.keys[key]


# --- packets and stamps -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Index:
    """The frames of a video in the order of showing."""

    times: tuple[float, ...]  # seconds
    stamps: tuple[int, ...]  # presentation stamps; empty if they do not tell the order, frames are then counted
    entries: dict[int, int]  # bytes of each packet where decoding can start, by stamp; empty without stamps
    fps: Fraction

    @cached_property
    def numbers(self) -> dict[int | None, int]:
        """Frame numbers by stamp."""
        return {stamp: number for number, stamp in enumerate(self.stamps)}

    @cached_property
    def keys(self) -> list[int]:
        """Numbers of the frames where decoding can start, in order; 0 is the first."""
        return sorted({0, *(self.numbers[stamp] for stamp in self.entries if stamp in self.numbers)})

    def is_entry(self, packet: av.Packet[av.VideoStream]) -> bool:
        """Whether decoding can start at a packet: one that the scan met: seeking spoils the stamps of some formats."""
        if not self.stamps:
            return packet.is_keyframe
        return packet.pts is not None and self.entries.get(packet.pts) == packet.size


def _index(path: Path) -> _Index:
    return _scan(path, require(path, "a video").stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _scan(path: Path, modified: int) -> _Index:
    """The index of a video, from its packets: those from the first key frame on, which are to be shown."""
    import av

    entries: dict[int, int] = {}
    stamps: list[int | None] = []  # in the order of decoding
    entered = False
    with _open(path) as container:
        stream = container.streams.video[0]
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    raise InputError(
                        f"{path}: is cut off or damaged after {len(stamps)} frames; copy it again, or convert it"
                    )
                entered = entered or packet.is_keyframe
                if packet.is_keyframe and packet.pts is not None:
                    entries[packet.pts] = packet.size
                if entered and packet.size > 0 and not packet.is_discard:
                    stamps.append(packet.pts)
        except av.FFmpegError as error:
            raise InputError(
                f"{path}: is damaged after {len(stamps)} frames ({error.strerror}); copy it again, or convert it"
            ) from None
        fps, time_base = stream.guessed_rate or stream.average_rate, stream.time_base
        shown = _shown(stamps, stream.codec_context.has_b_frames)
    if not stamps or not fps or not time_base:
        raise InputError(f"{path}: holds no frame that can be decoded; convert it to H.264 in mp4")
    if not shown:
        return _Index(times=tuple(float(number / fps) for number in range(len(stamps))), stamps=(), entries={}, fps=fps)
    # Frames that are shown before the first key frame lack what they refer to.
    shown = shown[bisect_left(shown, next(iter(entries), shown[0])) :]
    times = tuple(float(stamp * time_base) for stamp in shown)
    return _Index(times, stamps=tuple(shown), entries=entries, fps=fps)


def _shown(stamps: list[int | None], reorders: bool) -> list[int]:
    """The stamps of packets in the order of showing; empty if they do not tell it.

    They do not if some are missing or doubled, if they are in the order of decoding though the codec reorders frames
    (AVI has no other), or if they jump, as in recordings that were joined.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    shown = sorted(set(known))
    if len(shown) < len(stamps) or (reorders and shown == known):
        return []
    places = {stamp: place for place, stamp in enumerate(shown)}
    jumps = any(abs(places[stamp] - place) > REORDERING for place, stamp in enumerate(known))
    return [] if jumps else shown


def _open(path: Path) -> InputContainer:
    """An open video file with a video stream."""
    import av

    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise InputError(f"{path}: is no video that can be opened ({error.strerror}); copy it again") from None
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: has no video stream; give a file that has one")
    return container


def _frames(container: InputContainer, index: _Index, path: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Number and content of the frames to come, from the next entry on."""
    from av.error import FFmpegError

    entered, count, at = False, 0, 0
    try:
        for packet in container.demux(container.streams.video[0]):
            entered = entered or index.is_entry(packet)
            at = index.numbers.get(packet.pts, count)
            for frame in packet.decode() if entered else ():
                number = index.numbers.get(frame.pts) if index.stamps else count
                count += 1
                if number is not None:
                    yield number, frame
    except FFmpegError as error:
        raise InputError(
            f"{path}: is damaged near frame {at} ({error.strerror}); copy it again, or convert it"
        ) from None


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """[H, W, 3] uint8, RGB, of a decoded frame, turned as the file asks for."""
    image = frame.to_ndarray(format="rgb24", threads=1)
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))
