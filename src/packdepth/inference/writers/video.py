"""A video of the images above their depth in colors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

import av
import numpy as np

from packdepth.files import replacing
from packdepth.inference.writers.color import ColorWriter
from packdepth.records import Prediction

CLOCK = 90_000  # units of a second, of time stamps of frames at their own times: usual for video
MAX_ROUNDING = 2e-3  # seconds: Matroska rounds time stamps to milliseconds
BT601 = 6  # code of the color matrix with which FFmpeg converts RGB; without it in the file, players have to guess


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
    own_times = [time - times[0] for time in times] if times and not _are_even(times, rate) else []
    with replacing(path) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = BT601
        if own_times:
            stream.codec_context.time_base = Fraction(1, CLOCK)
            stream.codec_context.max_b_frames = 0
        count = 0

        def append(frame: np.ndarray) -> None:
            nonlocal count
            height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
            if not stream.codec_context.is_open:
                stream.height, stream.width = height, width
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            if own_times:
                picture.pts, picture.time_base = round(own_times[count] * CLOCK), Fraction(1, CLOCK)
            count += 1
            container.mux(stream.encode(picture))

        yield append
        packets = stream.encode()
        if own_times and packets:
            packets[-1].duration = round(CLOCK / rate)
        container.mux(packets)


def _are_even(times: Sequence[float], rate: float) -> bool:
    """Return whether times are those of a rate, but for the rounding of time stamps."""
    even = times[0] + np.arange(len(times)) / rate
    return bool(np.abs(np.asarray(times) - even).max() < MAX_ROUNDING)
