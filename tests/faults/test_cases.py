"""Every verb that writes is attacked by `make faults`, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the extra `export` is not installed")
pytest.importorskip("rosbags", reason="the extra `ros` is not installed")

from faults.cases import OF_ONE_ENGINE, OUTPUT, WRITE_NOTHING, cases, verb_of, verbs_of


def test_each_verb_is_attacked_or_it_is_said_why_not() -> None:
    attacked = {verb_of(case.arguments) for case in cases(Path("input"))}
    excused = WRITE_NOTHING.keys() | OF_ONE_ENGINE.keys()
    assert attacked | excused == set(verbs_of())
    assert not attacked & excused


def test_each_case_has_a_name_of_its_own_and_an_output() -> None:
    found = cases(Path("input"))
    assert len({case.name for case in found}) == len(found)
    for case in found:
        assert any(OUTPUT in argument for argument in case.arguments)
        assert not any(OUTPUT in argument for argument in case.at(Path("/a")))
