"""A server of one RTSP stream over TCP, enough for one client (RFC 2326, RFC 6184)."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import av
import numpy as np

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=drive\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
)
ANSWERS = {
    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
    "SETUP": "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1",
    "PLAY": "Session: 1\r\nRange: npt=now-",
}


def rtp_packets(images: Sequence[np.ndarray], rate: int) -> list[bytes]:
    """Return the RTP packets of images [H, W, 3] uint8 as H.264."""
    packets = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.3)
        with av.open(f"rtp://127.0.0.1:{receiver.getsockname()[1]}", "w", format="rtp") as container:
            stream = container.add_stream("libx264", rate=rate, options={"tune": "zerolatency", "preset": "ultrafast"})
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        try:
            while True:
                packets.append(receiver.recv(65536))
        except TimeoutError:
            pass
    return [packet for packet in packets if packet[1] & 0x7F == 96]  # none of RTCP


@contextmanager
def rtsp_server(packets: Sequence[bytes], pause: float) -> Iterator[str]:
    """Yield the URL of a stream that ends after its packets.

    Args:
        packets: RTP packets.
        pause: seconds before each of them.
    """
    done = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as lines:
            method = ""
            while method != "PLAY":
                method, head = lines.readline().decode().split(" ")[0], {}
                while (line := lines.readline().decode().strip()) != "":
                    name, _, value = line.partition(":")
                    head[name] = value.strip()
                body = SDP if method == "DESCRIBE" else ""
                kind = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}" if body else ANSWERS[method]
                connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {head['CSeq']}\r\n{kind}\r\n\r\n{body}".encode())
            for packet in packets:
                done.wait(pause)
                connection.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/drive"
        done.set()
        thread.join(5)
