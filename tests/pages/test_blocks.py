"""Every code block of the README and of the pages in docs/ is run, or says why not.

A block in `bash` holds commands of packdepth, one in `python` is executed, one in `yaml` is a run file or a part of it,
and `text` is output or a layout on disk. The blocks of a page are run in order, those on real data last. They run in a
folder that holds what the pages speak of: `my_drive`, `drive.mp4`, `run.yaml`, `runs/mine/best`, `KITTI_raw`, ...
Trainings last one step. A block that is not run has a comment above it:

    <!-- not run: REASON -->
    <!-- run by: tests/PATH.py -->
    <!-- PATH -->                  it is an excerpt of this file, which other tests run

The dated records in docs/results/ are not run: they say what was measured that day, and are never edited.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
import world
import yaml
from PIL import Image
from pydantic import TypeAdapter

from packdepth.blocks import ByKind, Closed
from packdepth.cli import main
from packdepth.config import Data, Networks, Run, Training, parse_run
from packdepth.inference.writers.video import video_writer
from packdepth.inspection.import_data import import_data
from packdepth.interop.packnet_sfm import depth_resnet_name
from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.run_files import find_run_file
from packdepth.segmentation.run_file import SemanticRun
from packdepth.sources.base import SOURCES
from packdepth.sources.folder import Folder

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if not re.match(r"\d{4}-", page.name)),
]
LANGUAGES = ("bash", "python", "yaml", "text")
COMMAND = re.compile(r"^\s*(\$|packdepth|pip|python|make|git)\s", re.MULTILINE)


# --- blocks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of a page.

    Attributes:
        where: page and line.
        language: the word after the fence.
        text: what stands in it, unindented.
        reason: why it is not run here; None if it is run.
    """

    where: str
    language: str
    text: str
    reason: str | None


def blocks_of(text: str, page: str) -> Iterator[CodeBlock]:
    """Yield the blocks of a page."""
    for match in re.finditer(
        r"(?:<!-- *(?P<reason>(?:not run|run by): .*?|[\w./-]+\.\w+) *-->\n)?"
        r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
        text,
        re.DOTALL | re.MULTILINE,
    ):
        lines = [line.removeprefix(match["indent"]) for line in match["text"].splitlines()]
        where = f"{page}:{text[: match.start('language')].count(chr(10)) + 1}"
        yield CodeBlock(where, match["language"], "\n".join(lines), match["reason"])


def blocks_on(page: Path) -> list[CodeBlock]:
    """Return the blocks of a page of the project."""
    return list(blocks_of(page.read_text(), str(page.relative_to(ROOT))))


def faults(block: CodeBlock) -> str | None:
    """Return what is wrong with the language or the comment of a block; None if nothing is."""
    if block.reason is None:
        if block.language not in LANGUAGES:
            return f"is in '{block.language}': write bash, python, yaml or text, or a comment why it is not run"
        if block.language == "text" and COMMAND.search(block.text):
            return "is text but holds a command: write bash"
        return None
    kind, _, what = block.reason.partition(": ")
    if not what:
        return None if is_excerpt(block.text, ROOT / kind) else f"is no excerpt of {kind}"
    if kind == "run by" and not (ROOT / what).is_file():
        return f"is run by {what}, which does not exist"
    if kind == "not run" and len(what.split()) < 3:
        return f"is not run because of '{what}': give the reason in a few words"
    return None


def is_excerpt(text: str, path: Path) -> bool:
    """Return whether all lines of a text stand in a file, or in the cells of a notebook."""
    if not path.is_file():
        return False
    whole = path.read_text()
    if path.suffix == ".ipynb":
        whole = "\n".join("".join(cell["source"]) for cell in json.loads(whole)["cells"])
    return {line.strip() for line in text.splitlines()} <= {"", *(line.strip() for line in whole.splitlines())}


def test_the_reader_of_blocks() -> None:
    text = "\n".join(
        ["```bash", "packdepth info a", "```", "<!-- not run: it takes a week -->", "```bash", "make", "```"]
        + ["* an item", "  ```yaml", "  data:", "    cache: true", "  ```", "<!-- a remark -->", "```", "x", "```"]
    )
    assert list(blocks_of(text, "p.md")) == [
        CodeBlock("p.md:1", "bash", "packdepth info a", None),
        CodeBlock("p.md:5", "bash", "make", "not run: it takes a week"),
        CodeBlock("p.md:9", "yaml", "data:\n  cache: true", None),
        CodeBlock("p.md:14", "", "x", None),
    ]


@pytest.mark.parametrize(
    ("language", "text", "reason", "fault"),
    [
        ("bash", "packdepth info a", None, None),
        ("", "x", None, "is in ''"),
        ("text", "a line\npackdepth info a", None, "holds a command"),
        ("bash", "make", "run by: tests/none.py", "does not exist"),
        ("bash", "make", "run by: tests/test_cli.py", None),
        ("bash", "make", "not run: slow", "the reason"),
        ("toml", 'name = "packdepth"', "pyproject.toml", None),
        ("toml", 'name = "unpackdepth"', "pyproject.toml", "is no excerpt"),
        ("python", "import os", "examples/none.py", "is no excerpt"),
    ],
)
def test_what_is_wrong_with_a_block(language: str, text: str, reason: str | None, fault: str | None) -> None:
    found = faults(CodeBlock("p.md:1", language, text, reason))
    assert found is fault if fault is None else fault in str(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    assert [f"{block.where} {fault}" for block in blocks_on(page) if (fault := faults(block))] == []


# --- what the pages speak of ------------------------------------------------------------------------------------

SMALL = ("data.image_size=[32,64]", "data.workers=0", "data.val=[]", "data.cache=false", "data.val_tail=0")
FIRST_FRAMES = "data.train.0.frames=[0,8]"
ONE_STEP = ("training.epoch_steps=1", "training.batch_size=2", "training.devices=1", "training.accelerator=cpu")
ONE_STEP_OF_SEGMENTATION = ("training.steps=1", "training.batch_size=2", "training.accelerator=cpu", "network.width=8")
CITY = {"--drives": ["1"], "--frames": ["3"], "--size": ["32x96"], "--processes": ["1"]}


def shortened(arguments: list[str]) -> list[str]:
    """Return the arguments of a command, changed so that it takes seconds."""
    if arguments[0] == "train":
        epochs = "training.epochs=2" if "--resume" in arguments else "training.epochs=1"
        given = [argument for argument in arguments if not argument.startswith("training.")]
        first = [FIRST_FRAMES] if arguments[1].startswith("configs/") else []  # of real clips
        return [*given[:2], *SMALL, *first, *ONE_STEP, epochs, *given[2:]]
    if arguments[:2] == ["semantics", "train"]:
        return [*arguments[:3], *SMALL[:3], *ONE_STEP_OF_SEGMENTATION, *arguments[3:]]
    if arguments[:2] == ["data", "filter"]:  # the network of one step sees no ground
        return [*arguments, "--threshold", "1000000"]
    if arguments[0] == "predict" and "map" in arguments:
        return [*arguments, "--all-points", "--thin", "5"]  # frames of a network of one step agree on nothing finer
    if arguments[0] == "city":
        for option, values in CITY.items():
            if option in arguments:
                del arguments[arguments.index(option) : arguments.index(option) + 1 + len(values)]
            arguments = [*arguments, option, *values]
    return arguments


def needs_data(block: CodeBlock) -> bool:
    """Return whether a block needs real data: it names the variable, or a run file that does."""
    named = [find_run_file(Path(name)).read_text() for name in re.findall(r"configs/[\w/]+\.yaml", block.text)]
    return block.language == "bash" and any("PACKDEPTH_DATA" in text for text in [block.text, *named])


def kitti_raw(root: Path, drives: int) -> None:
    """Write drives in the layout of KITTI raw: three images each, and their calibration."""
    day = "2011_09_26"
    rng = np.random.default_rng(0)
    for drive in range(drives):
        folder = root / day / f"{day}_drive_{drive:04d}_sync" / "image_02" / "data"
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (12, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:010d}.png")
    (root / day / "calib_cam_to_cam.txt").write_text(
        "R_rect_00: 1 0 0 0 1 0 0 0 1\n"
        + "".join(f"S_rect_0{i}: 40 12\nP_rect_0{i}: 30 0 20 {-9 * i} 0 30 6 0 0 0 1 0\n" for i in range(4))
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages speak of; each page gets a copy."""
    folder = tmp_path_factory.mktemp("pages") / "town"
    world.write(folder / "my_drive")
    shutil.copy(folder / "my_drive" / "camera.yaml", folder / "drive.yaml")
    with video_writer(folder / "drive.mp4", 10) as append:
        for frame in Folder(kind="folder", root=folder / "my_drive").clips()[0].frames:
            append(frame.image.read())
    rows = "".join(f"{i / 10},{10 * world.STEP}\n" for i in range(world.FRAMES))
    (folder / "log.csv").write_text(f"time_s,speed_mps\n{rows}")
    import_data(folder / "drive.mp4", folder / "mine", options=(f"speeds={folder / 'log.csv'}", "offset=0"))
    kitti_raw(folder / "KITTI_raw", drives=10)
    for side, right in (("left", 0.0), ("right", 0.12)):
        (folder / side).mkdir()
        for i in range(world.FRAMES):
            Image.fromarray(world.picture(i, right)).save(folder / side / f"{i:06d}.png")
    shutil.copy(folder / "my_drive" / "camera.yaml", folder / "left.yaml")
    state = {
        f"model.depth_net.{depth_resnet_name(name)}": value for name, value in DepthResNet(18).state_dict().items()
    }
    config = {"datasets": {"augmentation": {"image_shape": (32, 64)}}}
    torch.save({"config": config, "state_dict": state}, folder / "model.ckpt")
    tutorial = ROOT / "docs" / "tutorials" / "own_video.md"
    run = next(block.text for block in blocks_on(tutorial) if block.language == "yaml")
    (folder / "run.yaml").write_text(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(shortened(["train", "run.yaml", "--output", "runs/mine"])) == 0
    return folder


# --- running them -----------------------------------------------------------------------------------------------


def run_shell(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the commands of a block, in this process."""
    for line in text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(os.path.expandvars(line), comments=True) or [""]
        if not program:
            continue
        assert program == "packdepth", f"{line}: only commands of packdepth are run; say why this one is not"
        if "train" in arguments[:2] and "--resume" not in arguments:
            shutil.rmtree(arguments[arguments.index("--output") + 1], ignore_errors=True)
        assert main(shortened(arguments)) == 0, f"{line}\n{capsys.readouterr().err}"


def check_yaml(text: str, place: Path) -> None:
    """Check that YAML is a run file, which the commands after it then use, or a part of one."""
    values = yaml.safe_load(text)
    if isinstance(values, list):
        for value in values:
            SOURCES.find(value["kind"]).model_validate(value)
        return
    if {"data", "networks", "objective", "training"} <= set(values):
        parse_run(values, "the page")
        (place / "run.yaml").write_text(text)
        return
    models: tuple[type[Closed], ...] = (Run, Data, Networks, Training, DepthNetworkBlock, SemanticRun)
    model = next(model for model in models if set(values) <= set(model.model_fields))
    check_part(model, values)


def check_part(model: type[Closed], values: dict[str, Any]) -> None:
    """Check a part of a run file, in which required fields may be left out."""
    for name, value in values.items():
        assert name in model.model_fields, f"{model.__name__} has no field {name}"
        info = model.model_fields[name]
        fixed = isinstance(info.annotation, type) and issubclass(info.annotation, Closed)
        if fixed and not any(isinstance(entry, ByKind) for entry in info.metadata):
            assert isinstance(info.annotation, type)
            check_part(info.annotation, value)
        else:
            annotation: Any = Annotated[info.annotation, name, *info.metadata]
            TypeAdapter(annotation).validate_python(value)


def run_block(block: CodeBlock, place: Path, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a block in the working directory `place`; `names` are those of the page's Python."""
    if block.language == "bash":
        run_shell(block.text, capsys)
    elif block.language == "python":
        exec(compile(block.text, block.where, "exec"), names)
    elif block.language == "yaml":
        check_yaml(block.text, place)


WRITTEN = {
    "README.md": {
        "out/drive/drive.mp4": 1,
        "out/map/map.ply": 1,
        "out/odometry/trajectory_kitti.txt": 1,
        "000002.npz": 1,
        "model.onnx": 1,
    },
    "docs/how-to/confidence.md": {
        "out/sure/cloud/*.ply": world.FRAMES,
        "out/sure/color/*.png": world.FRAMES,
        "sure.html": 1,
    },
    "docs/how-to/city.md": {"out/city/train-*/lidar/*.npz": 3},
    "docs/how-to/data_sets.md": {
        "data/kitti/**/camera.yaml": 10,
        "splits/*.txt": 3,
        "out/check/contact_sheet.jpg": 1,
        "check.html": 1,
    },
    "docs/how-to/semantics.md": {"runs/two/stage2/best/run.yaml": 1, "runs/mine/best-frames/kept.txt": 1},
    "docs/how-to/live.md": {"out/live.mp4": 1},
    "docs/how-to/viewer.md": {"out/scene.glb": 1, "out/measured.ply": 1},
    "docs/how-to/stereo.md": {"rig/left/right/*.png": world.FRAMES},
    "docs/how-to/predictions.md": {
        "out/kept/drive.mp4": 1,
        "out/look/color/*.png": world.FRAMES,
        "out/clouds/cloud/*.ply": world.FRAMES,
        "out/map/map.ply": 1,
        "out/python/*.tiff": world.FRAMES,
    },
    "docs/tutorials/own_video.md": {
        "runs/mine/best/run.yaml": 1,
        "out/depth/*.npz": world.FRAMES,
        "out/map/map.ply": 1,
        "own.html": 1,
    },
}
"""How many files the blocks of a page leave behind that fit each pattern, without those on real data."""
RUN = [page for page in PAGES if any(block.reason is None and block.language != "text" for block in blocks_on(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(
    page: Path,
    town: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = [block for block in blocks_on(page) if block.reason is None]
    if any(re.search(r"packdepth[ .]city", block.text) for block in blocks):
        pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    place = tmp_path / "town"
    shutil.copytree(town, place)
    monkeypatch.chdir(place)
    names: dict[str, Any] = {}
    for block in blocks:
        if not needs_data(block):
            run_block(block, place, names, capsys)
    for pattern, count in WRITTEN.get(str(page.relative_to(ROOT)), {}).items():
        assert len(list(place.glob(pattern))) == count, pattern
    on_data = [block for block in blocks if needs_data(block)]
    if on_data:
        monkeypatch.setenv("PACKDEPTH_DATA", str(request.getfixturevalue("data")))  # skips where there is none
    for block in on_data:
        run_block(block, place, names, capsys)


def test_a_wrong_block_fails(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for block in (
        CodeBlock("p.md:1", "bash", "packdepth info none", None),
        CodeBlock("p.md:1", "bash", "make test", None),
        CodeBlock("p.md:1", "python", "import packdepth\npackdepth.none", None),
        CodeBlock("p.md:1", "yaml", "objective:\n  - {kind: smothness}", None),
        CodeBlock("p.md:1", "yaml", "data:\n  context: none", None),
        CodeBlock("p.md:1", "yaml", "data:\n  contexts: []", None),
    ):
        with pytest.raises((AssertionError, AttributeError, ValueError)):
            run_block(block, tmp_path, {}, capsys)
