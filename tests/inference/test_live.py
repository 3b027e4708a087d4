"""`packdepth live`: a page, a video, and an end in good order."""

from __future__ import annotations

import io
import itertools
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
from PIL import Image

from packdepth.cli import main
from packdepth.inference import live
from packdepth.inference.cameras import ASSUMED
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
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    look: Callable[[str], None],
    until: str,
    first_picture: bool = True,
) -> tuple[int, str]:
    """Run a command, call a function with the address of its page once it shows a picture, then send a signal."""
    seen: list[Exception] = []

    def watch() -> None:
        try:
            url = address.get(timeout=20)
            if first_picture:
                read_bytes(f"{url}picture.jpg")
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


def read_bytes(url: str) -> bytes:
    """Return what is at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def read(url: str) -> str:
    """Return the text at an address."""
    return read_bytes(url).decode()


@pytest.mark.parametrize("until", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_good_order(
    until: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[str] = []

    def look(url: str) -> None:
        pages.append(read(url))
        while json.loads(status := read(f"{url}status"))["frames_per_second"] is None:  # too few frames yet
            time.sleep(0.01)
        pages.append(status)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    command = ["live", "best", str(video), "--port", "0", "-o", str(tmp_path / "out" / "live.mp4")]
    status, output = during(command, capsys, look, until)
    assert status == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "Depth is metric, from velocity (speed)" in pages[0]
    figures = json.loads(pages[1])
    assert (figures["state"], figures["message"]) == ("live", "Live.")
    assert 0 < figures["slowest_frames_per_second"] <= figures["frames_per_second"] < 20  # of a video of 10 a second
    assert 0 < figures["latency_ms"] <= figures["latency_95_ms"] < 2000
    assert figures["frames"] + figures["dropped"] <= 40
    assert f"depth is metric, from velocity (speed); {ASSUMED}\n" in output
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


def test_the_page_of_a_file_stays_with_its_last_frame_until_it_is_ended(
    video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses: list[dict[str, object]] = []
    pictures: list[np.ndarray] = []

    def look(url: str) -> None:
        while (status := json.loads(read(f"{url}status")))["state"] != "ended":
            time.sleep(0.01)
        statuses.append(status)
        with urllib.request.urlopen(f"{url}stream", timeout=10) as answer:  # a viewer who comes after the end
            head = [answer.readline() for _ in range(4)]
            picture = Image.open(io.BytesIO(answer.read(int(head[2].split()[1]))))
            pictures.append(np.asarray(picture))

    command = ["live", "best", str(video), "frames=[0, 6]", "--port", "0"]
    status, output = during(command, capsys, look, "SIGINT", first_picture=False)
    assert status == 0
    assert f"{video}: lasts 0.6 s and is played once, in real time; the page then stays, with the last" in output
    assert output.endswith("the file has ended; Ctrl-C ends the page\n")
    assert statuses[0]["message"] == "The file has ended; this is its last frame."
    assert sum(int(str(statuses[0][name])) for name in ("frames", "dropped")) == 6
    assert isinstance(statuses[0]["frames_per_second"], float)
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(container.decode(video=0), 6)]
    shown = pictures[0][:, : frames[0].shape[1]].astype(int)
    differences = [np.abs(shown - frame).mean() for frame in frames[2:]]  # the first two are as the last two
    assert np.argmin(differences) == len(differences) - 1


def test_statistics_are_printed_once_they_mean_something(
    video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "LINE_SECONDS", 0.0)
    assert main(["live", "best", str(video), "frames=[0, 6]", "--no-page"]) == 0
    assert "frames a second" not in capsys.readouterr().err
    assert main(["live", "best", str(video), "frames=[0, 26]", "--no-page"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "frames a second" in line]
    assert lines
    assert int(lines[0].split()[0]) in range(2, 21)


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
    arguments = ["frames=[0, 1]", "--host", "0.0.0.0", "--port", "0", "--seconds", "0.3"]
    assert main(["live", "best", str(video), *arguments]) == 0
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
