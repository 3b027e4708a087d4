"""Stereo pairs: what a clip lacks to be trained on by them, and a baseline that contradicts its other metres."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import world
from arrays import Array

from packdepth.data.faults import check_faults, faults
from packdepth.data.fields import check_offers
from packdepth.data.stereo_pairs import stereo_fault, stereo_lack, stereo_lacks
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame

CAMERA = Camera(fx=160.0, fy=160.0, cx=160.0, cy=100.0, width=320, height=200)
BASELINE = 0.5  # metres
FRAMES = 7


def drive(rate: float = 10.0) -> Clip:
    """Return a drive of 5 m/s with right images, speeds, poses and LiDAR, at a number of frames a second."""
    return world.detailed_clip(CAMERA, FRAMES, step=10 / rate, rate=rate, baseline=BASELINE)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A drive at 10 frames a second."""
    return drive()


def changed(clip: Clip, change: Callable[[int, Frame], Frame]) -> Clip:
    """Return a clip with every frame changed."""
    return replace(clip, frames=tuple(change(number, frame) for number, frame in enumerate(clip.frames)))


def only(clip: Clip, source: str) -> Clip:
    """Return a clip with one source of metres besides its stereo pairs."""
    return changed(
        clip,
        lambda _, frame: replace(
            frame,
            speed=frame.speed if source == "speeds" else None,
            pose=frame.pose if source == "poses" else None,
            lidar=frame.lidar if source == "measured depth" else None,
        ),
    )


# --- metres -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["speeds", "poses", "measured depth"])
@pytest.mark.parametrize("factor", [0.5, 0.7, 1.5, 2.0])
def test_a_baseline_that_contradicts_another_source_of_metres_is_found(clip: Clip, source: str, factor: float) -> None:
    assert stereo_fault(only(clip, source)) is None
    fault = stereo_fault(only(replace(clip, baseline=factor * BASELINE), source))
    assert fault is not None
    words = r"by its stereo pairs \(baseline (.*) m\), points are (.*) times as far away as by its "
    found = re.fullmatch(words + source, fault.found)
    assert found is not None
    assert float(found[1]) == factor * BASELINE
    assert float(found[2]) == pytest.approx(factor, rel=0.03)
    fits = re.search(r"about (\S+) m would fit", fault.advice)
    assert fits is not None
    assert float(fits[1]) == pytest.approx(BASELINE, rel=0.05)


def test_a_wrong_baseline_is_not_trained_on(clip: Clip) -> None:
    wrong = replace(clip, baseline=BASELINE / 2)
    with pytest.raises(InputError, match=r"a: by its stereo pairs .*; correct the baseline"):
        check_faults([wrong], frozenset({"right"}))
    check_faults([wrong], frozenset({"distance", "truth"}))  # what a training does not use may be wrong
    assert [each.name for each in faults(wrong)] == ["stereo"]


def test_neighbors_that_hardly_differ_are_no_obstacle() -> None:
    fast = only(drive(rate=40.0), "speeds")
    assert stereo_fault(fast) is None
    assert stereo_fault(replace(fast, baseline=2 * BASELINE)) is not None


def test_wrong_scans_accuse_no_baseline_that_the_motion_confirms(clip: Clip) -> None:
    wrong = changed(clip, lambda _, f: f if f.lidar is None else replace(f, lidar=Array(f.lidar.read() * 2)))
    assert stereo_fault(wrong) is None
    assert stereo_fault(only(wrong, "measured depth")) is not None


@pytest.mark.parametrize("standing", [True, False])
def test_a_wrong_baseline_is_not_told_without_another_source(clip: Clip, standing: bool) -> None:
    first = clip.frames[0]
    alone = only(replace(clip, baseline=2 * BASELINE), "poses" if standing else "none")
    if standing:
        alone = changed(alone, lambda _, f: replace(f, image=first.image, right=first.right, pose=first.pose))
    assert stereo_fault(alone) is None


# --- what is missing --------------------------------------------------------------------------------------------

LACKS: dict[str, tuple[Callable[[Clip], Clip], str]] = {
    "one right image": (
        lambda c: changed(c, lambda n, f: replace(f, right=None) if n == 4 else f),
        "no right image for 1 of its 7 frames, the first is 000004",
    ),
    "all right images": (lambda c: changed(c, lambda _, f: replace(f, right=None)), "no right images"),
    "the baseline": (lambda c: replace(c, baseline=None), "no baseline_m in its camera.yaml"),
}


@pytest.mark.parametrize("what", LACKS)
def test_what_pairs_lack_is_named_with_its_frame_or_field(clip: Clip, what: str) -> None:
    change, lack = LACKS[what]
    broken = replace(change(clip), name="folder/b")
    assert stereo_lack(clip) is None
    assert stereo_lack(broken) == lack
    assert stereo_lacks([clip, broken]) == {"folder/b": lack}
    check_offers([clip], {"stereo": ("right",)})
    with pytest.raises(InputError, match=f"needs stereo pairs, but clip folder/b .* has {re.escape(lack)}; add"):
        check_offers([clip, broken], {"stereo": ("right",)})


def test_data_without_any_right_image_lack_none(clip: Clip) -> None:
    left = changed(clip, lambda _, f: replace(f, right=None))
    assert stereo_lacks([left, replace(left, name="folder/b", baseline=None)]) == {}
