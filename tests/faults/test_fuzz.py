"""Mutations of the files of every reader: each is read or refused in a sentence. `make fuzz` tries many more."""

from __future__ import annotations

from random import Random

import pytest

pytest.importorskip("rosbags", reason="the extra ros is not installed")
pytest.importorskip("onnx", reason="the extra export is not installed")

from faults.fuzz import mutations
from faults.mutations import mutated
from faults.readers import READERS

SLOW, FAST = ("bag", "state", "hub", "exif"), ("images", "maps", "npz", "camera", "clip", "speeds", "dgp", "rgbd")
COUNTS = dict.fromkeys(READERS, 60) | dict.fromkeys(SLOW, 30) | dict.fromkeys(FAST, 120)


@pytest.mark.parametrize("name", READERS)
def test_every_mutation_is_read_or_refused_in_a_sentence(name: str) -> None:
    count = mutations(name, range(COUNTS[name]))
    assert count.failures == {}
    assert count.mutations == COUNTS[name]


def test_a_mutation_follows_from_its_number() -> None:
    data = b"fx: 500.5\n" * 20
    assert mutated(Random("camera:7"), data, [data]) == mutated(Random("camera:7"), data, [data])
    assert len({mutated(Random(f"camera:{number}"), data, [data]) for number in range(50)}) > 40
