"""The page that shows live pictures in a browser: MJPEG over HTTP, by the standard library."""

from __future__ import annotations

import errno
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self, TypedDict

import numpy as np
from PIL import Image

from packdepth.errors import InputError
from packdepth.html import STYLE

QUALITY = 85  # of JPEG: no visible loss in motion
BOUNDARY = "packdepth-frame"
IDLE_SECONDS = 0.5  # without a newer picture, after which the last one is sent again, or the end is noticed
TIMES = 2  # that a picture is sent if no newer one comes: Chromium shows one when the head of the next has come
POLL_SECONDS = 0.1  # after which the server notices that it has to end
CLIENT_SECONDS = 30.0  # after which a browser that takes nothing is given up
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Status(TypedDict):
    """The state of live prediction, which `/status` serves as JSON.

    >>> WAITING["state"]
    'waiting'
    """

    state: Literal["waiting", "live", "broken", "ended"]  # broken: the stream is opened again; ended: a file has ended
    message: str  # a sentence for people
    scale: str  # the scale of depth in words, such as "metric, from velocity (speed)"
    notes: str  # further sentences on it
    frames: int  # number of predicted frames
    dropped: int  # number of frames that were not predicted, because newer ones had arrived
    frames_per_second: float | None  # median over the last frames; this and the following are None while too few came
    slowest_frames_per_second: float | None  # in the slowest twentieth
    latency_ms: float | None  # milliseconds, median
    latency_95_ms: float | None  # milliseconds that 95 % of the frames do not exceed


WAITING = Status(
    state="waiting",
    message="Waiting for the first image.",
    scale="not known yet: no image has come",
    notes="",
    frames=0,
    dropped=0,
    frames_per_second=None,
    slowest_frames_per_second=None,
    latency_ms=None,
    latency_95_ms=None,
)
"""The status before the first image."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}
img {{ width: auto; max-width: 100%; margin: 12px 0; }} #state {{ min-height: 1.5em; }}</style></head>
<body><h1>{title}</h1>
<p class="verdict">Depth is {scale}.</p>
<img src="/stream" alt="the newest image beside its depth">
<div class="big" id="figures"></div>
<p id="state"></p>
<p class="note">{notes}</p>
<script>
async function refresh() {{
  let message = "packdepth live has ended.";
  try {{
    const now = await (await fetch("/status")).json();
    const figures = now.frames_per_second === null ? [] : [
      [
        `frames a second (slowest 5 %: ${{now.slowest_frames_per_second.toFixed(1)}})`,
        now.frames_per_second.toFixed(1),
      ],
      [`latency (95 %: ${{now.latency_95_ms.toFixed(0)}} ms)`, `${{now.latency_ms.toFixed(0)}} ms`],
      [`of ${{now.frames + now.dropped}} frames dropped`, `${{now.dropped}}`],
    ];
    document.getElementById("figures").replaceChildren(...figures.map(([name, value]) => {{
      const box = document.createElement("div"), number = document.createElement("b");
      number.textContent = value;
      box.append(number, name);
      return box;
    }}));
    document.querySelector(".verdict").textContent = `Depth is ${{now.scale}}.`;
    document.querySelector(".note").textContent = now.notes;
    message = now.message;
    setTimeout(refresh, 1000);
  }} catch (error) {{}}
  document.getElementById("state").textContent = message;
}}
refresh();
</script></body></html>
"""


class Page:
    """A server of one page, which threads of its own answer. As a context manager, it serves until the block ends.

    Besides the page, it serves `/stream` (MJPEG), `/picture.jpg` (the newest picture) and `/status` (JSON).

    Args:
        title: title of the page.
        host: address to listen at; at one of this machine alone, requests for other host names are refused, so that no
            page of the web can read the pictures.
        port: port to listen at; 0 for any free one.

    Raises InputError if this address cannot be listened at.

    >>> with Page("camera 0", "127.0.0.1", 0) as page:
    ...     page.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, title: str, host: str, port: int) -> None:
        self._title, self._host = title, host
        self._changed, self._encoding = threading.Condition(), threading.Lock()
        self._picture: np.ndarray | None = None
        self._jpeg: tuple[int, bytes] = (0, b"")  # version and content of the newest encoded picture
        self._version = 0
        self._viewers = 0
        self._ended = False
        self._scale, self._notes = WAITING["scale"], WAITING["notes"]
        self._status: Callable[[], Status] = lambda: WAITING
        try:
            self._server = _Server((host, port), self)
        except (OSError, OverflowError) as error:
            raise InputError(f"--host {host} --port {port}: {_refusal(error)}") from None

    @property
    def url(self) -> str:
        """The address of the page on this machine."""
        host = "127.0.0.1" if self._host in ("", "0.0.0.0") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_address[1]}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self._host in LOOPBACK

    @property
    def is_watched(self) -> bool:
        """Whether anybody looks at the pictures now."""
        return self._viewers > 0

    def describe(self, scale: str, notes: str, status: Callable[[], Status]) -> None:
        """Say what the page shows beside the pictures.

        Args:
            scale: the scale of depth in words, such as "metric, from velocity (speed)".
            notes: further sentences.
            status: returns the figures and the state; called about once a second.
        """
        self._scale, self._notes, self._status = scale, notes, status

    def show(self, picture: np.ndarray) -> None:
        """Show a picture in place of the one before.

        Args:
            picture: [H, W, 3] uint8, RGB.
        """
        with self._changed:
            self._picture = picture
            self._version += 1
            self._changed.notify_all()

    def html(self) -> str:
        """Return the page."""
        words = {"title": self._title, "scale": self._scale, "notes": self._notes}
        return PAGE.format(style=STYLE, **{name: escape(text) for name, text in words.items()})

    def status(self) -> Status:
        """Return the figures and the state of the page: it may have been opened before the scale was known."""
        return {**self._status(), "scale": self._scale, "notes": self._notes}

    def allows(self, host: str) -> bool:
        """Return whether requests for a host name are answered.

        Args:
            host: the header `Host` of a request.
        """
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        return not self.is_local or name.strip("[]") in LOOPBACK

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count a viewer until the block ends."""
        with self._changed:
            self._viewers += 1
        try:
            yield
        finally:
            with self._changed:
                self._viewers -= 1

    def newest(self, after: int) -> tuple[int, bytes] | None:
        """Wait for a picture, and return its version and itself as JPEG; None if the page ends, or if none comes soon.

        Args:
            after: version of the picture that is known already; 0 for none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._version > after, IDLE_SECONDS)
            version, picture = self._version, self._picture
        if self._ended or picture is None or version <= after:
            return None
        with self._encoding:  # one viewer encodes for all
            if self._jpeg[0] < version:
                self._jpeg = version, jpeg(picture)
            return self._jpeg

    @property
    def version(self) -> int:
        """The version of the newest picture; 0 without one."""
        return self._version

    @property
    def has_ended(self) -> bool:
        """Whether the page is not served any more."""
        return self._ended

    def __enter__(self) -> Self:
        """Begin to serve."""
        serve = partial(self._server.serve_forever, poll_interval=POLL_SECONDS)
        threading.Thread(target=serve, name="packdepth page", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End to serve."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()


def jpeg(picture: np.ndarray) -> bytes:
    """Return a picture as JPEG.

    Args:
        picture: [H, W, 3] uint8, RGB.

    >>> Image.open(io.BytesIO(jpeg(np.zeros((8, 16, 3), np.uint8)))).size
    (16, 8)
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def check_address(host: str, port: int) -> None:
    """Raise InputError, which says what to do, if an address cannot be listened at.

    Args:
        host: address of this machine.
        port: port; 0 for any free one.

    >>> check_address("127.0.0.1", 0)
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, port))
            server.listen()
    except (OSError, OverflowError) as error:
        raise InputError(f"--host {host} --port {port}: {_refusal(error)}") from None


def _refusal(error: Exception) -> str:
    """Return why an address cannot be listened at, and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "another program listens there; give another --port, or --port 0 for any free one"
    if number == errno.EACCES:
        return "is reserved for the system; give a --port from 1024 on"
    if isinstance(error, OverflowError):
        return "is no port; give a number from 0 to 65535"
    return f"cannot be listened at ({error}); give an address of this machine, such as 127.0.0.1 or 0.0.0.0"


class _Server(ThreadingHTTPServer):
    """The server, which its handlers ask for the page."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], page: Page) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.page = page
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of browsers that go away."""


class _Handler(BaseHTTPRequestHandler):
    """One request of a browser."""

    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        page = self.server.page  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        if not page.allows(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "packdepth live answers this machine only; see --host")
        elif path == "/":
            self._send("text/html; charset=utf-8", page.html().encode())
        elif path == "/status":
            self._send("application/json", json.dumps(page.status()).encode())
        elif path == "/picture.jpg":
            with page.watching():
                newest = page.newest(page.version) or page.newest(0)
            if newest is None:
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "there is no picture yet")
            else:
                self._send("image/jpeg", newest[1])
        elif path == "/stream":
            self._stream(page)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, kind: str, content: bytes) -> None:
        """Send one file, or its head."""
        self._begin(kind, {"Content-Length": str(len(content))})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of an answer, which no other page may embed and no browser may keep."""
        self.send_response(HTTPStatus.OK)
        fixed = {"Content-Type": kind, "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}
        for name, value in (fixed | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, page: Page) -> None:
        """Send each picture that is the newest when the one before has been sent."""
        self._begin(f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        if self.command == "HEAD":
            return
        self.wfile.write(f"--{BOUNDARY}\r\n".encode())
        version, part, sent = 0, b"", 0
        with page.watching():
            while not page.has_ended:
                newest = page.newest(version)
                if newest is not None:
                    version, content = newest
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
                    part, sent = head.encode() + content + f"\r\n--{BOUNDARY}\r\n".encode(), 0
                if sent < TIMES:
                    self.wfile.write(part)
                    sent += 1

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""
