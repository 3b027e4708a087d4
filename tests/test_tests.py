"""A lint: tests and measurements use only public names of packdepth."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import packdepth

PROJECT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("tests", "bench") for path in (PROJECT / folder).rglob("*.py"))
FILES.remove(Path(__file__))  # its strings hold private names
SOURCE = Path(packdepth.__file__).parent
PUBLIC_OF_NAMED_TUPLES = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}  # as typing.NamedTuple says


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a file gives to functions, classes, variables, attributes and arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            continue
        if name.strip("_") and name.startswith("_") and not name.endswith("__"):
            yield name


def used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each import, attribute and string (patches take strings) of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            names = [part for name in (module, *(alias.name for alias in node.names)) for part in name.split(".")]
            yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.rpartition(".")[2]


def reached_into(text: str, private: set[str]) -> list[tuple[int, str]]:
    """Return the line and the name wherever a file uses one of the private names that it does not define itself."""
    tree = ast.parse(text)
    others = private - set(defined(tree)) - PUBLIC_OF_NAMED_TUPLES
    return sorted((line, name) for line, name in used(tree) if name in others)


@pytest.fixture(scope="module")
def private() -> set[str]:
    """Return the private names of packdepth, including those of modules."""
    paths = list(SOURCE.rglob("*.py"))
    modules = {path.stem for path in paths if path.stem.startswith("_") and not path.stem.startswith("__")}
    return modules.union(*(defined(ast.parse(path.read_text())) for path in paths))


def test_the_finder_of_private_names() -> None:
    text = """
from packdepth.lazy import _load, lazy_names
import packdepth._speedups
def test_it(monkeypatch, network):
    monkeypatch.setattr(network, "_composed", None)
    monkeypatch.setattr("packdepth.lazy._find", None)
    assert network._weights.shape == network.__dict__["shape"]
    os._exit(0)
    assert Scores._fields == ("abs_rel",)
class Own:
    def __init__(self):
        self._own = 0
    def get(self):
        return self._own
"""
    private = {"_load", "_speedups", "_composed", "_find", "_weights", "_own", "_fields"}
    expected = [(2, "_load"), (3, "_speedups"), (5, "_composed"), (6, "_find"), (7, "_weights")]
    assert reached_into(text, private) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_only_public_names_are_used(path: Path, private: set[str]) -> None:
    found = reached_into(path.read_text(), private)
    assert not found, f"private names of packdepth (line, name): {found}; give the code a public seam"
