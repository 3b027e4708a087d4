"""Prediction of the newest frame of a camera, of a stream of the network, or of a file that is played in real time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from packdepth.checkpoint import Meta
from packdepth.errors import InputError, InputWarning
from packdepth.geometry.camera import Camera
from packdepth.inference.cameras import is_metric_for, known_camera, learned_camera, scale_of_clip
from packdepth.inference.options import RECONNECT_SECONDS
from packdepth.live.address import address_of
from packdepth.live.feeds import ClipFeed, Clock, Feed, StreamFeed, reconnecting
from packdepth.live.reader import Reader
from packdepth.live.smoothing import Smoother
from packdepth.live.timing import Timing
from packdepth.records import Clip, Prediction
from packdepth.sources.open import check_fov, open_clips


class FramePredictor(Protocol):
    """A predictor of single images, as far as a stream needs it."""

    @property
    def meta(self) -> Meta:
        """The description of the checkpoint."""

    @property
    def label_classes(self) -> int | None:
        """The classes of label maps that guide the depth network; None if none do."""

    def predict(self, image: np.ndarray, camera: Camera | None = None, *, flip: bool = False) -> Prediction:
        """Return the depth of an image.

        Args:
            image: [H, W, 3] uint8, RGB.
            camera: its camera, if it is known.
            flip: fuse the prediction with that of the mirrored image.
        """


@dataclass(frozen=True)
class FeedOptions:
    """Facts on a live source, and how it is opened.

    >>> FeedOptions(fov=70.0).camera is None
    True
    """

    camera: Path | None = None  # a calibration file of the images, in place of the camera that a file's source knows
    fov: float | None = None  # horizontal field of view, in degrees, of images without calibration
    kind: str | None = None  # the kind of source of a file; if left out, it is recognized
    options: Sequence[str] = ()  # options of the source of a file, each as key=value
    size: tuple[int, int] | None = None  # height and width to ask a camera of this machine for, in pixels


FEED = FeedOptions()
"""The facts on a live source about which nothing was said."""


def open_feed(source: str | int | Path, options: FeedOptions, clock: Clock | None = None) -> Feed:
    """Return the feed of a live source.

    Args:
        source: the index of a camera, /dev/videoN, the URL of a stream, or anything that `packdepth.open` opens as one
            clip, which is played in real time.
        options: what is known of it.
        clock: the time; None for the real one.

    Raises InputError for a camera or a path that does not exist, and for options that do not suit the source.
    """
    text, clock = str(source), clock or Clock()
    address = address_of(text, options.size)
    if options.fov is not None:
        check_fov(options.fov, options.camera)
    if address is not None:
        if options.kind is not None or options.options:
            given = f"--kind {options.kind}" if options.kind is not None else f"option {options.options[0]}"
            raise InputError(f"{address.label}: {given}: is for files, but this is a stream; leave it out")
        return StreamFeed(address, options.camera, options.fov, clock)
    path = Path(text.removeprefix("file://"))
    if not path.exists():
        raise InputError(
            f"{path}: not found; give the index of a camera (0), /dev/videoN, a URL (rtsp://..., http://...), or a file"
        )
    clips = open_clips(path, options.kind, options.options, options.camera, options.fov)
    if len(clips) > 1:
        raise InputError(f"{path}: holds {len(clips)} clips; give the path or the options of one of them")
    (clip,) = clips
    if clip.independent or not clip.frames:
        raise InputError(f"{path}: its images have no times to play them at; packdepth predict takes them")
    return ClipFeed(clip, clock)


def _warn(sentence: str) -> None:
    """Warn of what happens to the stream."""
    warnings.warn(sentence, InputWarning, stacklevel=2)


class PredictionStream:
    """An iterator over predictions of the newest frames of a live source. `Predictor.stream` returns one.

    A thread reads the source. Frames that arrive while another one is predicted are dropped, except the newest one.

    Args:
        predictor: the predictor.
        feed: the live source, see `open_feed`.
        flip: fuse each prediction with that of the mirrored image.
        smooth: smooth depth over time, see `live.smoothing`.
        reconnect: seconds for which a broken stream is opened again.
        tell: called with a sentence when a stream breaks, and when it is back, by another thread.
        clock: the time.

    Attributes:
        label: name of the source for people.
        timing: latency of predictions, until they are returned, and frame rate.
        arrived: when the frame of the last prediction arrived, in seconds of the clock.
    """

    def __init__(
        self,
        predictor: FramePredictor,
        feed: Feed,
        *,
        flip: bool = False,
        smooth: bool = False,
        reconnect: float = RECONNECT_SECONDS,
        tell: Callable[[str], None] = _warn,
        clock: Clock | None = None,
    ) -> None:
        if predictor.label_classes is not None:
            raise InputError(
                "label maps guide this depth network, but live images have none; give a checkpoint that is guided by a "
                "segmentation network or by nothing"
            )
        self._clock = clock or Clock()
        self._predictor, self._feed, self._flip = predictor, feed, flip
        self._smoother = Smoother() if smooth else None
        self._clip: Clip | None = None  # what is known of the camera; None before the first frame
        self._size: tuple[int, int] | None = None  # of the images as they arrive
        self.label, self.timing, self.arrived = feed.label, Timing(), 0.0
        self._reader = Reader(lambda stop: reconnecting(feed, stop, reconnect, tell, self._clock))

    @property
    def dropped(self) -> int:
        """The number of frames so far that arrived but were not predicted, because newer ones had arrived."""
        return self._reader.dropped

    @property
    def metric(self) -> bool:
        """Whether depth is in metres. It is known after the first prediction, and False before."""
        return self._clip is not None and is_metric_for(self._clip, self._predictor.meta)

    @property
    def scale(self) -> str:
        """The scale of depth in words. It is that of the checkpoint before the first prediction."""
        meta = self._predictor.meta
        return meta.scale if self._clip is None else scale_of_clip(self._clip, meta)

    @property
    def notes(self) -> list[str]:
        """Sentences on the camera: what was corrected in its images, and whether the checkpoint has learned it."""
        if self._clip is None:
            return []
        corrected = [] if self._clip.corrected is None else [f"{self.label}: {self._clip.corrected}"]
        learned = learned_camera(self._clip, self._predictor.meta)
        return [*corrected, *([] if learned is None else [f"camera of the checkpoint: {learned}"])]

    def __iter__(self) -> Iterator[Prediction]:
        return self

    def __next__(self) -> Prediction:
        """Wait for a frame that was not predicted yet, and return its prediction.

        Raises InputError if the source cannot be opened, breaks for good, or changes its size.
        """
        arrival = self._reader.take()
        if arrival is None:
            raise StopIteration
        image = arrival.read()
        if self._size is None:
            self._size = image.shape[0], image.shape[1]
            self._clip = self._feed.clip(*self._size)
        if image.shape[:2] != self._size:
            (height, width), (new_height, new_width) = self._size, image.shape[:2]
            raise InputError(
                f"{self.label}: changes its size from {width}x{height} to {new_width}x{new_height} pixels after "
                f"{self._reader.dropped + self.timing.count} frames; start again, or set the camera to one size"
            )
        assert self._clip is not None
        image = self._feed.pinhole(self._clip, image)
        camera = known_camera(self._clip, self._predictor.meta)
        prediction = replace(self._predictor.predict(image, camera, flip=self._flip), time=arrival.time)
        if self._smoother is not None:
            inv_depth = self._smoother(prediction.image, prediction.inv_depth, self._clip.camera, arrival.time)
            prediction = replace(prediction, inv_depth=inv_depth, depth=1 / inv_depth)
        self.arrived = arrival.arrived
        self.timing.add(arrival.arrived, self._clock.now())
        return prediction

    def stop(self) -> None:
        """End the iteration soon. Another thread or a handler of signals may call this."""
        self._reader.stop()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called, in contrast to a source that has ended by itself."""
        return self._reader.is_stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop reading."""
        self._reader.stop()
        self._reader.join()
