"""A wheel of packdepth, installed outside the checkout, does what the README says.

The new environment sees the libraries of the one that runs the tests, so that nothing is downloaded, but its packdepth
is that of the wheel.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import world

ROOT = Path(__file__).parents[2]
pytest.importorskip("hatchling", reason="no hatchling to build a wheel with: make venv installs it")


def run(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without the checkout's code on Python's path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PACKDEPTH_DATA")}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    done = run([*pip, str(ROOT)], folder)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("packdepth-*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet", "--no-deps"]
    done = run([*pip, str(wheel)], folder)
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return programs


def test_the_wheel_holds_run_files_and_templates(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path for path in (ROOT / "src" / "packdepth").rglob("*") if path.suffix in (".html", ".css", ".js", ".yaml")
    }
    assert len(files) >= 4
    assert {f"packdepth/{path.relative_to(ROOT / 'src' / 'packdepth')}" for path in files} <= names
    assert {f"packdepth/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")} <= names
    pages = {path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md") if "results" not in path.parts}
    assert {f"packdepth/{page}" for page in pages} <= names
    assert not any(name.startswith(("tests", "docs", "bench")) for name in names)


def test_the_program_starts(programs: Path, tmp_path: Path) -> None:
    done = run([str(programs / "packdepth"), "configs"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "configs/kitti_odometry_clip.yaml" in done.stdout
    assert str(programs.parent) in done.stdout.splitlines()[-1]


COMMANDS = [
    "data check my_drive -o out/check",
    "train run.yaml --output runs/mine",
    "info runs/mine/best",
    "predict runs/mine/best my_drive -o out/frames --save depth,color,cloud,video",
    "odometry runs/mine/best my_drive -o out/odometry --align",
    "evaluate runs/mine/best --protocol city --data my_drive --json report.json --html report.html",
]
RUN_FILE = """
data: {train: [{kind: folder, root: my_drive}], image_size: [32, 64], workers: 0}
networks: {depth: {kind: packnet, preset: tiny}, pose: {kind: posenet, initial_forward: 0.5}}
objective: [{kind: photometric, scales: own}, {kind: smoothness}, {kind: velocity}]
training: {epochs: 1, epoch_steps: 1, batch_size: 2, accelerator: cpu}
"""
MAIN = f"""
import packdepth
from packdepth.cli import main
from packdepth.demo.steps import RUN_FILE
assert packdepth.__file__.startswith({{place!r}}), packdepth.__file__
assert RUN_FILE.is_file()
for command in {COMMANDS!r}:
    assert main(command.split()) == 0, command
assert main("train configs/kitti_odometry_clip.yaml --output runs/kitti".split()) == 2
"""


def test_the_commands_of_the_readme_run(programs: Path, tmp_path: Path) -> None:
    world.write(tmp_path / "my_drive")
    (tmp_path / "run.yaml").write_text(RUN_FILE)
    code = MAIN.format(place=str(programs.parent))
    done = run([str(programs / "python"), "-c", code], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    advice = (
        "packdepth: configs/kitti_odometry_clip.yaml: the environment variable PACKDEPTH_DATA is not set; download "
    )
    assert done.stderr.splitlines()[-1].startswith(advice)
    assert json.loads((tmp_path / "report.json").read_text())["protocol"] == "city"
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert len(list((tmp_path / "out" / "frames" / "cloud").glob("*.ply"))) == world.FRAMES
