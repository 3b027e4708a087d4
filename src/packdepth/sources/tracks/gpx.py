"""Tracks in GPX files: speeds as the receiver wrote them, or from its positions."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from packdepth.errors import InputError
from packdepth.sources.tracks.clocks import parse_iso
from packdepth.sources.tracks.fix import is_fix
from packdepth.sources.tracks.positions import (
    agreeing_speeds,
    are_known,
    check_degrees,
    places_of,
    speeds_from_places,
    warn_if_coarse,
)
from packdepth.sources.tracks.track import Track, check_times, checked, held, repeats


def read_gpx(path: Path) -> Track:
    """Read a GPX file (1.0 or 1.1, with the extensions of receivers, whose speeds are metres per second).

    Args:
        path: the file.

    Raises InputError for a file that is no GPX, and for points without times.
    """
    times: list[float] = []
    rows: list[tuple[float, float, float]] = []
    try:
        for _, element in ElementTree.iterparse(path):
            if _name(element) != "trkpt":
                continue
            parts = {_name(part): (part.text or "").strip() for part in element.iter()}
            where = f"{path}: track point {len(rows) + 1}"
            if "time" not in parts:
                raise InputError(f"{where} has no time; export the track with times")
            times.append(parse_iso(parts["time"], where)[0])  # UTC, by the definition of GPX
            row = float(parts.get("speed", "nan")), float(element.get("lat", "")), float(element.get("lon", ""))
            rows.append(row if is_fix(parts.get("fix", "")) else (np.nan, np.nan, np.nan))
            element.clear()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is no valid GPX ({error}); export it again") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: track point {len(rows) + 1} holds '{error}'; export it again") from None
    if not rows:
        raise InputError(f"{path}: holds no track point (trkpt); export a track, not a route or waypoints")
    stamps, (speeds, latitudes, longitudes) = np.array(times), np.array(rows).T
    return from_receiver(path, stamps, speeds, latitudes, longitudes, "GPX")


def from_receiver(
    path: Path, stamps: np.ndarray, speeds: np.ndarray, latitudes: np.ndarray, longitudes: np.ndarray, kind: str
) -> Track:
    """Return the track of a receiver: its own speeds if it has written some, otherwise speeds from its positions.

    Args:
        path: the file, for messages.
        stamps: [N] seconds since 1970, UTC.
        speeds: [N] metres per second, NaN where there is none.
        latitudes: [N] degrees, NaN where there is none.
        longitudes: [N] degrees.
        kind: name of the format, for the description.

    Raises InputError if times do not rise or fewer than two speeds are known.
    """
    own = np.isfinite(speeds) & (speeds >= 0)  # phones write -1 where they know none
    what = f"speeds of a {kind} file"
    placed = are_known(latitudes, longitudes)
    check_degrees(path, latitudes, longitudes)
    both = own & placed
    places = places_of(latitudes[both], longitudes[both])
    speeds = speeds.copy()
    speeds[both] = agreeing_speeds(path, stamps[both], speeds[both], places, "export it with metres per second")
    own &= np.isfinite(speeds)
    if not own.any():
        stamps, latitudes, longitudes = stamps[placed], latitudes[placed], longitudes[placed]
        kept = ~held(stamps, latitudes, longitudes)
        stamps, latitudes, longitudes = stamps[kept], latitudes[kept], longitudes[kept]
        start = float(stamps[0]) if len(stamps) else 0.0
        check_times(path, (stamps - start)[~repeats(stamps, latitudes, longitudes)])
        warn_if_coarse(path, latitudes, longitudes)
        speeds = speeds_from_places(stamps - start, places_of(latitudes, longitudes))
        own, what = np.isfinite(speeds), f"speeds from the positions of a {kind} file"
    elif not own.all():
        what += f"; {int((~own).sum())} of {len(own)} points have no speed, or no fix"
    start = float(stamps[0]) if len(stamps) else 0.0
    return checked(Track(path, (stamps - start)[own], speeds[own], start, what))


def _name(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2].lower()
