"""The generated pages of the reference are what the code says."""

from __future__ import annotations

import doctest
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from packdepth.cli import DATA, SEMANTICS, STUDIES, VERBS
from packdepth.spelling import option_names

FILE = Path(__file__).parents[2] / "docs" / "generate.py"
SPEC = importlib.util.spec_from_file_location("generate", FILE)
assert SPEC is not None
assert SPEC.loader is not None
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)
PAGES: dict[Path, str] = generate.pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == PAGES[path], f"{path.name} is not up to date: run `python docs/generate.py`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_field_and_argument_is_described(path: Path) -> None:
    assert re.findall(r"^\| `.*\|  \|$", PAGES[path], re.MULTILINE) == []


@pytest.mark.parametrize("verb", [*VERBS.values(), *DATA.values(), *SEMANTICS.values(), *STUDIES.values()])
def test_the_options_of_the_reference_are_those_that_the_command_takes(verb: Callable[..., None]) -> None:
    listed = {label.split(",")[0] for label, positional, *_ in generate.options_of(verb) if not positional}
    taken = set(option_names(verb))
    assert listed <= taken
    assert {f"--no-{name[2:]}" for name in listed} >= taken - listed


def test_the_examples_of_the_generator() -> None:
    tried = doctest.testmod(generate)
    assert (tried.failed, tried.attempted >= 10) == (0, True)
