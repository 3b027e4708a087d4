"""Tracks inside the videos of GoPro cameras, read with telemetry-parser (extra `telemetry`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from packdepth.errors import InputError
from packdepth.reading import refusing
from packdepth.sources.decoding import opened_container
from packdepth.sources.tracks.track import Track, checked

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.data.stream import DataStream

FIX = "0x47505346"  # GPSF: 0 without a fix, 2 or 3 (dimensions) with one
MIN_FIX = 2
SPEED_2D = 3  # column of the speed over the ground, of GPS5 and of GPS9: latitude, longitude, altitude, 2D and 3D speed
FIX_COLUMN = 8  # column of the fix in GPS9, which has one for each row
COLUMNS = (5, 9)  # columns of GPS5 and GPS9
PACKET, GPS_KEYS = b"DEVC", (b"GPS5", b"GPS9")  # with which a packet of telemetry begins, and that name its positions


def has_telemetry(path: Path) -> bool:
    """Return whether a video holds positions of a GPS as GoPro cameras write them, by the first packet of each track.

    Args:
        path: the video. One that cannot be read holds none.
    """
    try:
        with refusing(path, "a video"), opened_container(path) as container:
            return any(_begins_with_gps(container, stream) for stream in container.streams.data)
    except InputError:
        return False


def read_telemetry(path: Path) -> Track:
    """Read the speeds over the ground that a camera's GPS wrote into its video. Their clock is the video's own.

    Args:
        path: the video.

    Raises InputError without the package telemetry-parser, and for a video without speeds of a GPS.
    """
    if importlib.util.find_spec("telemetry_parser") is None:
        raise InputError(f"{path}: telemetry in videos needs telemetry-parser: pip install 'packdepth[telemetry]'")
    import telemetry_parser

    with refusing(path, "a video with telemetry", "give a log of its own"):
        parser = telemetry_parser.Parser(str(path))
        groups = [group["GPS"] for group in parser.telemetry() if _has_gps(group)]
        camera = str(parser.camera)
    spans = _spans(path)
    if not groups or len(spans) != len(groups):
        found = "no speed of a GPS" if not groups else f"{len(groups)} GPS packets for {len(spans)} time stamps"
        raise InputError(f"{path}: its telemetry holds {found}; export the camera's GPS as GPX and give that")
    times: list[float] = []
    speeds: list[float] = []
    for group, (begin, end) in zip(groups, spans, strict=True):
        rows = np.array(group["Data"], dtype=np.float64) / np.array(group["Scale"], dtype=np.float64)
        fixed = rows[:, FIX_COLUMN] >= MIN_FIX if rows.shape[1] > FIX_COLUMN else group.get(FIX, MIN_FIX) >= MIN_FIX
        stamps = begin + (end - begin) * np.arange(len(rows)) / len(rows)
        times += stamps[np.broadcast_to(fixed, stamps.shape)].tolist()
        speeds += rows[np.broadcast_to(fixed, stamps.shape), SPEED_2D].tolist()
    return checked(Track(path, np.array(times), np.array(speeds), None, f"speeds of the GPS of a {camera}"))


def _begins_with_gps(container: InputContainer, stream: DataStream) -> bool:
    """Return whether the first packet of a track holds positions of a GPS."""
    first = next((bytes(packet) for packet in container.demux(stream) if packet.size), b"")
    return first.startswith(PACKET) and any(key in first for key in GPS_KEYS)


def _has_gps(group: dict[str, Any]) -> bool:
    """Return whether a group of telemetry holds rows of GPS5 or GPS9 with their scale."""
    data = group.get("GPS", {}).get("Data")
    return bool(data) and isinstance(data[0], list) and len(data[0]) in COLUMNS and "Scale" in group["GPS"]


def _spans(path: Path) -> list[tuple[float, float]]:
    """Return begin and end of each packet of the telemetry, in seconds of the video."""
    with refusing(path, "a video with telemetry"), opened_container(path) as container:
        for stream in container.streams.data:
            stamps = [
                (float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base))
                for packet in container.demux(stream)
                if packet.pts is not None and packet.size and bytes(packet).startswith(PACKET)
            ]
            if stamps:
                begins = [begin for begin, _ in stamps]
                typical = float(np.median(np.diff(begins))) if len(begins) > 1 else stamps[0][1]
                return list(zip(begins, [*begins[1:], begins[-1] + (stamps[-1][1] or typical)], strict=True))
    return []
