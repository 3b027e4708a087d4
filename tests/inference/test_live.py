"""`packdepth live`: a page, a video, and an end in good order."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import world
from flat import FlatPredictor

from packdepth.cli import main
from packdepth.inference import live
from packdepth.inference.live import Painter
from packdepth.inference.writers.video import video_writer
from packdepth.live.page import Page
from packdepth.records import Prediction


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Forty frames, which last four seconds."""
    images = [(world.render(index)[0] * 255).astype(np.uint8) for index in range(4)]
    with video_writer(tmp_path / "drive.mp4", 10) as append:
        for index in range(40):
            append(images[index % 4])
    return tmp_path / "drive.mp4"


@pytest.fixture(autouse=True)
def _flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are not loaded: these tests are about what is around the network."""
    monkeypatch.setattr(live, "load", lambda *_, **__: FlatPredictor())


def during(
    command: list[str], capsys: pytest.CaptureFixture[str], look: Callable[[str], None], until: str
) -> tuple[int, str]:
    """Run a command, call a function with the address of its page once it shows a picture, and end it by a signal."""
    seen: list[Exception] = []

    def watch() -> None:
        try:
            url = address.get(timeout=20)
            with urllib.request.urlopen(f"{url}picture.jpg", timeout=10):
                pass
            look(url)
        except Exception as error:
            seen.append(error)
        os.kill(os.getpid(), getattr(signal, until))

    address: queue.Queue[str] = queue.Queue()
    describe = Page.describe

    def described(page: Page, *words: object) -> None:
        address.put(page.url)
        describe(page, *words)  # type: ignore[arg-type]

    thread = threading.Thread(target=watch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "describe", described)
        thread.start()
        status = main(command)
    thread.join()
    assert not seen
    return status, capsys.readouterr().out


def read(url: str) -> str:
    """Return what is at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.parametrize("until", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_good_order(
    until: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[str] = []

    def look(url: str) -> None:
        pages.append(read(url))
        while not json.loads(status := read(f"{url}status"))["figures"]:  # a frame rate takes two frames
            time.sleep(0.01)
        pages.append(status)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    command = ["live", "best", str(video), "--port", "0", "-o", str(tmp_path / "out" / "live.mp4")]
    status, output = during(command, capsys, look, until)
    assert status == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "Depth is metric, from velocity (speed)" in pages[0]
    assert json.loads(pages[1])["state"] == "Live."
    assert "depth is metric, from velocity (speed)\n" in output
    assert re.search(r"frames a second \(.* in the slowest 5 %\), latency \d+ ms \(95 %: \d+ ms\)", output)
    count = re.search(r"video of (\d+) frames?: ", output)
    assert count is not None
    assert int(count[1]) < 40
    with av.open(str(tmp_path / "out" / "live.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == int(count[1])


def test_a_file_ends_and_so_does_the_command(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "live.mp4"
    assert main(["live", "best", str(video), "frames=[0, 6]", "--no-page", "-o", str(output)]) == 0
    text = capsys.readouterr().out
    predicted, dropped = map(int, re.findall(r"(\d+) frames? predicted, (\d+) dropped", text)[0])
    assert predicted + dropped == 6
    with av.open(str(output)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == predicted
    assert times[-1] <= 0.55  # each frame has its own time


def test_a_time_is_enough(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "best", str(video), "--no-page", "--seconds", "0.3"]) == 0
    assert "dropped" in capsys.readouterr().out


def test_bad_input_is_one_sentence(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cases = {
            ("--output", str(tmp_path / "a.avi")): "a.avi: the video is an mp4; give a name that ends with .mp4",
            ("--output", str(video)): "drive.mp4: the video would be written over the input; give another name",
            ("--reconnect", "-1"): "--reconnect -1: is no duration; give seconds, 0 for not at all",
            ("--seconds", "0"): "--seconds 0: is no duration; give a positive number",
            ("--port", port): f"--host 127.0.0.1 --port {port}: another program listens there; give another --port",
        }
        for options, words in cases.items():
            assert main(["live", "best", str(video), *options]) == 2
            message = capsys.readouterr().err
            assert words in message
            assert message.count("\n") == 1


def test_a_url_that_nobody_serves_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/stream"
    assert main(["live", "best", url, "--no-page"]) == 2
    assert capsys.readouterr().err == (
        f"packdepth: {url}: nobody serves it (connection refused); start the stream, or correct the port\n"
    )


def test_the_page_for_the_network_warns(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "best", str(video), "frames=[0, 1]", "--host", "0.0.0.0", "--port", "0"]) == 0
    assert "anybody in the network can see this page" in capsys.readouterr().err


# --- pictures ---------------------------------------------------------------------------------------------------


def prediction(factor: float, time: float, width: int = 64) -> Prediction:
    inv_depth = np.full((40, width), 0.1 * factor, np.float32)
    inv_depth[:20] = 0.02 * factor
    image = np.zeros((40, width, 3), np.uint8)
    return Prediction(1 / inv_depth, inv_depth, True, "stereo", image, time=time)


def test_colors_follow_the_scene_slowly_and_pictures_keep_their_size() -> None:
    painter = Painter("gray")
    first, soon, later = painter(prediction(1, 0)), painter(prediction(0.1, 0.1)), painter(prediction(0.1, 60))
    assert first.shape == soon.shape == later.shape
    near = 30, 64 + 10  # a pixel of the depth, right of the image
    assert first[near].max() > 250
    assert soon[near].max() < 40  # the range is still about the first one: what is 10 times as far is dark
    assert later[near].max() > 250


def test_wide_images_are_shown_smaller() -> None:
    assert Painter()(prediction(1, 0, width=2000)).shape[0] == 40 // 3 + 1
