"""The viewer's page: what its server sends, what a browser shows, and how it ends."""

from __future__ import annotations

import json
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

viser = pytest.importorskip("viser", reason="the extra `viewer` is not installed")

from browser import CHROMIUM, browser  # noqa: E402 - of the extra, too
from interrupting import Interrupting  # noqa: E402
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from websockets.typing import Origin  # noqa: E402

from packdepth.cli import main  # noqa: E402
from packdepth.viewer.command import open_footage  # noqa: E402
from packdepth.viewer.scene import cloud_of  # noqa: E402
from packdepth.viewer.server import Viewer  # noqa: E402

DARK = 60  # the page behind the points is darker


@contextmanager
def served(named: list[str]) -> Iterator[Viewer]:
    """A viewer that works in a thread."""
    ended = threading.Event()
    with Viewer(open_footage(named), port=0) as viewer:

        def work() -> None:
            while not ended.is_set():
                viewer.work()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield viewer
        finally:
            ended.set()
            thread.join()


def test_the_points_of_the_first_frame_are_sent_to_own_pages_only(moving_clip: Path) -> None:
    footage = open_footage([str(moving_clip)])
    shot = footage.shot(0)
    expected = cloud_of(shot, "image", (0, 1e9), footage.colors).points.astype(np.float32).tobytes()[:600]
    with served([str(moving_clip)]) as viewer:
        with urllib.request.urlopen(viewer.url) as answer:
            assert b"<html" in answer.read()
        address = viewer.url.replace("http", "ws")
        options: dict[str, Any] = {"subprotocols": [f"viser-v{viser.__version__}"], "max_size": None}
        with connect(address, **options, origin=Origin(viewer.url.rstrip("/"))) as socket:
            message: Any = b""
            while expected not in message:
                message = socket.recv(timeout=30)
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, **options, origin=Origin("http://elsewhere.example"))


def test_ctrl_c_ends_it_cleanly(
    moving_clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = Interrupting("Ctrl-C ends\n")
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(["view", str(moving_clip), "--port", "0"]) == 0
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/ in a browser; Ctrl-C ends\n", printed.getvalue())
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_the_points_and_asks_nobody_else(moving_clip: Path, tmp_path: Path) -> None:
    with served([str(moving_clip)]) as viewer, browser(tmp_path) as tab:
        tab.open(viewer.url, 900, 600)

        for words in ("metric, as it was measured", "\nframe\n", "Make the map of the whole clip"):
            tab.wait(f"document.body.innerText.includes({json.dumps(words)})")

        def shows_points() -> bool:
            scene = tab.picture()[:, :450]  # left of the panel; viser's own notes there are 1 % of it
            return bool((scene.max(-1) > 2 * DARK).mean() > 0.1) and len(np.unique(scene.reshape(-1, 3), axis=0)) > 500

        tab.wait(shows_points)
        assert not [each for each in tab.requests if not each.startswith((viewer.url, "blob:", "data:", "about:"))]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_page_of_a_map_offers_no_frames_and_no_map(saved: Path, tmp_path: Path) -> None:
    with served([str(saved / "map.ply")]) as viewer, browser(tmp_path) as tab:
        tab.open(viewer.url, 900, 600)
        tab.wait("document.body.innerText.includes('size of points')")
        text = tab.run("document.body.innerText")
        for words in ("\nframe\n", "play", "unreliable points", "Make the map", "measured depth", "ride along"):
            assert words not in text
