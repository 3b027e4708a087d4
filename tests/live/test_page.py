"""The page, asked over HTTP."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, browser
from PIL import Image

from packdepth.errors import InputError
from packdepth.live.page import WAITING, Page

PICTURE = np.zeros((32, 64, 3), np.uint8) + np.array([200, 100, 50], np.uint8)


@pytest.fixture
def page() -> Iterator[Page]:
    with Page("packdepth live: <camera 0>", "127.0.0.1", 0) as page:
        page.describe("up to a factor: nothing gives it a scale", "A note.", lambda: {**WAITING, "latency_ms": 21.5})
        yield page


def asked(page: Page, path: str, host: str | None = None) -> tuple[str, bytes]:
    """Return kind and content of what the page answers."""
    request = urllib.request.Request(page.url + path, headers={} if host is None else {"Host": host})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read()


@contextmanager
def shown(page: Page) -> Iterator[None]:
    """Show the picture again and again, as a live stream does, while somebody watches."""
    stop = threading.Event()

    def show() -> None:
        while not stop.wait(0.01):
            if page.is_watched:
                page.show(PICTURE)

    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_page_says_what_depth_means(page: Page) -> None:
    kind, content = asked(page, "")
    text = content.decode()
    assert kind == "text/html; charset=utf-8"
    assert "Depth is up to a factor: nothing gives it a scale." in text
    assert "<h1>packdepth live: &lt;camera 0&gt;</h1>" in text
    assert "A note." in text
    assert 'src="/stream"' in text


def test_the_status_is_json(page: Page) -> None:
    kind, content = asked(page, "status")
    said = {"scale": "up to a factor: nothing gives it a scale", "notes": "A note."}
    assert (kind, json.loads(content)) == ("application/json", {**WAITING, **said, "latency_ms": 21.5})


def test_a_page_that_was_opened_before_the_first_image_learns_what_depth_means(page: Page) -> None:
    page.describe(WAITING["scale"], WAITING["notes"], lambda: WAITING)
    opened = asked(page, "")[1].decode()
    assert "now.scale" in opened
    assert json.loads(asked(page, "status")[1])["scale"] == WAITING["scale"]
    page.describe("metric, from velocity (speed)", "Its camera is guessed.", lambda: WAITING)
    status = json.loads(asked(page, "status")[1])
    assert (status["scale"], status["notes"]) == ("metric, from velocity (speed)", "Its camera is guessed.")


def test_a_picture(page: Page) -> None:
    with shown(page):
        kind, content = asked(page, "picture.jpg")
    assert kind == "image/jpeg"
    difference = np.asarray(Image.open(io.BytesIO(content)), dtype=int) - PICTURE
    assert np.abs(difference).max() < 6
    assert not page.is_watched


def test_a_stream_sends_one_picture_after_the_other(page: Page) -> None:
    with shown(page), urllib.request.urlopen(f"{page.url}stream", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=packdepth-frame"
        for _ in range(3):
            assert answer.readline() == b"--packdepth-frame\r\n"
            assert answer.readline() == b"Content-Type: image/jpeg\r\n"
            length = int(answer.readline().split()[1])
            assert answer.readline() == b"\r\n"
            assert Image.open(io.BytesIO(answer.read(length))).size == (64, 32)
            assert answer.readline() == b"\r\n"
        assert page.is_watched


def test_the_only_picture_is_sent_twice_and_no_more(page: Page) -> None:
    """Chromium shows a picture when the head of the next one has come, which after the end of a file never came."""
    page.show(PICTURE)
    address = urllib.parse.urlsplit(page.url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=2) as asker:
        asker.sendall(f"GET /stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        with suppress(TimeoutError):
            while True:
                received += asker.recv(65536)
    assert received.count(b"Content-Type: image/jpeg") == 2
    assert received.endswith(b"\r\n--packdepth-frame\r\n")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_that_comes_after_the_last_picture_shows_it(page: Page, tmp_path: Path) -> None:
    page.show(PICTURE)
    with browser(tmp_path) as tab:
        tab.open(page.url)
        tab.wait("document.querySelector('img').naturalWidth == 64", 20)


@pytest.mark.parametrize(("host", "code"), [("evil.example", 403), ("localhost:8000", 200), ("[::1]:8000", 200)])
def test_only_names_of_this_machine_are_answered(page: Page, host: str, code: int) -> None:
    """A page of the web could otherwise read the pictures, by a name that it lets lead to 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", int(page.url.rstrip("/").rpartition(":")[2]), timeout=10)
    connection.request("GET", "/status", headers={"Host": host})
    assert connection.getresponse().status == code
    connection.close()


@pytest.mark.parametrize("path", ["/", "/status", "/stream"])
def test_the_head_of_an_answer(page: Page, path: str) -> None:
    with urllib.request.urlopen(
        urllib.request.Request(page.url.rstrip("/") + path, method="HEAD"), timeout=10
    ) as answer:
        assert (answer.status, answer.read()) == (200, b"")


def test_other_paths_are_not_found(page: Page) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        asked(page, "etc/passwd")


def test_a_page_for_the_network_answers_any_name() -> None:
    page = Page("a page", "0.0.0.0", 0)
    with page:
        assert asked(page, "status", "robot.local")[0] == "application/json"
        assert page.url.startswith("http://127.0.0.1:")
        assert not page.is_local


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"--host 127.0.0.1 --port {port}: another program listens there; give"):
            Page("a page", "127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [("127.0.0.1", 70000, "is no port; give a number from 0"), ("203.0.113.9", 0, "cannot be listened at")],
)
def test_an_address_that_is_none(host: str, port: int, words: str) -> None:
    with pytest.raises(InputError, match=f"--host {host} --port {port}: {words}"):
        Page("a page", host, port)
