"""Feeds: clips in real time, served videos, streams that break and come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import world
import yaml
from fake_clock import FakeClock
from rtsp_server import rtp_packets, rtsp_server

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference.writers.video import video_writer
from packdepth.live.address import Address, address_of
from packdepth.live.feeds import Arrival, ClipFeed, Clock, Feed, StreamBrokenError, StreamFeed, reconnecting
from packdepth.live.page import Page
from packdepth.records import Clip, Frame
from packdepth.sources.decoding import iterate

CAMERA = Camera.from_fov(60, width=8, height=4)


@dataclass
class SlowImage:
    """An image that takes time to decode; each pixel is its number."""

    clock: FakeClock
    number: int
    seconds: float
    path: Path = Path("slow.png")

    def read(self) -> np.ndarray:
        self.clock.time += self.seconds
        return np.full((4, 8, 3), self.number, np.uint8)


def slow_clip(clock: FakeClock, seconds: list[float]) -> Clip:
    """A clip of 10 frames a second, from time 5 s on, whose frames take some seconds to decode."""
    frames = [Frame(str(i), 5 + i / 10, SlowImage(clock, i, each)) for i, each in enumerate(seconds)]
    return Clip("images/slow", Path("slow"), CAMERA, tuple(frames))


def test_a_clip_is_played_at_its_times() -> None:
    clock = FakeClock()
    arrivals = list(ClipFeed(slow_clip(clock, [0.0] * 4), clock).arrivals(threading.Event()))
    assert [arrival.number for arrival in arrivals] == [0, 1, 2, 3]
    assert [arrival.time for arrival in arrivals] == pytest.approx([5.0, 5.1, 5.2, 5.3])
    assert [arrival.arrived for arrival in arrivals] == pytest.approx([100.0, 100.1, 100.2, 100.3])
    assert [int(arrival.read().max()) for arrival in arrivals] == [0, 1, 2, 3]


def test_what_cannot_be_decoded_in_time_is_left_out() -> None:
    clock = FakeClock()
    arrivals = list(ClipFeed(slow_clip(clock, [0.0, 0.25, 0.0, 0.0, 0.0, 0.0]), clock).arrivals(threading.Event()))
    assert [arrival.number for arrival in arrivals] == [0, 1, 3, 4, 5]  # frame 1 is there when 3 is due
    assert [arrival.arrived for arrival in arrivals] == pytest.approx([100.0, 100.1, 100.3, 100.4, 100.5])


def test_a_stopped_clip_ends() -> None:
    clock, stop = FakeClock(), threading.Event()
    arrivals = ClipFeed(slow_clip(clock, [0.0] * 4), clock).arrivals(stop)
    assert next(arrivals).number == 0
    stop.set()
    assert list(arrivals) == []


# --- streams ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of the world at 10 a second."""
    path = tmp_path_factory.mktemp("video") / "drive.mp4"
    with video_writer(path, world.RATE) as append:
        for index in range(world.FRAMES):
            append((world.render(index)[0] * 255).astype(np.uint8))
    return path


def stream_feed(target: str, clock: Clock, camera: Path | None = None, fov: float | None = None) -> StreamFeed:
    return StreamFeed(Address(target, "the stream"), camera, fov, clock)


def test_a_recording_that_is_served_is_played_at_its_times(video: Path) -> None:
    clock = FakeClock()
    arrivals = list(stream_feed(str(video), clock).arrivals(threading.Event()))
    assert [arrival.number for arrival in arrivals] == list(range(world.FRAMES))
    assert [arrival.time for arrival in arrivals] == pytest.approx(np.arange(world.FRAMES) / world.RATE, abs=1e-3)
    for found, (_, image) in zip(arrivals, iterate(video), strict=True):
        np.testing.assert_array_equal(found.read(), image)


def test_what_comes_too_late_of_a_recording_is_not_decoded(video: Path) -> None:
    """The only key frame is the first one. When frame 1 is done, two are decoded already, and two are left out."""
    clock = FakeClock()
    numbers = []
    for arrival in stream_feed(str(video), clock).arrivals(threading.Event()):
        numbers.append(arrival.number)
        clock.time += 0.7
    assert numbers == [0, 1, 4, 5]


def test_the_camera_of_a_stream(tmp_path: Path, video: Path) -> None:
    values = {"width": 96, "height": 48, "fx": 60.0, "fy": 58.0, "cx": 46.0, "cy": 22.5}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(values))
    clip = stream_feed(str(video), Clock(), tmp_path / "camera.yaml").clip(48, 96)
    assert (clip.camera.fx, clip.missing_camera, clip.short_name) == (60.0, None, "the stream")
    with pytest.raises(InputError, match=r"the stream: sends 64x32 pixels, but .*camera.yaml is for 96x48"):
        stream_feed(str(video), Clock(), tmp_path / "camera.yaml").clip(32, 64)
    assert stream_feed(str(video), Clock(), fov=70.0).clip(48, 96).camera.fov() == pytest.approx(70)
    assert stream_feed(str(video), Clock()).clip(48, 96).guess == "assumed"


def test_images_of_a_lens_are_undistorted(tmp_path: Path, video: Path) -> None:
    lens = {"kind": "brown_conrady", "coefficients": [-0.3, 0.05, 0.0, 0.0]}
    values = {"width": 96, "height": 48, "fx": 60.0, "fy": 58.0, "cx": 46.0, "cy": 22.5, "lens": lens}
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(values))
    feed = stream_feed(str(video), Clock(), tmp_path / "camera.yaml")
    clip = feed.clip(48, 96)
    image = (world.render(0)[0] * 255).astype(np.uint8)
    assert str(clip.corrected).startswith("lens: brown_conrady undistorted")
    moved = feed.pinhole(clip, image)
    assert moved.shape == image.shape
    assert np.abs(moved.astype(int) - image).max() > 20
    assert np.array_equal(feed.pinhole(clip, np.full_like(image, 7)), np.full_like(image, 7))


def test_a_page_is_a_stream_which_ends_with_it() -> None:
    """A round trip over HTTP: MJPEG that the page serves is what a stream sends."""
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, 48:] = (250, 120, 10)
    with Page("a page", "127.0.0.1", 0) as page:
        stop = threading.Event()

        def show() -> None:
            while not stop.wait(0.02):
                page.show(picture)

        thread = threading.Thread(target=show)
        thread.start()
        try:
            arrivals = stream_feed(f"{page.url}stream", Clock()).arrivals(threading.Event())
            first, second = next(arrivals), next(arrivals)
        finally:
            stop.set()
            thread.join()
    assert (first.number, second.number) == (0, 1)
    assert first.arrived <= second.arrived
    assert np.abs(first.read()[:, 60:].astype(int) - picture[:, 60:]).max() < 12
    with pytest.raises(StreamBrokenError, match=r"^ended$|^broke off"):
        list(arrivals)


def until_it_breaks(feed: Feed) -> tuple[list[Arrival], str]:
    """Return the frames of a feed, and why it broke."""
    found = []
    try:
        for arrival in feed.arrivals(threading.Event()):
            found.append(arrival)
    except StreamBrokenError as error:
        return found, str(error)
    return found, ""


def test_an_rtsp_stream() -> None:
    images = [(world.render(index)[0] * 255).astype(np.uint8) for index in range(world.FRAMES)]
    with rtsp_server(rtp_packets(images, rate=10), pause=0.02) as url:
        address = address_of(url)
        assert address is not None
        found, reason = until_it_breaks(StreamFeed(address, None, None, Clock()))
    assert reason == "ended"
    assert [arrival.number for arrival in found] == list(range(world.FRAMES))
    for arrival, image in zip(found, images, strict=True):
        errors = [np.abs(arrival.read().astype(int) - other).mean() for other in images]
        assert np.argmin(errors) == arrival.number
        assert np.abs(arrival.read().astype(int) - image).mean() < 15  # of 255: small H.264 at full speed


# --- breaks -----------------------------------------------------------------------------------------------------


class Breaking(Feed):
    """A feed that does what a script says: how many frames, and how it ends."""

    label = "camera 7"

    def __init__(self, script: list[tuple[int, Exception | None]]) -> None:
        self._script, self._next = iter(script), 0

    def arrivals(self, stop: threading.Event) -> Iterator[Arrival]:
        count, error = next(self._script)
        for _ in range(count):
            yield Arrival(self._next, 0.0, 0.0, lambda: np.zeros((4, 8, 3), np.uint8))
            self._next += 1
        if error is not None:
            raise error

    def clip(self, height: int, width: int) -> Clip:
        return replace(slow_clip(FakeClock(), [0.0]))


def run(script: list[tuple[int, Exception | None]], patience: float) -> tuple[list[int], list[str], FakeClock]:
    """Return the numbers of the frames, what was told, and the clock."""
    clock, told = FakeClock(), list[str]()
    arrivals = reconnecting(Breaking(script), threading.Event(), patience, told.append, clock)
    return [arrival.number for arrival in arrivals], told, clock


ENDED, AWAY = StreamBrokenError("ended"), InputError("camera 7: nobody serves it")


def test_a_stream_that_breaks_is_opened_again() -> None:
    numbers, told, clock = run([(2, ENDED), (0, AWAY), (0, AWAY), (3, None)], patience=30)
    assert numbers == [0, 1, 2, 3, 4]
    assert clock.waits == [0.5, 1.0, 2.0]
    assert told == ["camera 7: ended; trying to open it again", "camera 7: is back after 3.5 seconds"]


def test_waiting_begins_anew_after_each_break() -> None:
    _, told, clock = run([(1, ENDED), (1, ENDED), (1, None)], patience=30)
    assert clock.waits == [0.5, 0.5]
    assert len(told) == 4


def test_a_stream_that_does_not_come_back_is_given_up() -> None:
    with pytest.raises(InputError, match=r"camera 7: ended, and did not come back within 3 seconds; start it again"):
        run([(2, ENDED), *[(0, AWAY)] * 9], patience=3)


def test_without_patience_the_end_is_the_end() -> None:
    with pytest.raises(InputError, match=r"^camera 7: ended; start it again, or wait longer with --reconnect SECONDS$"):
        run([(2, ENDED)], patience=0)


def test_a_stream_that_cannot_be_opened_at_first_is_given_up_at_once() -> None:
    with pytest.raises(InputError, match=r"^camera 7: nobody serves it$"):
        run([(0, AWAY)], patience=30)
