"""The house's rules: who may import whom, what takes no torch, and the public names."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import packdepth
from packdepth.networks.blocks import DEPTH_NETWORKS, POSE_NETWORKS
from packdepth.objectives.term import TERMS

SOURCE = Path(packdepth.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "lazy", "classes", "channels", "interruption"),
    ("reading", "disk", "workers"),
    ("terminal",),
    ("progress", "files", "color", "thumbnail", "blocks", "run_files", "ownership"),
    ("html", "geometry", "depth_files", "spelling", "verbs", "doctor"),
    ("charts",),
    ("records", "optimization"),
    ("networks", "objectives", "sources"),
    ("city", "config"),
    ("checkpoint",),
    ("data",),
    ("inspection", "segmentation", "live"),
    ("interop", "sharing"),
    ("inference",),
    ("scale",),
    ("evaluation",),
    ("training", "export"),
    ("recommend", "viewer", "app"),
    ("demo", "studies"),
    ("cli",),
)
"""The rooms of the house from the ground up: a room imports rooms of lower floors alone, so that there is no circle."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


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


def test_a_record_is_cited_with_its_folder() -> None:
    cited = [
        (path.relative_to(SOURCE), *found)
        for path in FILES
        for found in re.findall(r"((?:[\w-]+/)*)(20\d\d-\d\d-\d\d-[a-z0-9-]+\.md)", path.read_text())
    ]
    assert "2026-11-26-changing-speed.md" in {name for *_, name in cited}
    records = SOURCE.parents[1] / "docs" / "results"
    lost = [each for each in cited if each[1] != "docs/results/" or not (records / each[2]).is_file()]
    assert lost == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_the_house(path: Path) -> None:
    """Also those inside functions, and those for types alone."""
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    found = set(imported(path.read_text(), ("packdepth", *path.relative_to(SOURCE).parts[:-1])))
    higher = {other for other in found & set(FLOOR_OF) if other != room and FLOOR_OF[other] >= FLOOR_OF[room]}
    assert not higher, f"{room} stands on floor {FLOOR_OF[room]} and must not import {higher}"


def test_every_room_stands_on_a_floor() -> None:
    names = {path.name.removesuffix(".py") for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert names - {"__init__", "__main__", "__pycache__"} == set(FLOOR_OF)


CLOSURES = """
import importlib, json, sys
closures = {}
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "packdepth"]:
        del sys.modules[name]
    importlib.import_module(module)
    closures[module] = sorted({name.split(".")[1] for name in sys.modules if name.startswith("packdepth.")})
print(json.dumps(closures))
"""


@pytest.fixture(scope="module")
def rooms() -> dict[str, list[str]]:
    """The rooms that each network and term loads: the closures of their imports, from one process that keeps torch."""
    found: dict[str, list[str]] = json.loads(run(CLOSURES, *NETWORKS, *TERM_MODULES))
    return found


NETWORKS = sorted({block.__module__ for family in (DEPTH_NETWORKS, POSE_NETWORKS) for block in family.own().values()})
GROUND = {room for rooms in FLOORS[: FLOOR_OF["records"] + 1] for room in rooms}
TERM_MODULES = sorted({block.__module__ for block in TERMS.own().values()})


@pytest.mark.parametrize("module", NETWORKS)
def test_a_network_loads_neither_data_nor_sources_nor_the_run_file(module: str, rooms: dict[str, list[str]]) -> None:
    assert set(rooms[module]) <= {
        "lazy",
        "blocks",
        "disk",
        "errors",
        "reading",
        "files",
        "color",
        "thumbnail",
        "geometry",
        "records",
        "networks",
    }


@pytest.mark.parametrize("module", TERM_MODULES)
def test_a_term_loads_neither_data_nor_sources_nor_the_run_file(module: str, rooms: dict[str, list[str]]) -> None:
    assert set(rooms[module]) <= GROUND | {"objectives"}


def run(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
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
        "import packdepth.inference.ros.recording",
        "import packdepth; packdepth.Camera; packdepth.Prediction; packdepth.open",
        "import packdepth.inference.live",
        "from packdepth.evaluation import Protocol, find_protocol; find_protocol('city')",
    ],
)
def test_torch_stays_out(code: str) -> None:
    assert run(f"import sys\n{code}\nprint([name for name in ('torch', 'lightning') if name in sys.modules])") == "[]\n"


def test_rendering_takes_no_torch() -> None:
    pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    assert run("import sys, packdepth.city.write; print('torch' in sys.modules)") == "False\n"


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


PUBLIC = {
    "packdepth": {"Camera", "PackNet", "Prediction", "Predictor", "Run", "calibrate", "evaluate", "init", "load",
                  "odometry", "open", "train", "__version__"},
    "packdepth.objectives": {"CameraHeight", "DepthConsistency", "Hints", "Objective", "Occlusion", "Photometric",
                             "PoseConsistency", "Poses", "Reprojected", "Sky", "Smoothness", "StatefulTerm", "Stereo",
                             "Supervised", "Teacher", "Term", "Uncertainty", "Velocity", "masked_mean", "sample_means"},
    "packdepth.networks": {"DepthNetwork", "DepthNetworkBlock", "DepthResNet", "GuidedDepthNetwork",
                           "InverseDepthHead", "PackNet", "PairPoseNetwork", "PoseNet", "PoseNetworkBlock",
                           "PoseResNet", "SuperDepth", "TwoStreamPoseNet", "UncertainDepthNetwork", "start_forward"},
    "packdepth.sources": {"AnySource", "CamVid", "Cityscapes", "Content", "Ddad", "DepthPng", "Folder", "ImageFile",
                          "Images", "KittiOdometry", "KittiRaw", "Rgbd", "Rosbag", "Source", "Video", "common_size",
                          "open_clips", "read_json", "source_at"},
    "packdepth.evaluation": {"BoundaryErrors", "DepthMetrics", "DepthScores", "EgoMotionErrors", "ImageScores",
                             "OdometryErrors", "OdometryReport", "Protocol", "Report", "boundary_errors",
                             "depth_metrics", "ego_motion_errors", "evaluate", "find_protocol", "median_scale",
                             "odometry_errors", "others_median", "pixel_median", "protocol_names", "share_too_far"},
    "packdepth.geometry": {"Camera", "MIN_INV_DEPTH", "aligned", "carry", "depth_from_inverse", "depth_map",
                           "points_from_depth", "resize_image", "resize_inv_depth", "sample", "synthesize"},
}  # fmt: skip
"""The public surface: a name that is added or removed is added or removed here."""


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_shown_by_completion(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert set(dir(module)) == PUBLIC[package]


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PUBLIC for name in sorted(PUBLIC[package])]
)
def test_a_public_name_is_there_and_has_a_docstring(package: str, name: str) -> None:
    module = importlib.import_module(package)
    value = getattr(module, name)
    assert value is getattr(module, name)
    assert not (isinstance(value, type) or callable(value)) or value.__doc__


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'packdepth' has no attribute 'Packnet'"):
        packdepth.Packnet  # noqa: B018
