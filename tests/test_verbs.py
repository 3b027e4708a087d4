"""The help of every verb ends with examples, which the real parser takes, and -o names every output."""

from __future__ import annotations

import functools
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from packdepth import cli
from packdepth.cli import ALL, main
from packdepth.verbs import end_of_help, examples_of


def leaves(verbs: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each verb with the words that name it."""
    for name, verb in verbs.items():
        if isinstance(verb, Mapping):
            yield from leaves(verb, (*before, name))
        else:
            yield (*before, name), verb


Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The arguments that verbs are called with, none of which then does anything."""
    called: Calls = []
    monkeypatch.setattr("packdepth.sharing.address.located", Path)  # nothing is fetched

    def recording(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def record(*arguments: Any, **options: Any) -> None:
            called.append((arguments, options))

        return record

    for group in (cli.VERBS, cli.DATA, cli.SEMANTICS, cli.STUDIES):
        for name, verb in group.items():
            monkeypatch.setitem(group, name, recording(verb))
    return called


def test_every_example_is_taken_by_the_parser(calls: Calls) -> None:
    for words, verb in leaves(ALL):
        examples = examples_of(verb)
        assert examples, f"{' '.join(words)} has no example"
        for example in examples:
            program, *arguments = shlex.split(example)
            assert (program, *arguments[: len(words)]) == ("packdepth", *words)
            assert main(arguments) == 0
    assert len(calls) == sum(len(examples_of(verb)) for _, verb in leaves(ALL))


def test_help_ends_with_examples_and_that_of_evaluate_lists_the_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    text = capsys.readouterr().out
    assert text.endswith(end_of_help(["evaluate", "--help"], ALL) + "\n")
    assert "\nprotocols:\n  own " in text
    assert "\n  kitti-eigen-improved " in text
    assert end_of_help(["evaluate"], ALL) == end_of_help(["data", "--help"], ALL) == ""


OUTPUTS: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {
    ("export", "a"): {},
    ("data", "import", "a"): {"options": ("x=1", "y=b//c")},
    ("data", "splits", "a"): {"options": ("x=1",)},
    ("demo",): {},
    ("city",): {},
}


def test_an_output_is_named_by_its_option_or_in_its_old_place(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[Any, ...]] = []

    def record(*given: Any) -> dict[str, str]:
        called.append(given)
        return {}

    for room, name in (
        ("packdepth.export.command", "export"),
        ("packdepth.inspection.import_data", "import_data"),
        ("packdepth.inspection.splits", "make_splits"),
        ("packdepth.demo.steps", "demo"),
        ("packdepth.city.write", "write_city"),
    ):
        monkeypatch.setattr(f"{room}.{name}", record)
    monkeypatch.setattr("packdepth.city.command.require_city", lambda: None)
    for words, more in OUTPUTS.items():
        options = list(more.get("options", ()))
        for line in ([*words, "out", *options], [*words, *options, "-o", "out"], [*words, "--output", "out", *options]):
            assert main(line) == 0
        first, *others = called[-3:]
        assert others == [first, first]
        assert Path("out") in first
        assert not options or tuple(options) in first


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["export", "a"], "the output is not named; add -o"),
        (["export", "a", "b", "-o", "c"], "-o c: names the output, but so does b"),
        (["data", "import", "a", "b", "-o", "c"], "-o c: names the output, but so does b"),
    ],
)
def test_an_output_is_named_once(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 2
    assert said in capsys.readouterr().err


def test_bash_completes_verbs_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    with pytest.raises(SystemExit) as ended:
        main(["completion", "bash"])
    assert not ended.value.code
    (tmp_path / "packdepth.bash").write_text(capsys.readouterr().out)
    ask = """source ./packdepth.bash
COMP_WORDS=(packdepth {words}); COMP_CWORD={last}; COMP_LINE="packdepth {words}"; COMP_POINT=${{#COMP_LINE}}
$(complete -p packdepth | sed -E 's/.*-F ([^ ]+).*/\\1/') packdepth
echo "${{COMPREPLY[@]}}"
"""
    found = {}
    for words in ("ev", "predict --prec"):
        text = ask.format(words=words, last=len(words.split()))
        done = subprocess.run([bash, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        found[words] = done.stdout.split()
    assert found == {"ev": ["evaluate"], "predict --prec": ["--precision"]}
