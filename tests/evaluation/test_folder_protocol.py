"""The protocol on one's own clips with depth or LiDAR, and protocols in YAML files."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import world

import packdepth
from packdepth.checkpoint import TrainedCamera
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.evaluation import Protocol, find_protocol
from packdepth.evaluation.ground_truth import stacked_ground_truth
from packdepth.evaluation.held_out_scores import HeldOutScores
from packdepth.evaluation.report import verdict_in_words
from packdepth.evaluation.seen import divided
from packdepth.inference.predictor import Predictor
from packdepth.inspection.import_data import import_data
from packdepth.sources.open import open_clips

from .conftest import Reader, Straight, reader


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of the small world, with depth in all of its six frames."""
    return world.write(tmp_path / "data" / "drive")


def with_scans(clip: Path, indices: list[int]) -> None:
    """Give some frames of a clip a LiDAR scan."""
    (clip / "lidar").mkdir(exist_ok=True)
    for index in indices:
        np.savez(clip / "lidar" / f"{index:06d}.npz", points=world.scan(index).astype(np.float32), origin=np.zeros(3))


def test_folder_agrees_with_city_where_all_frames_have_depth(clip: Path) -> None:
    (city,), (folder,) = (packdepth.evaluate(reader(), name, clip) for name in ("city", "folder"))
    assert folder.rows == city.rows
    assert folder.parts == city.parts
    assert folder.boundaries == city.boundaries
    assert folder.ego_motion == city.ego_motion
    assert set(folder.baselines) == {"baseline", "baseline_scaled", "pixel_median", "pixel_median_scaled"}
    assert "packdepth city" not in folder.text()


def test_a_frame_without_a_depth_map_is_evaluated_against_its_scan(clip: Path) -> None:
    """Scans of one return for each pixel give the scores of depth maps; frames with neither are left out."""
    (before,) = packdepth.evaluate(reader(), "folder", clip)
    with_scans(clip, [0, 1])
    for index in (0, 2):
        (clip / "depth" / f"{index:06d}.png").unlink()
    (report,) = packdepth.evaluate(reader(), "folder", clip)
    assert [image.frame for image in report.images] == ["000000", "000001", "000003", "000004", "000005"]
    for image in report.images:
        expected = next(other for other in before.images if other.frame == image.frame)
        assert image.rows["plain"]["all"] == pytest.approx(expected.rows["plain"]["all"], rel=0.01)


def test_clips_of_several_sizes_share_a_report(clip: Path, tmp_path: Path) -> None:
    """The baseline compares images of one size."""
    (small,) = import_data(clip, tmp_path / "imported", None, (), (24, 48), "png")
    shutil.move(small, clip.parent / "small")
    (report,) = packdepth.evaluate(reader(), "folder", clip.parent)
    assert report.image_count == 2 * world.FRAMES
    protocol = find_protocol("folder")
    stacks = stacked_ground_truth(protocol, protocol.clips(clip.parent))
    assert sorted(tuple(stack.truth.shape) for stack in stacks) == [(6, 24, 48), (6, 48, 96)]


def test_the_baseline_of_a_long_drive_uses_a_few_frames(clip: Path) -> None:
    protocol = replace(find_protocol("folder"), baseline_images=3)
    (stack,) = stacked_ground_truth(protocol, protocol.clips(clip))
    assert len(stack.names) == len(stack.truth) == 3
    assert "of at most 3 images, evenly spread" in protocol.settings()["baseline"]


def test_one_frame_has_no_baseline(clip: Path) -> None:
    for index in range(1, world.FRAMES):
        (clip / "depth" / f"{index:06d}.png").unlink()
    (report,) = packdepth.evaluate(reader(), "folder", clip)
    assert report.image_count == 1
    assert report.baselines == {}
    assert "guessing" not in report.headline


def test_a_clip_without_depth_and_lidar_is_sent_to_own(clip: Path) -> None:
    shutil.rmtree(clip / "depth")
    with pytest.raises(InputError) as error:
        packdepth.evaluate(reader(), "folder", clip)
    assert str(error.value) == (
        f"{clip}: no frame has depth or lidar, against which protocol folder evaluates; add it, or judge the network "
        "without ground truth by --protocol own"
    )


def verdict(error: float, guess: float) -> str:
    """The verdict on a metric network with this error, beside a guess with that one."""
    return verdict_in_words({"abs_rel": error, "a1": 0.9}, True, {"baseline": {"abs_rel": guess}}, "others_median")


def test_the_verdict_names_the_better_one() -> None:
    assert verdict(0.11, 0.24) == (
        "Good: depth in metres is off by 11 % on average, and 90 % of pixels are within 25 %; guessing by position in "
        "the image, without looking at it (by the median depth measured there in the other frames), is off by 24 %: "
        "the network is better"
    )
    scores, guess = {"abs_rel": 0.11, "a1": 0.9}, {"baseline_scaled": {"abs_rel": 0.1}}
    worse = verdict_in_words(scores, False, guess, "pixel_median")
    assert worse.startswith("Fair: depth after one factor for each image is off by 11 %")
    assert worse.endswith(
        "there in all frames), is off by 10 %: the network is not better, which makes it Fair at best"
    )


def test_a_network_that_is_not_clearly_better_than_guessing_is_fair_at_best() -> None:
    assert verdict(0.0949, 0.1).startswith("Good: ")
    assert verdict(0.0949, 0.1).endswith(": the network is better")
    assert verdict(0.0951, 0.1).startswith("Fair: ")
    assert verdict(0.0951, 0.1).endswith(": the network is not clearly better, which makes it Fair at best")
    assert verdict(0.3, 0.1).startswith("Rough: ")
    assert verdict(0.3, 0.1).endswith(": the network is not better")


@pytest.mark.parametrize(("error", "guess"), [(0.096, 0.104), (0.0952, 0.1049), (0.1001, 0.1002)])
def test_errors_that_differ_are_never_printed_as_equal(error: float, guess: float) -> None:
    words = verdict(error, guess)
    assert words.split("off by ")[1].split(" %")[0] != words.split("off by ")[2].split(" %")[0]


# --- frames that were trained on ----------------------------------------------------------------------------------

LONG = 18  # frames of a clip of which half can be held out


def trained_on(frames: int, tail: float = 0.0, name: str = "folder/long") -> Predictor:
    """A predictor that was trained on a clip; `frames` is the number of training frames."""
    known = reader()
    assert isinstance(known.run, Run)
    run = known.run.model_copy(update={"data": known.run.data.model_copy(update={"val_tail": tail})})
    meta = known.meta.model_copy(update={"clips": [name], "frames": frames})
    return Predictor(run, meta, Reader(), Straight(), torch.device("cpu"))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with depth. Not to be written to."""
    return world.write(tmp_path_factory.mktemp("held_out") / "long", LONG)


@pytest.mark.parametrize("name", ["folder/long", "video/long"])
def test_training_frames_are_named_and_the_verdict_is_about_the_others(long: Path, name: str, tmp_path: Path) -> None:
    json_file, html_file = tmp_path / "report.json", tmp_path / "report.html"
    (report,) = packdepth.evaluate(trained_on(9, 0.5, name), "folder", long, json=json_file, html=html_file)
    content = json.loads(json_file.read_text())
    errors = [image.rows["plain"]["all"][0] for image in report.images]
    seen, others = np.mean(errors[:9]), np.mean(errors[9:])
    assert abs(seen - others) > 0.01
    sentence = f"9 of the 18 frames were trained on: abs_rel {seen:.3f} on them, {others:.3f} on the 9 others"
    assert report.text().splitlines()[1] == content["held_out"]["words"] == sentence
    assert sentence in html_file.read_text()
    held_out = f": on the 9 frames that were not trained on, depth in metres is off by {100 * others:.0f} %"
    assert held_out in report.headline
    assert content["held_out"]["verdict_on"] == "frames not trained on"
    assert content["metrics"]["plain"]["abs_rel"] == pytest.approx(np.mean(errors))  # of all frames, as before
    guess = np.mean([image.rows["baseline"]["all"][0] for image in report.baseline_images["baseline"][9:]])
    assert f"is off by {100 * guess:.0f} %: the network is" in report.headline


@pytest.mark.parametrize(("frames", "tail"), [(18, 0.0), (30, 0.5)])
def test_a_network_that_saw_all_frames_is_said_to_have_done_so(long: Path, frames: int, tail: float) -> None:
    """A clip of another length than the training's has no known tail: the last frames may have been trained on."""
    (report,) = packdepth.evaluate(trained_on(frames, tail), "folder", long)
    assert report.headline.endswith(" (measured on training frames)")
    assert report.text().splitlines()[1].startswith("all 18 frames were trained on, so that the numbers are better")


def test_a_network_that_saw_none_has_no_second_line(long: Path) -> None:
    (report,) = packdepth.evaluate(trained_on(9, name="folder/another"), "folder", long)
    assert report.text().splitlines()[1] == ""
    assert report.to_json()["held_out"]["trained_on"] == 0


def test_few_held_out_frames_carry_no_verdict() -> None:
    few = HeldOutScores(trained=52, untrained=4, error_trained=0.06, error_untrained=0.1)
    assert not few.judged
    assert few.warning == " (measured mostly on training frames)"
    assert few.words.endswith("0.100 on the 4 others, which are fewer than the 5 of a verdict: it is about all frames")


@pytest.mark.parametrize(
    ("frames", "fx", "new"), [(18, 1.0, False), (18, 2.0, False), (99, 1.0, False), (99, 2.0, True)]
)
def test_a_clip_of_the_same_name_is_another_if_neither_frames_nor_camera_agree(
    long: Path, frames: int, fx: float, new: bool
) -> None:
    (clip,) = open_clips(long)
    camera = asdict(replace(clip.camera, fx=fx * clip.camera.fx))
    predictor = trained_on(frames)
    meta = predictor.meta.model_copy(update={"trained_cameras": [TrainedCamera(**camera)]})
    assert isinstance(predictor.run, Run)
    assert (divided([clip], predictor.run, meta).new == (clip,)) == new


# --- reports ------------------------------------------------------------------------------------------------------


def test_a_report_explains_what_it_holds_alone(long: Path, tmp_path: Path) -> None:
    (report,) = packdepth.evaluate(reader(), "folder", long, html=tmp_path / "one.html")
    page = (tmp_path / "one.html").read_text()
    assert "Brackets hold" not in page
    assert "Share too far" not in page
    assert "dbe_acc is" in page
    assert "abs_rel by distance and at depth edges, with the number of images" in report.text()
    shutil.copytree(long, tmp_path / "two" / "first")
    shutil.copytree(long, tmp_path / "two" / "second")
    packdepth.evaluate(reader(), "folder", tmp_path / "two", html=tmp_path / "two.html")
    assert "Brackets hold 95 % confidence intervals" in (tmp_path / "two.html").read_text()


# --- protocols in files -------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> str:
    """The path of a protocol file."""
    path = folder / "yard.yaml"
    path.write_text(text)
    return str(path)


def test_a_protocol_file_has_the_fields_of_a_protocol(clip: Path, tmp_path: Path) -> None:
    text = """
about: the yard, up to ten metres
truth: any
cap: 10
ranges: [0, 5, 10]
metrics: [abs_rel, a1, silog]
"""
    found = find_protocol(written(tmp_path, text))
    assert found == Protocol(
        name="yard",
        about="the yard, up to ten metres",
        source={"kind": "folder", "root": "."},
        truth="any",
        cap=10,
        ranges=(0, 5, 10),
        metrics=("abs_rel", "a1", "silog"),
    )
    (report,) = packdepth.evaluate(reader(), written(tmp_path, text), clip)
    assert list(report.scores) == ["abs_rel", "a1", "silog"]
    assert list(report.part_images)[:2] == ["0 to 5 m", "5 to 10 m"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("captain: 3", "unknown key 'captain': did you mean 'cap'?"),
        ("cap: many", "cap: must be a number (found 'many')"),
        ("cap: true", "cap must be a number (found True)"),
        ("cap: -1", "min_depth is 0.001 and cap -1"),
        ("truth: depht", "truth: must be 'depth', 'lidar' or 'any' (found 'depht')"),
        ("metrics: abs_rel", "metrics: must be a list (found 'abs_rel')"),
        ("metrics: [abs_rel]", "metrics lack a1, which reports need; add it"),
        ("ranges: [3, 1]", "ranges must be two or more rising bounds, in metres"),
        ("classes: [rode]", "classes cannot be 'rode': did you mean 'road'?"),
        ("step: 0", "step is 0; it must be at least 1"),
        ("source: {kind: foldr, root: .}", "unknown kind 'foldr' (did you mean 'folder'?)"),
        ("[1]", "must be a block of keys and values"),
        ("about: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_wrong_protocol_file_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        find_protocol(written(tmp_path, text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "yard" in str(error.value)


def test_a_missing_protocol_file() -> None:
    with pytest.raises(InputError, match=r"none.yaml: not found; give the YAML file of a protocol, or the name of one"):
        find_protocol("none.yaml")


def test_a_misspelled_own_is_recognized() -> None:
    with pytest.raises(InputError, match=r"no protocol is named 'owm' \(did you mean 'own'\?\)"):
        find_protocol("owm")
