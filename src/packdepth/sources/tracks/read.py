"""Choice of the reader of a track, by the file's suffix and content."""

from __future__ import annotations

from pathlib import Path

from packdepth.errors import InputError
from packdepth.reading import refusing
from packdepth.sources.files import require
from packdepth.sources.tracks.gpx import read_gpx
from packdepth.sources.tracks.nmea import looks_like_nmea, read_nmea
from packdepth.sources.tracks.table import read_speed_table
from packdepth.sources.tracks.telemetry import read_telemetry
from packdepth.sources.tracks.track import Track

TABLES = (".csv", ".tsv", ".txt", ".log", ".dat")  # suffixes of tables of text
RECEIVERS = (".gpx", ".nmea", ".nma")  # suffixes of logs of receivers
TELEMETRY = (".mp4", ".mov", ".360", ".m4v")  # suffixes of videos that may hold telemetry
TRACKS = (*TABLES, *RECEIVERS, *TELEMETRY)
HEAD = 4096  # bytes at the beginning of a file from which its format is recognized


def read_track(path: Path, column: str | None = None, unit: str | None = None) -> Track:
    """Read the speeds in a file of any format: a table, GPX, NMEA, or a video with telemetry.

    Args:
        path: the file.
        column: name of the column of the speed, of a table whose header does not tell.
        unit: unit of the speed, of a table that does not tell.

    Raises InputError for a file that cannot be read, and for `column` or `unit` of a file that is no table.
    """
    suffix = require(path, "a log of speeds (CSV, GPX, NMEA) or a video with telemetry").suffix.lower()
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the file of a log")
    with path.open("rb") as file:
        head = file.read(HEAD)
    text = head.decode("utf-8-sig", errors="replace")
    if suffix in TELEMETRY:
        reader = read_telemetry
    elif suffix == ".gpx" or "<gpx" in text:
        reader = read_gpx
    elif looks_like_nmea(text):
        reader = read_nmea
    else:
        with refusing(path, "a log of speeds"):
            return read_speed_table(path, column, unit)
    for name, value in (("column", column), ("unit", unit)):
        if value is not None:
            raise InputError(f"{path}: {name}={value} is for tables, but this file tells its speeds itself; remove it")
    with refusing(path, "a log of speeds"):
        return reader(path)
