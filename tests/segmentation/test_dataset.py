"""Labeled images: which frames they are, their classes, and items that depend on seed and draw alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from packdepth.classes import UNLABELED
from packdepth.errors import InputError
from packdepth.segmentation.dataset import LabeledImages, labeled_frames, read_labeled
from packdepth.segmentation.run_file import SemanticData
from packdepth.sources.camvid import CLASSES, CamVid


def source(camvid: Path) -> CamVid:
    return CamVid(kind="camvid", root=camvid, parts=("train",))


def test_only_what_a_split_lists_is_trained_on(camvid: Path, tmp_path: Path) -> None:
    (clip,) = source(camvid).clips()
    split = tmp_path / "split.txt"
    split.write_text(f"{clip.name} 1\n{clip.name} 4\n")
    listed = labeled_frames([source(camvid).model_copy(update={"split_file": split})])
    assert [frame.name for _, frame in listed] == ["1", "4"]


def test_ids_beyond_the_classes_are_refused(camvid: Path) -> None:
    frame = labeled_frames([source(camvid)])[0][1]
    with pytest.raises(InputError, match=r"png: holds class 3, but there are 3 classes, 0 to 2 \(semantic.yaml of "):
        read_labeled(frame, CLASSES.index("road"))


def test_pixels_that_camvid_does_not_label_have_no_class(camvid: Path) -> None:
    frame = labeled_frames([source(camvid)])[0][1]
    image, labels = read_labeled(frame, len(CLASSES))
    assert image.shape == (3, 64, 64)
    assert set(labels[60:].unique().tolist()) == {UNLABELED}
    assert set(labels[:60].unique().tolist()) == {CLASSES.index("sky"), CLASSES.index("road")}


def test_a_label_map_of_another_size_is_refused(camvid: Path) -> None:
    frame = labeled_frames([source(camvid)])[0][1]
    Image.new("L", (32, 64)).save(camvid / "trainannot" / f"{frame.name}.png")
    with pytest.raises(InputError, match="is 32x64 pixels, but its image is 64x64"):
        read_labeled(frame, 11)


def test_an_item_depends_on_the_seed_and_the_draw_alone(camvid: Path) -> None:
    frames = labeled_frames([source(camvid)])
    data = SemanticData(train=[source(camvid)], image_size=(32, 48))
    one, two, other = (LabeledImages(frames, 11, data, seed) for seed in (1, 1, 2))
    first = [one[draw] for draw in (0, 3, 9)]
    again = [two[draw] for draw in (9, 3, 0)][::-1]
    for (image, labels), (same_image, same_labels) in zip(first, again, strict=True):
        assert image.shape == (3, 32, 48)
        assert torch.equal(image, same_image)
        assert torch.equal(labels, same_labels)
    assert not torch.equal(one[3][0], one[9][0])  # the second time image 3 of 6 is seen, it is changed otherwise
    assert not torch.equal(one[3][0], other[3][0])
