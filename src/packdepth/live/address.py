"""The address of a camera of this machine or of a stream of the network, and how FFmpeg opens it."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packdepth.errors import InputError
from packdepth.sources.decoding import is_cover

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

DEVICES = Path("/dev")
DEVICE = re.compile(r"/dev/video\d+")
FORMATS = {"linux": "v4l2", "darwin": "avfoundation"}  # FFmpeg's name for the cameras of a system
PROTOCOLS = {"rtsp": {"rtsp_flags": "prefer_tcp"}}  # options of FFmpeg by protocol: UDP loses packets in wireless nets
NETWORK = (  # FFmpeg's names of what a stream may be fetched by; none of them reads files of this machine
    *("rtsp", "rtsps", "rtp", "srtp", "udp", "tcp", "tls", "http", "https", "httpproxy", "crypto", "srt", "rist"),
    *("rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts", "ffrtmphttp", "ffrtmpcrypt", "mmsh", "mmst"),
)
REFUSALS = {  # why a URL cannot be opened, and what to do, by the name of PyAV's error
    "ConnectionRefusedError": "nobody serves it (connection refused); start the stream, or correct the port",
    "TimeoutError": "does not answer; check the address and the network",
    "HTTPUnauthorizedError": "asks for a password; write it as SCHEME://USER:PASSWORD@HOST/PATH",
    "HTTPForbiddenError": "refuses to serve it (403 Forbidden); check user and password",
    "HTTPNotFoundError": "its server does not know this path (404 Not Found); correct the path",
    "ProtocolNotFoundError": "FFmpeg does not know this kind of URL; give rtsp:// or http://",
    "InvalidDataError": "sends no video that FFmpeg reads; give the URL of the stream itself, not of a page around it",
}


@dataclass(frozen=True)
class Address:
    """An address that FFmpeg opens.

    >>> Address("rtsp://me:secret@camera:554/live", "rtsp://camera:554/live").label
    'rtsp://camera:554/live'
    """

    target: str  # file name or URL, perhaps with a password
    label: str  # its name for people, without a password
    format: str | None = None  # FFmpeg's name of the format; None: recognized by the content
    options: Mapping[str, str] = field(default_factory=dict)  # options of FFmpeg
    size: tuple[int, int] | None = None  # height and width that the camera was asked for, in pixels

    def open(self, timeout: tuple[float, float]) -> InputContainer:
        """Open it.

        Args:
            timeout: seconds until it must have been opened, and between packets later.

        Raises InputError, which says what to do, if that is impossible.
        """
        import av

        protocols = ",".join(NETWORK) if "://" in self.target else "file"
        limits = {} if self.format is not None else {"protocol_whitelist": protocols}
        try:
            return av.open(
                self.target,
                mode="r",
                format=self.format,
                options=limits | dict(self.options),
                timeout=timeout,
                metadata_errors="replace",
            )
        except av.FFmpegError as error:
            raise InputError(f"{self.label}: {self._refusal(error, timeout[0])}") from None

    def check(self, container: InputContainer) -> None:
        """Raise InputError if what was opened has no video, or not the size that was asked for.

        Args:
            container: what `open` returned.
        """
        streams = [stream for stream in container.streams.video if not is_cover(stream)]
        if not streams:
            raise InputError(f"{self.label}: sends no video; give an address that does")
        if self.size is not None and (streams[0].height, streams[0].width) != self.size:
            height, width = self.size
            raise InputError(
                f"{self.label}: has no mode of {width}x{height} pixels, the nearest is {streams[0].width}x"
                f"{streams[0].height}; give --size {streams[0].height} {streams[0].width}"
            )

    def _refusal(self, error: av.FFmpegError, seconds: float) -> str:
        """Return why it cannot be opened, and what to do, as the end of a sentence."""
        if self.format is not None:
            reasons = {
                errno.ENOENT: f"there is no such camera; {cameras_here()}",
                errno.EACCES: "you may not read this camera; add yourself to the group video, and log in again",
                errno.EBUSY: "another program uses this camera; close it",
            }
            other = f"is no camera that can be read ({error.strerror}); {cameras_here()}"
            return reasons.get(error.errno or 0, other)
        name = type(error).__name__
        if name == "ExitError":
            return f"does not answer within {seconds:g} seconds; check the address and the network"
        return REFUSALS.get(name, f"cannot be opened ({error.strerror}); check the address")


def cameras_here() -> str:
    """Return which cameras this machine has, as half a sentence.

    >>> cameras_here().split()[0] in ("cameras", "no")
    True
    """
    found = sorted(DEVICES.glob("video*"), key=lambda path: (len(path.name), path.name))
    return f"cameras here: {', '.join(map(str, found))}" if found else "no camera is connected to this machine"


def address_of(source: str, size: tuple[int, int] | None = None) -> Address | None:
    """Return the address that a text is: the index of a camera, /dev/videoN, or a URL; None for a path.

    Args:
        source: the text.
        size: height and width to ask a camera for, in pixels.

    Raises InputError for a camera on a system whose cameras are not known, and for a size of what is no camera.

    >>> address_of("http://me:secret@robot:8000/stream?token=1").label
    'http://robot:8000/stream'
    >>> address_of("drive.mp4") is None
    True
    """
    is_camera = source.isdecimal() or DEVICE.fullmatch(source) is not None
    if size is not None and not is_camera:
        raise InputError(f"--size {size[0]} {size[1]}: is for cameras of this machine, which {source} is not")
    if is_camera:
        return _camera(source, size)
    if "://" not in source or source.startswith("file://"):
        return None
    parts = urlsplit(source)
    label = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return Address(source, label, options=PROTOCOLS.get(parts.scheme, {}))


def _camera(source: str, size: tuple[int, int] | None) -> Address:
    """Return the address of a camera of this machine."""
    if sys.platform not in FORMATS:
        raise InputError(f"camera {source}: cameras are read on Linux and macOS only; give the URL of a stream")
    device = source
    if sys.platform == "linux":
        device = str(DEVICES / f"video{int(source)}") if source.isdecimal() else source
        if not Path(device).exists():
            raise InputError(f"{device}: there is no such camera; {cameras_here()}")
    options = {} if size is None else {"video_size": f"{size[1]}x{size[0]}"}
    return Address(device, device if "/" in device else f"camera {device}", FORMATS[sys.platform], options, size)
