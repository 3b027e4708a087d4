"""Addresses: cameras, URLs, and why they cannot be opened."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from packdepth.errors import InputError
from packdepth.inference.writers.video import video_writer
from packdepth.live import address
from packdepth.live.address import Address, address_of
from packdepth.live.page import Page


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /dev, with the cameras 0 and 2, on Linux."""
    monkeypatch.setattr(address, "DEVICES", tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("video0", "video2"):
        (tmp_path / name).touch()
    return tmp_path


def test_an_index_is_a_camera(devices: Path) -> None:
    found = address_of("2", (720, 1280))
    assert found == Address(
        str(devices / "video2"), str(devices / "video2"), "v4l2", {"video_size": "1280x720"}, (720, 1280)
    )


def test_a_camera_that_is_not_there(devices: Path) -> None:
    with pytest.raises(InputError) as caught:
        address_of("7")
    here = f"cameras here: {devices}/video0, {devices}/video2"
    assert str(caught.value) == f"{devices}/video7: there is no such camera; {here}"
    for name in ("video0", "video2"):
        (devices / name).unlink()
    with pytest.raises(InputError, match="no camera is connected to this machine"):
        address_of("0")


def test_cameras_of_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(InputError, match="camera 0: cameras are read on Linux and macOS only; give the URL"):
        address_of("0")


def test_a_url_and_its_name_without_a_password() -> None:
    found = address_of("rtsp://me:secret@camera:554/live?token=abc")
    assert found is not None
    assert found.target == "rtsp://me:secret@camera:554/live?token=abc"
    assert found.label == "rtsp://camera:554/live"
    assert found.options == {"rtsp_flags": "prefer_tcp"}


@pytest.mark.parametrize("path", ["drive.mp4", "file:///data/drive.mp4", "2011_09_26/0001"])
def test_a_path_is_no_address(path: str) -> None:
    assert address_of(path) is None


def test_a_size_is_for_cameras() -> None:
    with pytest.raises(InputError, match="--size 720 1280: is for cameras of this machine, which http://robot/ is not"):
        address_of("http://robot/", (720, 1280))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "add yourself to the group video"),
        (errno.EBUSY, "another program uses this camera; close it"),
        (errno.ENOTTY, "is no camera that can be read (Inappropriate ioctl for device); cameras here"),
    ],
)
def test_a_camera_that_cannot_be_opened(
    number: int, words: str, devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: dict[int, Any] = av.error.classes

    def refuse(*_: object, **__: object) -> None:
        raise kinds[number](number, os.strerror(number))

    monkeypatch.setattr(av, "open", refuse)
    found = address_of("0")
    assert found is not None
    with pytest.raises(InputError) as caught:
        found.open((1, 1))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{devices / 'video0'}: ")


def opened(url: str) -> str:
    """Return why a URL cannot be opened."""
    found = address_of(url)
    assert found is not None
    with pytest.raises(InputError) as caught:
        found.open((0.5, 0.5))
    return str(caught.value)


def test_a_url_that_nobody_serves() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/x", f"rtsp://127.0.0.1:{port}/x"):
        assert opened(url) == f"{url}: nobody serves it (connection refused); start the stream, or correct the port"


def test_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        assert opened(url) == f"{url}: does not answer within 0.5 seconds; check the address and the network"


def test_a_page_in_place_of_a_stream_and_a_wrong_path() -> None:
    with Page("a page", "127.0.0.1", 0) as page:
        assert "sends no video that FFmpeg reads; give the URL of the stream itself" in opened(page.url)
        assert "its server does not know this path (404 Not Found)" in opened(f"{page.url}video")
    assert "FFmpeg does not know this kind of URL" in opened("robot://127.0.0.1/x")


def test_a_camera_of_another_size(tmp_path: Path) -> None:
    with video_writer(tmp_path / "a.mp4", 10) as append:
        append(np.zeros((48, 64, 3), np.uint8))
    camera = Address(str(tmp_path / "a.mp4"), "/dev/video0", size=(720, 1280))
    with camera.open((5, 5)) as container, pytest.raises(InputError, match=r"no mode of 1280x720 .* --size 48 64"):
        camera.check(container)
