"""The house's rules: who may import whom, what takes no torch, and the public names."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import packdepth

SOURCE = Path(packdepth.__file__).parent
FOUNDATIONS = {"errors", "files", "color", "blocks", "records", "classes", "geometry"}
TOP = {"training", "evaluation", "inference", "interop", "demo", "studies", "cli"}
# What a room must not import, of ours or of others'.
FORBIDDEN = {
    "geometry": TOP,
    "interop": TOP - {"interop"},  # inference imports it
    "networks": TOP | {"data", "sources", "inspection", "segmentation"},
    "objectives": TOP | {"data", "sources", "inspection", "segmentation"},
    "sources": TOP | {"data", "inspection", "torch", "lightning", "segmentation"},
    "city": TOP | {"segmentation"},
    "data": TOP | {"inspection", "segmentation"},
    "inspection": TOP,
    "evaluation": {"segmentation"},
    "config": TOP | {"torch", "lightning"},
    "segmentation": TOP | {"lightning", "city"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def imported(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """What a file of `package`, such as ("packdepth", "data"), imports: our rooms by name, others' packages by name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*parents, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            yield rest[0] if first == "packdepth" and rest else first


def rooms(path: Path) -> set[str]:
    """What a file of ours imports."""
    return set(imported(path.read_text(), ("packdepth", *path.relative_to(SOURCE).parts[:-1])))


def test_the_reader_of_imports() -> None:
    text = """
import torch.nn.functional as F
import packdepth.cli
from packdepth import sources, __version__
from packdepth.geometry.camera import Camera
from . import clips
from .. import training
from ..networks.packnet import PackNet
def late():
    from lightning import Trainer
"""
    expected = ["torch", "cli", "sources", "__version__", "geometry", "data", "training", "networks", "lightning"]
    assert list(imported(text, ("packdepth", "data"))) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    ours = {entry.name.removesuffix(".py") for entry in SOURCE.iterdir()}
    found = rooms(path)
    if room in FOUNDATIONS:
        assert not (found & ours) - FOUNDATIONS
    assert not found & FORBIDDEN.get(room, set())
    assert "cli" not in found or room in ("cli", "__main__")


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import packdepth; packdepth.__version__",
        "import packdepth.config",
        "import packdepth.sources",
        "import packdepth.checkpoint",
        "import packdepth.segmentation.checkpoint",
        "import packdepth.segmentation.run_file",
        "import packdepth.interop.read",
        "import packdepth; packdepth.Camera; packdepth.Prediction; packdepth.open",
        "from packdepth.evaluation import Protocol, find_protocol; find_protocol('city')",
    ],
)
def test_torch_stays_out(code: str) -> None:
    assert run(f"import sys\n{code}\nprint([name for name in ('torch', 'lightning') if name in sys.modules])") == "[]\n"


@pytest.mark.parametrize("room", ["networks", "city", "data", "sources", "evaluation"])
def test_lower_rooms_do_not_import_segmentation(room: str) -> None:
    modules = [".".join(("packdepth", *path.relative_to(SOURCE).with_suffix("").parts)) for path in FILES]
    code = "\n".join(f"import {name}" for name in modules if name.startswith(f"packdepth.{room}."))
    loaded = run(f"{code}\nimport sys\nprint(*(name for name in sys.modules if 'packdepth.segmentation' in name))")
    # The run file of depth networks, packdepth.config, lists the blocks of segmentation networks.
    assert set(loaded.split()) == set()


def test_help_takes_no_torch() -> None:
    code = """
import sys
from packdepth.cli import main
try:
    status = main(["--help"])
except SystemExit as exit:
    status = exit.code
print(status, [name for name in ("torch", "lightning") if name in sys.modules])
"""
    *text, last = run(code).splitlines()
    assert last == "0 []"
    assert "packdepth" in "\n".join(text)


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="packdepth")
    assert command.value == "packdepth.cli:main"
    assert callable(command.load())


def test_the_public_names() -> None:
    public = {"Camera", "PackNet", "Prediction", "Predictor", "evaluate", "load", "odometry", "open"}
    assert set(packdepth.__all__) == {*public, "__version__"}
    assert public <= set(dir(packdepth))


@pytest.mark.parametrize("name", packdepth.__all__)
def test_a_public_name_is_there_and_speaks_for_itself(name: str) -> None:
    value = getattr(packdepth, name)
    assert name == "__version__" or value.__doc__
    assert value is getattr(packdepth, name)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'packdepth' has no attribute 'Packnet'"):
        packdepth.Packnet  # noqa: B018
