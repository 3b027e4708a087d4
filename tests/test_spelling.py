"""Mistyped commands and options: one sentence with the nearest one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest

from packdepth.cli import DATA, SEMANTICS, STUDIES, VERBS, main
from packdepth.spelling import option_names

GROUPS = {"": VERBS, "data": DATA, "semantics": SEMANTICS, "study": STUDIES}
ALL = {
    " ".join([*([group] if group else []), name]): verb
    for group, verbs in GROUPS.items()
    for name, verb in verbs.items()
}
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("inti drive.mp4", "'init'"),
        ("data chekc mine", "'check'"),
        ("import drive.mp4 mine", "'data import'"),
        ("chek mine", "'data check'"),
        ("version", "write packdepth --version"),
        ("help", "write packdepth --help"),
        ("xyz", "valid names are init, train"),
        ("data xyz", "valid names are check, filter"),
        ("train run.yaml --outptu out", "'--output'"),
        ("predict best drive.mp4 -o out --max-detph=3", "'--max-depth'"),
        ("calibrate best mine -o out --form speed", "'--from'"),
        ("study superdepth out --stpes 4", "'--steps'"),
        ("export best model --format onxn", "'onnx'"),
        ("export best model --format=tflite", "valid names are onnx, openvino, executorch"),
        ("init drive.mp4 -o run.yaml --without sped", "'speed'"),
    ],
)
def test_a_slip_is_answered_by_the_nearest_word(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed.split()) == 2
    message = capsys.readouterr().err
    assert meant in message
    assert message.startswith("packdepth: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", ALL)
def test_the_options_of_a_verb_are_those_of_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb: Callable[..., None] = ALL[name]
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    shown = set(OPTION.findall(text))
    of_others = set(OPTION.findall(inspect.getdoc(verb) or ""))  # options that its description mentions
    names = {"--help", *option_names(verb)}
    assert names <= shown
    assert shown - names <= of_others
    assert "{None" not in text  # what is left out is left out, and never written as None
