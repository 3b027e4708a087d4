"""`Predictor.stream`: predictions of the newest frame."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import world
import yaml
from fake_clock import FakeClock
from flat import FlatPredictor

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference.stream import FeedOptions, PredictionStream, open_feed
from packdepth.inference.writers.video import video_writer
from packdepth.live.feeds import Arrival, Feed
from packdepth.records import Clip


class Given(Feed):
    """A feed of given images, of a known camera, each of which arrives when the one before has been predicted."""

    label = "camera 0"

    def __init__(self, images: list[np.ndarray], camera: Camera, clock: FakeClock) -> None:
        self._images, self._camera, self._clock = images, camera, clock
        self.predicted = threading.Semaphore(1)

    def arrivals(self, stop: threading.Event) -> Iterator[Arrival]:
        for number, image in enumerate(self._images):
            self.predicted.acquire(timeout=5)
            yield Arrival(2 * number, number / 10, self._clock.now() - 0.05, partial(np.copy, image))

    def clip(self, height: int, width: int) -> Clip:
        return Clip("live/camera 0", Path("camera 0"), self._camera, frames=())


def images(count: int) -> list[np.ndarray]:
    return [(world.render(index)[0] * 255).astype(np.uint8) for index in range(count)]


def stream_of(predictor: FlatPredictor, feed: Given, clock: FakeClock, smooth: bool = False) -> PredictionStream:
    return PredictionStream(predictor, feed, smooth=smooth, clock=clock)


def predicted(stream: PredictionStream, feed: Given) -> Iterator[np.ndarray]:
    for prediction in stream:
        yield prediction.inv_depth
        feed.predicted.release()


def test_predictions_carry_what_is_known_of_the_camera() -> None:
    clock = FakeClock()
    feed = Given(images(2), world.CAMERA, clock)
    with stream_of(FlatPredictor(), feed, clock) as stream:
        assert (stream.metric, stream.scale) == (False, "metric, from velocity (speed)")  # of the checkpoint
        first = next(stream)
        feed.predicted.release()
        second = next(stream)
        assert (stream.metric, stream.scale) == (True, "metric, from velocity (speed)")
    np.testing.assert_array_equal(first.image, images(1)[0])
    assert first.camera is world.CAMERA
    assert first.metric
    assert (first.time, second.time) == (0.0, 0.1)
    assert stream.dropped == 1  # frame 1 of the numbers 0, 2
    assert stream.timing.latency() == pytest.approx(0.05)


def test_depth_for_another_camera_is_corrected_and_called_not_metric() -> None:
    clock = FakeClock()
    longer = Camera(120.0, 116.0, 46.0, 22.5, 96, 48)
    feed = Given(images(1), longer, clock)
    with stream_of(FlatPredictor(), feed, clock) as stream:
        prediction = next(stream)
        assert stream.scale.startswith("not metric for camera 0: its focal length is 2.00 times that of the training")
    np.testing.assert_allclose(prediction.inv_depth, (images(1)[0].mean(-1) / 255 + 0.01) / 2, rtol=1e-5)
    assert not prediction.metric
    assert not stream.metric


@pytest.mark.parametrize("smooth", [False, True])
def test_smoothing_is_off_by_default(smooth: bool) -> None:
    """The scale of every second prediction is 10 % off, on images that stand still."""
    clock, still = FakeClock(), [images(1)[0]] * 8
    feed = Given(still, world.CAMERA, clock)
    predictor = FlatPredictor(factor=lambda number: 1.1 if number % 2 else 1.0)
    with stream_of(predictor, feed, clock, smooth) as stream:
        maps = list(predicted(stream, feed))
    change = np.abs(np.log(maps[7] / maps[6]))
    assert (np.median(change) < 0.5 * np.log(1.1)) == smooth
    if not smooth:
        np.testing.assert_allclose(change, np.log(1.1), rtol=1e-3)


def test_depth_and_inverse_depth_agree_after_smoothing() -> None:
    clock = FakeClock()
    feed = Given([images(1)[0]] * 2, world.CAMERA, clock)
    with stream_of(FlatPredictor(factor=float), feed, clock, smooth=True) as stream:
        next(stream)
        feed.predicted.release()
        second = next(stream)
    np.testing.assert_allclose(second.depth * second.inv_depth, 1, rtol=1e-5)


def test_a_stream_that_changes_its_size() -> None:
    clock = FakeClock()
    feed = Given([images(1)[0], images(1)[0][:24]], world.CAMERA, clock)
    with stream_of(FlatPredictor(), feed, clock) as stream:
        next(stream)
        feed.predicted.release()
        with pytest.raises(InputError, match=r"camera 0: changes its size from 96x48 to 96x24 pixels after 2 frames"):
            next(stream)


def test_label_maps_do_not_come_with_a_stream() -> None:
    clock = FakeClock()
    with pytest.raises(InputError, match="label maps guide this depth network, but live images have none"):
        stream_of(FlatPredictor(label_classes=3), Given(images(1), world.CAMERA, clock), clock)


# --- files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def video(tmp_path: Path) -> Path:
    with video_writer(tmp_path / "drive.mp4", world.RATE) as append:
        for image in images(3):
            append(image)
    values = {"width": 96, "height": 48, "fx": 60.0, "fy": 58.0, "cx": 46.0, "cy": 22.5}
    (tmp_path / "drive.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "drive.mp4"


def test_a_file_is_played_with_its_camera(video: Path) -> None:
    with FlatPredictor().stream(video) as stream:
        predictions = list(stream)
    assert stream.timing.count + stream.dropped == 3
    assert predictions[-1].time == pytest.approx(0.2)
    assert predictions[-1].camera is not None
    assert predictions[-1].camera.fx == 60


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("nothing.mp4", FeedOptions(), "nothing.mp4: not found; give the index of a camera (0), /dev/videoN, a URL"),
        ("http://robot/x", FeedOptions(kind="video"), "http://robot/x: --kind video: is for files"),
        ("http://robot/x", FeedOptions(options=("step=2",)), "http://robot/x: option step=2: is for files"),
        ("http://robot/x", FeedOptions(fov=400.0), "--fov: is 400; give degrees between"),
        ("http://robot/x", FeedOptions(camera=Path("a.yaml"), fov=60.0), "a.yaml: is given beside a field of view"),
        ("http://robot/x", FeedOptions(size=(48, 96)), "--size 48 96: is for cameras of this machine"),
    ],
)
def test_what_cannot_be_opened(source: str, options: FeedOptions, words: str) -> None:
    with pytest.raises(InputError) as caught:
        open_feed(source, options)
    assert str(caught.value).startswith(words)


def test_unrelated_images_are_for_predict(tmp_path: Path, moving_clip: Path) -> None:
    folder = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    (folder / "camera.yaml").write_text((folder / "camera.yaml").read_text() + "independent: true\n")
    with pytest.raises(InputError, match="its images have no times to play them at; packdepth predict takes them"):
        open_feed(folder, FeedOptions())
