"""A video of the images above their depth in colors."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from packdepth.files import replacing
from packdepth.inference.writers.color import ColorWriter
from packdepth.records import Prediction

CLOCK = 90_000  # units of a second, of time stamps of frames at their own times: usual for video
MAX_ROUNDING = 2e-3  # seconds: Matroska rounds time stamps to milliseconds
BT601 = 6  # code of the color matrix with which FFmpeg converts RGB; without it in the file, players have to guess
SAME_BYTES = {"x264-params": "asm=MMX2,SSE2Fast,SSSE3"} if platform.machine() in ("x86_64", "AMD64") else {}
# x264 without AVX-512, with which equal pictures got other bytes in four runs of ten; it is no slower


class VideoWriter(ColorWriter):
    """Writer of one mp4 for the whole clip."""

    kind: ClassVar[str] = "video"
    content: ClassVar[str] = "video"
    needs_one_size: ClassVar[bool] = True

    @classmethod
    def place(cls, folder: Path, name: str) -> Path:
        """Return the mp4, which has the name of the clip.

        Args:
            folder: the output folder of the clip.
            name: the name of the file, without the suffix.
        """
        return folder / f"{name}.mp4"

    def append(self, name: str, prediction: Prediction) -> None:
        """Append a frame to the video.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        self._append(self.picture(prediction, with_image=True))

    def __enter__(self) -> Self:
        """Open the video."""
        self._append = self.stack.enter_context(video_writer(self.path, self.facts.rate, self.facts.times))
        return super().__enter__()


@contextmanager
def video_writer(path: Path, rate: float, times: Sequence[float] = ()) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a frame [H, W, 3] uint8, RGB, to an mp4 (H.264, yuv420p).

    The file appears if the block succeeds. H.264 needs even sizes: the last row or column of an odd size is cut off.

    Args:
        path: the mp4.
        rate: frames per second.
        times: seconds of the frames, in rising order. If they are not those of the rate, each frame is shown at its own
            time, and the video lasts as long as they do.
    """
    if times and not _are_even(times, rate):
        rising = iter(times)
        with timed_video_writer(path, rate) as append_at:
            yield lambda frame: append_at(frame, next(rising))
        return
    with _mp4(path, rate, "medium") as (container, stream):
        yield lambda frame: container.mux(stream.encode(_picture(stream, frame)))
        container.mux(stream.encode())


@contextmanager
def timed_video_writer(
    path: Path, rate: float, preset: str = "medium"
) -> Iterator[Callable[[np.ndarray, float], None]]:
    """Yield a function that appends a frame [H, W, 3] uint8, RGB, and its time in seconds to an mp4, as `video_writer`.

    Args:
        path: the mp4.
        rate: frames per second; the last frame is shown for its inverse.
        preset: x264's name for its effort; "veryfast" takes a third of the time of "medium".
    """
    with _mp4(path, rate, preset) as (container, stream):
        stream.codec_context.time_base = Fraction(1, CLOCK)
        stream.codec_context.max_b_frames = 0
        first: float | None = None

        def append(frame: np.ndarray, time: float) -> None:
            nonlocal first
            first = time if first is None else first
            picture = _picture(stream, frame)
            picture.pts, picture.time_base = round((time - first) * CLOCK), Fraction(1, CLOCK)
            container.mux(stream.encode(picture))

        yield append
        packets = stream.encode()
        if packets:
            packets[-1].duration = round(CLOCK / rate)
        container.mux(packets)


@contextmanager
def _mp4(path: Path, rate: float, preset: str) -> Iterator[tuple[OutputContainer, VideoStream]]:
    """Yield an mp4 and its stream, whose size is that of the first picture."""
    with (
        replacing(path) as temporary,
        av.open(f"file:{temporary}", "w", options={"movflags": "+faststart"}) as container,
    ):
        options = {"crf": "20", "preset": preset, **SAME_BYTES}
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options=options)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = BT601
        yield container, stream


def _picture(stream: VideoStream, frame: np.ndarray) -> av.VideoFrame:
    """Return a frame [H, W, 3] of even size, which is that of the stream from its first one on."""
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    if not stream.codec_context.is_open:
        stream.height, stream.width = height, width
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
    picture = picture.reformat(format=stream.pix_fmt)
    for (
        plane
    ) in picture.planes:  # x264 encodes blocks of 16: what lies beyond the border, too, which would be any memory
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[:, plane.width :] = rows[:, plane.width - 1 : plane.width]
    return picture


def _are_even(times: Sequence[float], rate: float) -> bool:
    """Return whether times are those of a rate, but for the rounding of time stamps."""
    even = times[0] + np.arange(len(times)) / rate
    return bool(np.abs(np.asarray(times) - even).max() < MAX_ROUNDING)
