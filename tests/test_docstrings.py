"""Docstrings follow STYLE: how they begin, that they describe every parameter and field, and that their examples run.

The rules, which each function below states once more:

* No docstring begins with a fragment ("Of ...", "What ...", "Where ..."), and that of a function begins with a verb.
* An `Args:` section describes every parameter. Every public function with parameters has one, and every public class
  with an `__init__` of its own. An override needs none if the method that it overrides has one or is a library's; the
  `forward` of a network then names its shapes in brackets, such as [B, 3, H, W].
* A docstring stands below every field of a block. A field of a dataclass or a named tuple may have a comment instead.

Run as a script, this file runs the examples of all docstrings and prints what failed, as JSON.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import packdepth

SOURCE = Path(packdepth.__file__).parent
FILES = {str(path.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("*.py"))}
ROOMS = sorted({name.split("/")[0].removesuffix(".py") for name in FILES})
FRAGMENTS = ("Of", "As", "By", "The same", "Such as", "Where", "What", "That", "Whether it")
NO_VERBS = ("A", "An", "The", "This", "These", "It", "Whether", "All", "Each", "Every", "Both", "One", "Either", "How")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed file: its text, its tree, and the name of each import."""

    name: str  # such as "packdepth.geometry.camera"
    lines: list[str]
    tree: ast.Module
    imports: dict[str, str]  # what a local name stands for, such as "nn": "torch.nn"


def parse(name: str, text: str) -> Module:
    tree = ast.parse(text)
    imports: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imports |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return Module(name, text.splitlines(), tree, imports)


@cache
def parsed(file: str) -> Module:
    name = ".".join(["packdepth", *Path(file).with_suffix("").parts]).removesuffix(".__init__")
    return parse(name, FILES[file].read_text())


@cache
def own_classes() -> dict[str, tuple[Module, ast.ClassDef]]:
    """All classes of packdepth by their full names."""
    modules = [parsed(file) for file in FILES]
    return {
        f"{module.name}.{node.name}": (module, node)
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    }


def bases(module: Module, node: ast.ClassDef) -> Iterator[str]:
    """The full names of a class's bases, nearest first: packdepth's own with their bases, and others' classes."""
    for base in node.bases:
        text = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        first, *rest = text.split(".")
        name = ".".join([module.imports.get(first, f"{module.name}.{first}"), *rest])
        yield name
        if name in own_classes():
            yield from bases(*own_classes()[name])


def in_a_library(module: Module, owner: ast.ClassDef, method: str) -> bool:
    """Whether a base that is not packdepth's has a method of this name."""
    for name in bases(module, owner):
        package, _, attribute = name.rpartition(".")
        others = package and name not in own_classes() and not package.startswith("packdepth")
        if others and hasattr(getattr(importlib.import_module(package), attribute), method):
            return True
    return False


def docstrings(module: Module) -> Iterator[tuple[ast.AST, str, int]]:
    """Each docstring of a module, of fields too, with the node that it belongs to and its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text, node.body[0].lineno
        if isinstance(node, (ast.Module, ast.ClassDef)):
            for field, below in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, (ast.Assign, ast.AnnAssign)) and (value := text_of(below)) is not None:
                    yield field, value, below.lineno


def text_of(node: ast.AST) -> str | None:
    """The text of a statement that is nothing but a text; None for any other."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return None


def decorators(node: Function) -> set[str]:
    return {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}


def is_property(node: Function) -> bool:
    return bool(decorators(node) & {"property", "cached_property", "setter", "getter"})


def begins_with(text: str, words: tuple[str, ...]) -> bool:
    return re.match(rf"({'|'.join(words)})\b", text.strip()) is not None


def badly_begun(module: Module) -> list[str]:
    """The docstrings that begin with a fragment, and those of functions that do not begin with a verb."""
    found = []
    for node, text, line in docstrings(module):
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not is_property(node)
        if begins_with(text, FRAGMENTS):
            found.append(f"{line}: begins with a fragment: {text.splitlines()[0]}")
        elif is_function and (begins_with(text, NO_VERBS) or not re.match("[A-Z][a-z]+", text.strip())):
            found.append(f"{line}: does not begin with a verb: {text.splitlines()[0]}")
    return found


def described(text: str) -> set[str]:
    """The names that the sections Args and Attributes of a docstring describe."""
    names: set[str] = set()
    section, margin = False, 0
    for line in text.splitlines():
        if re.match(r"\s*(Args|Attributes):$", line):
            section, margin = True, len(line) - len(line.lstrip())
        elif section and line.strip() and len(line) - len(line.lstrip()) <= margin:
            section = False
        elif section and (match := re.match(rf"\s{{{margin + 4}}}(\*{{0,2}}\w+(?:, \w+)*): \S", line)):
            names |= {name.strip() for name in match[1].split(",")}
    return names


def parameters(node: Function) -> list[str]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]


def methods(owner: ast.ClassDef) -> list[Function]:
    return [node for node in owner.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def documentation(owner: ast.ClassDef | None, function: Function) -> str:
    """The docstring of a function; that of the class comes before it for an `__init__`."""
    of_class = ast.get_docstring(owner) if owner is not None and function.name == "__init__" else None
    return f"{of_class or ''}\n\n{ast.get_docstring(function) or ''}"


def undescribed(owner: ast.ClassDef | None, function: Function) -> list[str]:
    known = described(documentation(owner, function))
    return [name for name in parameters(function) if name not in known]


def must_describe(module: Module, owner: ast.ClassDef | None, function: Function) -> bool:
    """Whether a function needs an Args section."""
    if "\nArgs:" in documentation(owner, function):
        return True
    private = function.name.startswith("_") and function.name != "__init__"
    if private or is_property(function) or "overload" in decorators(function):
        return False
    if owner is None:
        return True
    above = [own_classes()[name][1] for name in bases(module, owner) if name in own_classes()]
    overridden = [(base, other) for base in above for other in methods(base) if other.name == function.name]
    if owner.name.startswith("_") or any(not undescribed(base, other) for base, other in overridden):
        return False
    if function.name == "__init__" or not in_a_library(module, owner, function.name):
        return True
    return function.name == "forward" and "[" not in documentation(owner, function)


def undescribed_parameters(module: Module) -> list[str]:
    """The parameters that a docstring must describe, and does not."""
    owned: list[tuple[ast.ClassDef | None, Function]] = []
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            owned.append((None, node))
        elif isinstance(node, ast.ClassDef):
            owned += [(node, method) for method in methods(node)]
    return [
        f"{function.lineno}: {function.name if owner is None else f'{owner.name}.{function.name}'} lacks {missing}"
        for owner, function in owned
        if (missing := ", ".join(undescribed(owner, function))) and must_describe(module, owner, function)
    ]


def undescribed_fields(module: Module) -> list[str]:
    """The public fields of blocks without a docstring, and those of other records without one and without comment."""
    found = []
    for node in module.tree.body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        above = list(bases(module, node))
        is_block = "packdepth.blocks.Closed" in above or "pydantic.BaseModel" in above
        is_record = "typing.NamedTuple" in above or any("dataclass" in ast.unparse(d) for d in node.decorator_list)
        if not is_block and not is_record:
            continue
        classes = [node, *(own_classes()[base][1] for base in above if base in own_classes())]
        known = {name for other in classes for name in field_docstrings(other)}
        if not is_block:
            known |= described(ast.get_docstring(node) or "")
        for field in fields(node):
            comment = "#" in module.lines[(field.end_lineno or field.lineno) - 1]
            name = field.target.id  # type: ignore[union-attr]
            if name not in known and not (comment and not is_block):
                found.append(f"{field.lineno}: {node.name} lacks {name}")
    return found


def fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [
        field
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and not field.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(field.annotation)
    ]


def field_docstrings(node: ast.ClassDef) -> set[str]:
    return {
        field.target.id
        for field, below in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text_of(below) is not None
    }


SAMPLE = '''
"""A module."""
from torch import nn
from packdepth.blocks import Closed

def area(height: int, width: int) -> int:
    """The area of an image.

    Args:
        height: pixels.
    """

class Window(Closed):
    """A window."""

    width: int  # pixels
    height: int
    """Of the window, in pixels."""

    @property
    def area(self) -> int:
        """The area, in pixels."""

class Layer(nn.Module):
    """A layer.

    Args:
        channels: channels of the input.
    """

    def __init__(self, channels: int, kernel: int) -> None: ...
    def forward(self, x: object) -> object:
        """Filter."""
    def train(self, mode: bool = True) -> object:
        """Set the mode."""
    def _apply(self, fn: object) -> object: ...
'''


def test_the_rules() -> None:
    module = parse("sample", SAMPLE)
    assert badly_begun(module) == [
        "7: does not begin with a verb: The area of an image.",
        "18: begins with a fragment: Of the window, in pixels.",
    ]
    assert undescribed_parameters(module) == [
        "6: area lacks width",
        "31: Layer.__init__ lacks kernel",
        "32: Layer.forward lacks x",
    ]
    assert undescribed_fields(module) == ["16: Window lacks width"]


def run_examples() -> dict[str, str]:
    """What failed in the examples of each module, by its file. Modules that need a missing package are left out."""
    failed = {}
    for file in FILES:
        try:
            module = importlib.import_module(parsed(file).name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("packdepth"):
                raise
            continue
        report = io.StringIO()
        with contextlib.redirect_stdout(report), contextlib.redirect_stderr(io.StringIO()):
            doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        failed[file] = report.getvalue()
    return failed


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What failed in the examples of each module: one process runs all of them, because they define kinds of blocks."""
    folder = tmp_path_factory.mktemp("examples")
    environment = os.environ | {"PYTHONPATH": str(SOURCE.parent), "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, __file__], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_of_a_room_run(room: str, examples: dict[str, str]) -> None:
    files = [file for file in examples if file.split("/")[0].removesuffix(".py") == room]
    if not files:
        pytest.skip("a package is missing")
    assert not "".join(examples[file] for file in files)


@pytest.mark.parametrize("file", FILES)
def test_docstrings_begin_with_a_verb_or_a_noun_and_no_fragment(file: str) -> None:
    assert not badly_begun(parsed(file))


@pytest.mark.parametrize("file", FILES)
def test_docstrings_describe_every_parameter(file: str) -> None:
    assert not undescribed_parameters(parsed(file))


@pytest.mark.parametrize("file", FILES)
def test_docstrings_or_comments_describe_every_field(file: str) -> None:
    assert not undescribed_fields(parsed(file))


if __name__ == "__main__":
    print(json.dumps(run_examples()))
