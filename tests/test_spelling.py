"""Mistyped commands and options: one sentence with the nearest one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from packdepth.cli import DATA, SEMANTICS, STUDIES, VERBS, main
from packdepth.errors import InputError
from packdepth.spelling import check_spelling, option_names

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


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        (
            "evaluate best --protocol own --data room frames=[90,100]",
            "for a part of the data, give --data what packdepth data import DATA PART frames=[90,100] writes; "
            "see packdepth evaluate --help",
        ),
        ("info best frames=[90,100]", "see packdepth info --help"),
    ],
)
def test_a_verb_that_takes_no_key_and_value_says_so(
    typed: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = typed.split()[0]
    assert main(typed.split()) == 2
    expected = f"packdepth: packdepth {verb} takes no KEY=VALUE such as frames=[90,100]; {advice}\n"
    assert capsys.readouterr().err == expected


def test_what_an_option_takes_and_what_exists_is_no_key_and_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="evaluate takes no KEY=VALUE such as lr=2"):
        check_spelling(["evaluate", "lr=2", "--protocol", "own", "--data", "frames=2", "--html=a.html"], VERBS)
    (tmp_path / "lr=2").mkdir()
    check_spelling(["evaluate", "lr=2", "--protocol", "own", "--data", "frames=2", "--html=a.html"], VERBS)
    check_spelling(["city", "seed=2"], VERBS)  # names its output


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
