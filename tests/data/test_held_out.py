"""The held-out tail of clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.data.held_out import MIN_TARGETS, without_tail
from packdepth.data.targets import target_indices
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.files import ImageFile


def clip_of(length: int) -> Clip:
    frames = tuple(Frame(f"{i:06d}", i / 10, ImageFile(Path(f"{i}.png"))) for i in range(length))
    return Clip(f"clip/{length}", Path("clip"), Camera.from_fov(60.0, 640, 192), frames)


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=4, unique=True),
    share=st.floats(0.01, 0.5),
    offsets=st.sampled_from([(), (-1, 1), (-1, 2), (1,), (-3, 3)]),
)
def test_no_frame_is_lost_or_in_both_parts(lengths: list[int], share: float, offsets: tuple[int, ...]) -> None:
    clips = [clip_of(length) for length in lengths]
    try:
        kept, tails = without_tail(clips, share, offsets)
    except InputError:
        assert max(lengths) < 3 * (MIN_TARGETS + 6) or share > 0.3
        return
    parts = {clip.name: list(clip.frames) for clip in kept}
    for tail in tails:
        assert len(target_indices(tail, offsets)) >= MIN_TARGETS
        parts[tail.name] += tail.frames
    for clip in clips:
        assert [frame.name for frame in parts[clip.name]] == [frame.name for frame in clip.frames]


def test_the_tail_is_the_end_of_the_clip_and_has_the_share_of_its_frames() -> None:
    (kept,), (tail,) = without_tail([clip_of(100)], 0.1, (-1, 1))
    assert [frame.name for frame in tail.frames] == [f"{i:06d}" for i in range(90, 100)]
    assert len(kept.frames) == 90


def test_a_clip_that_would_lose_a_third_of_its_frames_is_not_divided() -> None:
    kept, tails = without_tail([clip_of(21), clip_of(22), clip_of(60)], 0.1, (-1, 1))
    assert [len(clip.frames) for clip in kept] == [21, 14, 52]
    assert [len(clip.frames) for clip in tails] == [8, 8]


@pytest.mark.parametrize("unmeasured", [0, 1, 6, 15])
def test_a_tail_has_measured_lengths_where_the_log_ends_before_the_clip(unmeasured: int) -> None:
    clip = clip_of(80)
    known = 80 - unmeasured
    frames = [replace(frame, speed=8.0 if i < known else None) for i, frame in enumerate(clip.frames)]
    (kept,), (tail,) = without_tail([replace(clip, frames=tuple(frames))], 0.1, (-1, 1))
    assert len(target_indices(tail, (-1, 1), measured=True)) >= MIN_TARGETS
    assert len(tail.frames) == 8 + unmeasured
    assert [frame.name for frame in (*kept.frames, *tail.frames)] == [frame.name for frame in clip.frames]


def test_clips_that_are_all_too_short_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"data\.val_tail: no clip is long enough .* longest has 5.*remove val_tail"):
        without_tail([clip_of(5), clip_of(3)], 0.1, (-1, 1))
