"""The generated pages of the reference are what the code says."""

from __future__ import annotations

import doctest
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import packdepth
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


def test_every_public_name_has_a_place_in_the_reference_of_python() -> None:
    described = {name for contents in generate.PYTHON_PAGES for name in contents.names}
    assert {f"packdepth.{name}" for name in packdepth.__all__} - {"packdepth.__version__"} <= described


def test_a_reference_of_python_has_signature_arguments_and_source() -> None:
    text = PAGES[FILE.parent / "reference" / "python_predict.md"]
    (section,) = re.findall(r"^## load\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert "(../../src/packdepth/inference/load.py)" in section
    assert '    precision: Precision = "32",\n' in section
    assert "| `device` | A device as torch names it" in section
    assert "| `metric` | Whether depth is in metres" in text  # the comment beside a field


def test_the_examples_of_the_generator() -> None:
    tried = doctest.testmod(generate)
    assert (tried.failed, tried.attempted >= 10) == (0, True)
