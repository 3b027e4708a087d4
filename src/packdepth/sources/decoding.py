"""Decoding of video files: frames by number for training, frames in order for prediction.

The number of a frame is its position in display order. Numbers and times come from the time stamps of the packets,
which are read without decoding. PyAV is imported when a video is opened.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from packdepth.errors import InputError
from packdepth.reading import refusing
from packdepth.sources.content import lacks_index, refuse_disguise
from packdepth.sources.files import require
from packdepth.sources.stills import opened

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv"),
    *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc"),
    *(".lrv", ".lrf"),
)  # suffixes of videos; the last two are low-resolution copies
MAX_REORDERING = 16  # frames that a codec may hold back: the limit of H.264 and H.265
OPEN_VIDEOS = 4  # videos that a process keeps open: samples of a batch come from several clips
RECENT_FRAMES = 8  # decoded frames that are kept: a target and its context frames are read in any order
PROBED_KEY_FRAMES = 4  # key frames, spread over a video, and the last, whose sizes are compared: milliseconds each
CAPTURE_RATE = "com.android.capture.fps"  # frames per second of the recording, which slow motion shows at fewer
OTHER_RATE = 1.2  # factor between two rates that are not meant to be one
FORMATS = (  # FFmpeg's names of the containers that are read: no playlists, no lists of files, no images; of sound,
    # so that the sentence says what is missing
    *("wav", "mp3", "flac", "aac"),
    *("mov", "matroska", "avi", "asf", "flv", "ogg", "mpegts", "mpeg", "mpegvideo", "mjpeg", "h264", "hevc", "m4v"),
    *("mxf", "dv", "vc1", "av1", "obu", "ivf", "nut", "gif", "apng"),
)
LIMITS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}  # options of FFmpeg for files
IMAGE_CODECS = ("mjpeg", "png", "bmp", "gif", "webp")  # codecs of previews and chapters beside a video
PQ = 16  # FFmpeg's number of the transfer function of SMPTE ST 2084, which HDR10 and Dolby Vision use
TIME_BASE = 10**6  # FFmpeg's units of a second for the duration of a file
EBML, DURATION = b"\x1a\x45\xdf\xa3", b"\x44\x89"  # of Matroska: the first bytes of a file, and the element's id
FLOAT_SIZES = (b"\x84", b"\x88")  # how its size is written: 4 or 8 bytes
MATROSKA_HEAD = 4096  # bytes at the beginning of a file that hold its duration
MISSING_END = 0.5  # seconds by which a sound Matroska file may end before its stated duration, which is rounded
MAX_TILT = 1  # degrees by which a rotation may differ from quarter turns, as its matrix is rounded
MAX_PIXELS = 128 * 10**6  # of a frame: 8K video has 33 million
INDEXED_VIDEOS = 64  # videos whose index is kept in memory: a few numbers for each frame


@dataclass(frozen=True)
class VideoInfo:
    """Description of a video, for which only its first frame is decoded."""

    times: tuple[float, ...]  # seconds, of each frame
    fps: Fraction  # nominal frames per second, such as 30000/1001
    height: int  # pixels, after the rotation that the file asks for
    width: int  # pixels, after the rotation that the file asks for
    pixel_aspect: float = 1.0  # width of a pixel over its height, after the rotation; 1 if the file does not say
    interlaced: bool = False  # whether odd and even rows show different moments
    hidden: int = 0  # other videos in the file, as cameras with several lenses write them, which are not read
    is_pq: bool = False  # whether its values are those of HDR by PQ, which need tone mapping to look like others
    slowness: float = 1.0  # seconds of the file over those of the recording: 4 in slow motion of 120 frames shown at 30

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.times)


@dataclass(frozen=True)
class VideoFrame:
    """Frame of a video. Each process keeps its last videos open, so reading frames in rising order is fast."""

    path: Path  # video file
    index: int  # number of the frame, from 0

    def read(self) -> np.ndarray:
        """Decode the frame: [H, W, 3] uint8, RGB."""
        modified = require(self.path, "a video").stat().st_mtime_ns
        return _decoder(self.path, modified, os.getpid()).read(self.index)


def probe(path: Path) -> VideoInfo:
    """Return times, frame rate and size of a video.

    Args:
        path: the video file. Raises InputError if it cannot be decoded, or is truncated.
    """
    index = _index(path)
    with refusing(path, "a video"), _open(path) as container:
        stream = shown_stream(container)
        for _, frame in _frames(container, index, path):
            if _off_quarter(frame.rotation) > MAX_TILT:
                raise InputError(
                    f"{path}: asks to be turned by {frame.rotation} degrees, which leaves no upright image; convert it "
                    f"without this rotation"
                )
            height, width = upright_image(frame).shape[:2]
            aspect = float(stream.sample_aspect_ratio or 1)
            aspect = 1 / aspect if round(frame.rotation / 90) % 2 else aspect
            return VideoInfo(
                times=index.times,
                fps=index.fps,
                height=height,
                width=width,
                pixel_aspect=aspect,
                interlaced=bool(frame.interlaced_frame),
                hidden=sum(_is_video(other) for other in _pictures(container)) - 1 if _is_video(stream) else 0,
                is_pq=frame.color_trc == PQ,
                slowness=index.slowness,
            )
    raise InputError(f"{path}: none of its frames can be decoded; convert it to H.264 in mp4")


def check_one_size(path: Path, first: int = 0, last: int | None = None) -> None:
    """Raise InputError unless a part of a video is of one size, before something reads all of it.

    Some key frames are decoded, spread over the part, or all key frames if none can be sought.

    Args:
        path: the video file.
        first: number of the first frame of the part.
        last: number of its last frame; None for the last of the video. Without key frames to seek, all are decoded.
    """
    index = _index(path)
    keys = [key for key in index.keys if first < key <= (len(index.times) if last is None else last)]
    for number in dict.fromkeys([*keys[:: -(-len(keys) // PROBED_KEY_FRAMES) or 1], *keys[-1:]]):
        VideoFrame(path, number).read()
    if not index.stamps:
        with _open(path) as container:
            shown_stream(container).codec_context.skip_frame = "NONKEY"
            for _ in _frames(container, index, path):
                pass


def iterate(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield time (seconds) and image [H, W, 3] (uint8, RGB) of each frame, in order.

    Args:
        path: the video file. Raises InputError if it cannot be decoded or is damaged.
    """
    index = _index(path)
    with refusing(path, "a video"), _open(path) as container:
        shown_stream(container).thread_type = "AUTO"
        for number, frame in _frames(container, index, path):
            yield index.times[number], upright_image(frame)


def creation_time(path: Path) -> float | None:
    """Return the creation time that a video's container states, in seconds since 1970 (UTC); None if it states none.

    Args:
        path: the video file. Raises InputError if it cannot be opened.
    """
    with _open(path) as container:
        places = [container.metadata, *(stream.metadata for stream in container.streams.video)]
    for text in (place.get("creation_time") for place in places):
        if text:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


# --- frames by number -------------------------------------------------------------------------------------------


@lru_cache(maxsize=OPEN_VIDEOS)
def _decoder(path: Path, modified: int, process: int) -> _Decoder:
    """Open a video, once per process: a forked process opens its own, so that they do not share a file position.

    `modified` (time of the last change, nanoseconds) and `process` (its id) distinguish entries of the cache.
    """
    return _Decoder(path)


class _Decoder:
    """Open video. It is decoded forward; to reach an earlier frame, or one behind a later key frame, it seeks.

    It decodes in one thread, because the workers of a data loader use all cores already, and threads do not survive a
    fork.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = _index(path)
        self._container: InputContainer
        self._coming: Iterator[tuple[int, av.VideoFrame]]  # numbers and frames, from `_next` on
        self._next: int
        self._recent: deque[tuple[int, av.VideoFrame]] = deque(maxlen=RECENT_FRAMES)
        self._enter(0)

    def read(self, number: int) -> np.ndarray:
        """Return a frame: [H, W, 3] uint8, RGB.

        Args:
            number: number of the frame, from 0. Raises InputError if there is no such frame.
        """
        if not 0 <= number < len(self._index.times):
            raise InputError(f"{self._path}: has no frame {number}; it has {len(self._index.times)} frames")
        with refusing(self._path, "a video"):
            for recent, frame in self._recent:
                if recent == number:
                    return upright_image(frame)
            return upright_image(self._find(number))

    def _find(self, number: int) -> av.VideoFrame:
        """Decode until a frame is reached, after seeking if that is needed."""
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
            key //= 2  # Seeking is not exact in every format and led behind the frame: try an earlier key frame.
            self._enter(key)

    def _enter(self, key: int) -> None:
        """Seek to the key frame with this index, so that it is the next decoded frame, or one of the next."""
        import av

        if key > 0:
            try:
                number = self._index.keys[key]
                self._container.seek(self._index.stamps[number], stream=shown_stream(self._container))
            except av.FFmpegError:  # The format does not support seeking.
                key = 0
        if key == 0:
            self._container = _open(self._path)
            shown_stream(self._container).codec_context.thread_count = 1
        self._coming = _frames(self._container, self._index, self._path)
        self._next = self._index.keys[key]


# --- packets and stamps -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Index:
    """Index of the frames of a video, in display order."""

    times: tuple[float, ...]  # seconds
    stamps: tuple[int, ...]  # presentation time stamps; empty if they do not give the order: frames are then counted
    entries: dict[int, int]  # size in bytes of each packet where decoding can start, by stamp; empty without stamps
    fps: Fraction  # nominal frames per second
    size: tuple[int, int]  # height and width of its frames as they are stored, in pixels
    slowness: float  # seconds of the file over those of the recording

    @cached_property
    def numbers(self) -> dict[int | None, int]:
        """Frame numbers by time stamp."""
        return {stamp: number for number, stamp in enumerate(self.stamps)}

    @cached_property
    def keys(self) -> list[int]:
        """Numbers of the frames where decoding can start, sorted; the first is 0."""
        return sorted({0, *(self.numbers[stamp] for stamp in self.entries if stamp in self.numbers)})

    def is_entry(self, packet: av.Packet[av.VideoStream]) -> bool:
        """Return whether decoding can start at a packet.

        The packet must be one that the scan has met with the same stamp, because seeking corrupts the stamps of some
        formats.

        Args:
            packet: packet of the video stream.
        """
        if not self.stamps:
            return packet.is_keyframe
        return packet.pts is not None and self.entries.get(packet.pts) == packet.size


def _index(path: Path) -> _Index:
    """Return the index of a video; it is made anew if the file was changed."""
    return _scan(path, require(path, "a video").stat().st_mtime_ns)


@lru_cache(maxsize=INDEXED_VIDEOS)
def _scan(path: Path, modified: int) -> _Index:
    """Make the index of a video from its packets: those that are displayed, from the first key frame on."""
    import av

    entries: dict[int, int] = {}
    stamps: list[int | None] = []  # in the order of decoding
    entered = False
    with refusing(path, "a video"), _open(path) as container:
        stream = shown_stream(container)
        size = stream.codec_context.height, stream.codec_context.width
        states_end, end = _states_duration(path), 0.0  # seconds from the start of the file, of all its streams
        try:
            for packet in container.demux() if states_end else container.demux(stream):
                if states_end and packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index != stream.index:
                    continue
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
        if container.duration and states_end:
            missing = container.duration / TIME_BASE - end
            if missing > MISSING_END:
                raise InputError(
                    f"{path}: is cut off or damaged after {len(stamps)} frames, {missing:.1f} s before the end that it "
                    f"states; copy it again, or convert it"
                )
        if container.format.name == "gif":
            _check_all_read(path, len(stamps))
        fps, time_base = stream.guessed_rate or stream.average_rate, stream.time_base
        displayed = display_order(stamps, stream.codec_context.has_b_frames)
        slowness = 1.0 if not fps else _slowness([container.metadata, stream.metadata], float(fps))
    if not stamps or not fps or not time_base:
        raise InputError(f"{path}: holds no frame that can be decoded; convert it to H.264 in mp4")
    if not displayed:
        counted = tuple(float(number / fps) / slowness for number in range(len(stamps)))
        return _Index(times=counted, stamps=(), entries={}, fps=fps, size=size, slowness=slowness)
    # Frames that are displayed before the first key frame cannot be decoded: they refer to frames that are missing.
    displayed = displayed[bisect_left(displayed, next(iter(entries), displayed[0])) :]
    times = tuple(float(stamp * time_base) / slowness for stamp in displayed)
    return _Index(times, stamps=tuple(displayed), entries=entries, fps=fps, size=size, slowness=slowness)


def _states_duration(path: Path) -> bool:
    """Return whether a file is Matroska (mkv, webm) with a duration, so that FFmpeg's is no estimate.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        head = file.read(MATROSKA_HEAD)
    return head.startswith(EBML) and any(DURATION + size in head for size in FLOAT_SIZES)


def _check_all_read(path: Path, count: int) -> None:
    """Raise InputError if FFmpeg reads fewer images of a GIF than it holds: it skips those without a delay.

    Args:
        path: the GIF.
        count: number of images that FFmpeg reads.
    """
    with opened(path) as image:
        held = int(getattr(image, "n_frames", 1))
    if count < held:
        raise InputError(
            f"{path}: {count} of its {held} images can be read, as the others have no delay; write each into a file of "
            f"its own, or convert it to a video with another program"
        )


def _slowness(places: Sequence[Mapping[str, str]], fps: float) -> float:
    """Return the duration of a video over that of its recording, by the frame rate that phones write as metadata."""
    for text in (place.get(CAPTURE_RATE) for place in places):
        try:
            captured = float(text or 0)
        except ValueError:
            continue
        if captured > 0 and not 1 / OTHER_RATE < captured / fps < OTHER_RATE:
            return captured / fps
    return 1.0


def display_order(stamps: list[int | None], reorders: bool) -> list[int]:
    """Sort the time stamps of packets into display order; return none if the stamps do not give that order.

    Stamps do not give the order in three cases: some are missing or doubled; they follow the order of decoding although
    the codec reorders frames (as in AVI); they jump, as in recordings that were joined.

    Args:
        stamps: presentation time stamp of each packet, in the order of decoding; None where it is missing.
        reorders: whether the codec displays frames in another order than it decodes them.

    >>> display_order([0, 3, 1, 2], reorders=True)
    [0, 1, 2, 3]
    >>> display_order([0, 1, 2, 3], reorders=True)
    []
    """
    known = [stamp for stamp in stamps if stamp is not None]
    displayed = sorted(set(known))
    if len(displayed) < len(stamps) or (reorders and displayed == known):
        return []
    places = {stamp: place for place, stamp in enumerate(displayed)}
    jumps = any(abs(places[stamp] - place) > MAX_REORDERING for place, stamp in enumerate(known))
    return [] if jumps else displayed


def _open(path: Path) -> InputContainer:
    """Open a video file. Raises InputError if it has no video stream, or only a cover picture, or too large frames."""
    import av

    refuse_disguise(path)  # FFmpeg reads the images in an archive as a video
    try:
        container = opened_container(path)
    except av.FFmpegError as error:
        if path.is_file() and lacks_index(path):
            raise InputError(
                f"{path}: has no index (moov), which a camera writes when it stops recording; copy it again, or repair "
                f"it with a good recording of the same camera (untrunc)"
            ) from None
        raise InputError(
            f"{path}: is no video that can be opened ({error.strerror}); copy it again, or give a video"
        ) from None
    if not _pictures(container):
        container.close()
        raise InputError(f"{path}: has no video stream; give a file that has one")
    stream = shown_stream(container)
    if stream.height * stream.width > MAX_PIXELS:
        container.close()
        raise InputError(
            f"{path}: has frames of {stream.width}x{stream.height} pixels; convert it to at most "
            f"{MAX_PIXELS // 10**6} million pixels"
        )
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # if its size changes later
    return container


def opened_container(path: Path) -> InputContainer:
    """Open a file with FFmpeg, which reads this file alone, as one of `FORMATS`. Errors are PyAV's.

    Args:
        path: the file.
    """
    import av

    return av.open(f"file:{path}", options=dict(LIMITS), metadata_errors="replace")


def shown_stream(container: InputContainer) -> VideoStream:
    """Return the stream that a player shows: no cover picture, marked as default if one is, else the largest.

    Args:
        container: an open video, with at least one stream that is no cover picture.
    """
    import av

    streams = _pictures(container)
    default = av.stream.Disposition.default
    return max(streams, key=lambda stream: (bool(stream.disposition & default), stream.height * stream.width))


def _pictures(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that FFmpeg can decode and that are no cover pictures."""
    return [s for s in container.streams.video if s.codec_context is not None and not is_cover(s)]


def _is_video(stream: VideoStream) -> bool:
    """Return whether a stream is in a codec of videos; previews and chapters are in codecs of images."""
    return stream.codec_context.name not in IMAGE_CODECS


def is_cover(stream: VideoStream) -> bool:
    """Return whether a stream is a picture of the file, such as an album's cover, and no video.

    Args:
        stream: a video stream of an open file.
    """
    import av

    covers = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return bool(stream.disposition & covers)


def _frames(container: InputContainer, index: _Index, path: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode the frames that follow, from the next packet where decoding can start: number and content of each."""
    from av.error import FFmpegError

    entered, count, at = False, 0, 0
    try:
        for packet in container.demux(shown_stream(container)):
            entered = entered or index.is_entry(packet)
            at = index.numbers.get(packet.pts, count)
            for frame in packet.decode() if entered else ():
                number = index.numbers.get(frame.pts) if index.stamps else count
                count += 1
                if number is None:
                    continue
                if (frame.height, frame.width) != index.size:
                    height, width = index.size
                    raise InputError(
                        f"{path}: changes its size from {width}x{height} to {frame.width}x{frame.height} pixels by "
                        f"frame {number}; cut it there, or convert it to one size"
                    )
                yield number, frame
    except FFmpegError as error:
        raise InputError(
            f"{path}: is damaged near frame {at} ({error.strerror}); copy it again, or convert it"
        ) from None


def upright_image(frame: av.VideoFrame) -> np.ndarray:
    """Return a decoded frame as [H, W, 3] uint8, RGB, turned and mirrored as its file asks for.

    Args:
        frame: the frame.
    """
    image = frame.to_ndarray(format="rgb24", threads=1)
    if _is_mirrored(frame):
        image = image[::-1]
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def _off_quarter(rotation: int) -> int:
    """Return by how many degrees a rotation differs from the next quarter turn."""
    return abs(rotation - 90 * round(rotation / 90))


def _is_mirrored(frame: av.VideoFrame) -> bool:
    """Return whether the display matrix of a frame mirrors it: a turn by `frame.rotation` of the flipped image."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV's stubs know keys of text only
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(np.float64)  # x' = a x + c y, y' = b x + d y
    return bool(a * d - b * c < 0)
