"""A stranger's package adds every kind of part; the commands of docs/extending.md run beside a wheel of packdepth."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import world
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "extending"
PAGE = (ROOT / "docs" / "extending.md").read_text()
COMMANDS = re.findall(r"^packdepth .*$", "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)), re.MULTILINE)
SMALL = [
    *("training.epochs=1", "training.epoch_steps=2", "training.batch_size=2", "training.accelerator=cpu"),
    *("data.workers=0", "data.image_size=[32, 64]"),
]
OWN_NETWORKS = ["networks.depth={kind: packnet, preset: tiny}", "networks.pose={kind: posenet}"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


def text_blocks() -> list[list[str]]:
    """The lines of each block of output on the page."""
    return [block.splitlines() for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)]


def pip(*arguments: object) -> None:
    """Run the pip of this environment, without network."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments), "--no-deps"]
    subprocess.run([*command, "--no-index", "--quiet"], check=True, env=ENVIRONMENT)


class Place:
    """A folder outside the checkout with an environment that holds packages of its own.

    Args:
        folder: the folder.
        wheels: what is installed there. All else, such as torch, is found where the tests find it.
    """

    def __init__(self, folder: Path, *wheels: Path) -> None:
        self.folder, self.environment = folder, folder / "env"
        venv.create(self.environment, symlinks=True)
        self.python = self.environment / "bin" / "python"
        others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (packages,) = self.environment.glob("lib/python3*/site-packages")
        (packages / "others.pth").write_text("\n".join(others) + "\n")  # plain paths: editable packages stay out
        pip("--python", self.python, "install", *wheels)

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the folder."""
        command = [str(self.environment / "bin" / program), *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    def output(self, program: str, *arguments: object) -> str:
        """Run a program that must succeed, and return what it prints."""
        done = self.run(program, *arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def write_recording(folder: Path) -> None:
    """Write the rendered clip in the format of the example's source."""
    folder.mkdir()
    frames = []
    for index in range(world.FRAMES):
        image, depth = world.render(index)
        Image.fromarray((image * 255).round().astype(np.uint8)).save(folder / f"{index:06d}.png")
        Image.fromarray((depth * 256).round().astype(np.uint16)).save(folder / f"depth{index:06d}.png")
        times = {"time": index / world.RATE, "speed": world.STEP * world.RATE}
        frames.append({"image": f"{index:06d}.png", "depth": f"depth{index:06d}.png", **times})
    camera = {name: getattr(world.CAMERA, name) for name in ("fx", "fy", "cx", "cy")}
    (folder / "recording.json").write_text(json.dumps({**camera, "frames": frames}))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Wheels of packdepth and of the example."""
    for name in ("pip", "hatchling"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, ROOT, EXAMPLE)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def stranger(wheels: list[Path], moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with both packages and the files that the page speaks of."""
    place = Place(tmp_path_factory.mktemp("stranger"), *wheels)
    for file in (EXAMPLE / "run.yaml", ROOT / "examples" / "my_terms.py", ROOT / "examples" / "with_my_terms.yaml"):
        shutil.copy(file, place.folder)
    write_recording(place.folder / "drive")
    (place.folder / "my_drive").symlink_to(moving_clip)
    return place


@pytest.fixture(scope="module")
def outputs(stranger: Place) -> dict[str, str]:
    """What the commands of the page print, by command; trainings are short."""
    return {
        command: stranger.output(*shlex.split(command), *(SMALL if " train " in command else []))
        for command in COMMANDS
    }


@pytest.fixture(scope="module")
def other(
    wheels: list[Path], stranger: Place, outputs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """A place with packdepth alone, and with checkpoints that were trained with the example's parts."""
    place = Place(tmp_path_factory.mktemp("other"), *(wheel for wheel in wheels if "example" not in wheel.name))
    stranger.output("packdepth", "train", "run.yaml", *SMALL, *OWN_NETWORKS, "--output", "runs/own_networks")
    shutil.copytree(stranger.folder / "runs", place.folder / "runs")
    shutil.copytree(stranger.folder / "drive", place.folder / "drive")
    return place


def test_the_files_are_short() -> None:
    files = sorted((EXAMPLE / "packdepth_example").glob("*.py"))
    assert len(files) == 6
    assert max(len(file.read_text().splitlines()) for file in files) < 60


def test_both_packages_are_the_installed_ones(stranger: Place) -> None:
    code = "import packdepth, packdepth_example; print(packdepth.__file__, packdepth_example.__file__)"
    files = stranger.output("python", "-c", code).split()
    assert all(Path(file).is_relative_to(stranger.environment) for file in files)


def test_the_commands_of_the_page_run(stranger: Place, outputs: dict[str, str]) -> None:
    with_term, train, evaluate, _ = outputs.values()
    assert "0.002 log_gradient" in with_term
    assert "clips      1 (recording/drive)" in train
    assert "1 photometric, 0.001 smoothness, 0.05 level_road" in train
    assert "from camera height, measured after training" in train
    assert "small_unet" in train
    assert "small_posenet" in train
    assert "\nprotocol  recording-depth\n" in evaluate
    assert "6 images of drive" in evaluate
    assert len(list((stranger.folder / "out" / "depth").glob("*.png"))) == world.FRAMES


def test_a_checkpoint_keeps_the_packages_of_its_parts(stranger: Place, outputs: dict[str, str]) -> None:
    package = "packdepth-example 0.1.0"
    kinds = ("recording", "level_road", "small_unet", "small_posenet")
    meta = json.loads((stranger.folder / "runs" / "recording" / "best" / "meta.json").read_text())
    assert meta["packages"] == dict.fromkeys(kinds, package)
    assert meta["scale_source"] == "camera height"
    meta = json.loads((stranger.folder / "runs" / "mine" / "best" / "meta.json").read_text())
    assert meta["packages"] == {"log_gradient": "the file my_terms.py"}


def test_whoever_lacks_the_package_reads_what_is_missing_and_predicts(other: Place) -> None:
    assert other.run("python", "-c", "import packdepth_example").returncode == 1
    described = other.output("packdepth", "info", "runs/own_networks/best").splitlines()
    assert [line for line in text_blocks()[0] if line not in described] == []
    other.output("packdepth", "predict", "runs/own_networks/best", "drive/000000.png", "-o", "out")
    assert (other.folder / "out" / "depth" / "000000.npz").exists()
    term = other.output("packdepth", "info", "runs/mine/best")
    assert "log_gradient  of the file my_terms.py, which is not installed here: load it with --use my_terms.py" in term


@pytest.mark.parametrize("command", ["info", "predict"])
def test_networks_of_a_package_that_is_missing_are_refused_with_its_name(other: Place, command: str) -> None:
    arguments = {"info": [], "predict": ["drive/000000.png", "-o", "out"]}[command]
    done = other.run("packdepth", command, "runs/recording/best", *arguments)
    assert done.returncode == 2
    assert done.stderr == (
        "packdepth: runs/recording/best/run.yaml: networks.depth: unknown kind 'small_unet', which comes from "
        "packdepth-example 0.1.0 and is not installed here: install or import it, or name it with --use; "
        "valid kinds are best_start, depth_resnet, encoder_decoder, packnet, superdepth, transformers\n"
    )


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        (0, "log.diff(dim=-1).abs().mean() + log.diff(dim=-2).abs().mean()", "log.mean((1, 2, 3))"),
        (1, "outputs.inv_depths[0].log()", "outputs.inv_depths.log()"),
    ],
)
def test_the_errors_of_the_page_are_what_is_printed(
    stranger: Place, tmp_path: Path, number: int, right: str, wrong: str
) -> None:
    text = (stranger.folder / "my_terms.py").read_text()
    assert right in text
    (tmp_path / "my_terms.py").write_text(text.replace(right, wrong))
    command = ["train", "with_my_terms.yaml", *SMALL, "--use", tmp_path / "my_terms.py", "--output", tmp_path / "run"]
    done = stranger.run("packdepth", *command)
    assert (done.returncode, done.stderr) == (2, text_blocks()[1][number] + "\n")
