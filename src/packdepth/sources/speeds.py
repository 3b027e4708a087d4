"""Speeds of a logger, attached to the frames of clips: whose clock is off, and whose rate differs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from packdepth.errors import InputError, InputWarning
from packdepth.records import Clip
from packdepth.sources.decoding import creation_time
from packdepth.sources.tracks.read import RECEIVERS, TABLES, TELEMETRY, TRACKS, read_track
from packdepth.sources.tracks.telemetry import has_telemetry
from packdepth.sources.tracks.track import Track

EPOCH = 1e8  # seconds: times of frames above it count from 1970
ENOUGH = 0.5  # share of the frames that the log must cover if clocks are compared, which may be off by a time zone
LONGER = 1.0  # seconds by which a log is longer than its clip, so that it may begin before it
DENIED, SURE = 0.5, 4.0  # seconds and standard deviations of an offset by the images, from which 0 is denied
CREATED = 2.0  # seconds by which a right creation time is off: it is rounded, and cameras start late
DOUBTS = "a creation time may be that of the end of the recording, of a video before it was cut, or in local time"
MAX_RANGES = 5  # ranges of frames that a sentence lists
GUESSED_CAMERA = ", and a calibration, or fov=DEGREES, helps, as the camera is a guess"  # end of a sentence
FIRST_VALUE = "the log's first value"  # from which an offset counts where the zero of its clock means nothing
LIKELY = (".csv", ".tsv", *RECEIVERS)  # suffixes of files that are logs of speeds, whatever their name
TELEMETRY_OF_ITSELF = "self"  # value of `speeds` for the telemetry inside each video


class UnattachedError(InputError):
    """Error about a log whose times do not fit those of a clip.

    Args:
        found: what was found, a clause that begins with the path of the log.
        advice: what to do, a clause.

    >>> str(UnattachedError("log.csv: covers none of the frames", "give another offset"))
    'log.csv: covers none of the frames; give another offset'
    """

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(f"{found}; {advice}")
        self.found, self.advice = found, advice


@dataclass(frozen=True)
class SpeedLog:
    """The fields of a source that name a log of speeds."""

    path: Path  # a log, a folder with a log for each clip, or "self"
    column: str | None  # column of the speed
    unit: str | None  # unit of the speed
    offset: float | Literal["auto"] | None  # logger's time at the first frame, seconds


def with_speeds(
    clips: Sequence[Clip], log: SpeedLog, unattached: dict[str, UnattachedError] | None = None
) -> list[Clip]:
    """Return clips whose frames have the speeds of a logger, and a sentence about it (`Clip.speed_source`).

    Speeds are interpolated linearly, never extrapolated, and not across holes. Other frames have no speed.

    Args:
        clips: clips, each with all its frames.
        log: the log.
        unattached: receives, by the name of a clip, why the log does not fit it; such a clip then has no speeds. With
            None, this is an error.

    Raises InputError for a log that cannot be read, that covers no frame, or whose clock is not known.
    """
    paths = [_log_of(clip, log.path, len(clips)) for clip in clips]
    tracks = {path: read_track(path, log.column, log.unit) for path in dict.fromkeys(paths)}
    shared = len(clips) > len(tracks)
    for clip, path in zip(clips, paths, strict=True):
        if clip.independent:
            raise InputError(
                f"{clip.path}: speeds are of consecutive frames, but the images of clip {clip.name} are unrelated"
            )
        if shared and tracks[path].start is None:
            raise InputError(
                f"{path}: its clock is not UTC, so that it can serve one clip only, but {len(clips)} share it; give a "
                f"folder with a log for each clip, named like the clip (such as {clip.short_name}{path.suffix})"
            )
    attached, unasked = [], set(paths)
    for clip, path in zip(clips, paths, strict=True):
        try:  # the images of the first clip of a log are asked: it takes seconds, and the others have the same clocks
            attached.append(_with_track(clip, tracks[path], log.offset, asked=path in unasked))
        except UnattachedError as error:
            if unattached is None:
                raise
            unattached[clip.name] = error
            attached.append(replace(clip, frames=tuple(replace(frame, speed=None) for frame in clip.frames)))
        unasked.discard(path)
    return attached


def _log_of(clip: Clip, path: Path, clips: int) -> Path:
    """Return the log of a clip: the video itself, the file, or the file in the folder that is named like the clip."""
    if str(path) == TELEMETRY_OF_ITSELF:
        if clip.path.suffix.lower() not in TELEMETRY:
            raise InputError(f"{clip.path}: speeds=self reads the telemetry in a video, but this is none; name a log")
        return clip.path
    if not path.is_dir():
        return path
    names = {clip.short_name.lower(), clip.path.stem.lower()}
    found = sorted(file for file in path.iterdir() if file.stem.lower() in names and file.suffix.lower() in TRACKS)
    found = [file for file in found if file.resolve() != clip.path.resolve()] or found
    if len(found) != 1:
        what = f"holds {len(found)} logs" if found else "holds no log"
        raise InputError(f"{path}: {what} for clip {clip.name}; name one like it, such as {clip.short_name}.csv")
    return found[0]


def likely_log(path: Path) -> str | None:
    """Return what `speeds` should be for a video or a recording: the log beside it, or "self" for telemetry in it.

    Args:
        path: the clip's file. A clip that is a folder has none.

    Returns:
        None if nothing tells, or if several logs may be meant.
    """
    if not path.is_file():
        return None
    logs = [file for file in sorted(path.parent.iterdir()) if file.suffix.lower() in (*TABLES, *RECEIVERS)]
    same = [log for log in logs if log.stem.lower() == path.stem.lower()]
    if not same and path.suffix.lower() in TELEMETRY and has_telemetry(path):
        return TELEMETRY_OF_ITSELF
    found = same or [log for log in logs if log.suffix.lower() in LIKELY]
    return str(found[0]) if len(found) == 1 else None


def _with_track(clip: Clip, track: Track, offset: float | Literal["auto"] | None, asked: bool) -> Clip:
    """Return a clip with the speeds of a track at the times of its frames. Its images are asked about its clock."""
    zero, why = _zero(clip, track, offset, asked)
    times = np.array([frame.time for frame in clip.frames]) - clip.frames[0].time + zero
    speeds = track.speeds_at(times)
    if np.isnan(speeds).all():
        raise UnattachedError(
            f"{track.path}: covers none of the frames of clip {clip.name}: its times are {track.times[0]:.2f} to "
            f"{track.times[-1]:.2f} s, those of the frames {times[0]:.2f} to {times[-1]:.2f} s ({why})",
            "give another offset",
        )
    frames = tuple(
        replace(frame, speed=None if np.isnan(speed) else float(speed))
        for frame, speed in zip(clip.frames, speeds, strict=True)
    )
    attached = replace(clip, frames=frames)
    _warn_of_replaced(clip, attached, track.path)
    missing = f"; {frames_in_words(attached)}" if np.isnan(speeds).any() else ""
    return replace(attached, speed_source=f"{track.path.name}: {track.description}; {why}{missing}")


def _warn_of_replaced(before: Clip, after: Clip, path: Path) -> None:
    """Warn if a log replaces speeds that a clip had, and say how much they differ."""
    pairs = [
        (old.speed, new.speed) for old, new in zip(before.frames, after.frames, strict=True) if old.speed is not None
    ]
    if not pairs:
        return
    lost = sum(new is None for _, new in pairs)
    ratios = [new / old for old, new in pairs if old and new]
    differ = f"; in the median they are {float(np.median(ratios)):.2f} times as fast" if ratios else ""
    warnings.warn(
        f"{path}: its speeds take the place of those that {len(pairs)} frames of clip {before.name} had"
        + (f", of which {lost} have none now" if lost else "")
        + differ,
        InputWarning,
        stacklevel=3,
    )


def _zero(clip: Clip, track: Track, offset: float | Literal["auto"] | None, asked: bool) -> tuple[float, str]:
    """Return the logger's time at the first frame, in seconds of the track, and how it was found.

    If `asked`, the images have a say about a clock that may be wrong.
    """
    if offset == "auto":
        from packdepth.sources.offset import find_offset

        found = find_offset(clip, track)
        if isinstance(found, str):
            raise UnattachedError(
                f"{track.path}: offset=auto finds no offset to clip {clip.name}: {found} (the log was read as: "
                f"{track.description})",
                f"give offset=SECONDS, {_seconds_in_words(track)}{_any_offset_in_words(clip, track)}; a recording with "
                f"a start, a stop or strong braking determines it"
                f"{'' if clip.missing_camera is None else GUESSED_CAMERA}",
            )
        return found.seconds, found.in_words() + (f", from {FIRST_VALUE}" if _has_own_clock(track) else "")
    if offset is not None:
        zero = offset - track.start if track.start is not None and offset > EPOCH else offset
        of = FIRST_VALUE if _has_own_clock(track) else "the logger's zero"
        return zero, f"offset {offset:g} s, as given" + (f" (from {of})" if zero == offset else "")
    if track.path == clip.path:
        return clip.frames[0].time, "on the video's own clock"
    frame_utc, source = _utc(clip)
    if track.start is not None and frame_utc is not None:
        zero = frame_utc - track.start
        length = clip.frames[-1].time - clip.frames[0].time
        covered = min(zero + length, track.times[-1]) - max(zero, track.times[0])
        if covered >= ENOUGH * length:
            by_clocks = f"offset {zero:.3f} s by the clocks (UTC of the log and {source})"
            if asked and clip.frames[0].time <= EPOCH:
                return _confirmed(clip, track, zero, by_clocks)
            return zero, by_clocks
        raise UnattachedError(
            f"{track.path}: by the clocks, the first frame of {clip.name} is {zero:.1f} s after the log's first value, "
            f"and the log does not cover the clip ({source} may be in another time zone)",
            "give offset=SECONDS or offset=auto",
        )
    own_clock = _has_own_clock(track)
    if not own_clock and abs(track.times[0]) <= track.period:
        return 0.0, f"assumed that the log starts with the first frame, as its times start at 0{_seen(clip, track)}"
    begins = "has a clock of its own" if own_clock else f"starts at {track.times[0]:g} s"
    raise UnattachedError(
        f"{track.path}: {begins}, and nothing tells its time at the first frame of {clip.name}",
        f"give offset=SECONDS ({_seconds_in_words(track)}) or offset=auto",
    )


def _any_offset_in_words(clip: Clip, track: Track) -> str:
    """Return a clause that names an offset that is good enough for a steady drive; empty if there is none."""
    from packdepth.sources.offset import harmless_offset

    harmless = harmless_offset(np.array([frame.time for frame in clip.frames]), track)
    if harmless is None:
        return ""
    return (
        f" (offset={harmless.seconds:.2f} is good enough if the log covers the clip: all from {harmless.low:.2f} to "
        f"{harmless.high:.2f} s give the frames the same speeds within {max(harmless.change, 0.01):.0%} on average)"
    )


def _has_own_clock(track: Track) -> bool:
    """Return whether the zero of a log's clock means nothing, so that offsets count from the log's first value."""
    return track.start is not None or track.free_zero


def _seconds_in_words(track: Track) -> str:
    """Return what an offset of a log is."""
    return "the logger's time at the first frame" + (f", counted from {FIRST_VALUE}" if _has_own_clock(track) else "")


def _seen(clip: Clip, track: Track) -> str:
    """Return what the images say about an offset of 0, as the end of a sentence. Raises InputError if they deny it."""
    from packdepth.sources.offset import find_offset

    if track.times[-1] - track.times[0] < clip.frames[-1].time - clip.frames[0].time + LONGER:
        return " (if not, give offset=SECONDS or offset=auto)"
    found = find_offset(clip, track)
    if isinstance(found, str):  # the images cannot tell
        return ", although it is longer than the clip (if not, give offset=SECONDS)"
    if abs(found.seconds) > max(DENIED, SURE * found.deviation):
        raise UnattachedError(
            f"{track.path}: its times start at {track.times[0]:g} s, as if with the first frame of {clip.name}, but "
            f"the images say {found.in_words()}",
            "give offset=auto, or offset=SECONDS",
        )
    return ", and the images agree"


def _confirmed(clip: Clip, track: Track, zero: float, by_clocks: str) -> tuple[float, str]:
    """Return an offset by a video's creation time, or that of the images near it, and how it was found.

    Warns if the images cannot tell, and raises InputError if they deny it.
    """
    from packdepth.sources.offset import find_offset

    found = find_offset(clip, track)
    if isinstance(found, str):
        untold = f"{by_clocks}; the images cannot tell whether it is right"
        warnings.warn(f"{track.path}: {untold}: {DOUBTS}; if so, give offset=SECONDS", InputWarning, stacklevel=2)
        return zero, untold
    if abs(found.seconds - zero) <= max(CREATED, SURE * found.deviation):
        return found.seconds, f"{found.in_words()}; by the clocks it is {zero:.1f} s"
    raise UnattachedError(
        f"{track.path}: {by_clocks}, but by the images of {clip.name} {found.in_words()}: {DOUBTS}",
        "give offset=auto, or offset=SECONDS",
    )


def _utc(clip: Clip) -> tuple[float | None, str]:
    """Return UTC of the first frame, in seconds since 1970, and where it stands; None if it is not known."""
    if clip.frames[0].time > EPOCH:
        return clip.frames[0].time, "the frames' times"
    if clip.path.suffix.lower() not in TELEMETRY:
        return None, ""
    created = creation_time(clip.path)
    source = "the video's creation time"
    return (None if created is None else created + clip.frames[0].time), source


def frames_in_words(clip: Clip) -> str:
    """Return a sentence that names the frames without a speed.

    Args:
        clip: the clip, with speeds for some frames.
    """
    names = ranges([frame.speed is None for frame in clip.frames], [frame.name for frame in clip.frames])
    count = sum(frame.speed is None for frame in clip.frames)
    return f"{count} of {len(clip.frames)} frames have no speed and are context only: {names}"


def ranges(chosen: Sequence[bool], names: Sequence[str]) -> str:
    """Return the names of chosen frames as ranges.

    Args:
        chosen: whether each frame is chosen.
        names: names of the frames.

    >>> ranges([True, True, False, True], ["0", "1", "2", "3"])
    '0 to 1 and 3'
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(chosen, dtype=int), [0]])))
    words = [
        names[first] if first == last - 1 else f"{names[first]} to {names[last - 1]}"
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    if len(words) > MAX_RANGES:
        words = [*words[: MAX_RANGES - 1], f"{len(words) - MAX_RANGES + 1} more ranges"]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
