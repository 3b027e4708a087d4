"""Every command of the README is run, on a small clip under the names that the README uses."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from packdepth.inference.writers.video import video_writer
from packdepth.interop.packnet_sfm import depth_resnet_name
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.sources.folder import Folder

README = (Path(__file__).parents[2] / "README.md").read_text()
ELSEWHERE = {"make test", "pip install -e ."}  # what runs this very test
SMALL = {"data": {"image_size": [32, 64], "workers": 0}, "training": {"epochs": 1, "epoch_steps": 2, "batch_size": 2}}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.strip().splitlines() if line not in ELSEWHERE]


@pytest.fixture(scope="module")
def place(moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "my_drive").symlink_to(moving_clip)
    run = yaml.safe_load(blocks("yaml")[0])
    for block, values in SMALL.items():
        run[block] |= values
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    with video_writer(folder / "drive.mp4", 10) as append:
        for frame in Folder(kind="folder", root=moving_clip).clips()[0].frames:
            append(frame.image.read())
    state = {
        f"model.depth_net.{depth_resnet_name(name)}": value for name, value in DepthResNet(18).state_dict().items()
    }
    config = {"datasets": {"augmentation": {"image_shape": (32, 64)}}}
    torch.save({"config": config, "state_dict": state}, folder / "model.ckpt")
    return folder


def in_shell(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def test_the_commands_run_in_order(place: Path) -> None:
    assert len(COMMANDS) >= 6
    for command in COMMANDS:
        program, *arguments = shlex.split(command.replace("training.epochs=30", "training.epochs=2"))
        assert program == "packdepth"
        if "evaluate" in arguments:
            continue  # needs real data: the next test
        result = in_shell([sys.executable, "-m", "packdepth.cli", *arguments], place)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    assert (place / "out" / "drive.mp4").stat().st_size > 0
    names = [f"{index:06d}" for index in range(6)]
    assert sorted(path.stem for path in (place / "out" / "depth").glob("*.png")) == names
    assert sorted(path.stem for path in (place / "out" / "frames" / "cloud").glob("*.ply")) == names


def test_the_evaluation_runs_on_real_data(place: Path, data: Path) -> None:
    command = next(command for command in COMMANDS if "evaluate" in command).replace("$PACKDEPTH_DATA", str(data))
    result = in_shell([sys.executable, "-m", "packdepth.cli", *shlex.split(command)[1:]], place)
    assert result.returncode == 0, result.stderr
    assert "abs_rel" in result.stdout
    assert (place / "report.json").exists()
    assert (place / "report.html").exists()


def test_the_python_runs(place: Path) -> None:
    result = in_shell([sys.executable, "-c", blocks("python")[0]], place)
    assert result.returncode == 0, result.stderr
