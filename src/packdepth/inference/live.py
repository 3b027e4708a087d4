"""Live prediction that is shown on a page and written to a video: `packdepth live`."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import numpy as np

from packdepth.color import Colormap, color_range, colorize
from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.files import make_folder, say_replaced
from packdepth.inference.base import say_flip_note
from packdepth.inference.load import load
from packdepth.inference.options import LIVE, PAGE, LiveOptions, PageOptions
from packdepth.inference.pictures import BACKGROUND, joined, shades_of, with_bar
from packdepth.inference.stream import FEED, FeedOptions, PredictionStream, open_feed
from packdepth.inference.writers.video import timed_video_writer
from packdepth.live.feeds import Clock
from packdepth.live.page import WAITING, Page, Status
from packdepth.live.timing import SLOW, Timing
from packdepth.progress import counted
from packdepth.records import Prediction

MAX_PICTURE = 960  # pixels: wider images are shown with every second, third, ... row and column
RANGE_SECONDS = 5.0  # in which the range of colors follows the scene by 1 - 1/e; chosen by eye
RANGE_STEP = 4  # pixels: the range is that of every fourth row and column
BAR_ROOM = "0.00 m"  # as wide as most numbers of the color bar
VIDEO_RATE = 10.0  # frames a second that the video states; each frame has its own time
LINE_SECONDS_TERMINAL = 1.0  # between updates of the line on a terminal
LINE_SECONDS = 10.0  # between lines where there is no terminal; chosen
POLL_SECONDS = 0.1  # between looks for Ctrl-C while the page of a file that has ended is kept up


def live(
    checkpoint: Path,
    source: str,
    output: Path | None = None,
    feed_options: FeedOptions = FEED,
    page_options: PageOptions = PAGE,
    live_options: LiveOptions = LIVE,
    flip: bool = False,
    precision: Precision = "32",
    runtime: str | None = None,
) -> None:
    """Predict the newest frame of a live source again and again, show it, and print how fast that is.

    It ends with the source, after `seconds`, by Ctrl-C or by SIGTERM; the video is then completed. When a file has
    ended, its page stays with the last frame until Ctrl-C or `seconds`, unless a video was asked for.

    Args:
        checkpoint: the folder that training wrote, another project's checkpoint, or an exported file (see `load`).
        source: the index of a camera, /dev/videoN, a URL, or a file that is played in real time.
        output: an mp4 of images beside their depth; None for none.
        feed_options: what is known of the source.
        page_options: options of the page.
        live_options: further options.
        flip: fuse each prediction with that of the mirrored image.
        precision: the precision of the depth network, as in `load`.
        runtime: what computes an exported file, as in `load`.

    Raises InputError, after the video was completed, if the source cannot be opened, breaks for good or changes its
    size; and before, if something else cannot be used.
    """
    _check(output, source, live_options)
    feed = open_feed(source, feed_options)
    clock, error = Clock(), None
    with ExitStack() as stack:
        page = None
        if page_options.page:
            page = stack.enter_context(Page(f"packdepth live: {feed.label}", page_options.host, page_options.port))
        report = Report(page)
        stays = page is not None and output is None
        if feed.duration is not None:
            report.announce(feed.label, feed.duration, stays)
        predictor = load(checkpoint, precision=precision, runtime=runtime)
        say_flip_note(predictor, flip)
        stream = PredictionStream(
            predictor, feed, flip=flip, smooth=live_options.smooth, reconnect=live_options.reconnect, tell=report.tell
        )
        stack.enter_context(stream)
        stack.enter_context(ended_by_signals(stream.stop))
        stack.enter_context(_ended_after(live_options.seconds, stream.stop))
        if output is not None:
            say_replaced([output])
        painter, last = Painter(live_options.colormap), None
        try:
            last = _show(stream, report, page, output, painter, clock)
        except InputError as broken:
            error = broken
        report.end(stream, output)
        if stays and page is not None and last is not None and not stream.is_stopped:
            page.show(painter(last))
            report.hold()
            while not stream.is_stopped:
                time.sleep(POLL_SECONDS)
    if error is not None:
        raise error


def _check(output: Path | None, source: str, options: LiveOptions) -> None:
    """Raise InputError for an output that is no mp4 or that is the input, and for durations that are none."""
    if output is not None:
        if output.suffix != ".mp4":
            raise InputError(f"{output}: the video is an mp4; give a name that ends with .mp4")
        if output.resolve() == Path(source.removeprefix("file://")).resolve():
            raise InputError(f"{output}: the video would be written over the input; give another name")
        make_folder(output.parent)
    if not options.reconnect >= 0:
        raise InputError(f"--reconnect {options.reconnect:g}: is no duration; give seconds, 0 for not at all")
    if options.seconds is not None and not options.seconds > 0:
        raise InputError(f"--seconds {options.seconds:g}: is no duration; give a positive number")


def _show(
    stream: PredictionStream, report: Report, page: Page | None, output: Path | None, painter: Painter, clock: Clock
) -> Prediction | None:
    """Show each prediction of a stream, until it ends, and complete the video, also after an error.

    Returns the last prediction; None if there was none.
    """
    prediction = None
    with ExitStack() as stack:
        append: Callable[[np.ndarray, float], None] | None = None
        error: InputError | None = None
        try:
            for prediction in stream:
                if report.timing.count == 0:
                    report.begin(stream)
                watched = page is not None and page.is_watched
                picture = painter(prediction) if watched or output is not None else None
                if page is not None and picture is not None:
                    page.show(picture)
                report.timing.add(stream.arrived, clock.now())
                if output is not None and picture is not None:
                    if append is None:
                        append = stack.enter_context(timed_video_writer(output, VIDEO_RATE, "veryfast"))
                    append(picture, stream.arrived)
                report.tick(clock.now())
        except InputError as broken:  # what was recorded until then is kept
            error = broken
    if error is not None:
        raise error
    return prediction


class Report:
    """The texts that people read: lines on the terminal, and the figures on the page.

    Args:
        page: the page; None without one.
    """

    def __init__(self, page: Page | None) -> None:
        self.timing = Timing()  # until a picture is shown
        self._page, self._message, self._clock = page, WAITING["message"], Clock()
        self._stream: PredictionStream | None = None
        self._told = -math.inf
        self._broken = -math.inf  # when the stream broke or came back, in seconds of the clock
        self._has_ended = False
        self._on_terminal = sys.stderr.isatty()
        if page is not None:
            page.describe(WAITING["scale"], WAITING["notes"], self.status)
            print(f"open {page.url} in a browser; Ctrl-C ends", flush=True)
            if not page.is_local:
                print("anybody in the network can see this page; --host 127.0.0.1 keeps it to you", file=sys.stderr)

    def announce(self, label: str, duration: float, stays: bool) -> None:
        """Say how long a file lasts, and what happens at its end.

        Args:
            label: the file.
            duration: seconds.
            stays: whether the page stays when the file has ended.
        """
        end = "; the page then stays, with the last frame, until Ctrl-C" if stays else ""
        print(f"{label}: lasts {duration:.1f} s and is played once, in real time{end}", flush=True)

    def begin(self, stream: PredictionStream) -> None:
        """Say what depth means, once the first image has come.

        Args:
            stream: the predictions.
        """
        self._stream, self._message = stream, "Live."
        print("\n".join([f"depth is {stream.scale}", *stream.notes]), flush=True)
        if self._page is not None:
            self._page.describe(stream.scale, " ".join(stream.notes), self.status)

    def tell(self, sentence: str) -> None:
        """Print a sentence on a break of the stream, and show it on the page.

        Args:
            sentence: the sentence.
        """
        self._message, self._broken = f"{sentence[0].upper()}{sentence[1:]}.", self._clock.now()
        self._line(sentence)

    def tick(self, now: float) -> None:
        """Print how fast it is, once that is known, about once a second on a terminal, else every ten seconds.

        Args:
            now: the time, in seconds.
        """
        interval, before, end = (
            (LINE_SECONDS_TERMINAL, "\r\033[K", "") if self._on_terminal else (LINE_SECONDS, "", "\n")
        )
        if self.timing.is_settled and now - self._told >= interval:
            self._told = now
            print(f"{before}{self._speed()}", end=end, file=sys.stderr, flush=True)

    def status(self) -> Status:
        """Return the figures and the state, for the page and for other programs."""
        timing, stream = self.timing, self._stream
        if stream is None:
            return {**WAITING, "message": self._message}
        status: Status = {
            **WAITING,
            "state": "ended" if self._has_ended else "broken" if self._broken > stream.arrived else "live",
            "message": self._message,
            "frames": timing.count,
            "dropped": stream.dropped,
        }
        if timing.count < 2 or not (timing.is_settled or self._has_ended):
            return status
        return {
            **status,
            "frames_per_second": timing.rate(),
            "slowest_frames_per_second": timing.rate(SLOW),
            "latency_ms": 1e3 * timing.latency(),
            "latency_95_ms": 1e3 * timing.latency(SLOW),
        }

    def hold(self) -> None:
        """Say that the file has ended, and that the page stays."""
        self._message, self._has_ended = "The file has ended; this is its last frame.", True
        print("the file has ended; Ctrl-C ends the page", flush=True)

    def end(self, stream: PredictionStream, output: Path | None) -> None:
        """Print what was done.

        Args:
            stream: the predictions, which have ended.
            output: the video; None if there was none.
        """
        if self._on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if self.timing.count:
            print(f"{stream.label}: {self._speed()}")
            if output is not None:
                print(f"video of {counted(self.timing.count, 'frame')}: {output}")

    def _speed(self) -> str:
        """Return frames, frame rate and latency."""
        dropped = 0 if self._stream is None else self._stream.dropped
        return f"{counted(self.timing.count, 'frame')} predicted, {dropped:,} dropped; {self.timing}"

    def _line(self, text: str) -> None:
        """Print a line, in place of the one that is updated."""
        print(f"\r\033[K{text}" if self._on_terminal else text, file=sys.stderr, flush=True)


class Painter:
    """The pictures of a live stream: the image, its depth in colors with a bar and, if predicted, confidence in gray.

    The range of the colors follows the scene within some seconds. All pictures have the size of the first one.

    Args:
        colormap: colors of depth.

    >>> image, ones = np.zeros((60, 80, 3), np.uint8), np.ones((60, 80), np.float32)
    >>> prediction = Prediction(ones, ones, metric=False, scale_source="none", image=image, time=0.0)
    >>> Painter()(prediction).shape[0]
    60
    """

    def __init__(self, colormap: Colormap = "dusk") -> None:
        self._colormap = colormap
        self._range: np.ndarray | None = None  # inverse depth of the first and of the last color, 1/metres
        self._time = 0.0
        self._width: int | None = None

    def __call__(self, prediction: Prediction) -> np.ndarray:
        """Return the picture [H, W, 3] uint8 of a prediction, which has a time.

        Args:
            prediction: the prediction.
        """
        step = -(-prediction.image.shape[1] // MAX_PICTURE)
        inv_depth = prediction.inv_depth[::step, ::step]
        low, high = self._limits(inv_depth, prediction.time or 0.0)
        colors = colorize(inv_depth, low, high, self._colormap)
        pictures = [
            prediction.image[::step, ::step],
            with_bar(colors, low, high, self._colormap, prediction.metric, BAR_ROOM),
        ]
        if prediction.confidence is not None:
            pictures.append(shades_of(prediction.confidence[::step, ::step]))
        return self._fitted(joined(pictures, across=True))

    def _limits(self, inv_depth: np.ndarray, time: float) -> tuple[float, float]:
        """Return the range of the colors, which moves towards that of a map."""
        own = np.array(color_range([inv_depth[::RANGE_STEP, ::RANGE_STEP]]))
        before = own if self._range is None else self._range
        share = 1 - math.exp(-max(time - self._time, 0.0) / RANGE_SECONDS)
        self._range, self._time = before + share * (own - before), time
        return float(self._range[0]), float(self._range[1])

    def _fitted(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture with the width of the first one: the bar's numbers may be wider or narrower."""
        self._width = self._width or picture.shape[1]
        missing = max(self._width - picture.shape[1], 0)
        white = np.full((len(picture), missing, 3), BACKGROUND, np.uint8)
        return np.concatenate([picture, white], axis=1)[:, : self._width]


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at Ctrl-C and at SIGTERM, in place of what they do; a second Ctrl-C interrupts as usual.

    Outside of the main thread, which alone can handle signals, nothing is changed.

    Args:
        stop: the function.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ended_after(seconds: float | None, stop: Callable[[], None]) -> Iterator[None]:
    """Call a function after some seconds, unless the block has ended by then; None for never."""
    timer = threading.Timer(seconds or 0.0, stop)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
