"""The protocol on one's own clips with depth or LiDAR, and protocols in YAML files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import world

import packdepth
from packdepth.errors import InputError
from packdepth.evaluation import Protocol, find_protocol
from packdepth.evaluation.ground_truth import stacked_ground_truth
from packdepth.evaluation.report import verdict_in_words
from packdepth.inspection.import_data import import_data

from .conftest import reader


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
    assert sorted(tuple(stack.shape) for stack in stacks) == [(6, 24, 48), (6, 48, 96)]


def test_the_baseline_of_a_long_drive_uses_a_few_frames(clip: Path) -> None:
    protocol = replace(find_protocol("folder"), baseline_images=3)
    (stack,) = stacked_ground_truth(protocol, protocol.clips(clip))
    assert len(stack) == 3
    assert "of at most 3 images, evenly spread" in protocol.settings()["baseline"]


def test_one_frame_has_no_baseline(clip: Path) -> None:
    for index in range(1, world.FRAMES):
        (clip / "depth" / f"{index:06d}.png").unlink()
    (report,) = packdepth.evaluate(reader(), "folder", clip)
    assert report.image_count == 1
    assert report.baselines == {}
    assert "baseline" not in report.headline


def test_a_clip_without_depth_and_lidar_is_sent_to_own(clip: Path) -> None:
    shutil.rmtree(clip / "depth")
    with pytest.raises(InputError) as error:
        packdepth.evaluate(reader(), "folder", clip)
    assert str(error.value) == (
        f"{clip}: no frame has depth or lidar, against which protocol folder evaluates; add it, or judge the network "
        "without ground truth by --protocol own"
    )


def test_the_verdict_names_the_better_one() -> None:
    scores = {"abs_rel": 0.11, "a1": 0.9}
    assert verdict_in_words(scores, True, {"baseline": {"abs_rel": 0.24}}, "others_median") == (
        "Good: depth in metres is off by 11 % on average, and 90 % of pixels are within 25 %; that is better than a "
        "baseline without a network that is given the measured depth of the other images and takes its median at the "
        "same place, which is off by 24 %"
    )
    worse = verdict_in_words(scores, False, {"baseline_scaled": {"abs_rel": 0.1}}, "pixel_median")
    assert worse.startswith("Good: depth after one factor for each image is off by 11 %")
    assert "not better than a baseline without a network that is given the measured depth of all images" in worse


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
