"""Lists of inputs, shared by workers of Ray of which some die."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import world
from PIL import Image

from packdepth.cli import main
from packdepth.inference.fleet import ATTEMPTS, Item, Manifest, job_of, predict_list
from packdepth.inference.fleet_on_ray import RayWorker
from packdepth.inference.run import Asked

DEPTH = Asked(save="depth")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with twenty folders of an image each and their list, with relative paths; the process works in it."""
    for index in range(20):
        folder = tmp_path / "in" / f"drive{index}"
        folder.mkdir(parents=True)
        Image.fromarray(world.picture(index)).save(folder / "0.png")
    (tmp_path / "list.txt").write_text("".join(f"in/drive{index}\n" for index in range(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        yield tmp_path


def test_ray_and_shard_exclude_each_other_and_need_a_list(
    checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(checkpoint_folder), "list.txt", "-o", "out", "--ray", "2"]
    assert main([*command, "--shard", "1/2"]) == 2
    assert "--ray and --shard: both share the list among processes" in capsys.readouterr().err
    assert main([*command[:-1], "0"]) == 2
    assert "ray" in capsys.readouterr().err
    assert main(["predict", str(checkpoint_folder), "in/drive0", "-o", "out", "--ray", "2"]) == 2
    assert "--ray 2: is of a list of inputs, but in/drive0 is none" in capsys.readouterr().err


def test_without_the_extra_one_sentence_names_it(
    checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["predict", str(checkpoint_folder), "list.txt", "-o", "out", "--ray", "2"]) == 2
    assert "--ray needs Ray Data: pip install 'packdepth[ray]'" in capsys.readouterr().err
    assert not Path("out").exists()


def test_an_input_whose_workers_die_is_given_up(checkpoint_folder: Path, working_folder: Path) -> None:
    options = {"checkpoint": checkpoint_folder, "output": Path("out"), "asked": DEPTH}
    options |= {"precision": "32", "runtime": None, "batch": 1}
    worker = RayWorker(str(working_folder), (), options)
    manifest, item = Manifest(Path("out/manifest.jsonl"), job_of(checkpoint_folder, DEPTH, "32")), Item(Path("x"), "x")
    for _ in range(ATTEMPTS):
        manifest.add(item, "started", attempt=1)
    row = {"path": "x", "name": "x", "attempts": 0}
    assert worker(row) == {"input": "x", "state": "failed", "error": ""}
    assert manifest.latest()["x"]["error"].startswith("its worker died in each attempt")
    assert worker({**row, "attempts": ATTEMPTS})["state"] == "failed"  # the next command tries it
    assert "x: not found" in manifest.latest()["x"]["error"]
    row = {"path": "in/drive0", "name": "drive0", "attempts": 0}
    assert [worker(row)["state"], worker(row)["state"]] == ["done", "done before"]
    elsewhere = RayWorker(str(working_folder), (), {**options, "checkpoint": Path("not_here")})
    assert elsewhere(row)["error"].startswith("not_here: ")


DEADLY = """
import os, signal
from pathlib import Path
from packdepth.inference.writers.depth import DepthWriter
append = DepthWriter.append
def dying(self, name, prediction):
    append(self, name, prediction)
    once = Path("killed")
    if "drive7" in self.path.parts and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "drive11" in self.path.parts:
        os.kill(os.getpid(), signal.SIGKILL)
DepthWriter.append = dying
"""


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="the extra `ray` is not installed")
def test_a_killed_worker_of_ray_loses_no_input_and_one_that_always_dies_is_given_up(checkpoint_folder: Path) -> None:
    Path("deadly.py").write_text(DEADLY)
    command = ["predict", str(checkpoint_folder), "list.txt", "-o", "out", "--save", "depth", "--ray", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "packdepth.cli", *command, "--use", "deadly.py"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 2
    assert "1 input of 2 workers of Ray failed" in done.stderr.splitlines()[-1]
    entries = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    others = {f"drive{index}": 1 for index in range(20) if index != 11}
    assert Counter(entry["name"] for entry in entries if entry["state"] == "done") == others
    tries = Counter(entry["name"] for entry in entries if entry["state"] == "started")
    assert tries == others | {"drive7": 2, "drive11": ATTEMPTS}
    predict_list(checkpoint_folder, Path("list.txt"), Path("out"), DEPTH)  # goes on without Ray
    assert all(len(list(Path("out", f"drive{index}", "depth").iterdir())) == 2 for index in range(20))
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([*others, "drive11", "manifest.jsonl"])
