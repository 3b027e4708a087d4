"""Feeds of live frames: cameras, streams of the network, and clips that are played in real time.

A feed numbers all its frames, also those that it leaves out, so that gaps in the numbers are dropped frames. PyAV is
imported when a camera or a stream is opened.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from packdepth.errors import InputError
from packdepth.live.address import Address
from packdepth.records import Clip, Frame
from packdepth.sources.base import with_stated_fov
from packdepth.sources.camera_file import facts_or_guess
from packdepth.sources.decoding import shown_stream, upright_image
from packdepth.sources.guess import common_guess
from packdepth.sources.undistort import undistorted

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

OPEN_SECONDS = 10.0  # until a camera or a server must have answered; FFmpeg looks at 5 seconds of some streams
READ_SECONDS = 10.0  # without a packet after which a stream is broken: some send segments of 6 seconds
FIRST_WAIT, MAX_WAIT = 0.5, 8.0  # seconds before the first, and at most before a later try to open a broken stream
BUSY_SECONDS = 2.0  # of reading, after which it is judged whether decoding keeps up with the stream
BUSY_SHARE = 0.1  # share of this time that reading must have waited for packets; less means that packets queue up
CAUGHT_UP = 0.02  # seconds that reading waits for a packet when none is queued: half the interval of 25 frames a second
MAX_LATE = 0.5  # seconds that decoding of a recording may be late until it leaves frames out; chosen


class Clock:
    """The time, and waiting. Tests have clocks of their own.

    >>> clock = Clock()
    >>> clock.now() <= clock.now()
    True
    """

    def now(self) -> float:
        """Return the time in seconds, from any moment on."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait, but not longer than until a stop.

        Args:
            seconds: how long; not at all if it is negative.
            stop: set to end the waiting.
        """
        if seconds > 0:
            stop.wait(seconds)


@dataclass(frozen=True, eq=False)
class Arrival:
    """A frame of a feed that has just arrived."""

    number: int  # number of the frame among all frames of the feed, from 0
    time: float  # seconds, of the frame in its clip, or since the feed was opened
    arrived: float  # seconds of the clock, when it was decoded; of a recording, when it was due
    read: Callable[[], np.ndarray]  # returns the image [H, W, 3] uint8, RGB, as it was recorded


class Feed(ABC):
    """Frames of one camera as they come.

    Attributes:
        label: the name of the feed for people, without a password.
        duration: seconds that it lasts; None if that is not known beforehand, as of cameras and streams.
    """

    label: str
    duration: float | None = None

    @abstractmethod
    def arrivals(self, stop: threading.Event) -> Iterator[Arrival]:
        """Yield the frames as they come, until the feed ends or is stopped.

        Args:
            stop: set to end the feed soon.

        Raises InputError if it cannot be opened, and StreamBrokenError if it breaks later.
        """

    @abstractmethod
    def clip(self, height: int, width: int) -> Clip:
        """Return a clip that says what is known of the camera, which is a pinhole camera.

        Args:
            height: height of the images that arrive, in pixels.
            width: width of the images that arrive, in pixels.

        Raises InputError if the calibration is for images of another size.
        """

    def pinhole(self, clip: Clip, image: np.ndarray) -> np.ndarray:
        """Return an image as a pinhole camera takes it.

        Args:
            clip: what `clip` has returned.
            image: the image [H, W, 3] uint8 as it arrived.
        """
        return image


class StreamBrokenError(Exception):
    """A stream that broke or ended after it was opened. The message says why, in a few words.

    >>> raise StreamBrokenError("ended")
    Traceback (most recent call last):
    packdepth.live.feeds.StreamBrokenError: ended
    """


class ClipFeed(Feed):
    """A clip that is played in real time. What cannot be decoded in time is left out.

    Args:
        clip: the clip, with at least one frame.
        clock: the time.
    """

    def __init__(self, clip: Clip, clock: Clock) -> None:
        self.label = str(clip.path)
        self._clip, self._clock = clip, clock
        gaps = len(clip.frames) - 1
        self.duration = (clip.frames[-1].time - clip.frames[0].time) * (1 + 1 / gaps) if gaps else 0.0

    def arrivals(self, stop: threading.Event) -> Iterator[Arrival]:
        """Yield each frame at its time."""
        frames, index = self._clip.frames, 0
        start = self._clock.now() - frames[0].time
        while index < len(frames):
            self._clock.wait(start + frames[index].time - self._clock.now(), stop)
            while index + 1 < len(frames) and start + frames[index + 1].time <= self._clock.now():
                index += 1
            if stop.is_set():
                return
            yield _arrival(index, frames[index], start + frames[index].time)
            index += 1

    def clip(self, height: int, width: int) -> Clip:
        """Return the clip."""
        return self._clip


def _arrival(index: int, frame: Frame, due: float) -> Arrival:
    """Return a frame of a clip, whose image is read now."""
    image = frame.image.read()
    return Arrival(index, frame.time, due, lambda: image)


class _Held:
    """The image that arrived last, as a file whose content changes."""

    def __init__(self, label: str) -> None:
        self.path, self.image = Path(label), np.zeros((1, 1, 3), np.uint8)

    def read(self) -> np.ndarray:
        """Return the image."""
        return self.image


class StreamFeed(Feed):
    """A camera of this machine, or a stream of the network.

    A recording that is served, which has a length, is played in real time. Packets that queue up because decoding is
    slower than the stream are left out up to the next key frame.

    Args:
        address: what to open.
        camera: a calibration file of its images; None if there is none.
        fov: horizontal field of view of its images, in degrees; None if it is not known.
        clock: the time.
    """

    def __init__(self, address: Address, camera: Path | None, fov: float | None, clock: Clock) -> None:
        self.label = address.label
        self._address, self._camera, self._fov, self._clock = address, camera, fov, clock
        self._held = _Held(address.label)
        self._opened: float | None = None  # when the first frame arrived
        self._next = 0

    def clip(self, height: int, width: int) -> Clip:
        """Return a clip without frames to read: its image is the one that arrived last."""
        facts = facts_or_guess(self._camera, Path("camera.yaml"), lambda: common_guess(height, width))
        camera = facts["camera"]
        if (camera.height, camera.width) != (height, width):
            raise InputError(
                f"{self.label}: sends {width}x{height} pixels, but {self._camera} is for "
                f"{camera.width}x{camera.height}; give the camera of these images"
            )
        frames = (Frame(name="live", time=0.0, image=self._held),)
        clip = Clip(name=f"live/{self.label}", path=Path(self.label), frames=frames, **facts)
        return undistorted(clip if self._fov is None else with_stated_fov(clip, self._fov))

    def pinhole(self, clip: Clip, image: np.ndarray) -> np.ndarray:
        """Return the image without the distortion of its lens."""
        self._held.image = image
        return clip.frames[0].image.read()

    def arrivals(self, stop: threading.Event) -> Iterator[Arrival]:
        """Yield the frames from now on."""
        import av

        with self._address.open((OPEN_SECONDS, READ_SECONDS)) as container:
            self._address.check(container)
            try:
                for frame in self._decoded(container, stop):
                    now = self._clock.now()
                    self._opened = now if self._opened is None else self._opened
                    yield Arrival(self._next, now - self._opened, now, _reader(frame))
                    self._next += 1
            except av.FFmpegError as error:
                silent = isinstance(error, av.error.ExitError)
                reason = f"no frame for {READ_SECONDS:g} seconds" if silent else error.strerror
                raise StreamBrokenError(f"broke off ({reason})") from None
            if not container.duration and not stop.is_set():
                raise StreamBrokenError("ended")

    def _decoded(self, container: InputContainer, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """Yield decoded frames, each once it is due, and count those that are left out."""
        from av.error import InvalidDataError

        stream = shown_stream(container)
        stream.thread_type = "SLICE"  # frame threads would hold back a frame each
        pace = _Pace(bool(container.duration))
        decoded = self._clock.now()
        packets = container.demux(stream)
        leave_out = False
        while not stop.is_set():
            asked = self._clock.now()
            packet = next(packets, None)
            if packet is None:
                return
            now = self._clock.now()
            behind = pace.is_behind(now - asked, now, _time(packet))
            leave_out = (leave_out or behind) and not (packet.is_keyframe and not behind)
            if leave_out and packet.size:
                self._next += 1
                continue
            try:
                frames = packet.decode()
            except InvalidDataError:  # what precedes the first key frame, or a damaged frame
                self._next += 1
                if now - decoded > READ_SECONDS:
                    raise StreamBrokenError(f"no frame could be decoded for {READ_SECONDS:g} seconds") from None
                continue
            decoded = now
            for frame in frames:
                self._clock.wait(pace.due(self._clock.now(), frame.time) - self._clock.now(), stop)
                yield frame


def _time(packet: av.Packet[VideoStream]) -> float | None:
    """Return the time stamp of a packet in seconds; None without one."""
    return None if packet.pts is None else float(packet.pts * packet.time_base)


def _reader(frame: av.VideoFrame) -> Callable[[], np.ndarray]:
    """Return a function that converts a decoded frame, which is only done for frames that are predicted."""
    return lambda: upright_image(frame)


class _Pace:
    """The times at which frames are due, and whether decoding is behind.

    Args:
        recorded: whether it is a recording, whose frames are due at their times; frames of others are due at once.
    """

    def __init__(self, recorded: bool) -> None:
        self._recorded = recorded
        self._start: float | None = None  # of a recording: clock at its time 0
        self._since, self._waited = 0.0, 0.0
        self._behind = False

    def due(self, now: float, time: float | None) -> float:
        """Return when a frame with a time stamp in seconds is due."""
        if not self._recorded or time is None:
            return now
        self._start = now - time if self._start is None else self._start
        return self._start + time

    def is_behind(self, waited: float, now: float, time: float | None) -> bool:
        """Return whether a packet, for which reading has waited so many seconds, comes too late."""
        if self._recorded:
            return self._start is not None and time is not None and now - self._start - time > MAX_LATE
        self._since = self._since or now
        self._waited += waited
        if waited >= CAUGHT_UP:
            self._behind = False
        if now - self._since >= BUSY_SECONDS:
            self._behind = self._behind or self._waited < BUSY_SHARE * (now - self._since)
            self._since, self._waited = now, 0.0
        return self._behind


def reconnecting(
    feed: Feed, stop: threading.Event, patience: float, tell: Callable[[str], None], clock: Clock
) -> Iterator[Arrival]:
    """Yield the frames of a feed, which is opened again whenever it breaks.

    Args:
        feed: the feed.
        stop: set to end the feed soon.
        patience: seconds from a break after which it is given up.
        tell: called with a sentence at each break, and when the feed is back.
        clock: the time.

    Raises InputError if the feed cannot be opened at first, or not again in time.
    """
    broken, reason, pause = None, "", FIRST_WAIT  # when it broke, why, and how long to wait before the next try
    while not stop.is_set():
        try:
            for arrival in feed.arrivals(stop):
                if broken is not None:
                    tell(f"{feed.label}: is back after {clock.now() - broken:.1f} seconds")
                    broken, pause = None, FIRST_WAIT
                yield arrival
            return
        except StreamBrokenError as error:
            if broken is None:
                broken, reason = clock.now(), str(error)
                if patience > 0:
                    tell(f"{feed.label}: {reason}; trying to open it again")
        except InputError:
            if broken is None:
                raise
        if stop.is_set():
            return
        if clock.now() - broken >= patience:
            again = f", and did not come back within {patience:g} seconds" if patience > 0 else ""
            raise InputError(f"{feed.label}: {reason}{again}; start it again, or wait longer with --reconnect SECONDS")
        clock.wait(pause, stop)
        pause = min(2 * pause, MAX_WAIT)
