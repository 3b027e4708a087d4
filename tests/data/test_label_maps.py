"""Label maps that guide: read with their frame, checked, mirrored with it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from packdepth.classes import STREET_CLASSES
from packdepth.config import Augmentation
from packdepth.data.dataset import ClipDataset
from packdepth.data.label_maps import check_ids, check_labeled, check_sky, common_classes, stated_classes
from packdepth.errors import InputError, InputWarning
from packdepth.sources.folder import read_clip

FIELDS = frozenset({"semantic", "context_semantic"})


@pytest.fixture
def labeled_clip(moving_clip: Path, tmp_path: Path) -> Path:
    """The rendered clip; the class of a pixel is 0 in the left half, and the number of its frame in the right."""
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    camera = read_clip(clip).camera
    (clip / "semantic").mkdir()
    for index, frame in enumerate(read_clip(clip).frames):
        ids = np.zeros((camera.height, camera.width), dtype=np.uint8)
        ids[:, camera.width // 2 :] = index
        Image.fromarray(ids).save(clip / "semantic" / f"{frame.name}.png")
    return clip


def test_a_sample_holds_the_label_maps_of_its_frames(labeled_clip: Path) -> None:
    always = Augmentation(flip=1.0, jitter=None)
    plain, mirrored = (
        ClipDataset([read_clip(labeled_clip)], (16, 32), (-1, 1), FIELDS, augmentation, label_classes=19)[0]
        for augmentation in (None, always)
    )
    assert plain.semantic is not None
    assert plain.context_semantic is not None
    assert plain.semantic.shape == (1, 16, 32)
    assert plain.semantic[0, 0].tolist() == [0] * 16 + [1] * 16  # the second frame is the first with all its context
    assert plain.context_semantic[:, 0, 0, -1].tolist() == [0, 2]
    assert mirrored.semantic is not None
    assert mirrored.context_semantic is not None
    assert (mirrored.semantic == plain.semantic.flip(-1)).all()
    assert (mirrored.context_semantic == plain.context_semantic.flip(-1)).all()


def test_more_classes_than_guide_are_refused(labeled_clip: Path) -> None:
    samples = ClipDataset([read_clip(labeled_clip)], (16, 32), (-1, 1), FIELDS, label_classes=2)
    with pytest.raises(
        InputError, match=r"000002.png: holds class 2, but there are 2 classes, 0 to 1 \(guidance.semantics.classes "
    ):
        samples[0]
    check_ids(np.full((2, 2), 255, dtype=np.uint8), 2, "unlabeled")


def test_a_frame_without_label_map_is_named(labeled_clip: Path) -> None:
    clip = read_clip(labeled_clip)
    check_labeled([clip])
    frames = (*clip.frames[:2], replace(clip.frames[2], semantic=None), *clip.frames[3:])
    with pytest.raises(InputError, match=r"000002.png: has no label map"):
        check_labeled([replace(clip, frames=frames)])


def test_the_classes_of_a_clip_are_those_that_it_states_or_cityscapes(labeled_clip: Path) -> None:
    unstated = read_clip(labeled_clip)
    (labeled_clip / "semantic.yaml").write_text("classes: [Road, traffic_light, Car, sky]\n")
    stated = read_clip(labeled_clip)
    assert (unstated.classes, unstated.class_names) == (None, STREET_CLASSES)
    assert stated.classes == stated.class_names == ("road", "traffic light", "car", "sky")
    assert common_classes([stated, stated]) == stated_classes([stated]) == stated.classes
    assert (common_classes([unstated]), stated_classes([unstated])) == (STREET_CLASSES, ())
    assert stated_classes([unstated, replace(unstated, classes=STREET_CLASSES)]) == STREET_CLASSES
    with pytest.raises(InputError, match=r"clip: class 1 of its label maps is sidewalk, as nothing states other ones"):
        common_classes([stated, unstated])
    with pytest.raises(InputError, match=r"class 3 of its label maps is none, but sky in those of folder/clip"):
        common_classes([stated, replace(stated, classes=stated.class_names[:3])])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("network: a\n", "classes: is missing"),
        ("classes: []\n", "classes: "),
        ("classes: {0: road}\n", "classes: "),
        ("classes: [1, 2]\n", r"classes\[0\]: "),
        ("- road\n", "semantic.yaml: "),
        ("classes: [road\n", "semantic.yaml: "),
    ],
)
def test_a_list_of_classes_that_is_none_is_one_sentence(labeled_clip: Path, text: str, sentence: str) -> None:
    (labeled_clip / "semantic.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence) as refused:
        read_clip(labeled_clip)
    assert str(refused.value).startswith(str(labeled_clip / "semantic.yaml"))
    assert "\n" not in str(refused.value)


def test_a_sky_that_no_label_map_holds_is_told(labeled_clip: Path) -> None:
    clip = read_clip(labeled_clip)
    with pytest.warns(InputWarning, match=r"none of 6 label maps that were looked at holds class 10"):
        check_sky([clip], 10)
    check_sky([clip], len(clip.frames) - 1)  # the class of one frame
