"""A video of the images above their depth in colors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

import av
import numpy as np

from packdepth.files import replacing
from packdepth.inference.writers import Writer
from packdepth.records import Prediction

BT601 = 6  # code of the color matrix with which FFmpeg converts RGB; without it in the file, players have to guess


class VideoWriter(Writer):
    """Writer of one mp4 for the whole clip."""

    kind: ClassVar[str] = "video"
    content: ClassVar[str] = "video"
    needs_one_size: ClassVar[bool] = True
    needs_colors: ClassVar[bool] = True

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
        self._append(image_and_colors(prediction.image, prediction.color(*self.colors)))

    def __enter__(self) -> Self:
        """Open the video."""
        self._append = self.stack.enter_context(video_writer(self.path, self.rate))
        return super().__enter__()


@contextmanager
def video_writer(path: Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a frame [H, W, 3] uint8, RGB, to an mp4 (H.264, yuv420p).

    The file appears if the block succeeds. H.264 needs even sizes: the last row or column of an odd size is cut off.

    Args:
        path: the mp4.
        rate: frames per second.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = BT601

        def append(frame: np.ndarray) -> None:
            height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
            if not stream.codec_context.is_open:
                stream.height, stream.width = height, width
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))

        yield append
        container.mux(stream.encode())


def image_and_colors(image: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Return an image above its depth in colors, or beside it if the image is taller than wide.

    Args:
        image: image [H, W, 3] uint8, RGB.
        colors: colors [H, W, 3] uint8, RGB.

    >>> image_and_colors(np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4, 3), np.uint8)).shape
    (4, 4, 3)
    """
    height, width = image.shape[:2]
    return np.concatenate([image, colors], axis=0 if width >= height else 1)
