"""Class ids of street scenes: Cityscapes' train ids."""

from __future__ import annotations

from packdepth.classes import PALETTE, STREET_CLASSES, UNLABELED, Label


def test_ids_are_those_of_cityscapes() -> None:
    assert [label.value for label in Label] == list(range(19))
    assert (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
        *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
    ) == STREET_CLASSES
    assert STREET_CLASSES[Label.CAR] == Label.CAR.words == "car"


def test_unlabeled_is_the_last_id_of_eight_bits_and_no_class() -> None:
    assert UNLABELED == 2**8 - 1
    assert UNLABELED not in list(Label)


def test_each_class_has_a_color_of_its_own() -> None:
    assert PALETTE.shape == (len(Label), 3)
    assert len({tuple(color) for color in PALETTE.tolist()}) == len(Label)
