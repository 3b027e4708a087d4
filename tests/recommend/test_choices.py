"""The choice of the values of a run file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from packdepth.blocks import parse
from packdepth.config import Run
from packdepth.geometry.camera import Camera
from packdepth.networks.blocks import DEPTH_NETWORKS
from packdepth.networks.layers.head import InverseDepthHead
from packdepth.recommend.choices import (
    FEW_IMAGES,
    FEW_PRETRAINED,
    MANY_IMAGES,
    MANY_PLACES,
    STARTING,
    Budget,
    choose,
    image_sizes,
    place_count,
    places_in_words,
    plan_in_words,
    scale_in_advance,
    unused_stereo,
    with_steps,
)
from packdepth.recommend.look import Look, hidden
from packdepth.recommend.run_text import run_text, run_values
from packdepth.records import Clip, Frame
from packdepth.sources.files import ImageFile
from packdepth.sources.guess import assume_fov

SOURCE = {"kind": "folder", "root": "drive"}
BUDGET = Budget(minutes=6, accelerator="cpu", processes=2)


def clip_of(
    length: int = 60,
    *,
    speed: float | None = 10.0,
    height: float | None = None,
    right: bool = False,
    depth: bool = False,
) -> Clip:
    image = ImageFile(Path("image.png"))
    frames = tuple(
        Frame(f"{i:06d}", i / 10, image, speed=speed, right=image if right else None, depth=image if depth else None)
        for i in range(length)
    )
    camera = Camera.from_fov(80.0, width=1280, height=384)
    return Clip("clip", Path("clip"), camera, frames, camera_height=height, baseline=0.5 if right else None)


def look_of(*clips: Clip, **changes: Any) -> Look:
    looked = Look(
        clips=clips,
        motion=0.015,
        lost=0.0,
        static=0.0,
        forwardness=0.9,
        expansion=0.05,
        step=1.0 if clips[0].frames[0].speed is not None else None,
        depth=20.0 if clips[0].frames[0].speed is not None else None,
        path=60.0 if clips[0].frames[0].speed is not None else None,
    )
    return replace(looked, **changes)


def values_of(looked: Look, seconds: float = 0.1, keeps_depth: bool = False, budget: Budget = BUDGET) -> Any:
    choices = with_steps(choose(looked, SOURCE, budget, keeps_depth), looked, budget, lambda _, size: seconds)
    values = run_values(choices)
    assert yaml.safe_load(run_text(choices, "headline")) == values  # the file says what was chosen
    Run.model_validate(values)  # and is a run file
    return values


def kinds(values: Any) -> list[str]:
    return [term["kind"] for term in values["objective"]]


def test_a_drive_with_speed_is_trained_at_the_measured_length_of_its_motion() -> None:
    values = values_of(look_of(clip_of()))
    assert kinds(values) == ["photometric", "smoothness", "velocity"]
    assert values["networks"]["pose"]["initial_forward"] == 1.0
    assert values["networks"]["depth"]["initial_depth"] == 20.0
    assert values["data"]["val_tail"] == 0.1


def test_a_drive_without_speed_starts_where_motion_and_depth_fit_together() -> None:
    values = values_of(look_of(clip_of(speed=None)))
    depth, forward = values["networks"]["depth"]["initial_depth"], values["networks"]["pose"]["initial_forward"]
    assert forward / depth == pytest.approx(0.05, rel=0.01)
    assert kinds(values) == ["photometric", "smoothness"]


def test_the_height_of_the_camera_gives_metres_where_no_speed_does() -> None:
    assert "camera_height" in kinds(values_of(look_of(clip_of(speed=None, height=1.5))))
    assert "camera_height" not in kinds(values_of(look_of(*hidden([clip_of(speed=None, height=1.5)], ["height"]))))


def test_the_height_of_a_camera_without_calibration_gives_no_metres() -> None:
    clip = replace(clip_of(speed=None, height=1.5), missing_camera=Path("camera.yaml"))
    assert "camera_height" not in kinds(values_of(look_of(clip)))
    for looked, words in (
        (look_of(clip), "add fov=DEGREES or camera=FILE, which height_m needs for metres, or speeds=LOG to"),
        (look_of(replace(clip, camera_height=None)), "height_m=METRES with fov=DEGREES or camera=FILE to import"),
        (look_of(clip_of(speed=None)), "nothing gives metres"),
        (look_of(clip_of(speed=None, height=1.5)), "metres from the height of the camera"),
        (look_of(clip_of(depth=True)), "metres from speed, measured depth"),
    ):
        assert words in scale_in_advance(choose(looked, SOURCE, BUDGET), looked)


@pytest.mark.parametrize("measured", [54, 60])
def test_a_log_that_ends_before_the_clip_gives_metres(measured: int) -> None:
    clip = clip_of()
    frames = [replace(frame, speed=10.0 if i < measured else None) for i, frame in enumerate(clip.frames)]
    looked = look_of(replace(clip, frames=tuple(frames)))
    values = values_of(looked)
    assert "velocity" in kinds(values)
    assert values["data"]["val_tail"] > 0
    assert scale_in_advance(choose(looked, SOURCE, BUDGET), looked) == "metres from speed"


def test_a_clip_without_the_speeds_that_others_have_is_named() -> None:
    looked = look_of(clip_of(), replace(clip_of(speed=None), name="other"))
    assert "up to a factor: other without speeds and poses" in scale_in_advance(choose(looked, SOURCE, BUDGET), looked)


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("depth", [0.02, 0.35, 1.0, 12.0, 30.0, 115.0, 900.0])
def test_the_network_reaches_from_far_below_to_far_above_the_typical_depth(
    monkeypatch: pytest.MonkeyPatch, pretrained: bool, depth: float
) -> None:
    monkeypatch.setattr("packdepth.recommend.choices.has_best_weights", lambda: pretrained)
    looked = look_of(clip_of(), depth=depth)
    (choice,) = [each for each in choose(looked, SOURCE, BUDGET) if each.key == "networks.depth"]
    network = parse(DEPTH_NETWORKS.find(choice.value["kind"]), choice.value, "test").build()
    assert isinstance(network.head, InverseDepthHead)
    inverse = network.head(torch.tensor([-30.0, 30.0]))
    within = min(max(depth, 0.1), 300.0)
    assert float(inverse[0]) <= 1 / (3 * within)
    assert float(inverse[1]) >= 2 / within - 1e-6
    assert choice.value["initial_depth"] == pytest.approx(within)
    assert ("is odd" in choice.why) == (depth != within)


def test_the_comment_says_how_places_are_counted() -> None:
    bare = clip_of(length=200, speed=None)
    images = replace(bare, independent=True, frames=bare.frames[:5])
    for looked, words in (
        (look_of(clip_of(), path=200.0), "200 m of path show 4 places (one per 50 m, at least one per clip)"),
        (look_of(clip_of(), path=2.0), "2 m of path show 1 place (one per 50 m, at least one per clip)"),
        (look_of(bare, static=0.5), "100 frames in motion show 2 places (one per 50 frames, at least one per clip)"),
        (look_of(images), "5 unrelated images show 5 places"),
        (look_of(images, clip_of(), path=60.0), "5 unrelated images and 60 m of path show 6 places (one per 50 m, "),
    ):
        assert places_in_words(looked).startswith(words)
    (why,) = [each.why for each in choose(look_of(bare), SOURCE, BUDGET) if each.key == "data.augmentation"]
    assert why == f"none: {places_in_words(look_of(bare))}; so few are learned better as they are"


def test_stereo_pairs_need_no_ego_motion() -> None:
    values = values_of(look_of(clip_of(right=True)))
    assert kinds(values) == ["stereo", "smoothness", "hints"]
    assert values["data"]["context"] == []
    assert "pose" not in values["networks"]
    assert kinds(values_of(look_of(*hidden([clip_of(right=True)], ["stereo"])))) == [
        "photometric",
        "smoothness",
        "velocity",
    ]


@pytest.mark.parametrize("lack", ["frame", "baseline", "clip"])
def test_stereo_pairs_that_lack_something_are_not_used_and_named(lack: str) -> None:
    whole, other = replace(clip_of(speed=None, right=True), name="a"), replace(clip_of(speed=None), name="b")
    clips, words = {
        "frame": (
            [replace(whole, frames=(*whole.frames[:-1], replace(whole.frames[-1], right=None)))],
            "a: no right image for 1 of its 60 frames, the first is 000059",
        ),
        "baseline": ([replace(whole, baseline=None)], "a: no baseline_m in its camera.yaml"),
        "clip": ([whole, other], "b: no right images"),
    }[lack]
    looked = look_of(*clips)
    assert kinds(values_of(looked)) == ["photometric", "smoothness"]
    assert unused_stereo(looked) == [words]
    assert scale_in_advance(choose(looked, SOURCE, BUDGET), looked) == (
        "up to a factor: nothing gives metres; add what the stereo pairs lack, or add speeds=LOG or height_m=METRES to "
        "import or init"
    )
    for sound in (look_of(whole), look_of(other), look_of(*hidden(clips, ["stereo"]))):
        assert unused_stereo(sound) == []


def test_each_step_sees_many_places_but_for_stereo_pairs() -> None:
    mono, stereo = (values_of(look_of(clip_of(1000, right=right), path=1000.0)) for right in (False, True))
    assert (mono["training"]["batch_size"], stereo["training"]["batch_size"]) == (16, 4)
    smooth = [next(x["weight"] for x in v["objective"] if x["kind"] == "smoothness") for v in (mono, stereo)]
    assert smooth == [0.01, 0.001]
    assert mono["data"]["augmentation"] == stereo["data"]["augmentation"]  # many places, in both


def test_measured_depth_is_trained_on_unless_it_is_kept_for_evaluation() -> None:
    assert "reprojected" in kinds(values_of(look_of(clip_of(depth=True))))
    assert "abs_rel" not in kinds(values_of(look_of(clip_of(depth=True))))
    assert "reprojected" not in kinds(values_of(look_of(*hidden([clip_of(depth=True)], ["depth"]))))


@pytest.mark.parametrize(("every", "terms"), [(2, ["reprojected", "abs_rel"]), (7, ["abs_rel"]), (25, ["abs_rel"])])
def test_depth_of_every_few_frames_is_trained_on_though_the_held_out_end_has_none(every: int, terms: list[str]) -> None:
    """From few frames, `reprojected` lets the motion vanish and depth collapse."""
    clip = clip_of(depth=True, speed=None)
    frames = [f if i % every == 0 and i < 50 else replace(f, depth=None) for i, f in enumerate(clip.frames)]
    assert kinds(values_of(look_of(replace(clip, frames=tuple(frames)))))[2:] == terms


def test_clips_without_measured_depth_beside_one_with_it_are_said_to_keep_it_from_the_training() -> None:
    looked = look_of(clip_of(depth=True, speed=None), clip_of(speed=None))
    choices = choose(looked, SOURCE, BUDGET)
    assert "abs_rel" not in kinds(values_of(looked))
    assert "only 1 clip of 2 can be trained by measured depth" in scale_in_advance(choices, looked)


def test_measured_depth_in_held_out_frames_alone_gives_no_metres() -> None:
    clip = clip_of(depth=True, speed=None)
    last = len(clip.frames) - 1
    frames = [frame if i == last else replace(frame, depth=None) for i, frame in enumerate(clip.frames)]
    looked = look_of(replace(clip, frames=tuple(frames)))
    assert "not every clip has measured depth" in scale_in_advance(choose(looked, SOURCE, BUDGET), looked)


def test_measured_depth_holds_depth_directly_where_nothing_says_how_far_the_camera_moved() -> None:
    assert kinds(values_of(look_of(clip_of(depth=True, speed=None))))[2:] == ["reprojected", "abs_rel"]


def test_a_hand_held_camera_has_no_forward_motion_to_begin_with() -> None:
    assert values_of(look_of(clip_of(), forwardness=0.1))["networks"]["pose"] == {"kind": "posenet"}


def test_poses_of_a_hand_held_camera_are_its_motion_in_training() -> None:
    clip = clip_of(speed=None)
    posed = replace(clip, frames=tuple(replace(frame, pose=np.eye(4)) for frame in clip.frames))
    for forwardness, kind in ((0.0, "poses"), (0.9, "velocity")):
        terms = values_of(look_of(posed, forwardness=forwardness, step=0.1))["objective"]
        assert terms[-1] == {"kind": kind, "weight": 0.1, "impose": True}


@given(motion=st.floats(0.001, 0.05))
def test_context_frames_are_farther_away_where_the_image_moves_little(motion: float) -> None:
    before, after = values_of(look_of(clip_of(), motion=motion))["data"]["context"]
    assert before == -after
    assert after == 1 or after * motion == pytest.approx(0.015, abs=0.5 * motion + 1e-9) or after == 10


def test_frames_in_which_the_camera_stands_are_dropped_where_there_are_any() -> None:
    assert values_of(look_of(clip_of(), static=0.2))["data"]["drop_static"] == {"by": "image"}
    assert "drop_static" not in values_of(look_of(clip_of()))["data"]


def test_many_places_are_augmented_and_few_are_not() -> None:
    few, many = look_of(clip_of()), look_of(*[clip_of()] * MANY_PLACES, path=60.0 * MANY_PLACES)
    assert place_count(few) < MANY_PLACES <= place_count(many)
    assert values_of(few)["data"]["augmentation"]["flip"] == 0
    assert values_of(many)["data"]["augmentation"]["flip"] == 0.5


@given(height=st.integers(200, 2000), width=st.integers(200, 4000))
def test_image_sizes_are_multiples_of_32_about_in_the_shape_of_the_images(height: int, width: int) -> None:
    camera = Camera.from_fov(80.0, width=width, height=height)
    sizes = image_sizes([replace(clip_of(), camera=camera)])
    for h, w in sizes:
        assert h % 32 == w % 32 == 0
        if 1 / 3 < width / height < 5:
            assert 0.7 < (w / h) / (width / height) < 1.45
    areas = [h * w for h, w in sizes]
    assert areas == sorted(set(areas))


@given(seconds=st.floats(0.01, 3.0), minutes=st.floats(1, 60) | st.floats(60, 1e9))
def test_the_steps_are_paid_by_the_minutes(seconds: float, minutes: float) -> None:
    budget = replace(BUDGET, minutes=minutes)
    values = values_of(look_of(clip_of()), seconds, budget=budget)
    training = values["training"]
    steps = training["epochs"] * training["epoch_steps"]
    assert steps * seconds <= minutes * 60 or steps == training["epochs"]
    assert steps * training["batch_size"] <= MANY_IMAGES
    height, width = values["data"]["image_size"]
    larger = height * width > 20_000
    few = FEW_PRETRAINED if values["networks"]["depth"]["kind"] == "encoder_decoder" else FEW_IMAGES
    assert not larger or steps * training["batch_size"] >= 0.9 * few


@pytest.mark.parametrize("length", [3, 6, 21, 22, 60])
def test_short_clips_are_trained_on_whole(length: int) -> None:
    values = values_of(look_of(clip_of(length)))
    assert ("val_tail" in values["data"]) == (length >= 22)


def test_a_camera_that_is_learned_gets_five_epochs() -> None:
    unknown = replace(clip_of(speed=None), missing_camera=Path("drive.yaml"))
    short = replace(BUDGET, minutes=4)
    assert values_of(look_of(unknown), budget=short)["training"]["epochs"] == 5
    assert values_of(look_of(clip_of()), budget=short)["training"]["epochs"] == 3


def test_a_camera_whose_field_of_view_is_stated_is_not_learned() -> None:
    guessed = replace(clip_of(speed=None), missing_camera=Path("drive.yaml"))
    assert values_of(look_of(guessed))["camera"] == {"learn": True}
    assert "camera" not in values_of(look_of(*assume_fov([guessed], 81.5)))


@pytest.mark.parametrize(
    ("minutes", "slowdown", "told", "untold"),
    [
        (6, 1.0, ("64x224: ", "--minutes", " s here, of processor time"), ("load", "samples are few")),
        (6, 3.0, ("other work here slows it to roughly 18 minutes at the present load",), ("samples are few",)),
        (0.5, 1.0, ("60 samples are few", "expect rough depth"), ("load",)),
        (3, 1.5, ("roughly 4.5 minutes at the present load",), ()),
    ],
)
def test_the_plan_is_told_with_what_it_depends_on(
    minutes: float, slowdown: float, told: tuple[str, ...], untold: tuple[str, ...]
) -> None:
    looked, budget = look_of(clip_of()), replace(BUDGET, minutes=minutes)
    chosen = choose(looked, SOURCE, budget)
    complete = with_steps(chosen, looked, budget, lambda _, size: 0.4 * size[0] * size[1] / (64 * 224))
    text = "\n".join(plan_in_words(complete, budget, slowdown))
    assert all(words in text for words in told)
    assert not any(words in text for words in untold)


@pytest.mark.parametrize("seconds", [0.1, 0.4, 3.0])
@pytest.mark.parametrize("minutes", [2, 4, 6, 30])
def test_start_and_steps_fit_in_the_minutes(minutes: float, seconds: float) -> None:
    looked, budget = look_of(clip_of()), replace(BUDGET, minutes=minutes)
    complete = {
        choice.key: choice.value
        for choice in with_steps(choose(looked, SOURCE, budget), looked, budget, lambda *_: seconds)
    }
    steps = complete["training.epochs"] * complete["training.epoch_steps"]
    assert STARTING + steps * seconds <= 60 * minutes
    assert steps >= 3
