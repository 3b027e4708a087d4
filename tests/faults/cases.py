"""The commands that are attacked: each verb that writes, on inputs so small that it ends within seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bags
import formats
import foundation
import segmenter
import tiny
import world
import yaml
from onnx import ModelProto, load_model

from packdepth.cli import ALL
from packdepth.export.graph import Graph

OUTPUT = "OUT"  # in arguments: the output

# Verbs that are no case, and why.
WRITE_NOTHING = {
    "app": "serves a page; what it writes is fetched from a folder for temporary files",
    "completion": "prints",
    "configs": "prints",
    "doctor": "prints; its file that measures the disk is one of disk.unfinished, as every other",
    "info": "prints",
}
STUDIES = (
    "ego-motion",
    "ego-motion-clip",
    "guidance",
    "lidar-beams",
    "packing",
    "scaling",
    "superdepth",
    "supervision",
)
OF_ONE_ENGINE = {
    f"study {name}": "takes minutes; renders as city, trains as demo, and writes by the engine of study reconstruction"
    for name in STUDIES
}


@dataclass(frozen=True)
class Case:
    """A command to attack."""

    name: str  # name in the table
    arguments: tuple[str, ...]  # with OUT in place of the output
    checkpoints: tuple[str, ...] = ()  # checkpoints in the output, which are never lost once they are there
    given: Path | None = None  # folder whose copy the output is before the command
    varying: tuple[str, ...] = ()  # patterns of files whose content differs between any two runs
    owned: bool = False  # whether a second command on the same output is refused while the first one runs
    ends: bool = False  # whether a signal is the usual end of the command, with status 0 and a complete output
    older: tuple[str, ...] = ()  # a command whose output this one replaces, and no two of whose files are ever mixed
    points: int = 10_000  # largest number of attacked operations, for a command that takes long

    def at(self, output: Path) -> list[str]:
        """Return the arguments for an output."""
        return placed(self.arguments, output)


def placed(arguments: tuple[str, ...], output: Path) -> list[str]:
    """Return arguments for an output."""
    return [argument.replace(OUTPUT, str(output)) for argument in arguments]


def verb_of(arguments: tuple[str, ...], verbs: Mapping[str, Any] = ALL) -> str:
    """Return the words that name the verb of a command line."""
    inside = verbs[arguments[0]]
    return f"{arguments[0]} {verb_of(arguments[1:], inside)}" if isinstance(inside, Mapping) else arguments[0]


def verbs_of(verbs: Mapping[str, Any] = ALL) -> list[str]:
    """Return the words that name each verb of the command line."""
    return [
        f"{name}{' ' if inside else ''}{inside}"
        for name, verb in verbs.items()
        for inside in (verbs_of(verb) if isinstance(verb, Mapping) else [""])
    ]


# --- inputs -------------------------------------------------------------------------------------------------------


def write_inputs(folder: Path) -> None:
    """Write what the commands read into a folder, which no command changes."""
    clip = world.write(folder / "clip")
    shutil.copytree(clip, folder / "clips" / "a")
    shutil.copytree(clip, folder / "clips" / "b")
    (folder / "list.txt").write_text(f"{clip}\n{folder / 'clips' / 'b'}\n")
    tiny.write(folder / "checkpoint")
    tiny.write(folder / "other", seed=1)
    segmenter.write(folder / "segmenter")
    foundation.save(foundation.glpn(), folder / "glpn")
    bags.write_bag("ros2-mcap", folder, _drive)
    camvid = formats.camvid(folder / "camvid")
    source = {"kind": "folder", "root": str(clip)}
    _write_yaml(
        folder / "run.yaml",
        {
            "data": {"train": [source], "image_size": [32, 64], "workers": 0},
            "networks": {
                "depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 5.0},
                "pose": {"kind": "posenet", "initial_forward": 0.4},
            },
            "objective": [{"kind": "photometric", "scales": "own"}, {"kind": "velocity", "weight": 0.1}],
            "training": {"epochs": 2, "epoch_steps": 1, "batch_size": 1, "seed": 3, "accelerator": "cpu"},
        },
    )
    training = {"steps": 2, "batch_size": 1, "checkpoint_steps": 1, "seed": 1, "accelerator": "cpu"}
    labeled = {"kind": "camvid", "root": str(camvid), "parts": ["train"]}
    _write_yaml(
        folder / "semantics.yaml",
        {
            "data": {"train": [labeled], "image_size": [64, 64], "workers": 0},
            "network": {"width": 8},
            "training": training,
        },
    )
    facts = {"study": "a", "title": "A", "claim": "B", "date": "2026-01-01", "seconds": 9, "rows": [{"seeds": 1}]}
    (folder / "studied").mkdir()
    (folder / "studied" / "a.json").write_text(json.dumps(facts))
    (folder / "studied" / "a.html").write_text("")


def _write_yaml(path: Path, values: object) -> None:
    """Write values as a YAML file."""
    path.write_text(yaml.safe_dump(values))


def _drive(bag: bags.Recording) -> None:
    """Record two images of one camera."""
    for number in range(2):
        time = bags.START + number * 10**8
        bag.info("/camera_info", K=[60.0, 0, 46.0, 0, 58.0, 22.5, 0, 0, 1], size=(48, 96), time=time)
        bag.image("/image_raw", time, world.picture(number))


def make_small(folder: Path) -> None:
    """Make commands of minutes those of seconds: a demo of few drives, and networks that are traced for ONNX once.

    Args:
        folder: folder for the traced networks.
    """
    from packdepth.demo import steps
    from packdepth.export.formats import onnx

    class Small(steps.DemoSize):
        @property
        def drives(self) -> dict[str, tuple[int, int]]:
            return super().drives | {"val": (1, 64)}

    steps.QUICK = Small(
        train_drives=2, train_frames=4, test_drives=2, epochs=1, epoch_steps=2, odometry_frames=5, minutes=0.5
    )
    traced = onnx.onnx_model

    def onnx_model(graph: Graph, opset: int = onnx.OPSET) -> ModelProto:
        weights = sum(float(each.detach().abs().sum()) for each in graph.module.parameters())
        path = folder / f"{'-'.join([*graph.inputs, *graph.outputs, str(opset), repr(weights)])}.onnx"
        if not path.exists():
            path.write_bytes(traced(graph, opset).SerializeToString())
        return load_model(path)

    onnx.onnx_model = onnx_model


# --- commands -----------------------------------------------------------------------------------------------------


def cases(folder: Path) -> list[Case]:
    """Return the commands.

    Args:
        folder: what `write_inputs` has filled.
    """
    clip, clips, checkpoint = str(folder / "clip"), str(folder / "clips"), str(folder / "checkpoint")
    run, inputs = str(folder / "run.yaml"), str(folder / "list.txt")
    predict, evaluate = ("predict", checkpoint), ("evaluate", checkpoint, "--protocol")
    pages = ("--json", "OUT/numbers.json", "--html", "OUT/page.html")
    city = ("--size", "16x32", "--azimuth-step", "0", "--processes", "1")
    other, xml = str(folder / "other"), ("-o", "OUT/model.xml", "--images", clip, "--pose")
    onnx = ("-o", "OUT/model.onnx", "--images", clip)
    halves = (clips, "OUT", "--shares", "0.5", "0.5", "0")
    manifest = ("manifest.jsonl",)  # holds when each input began and ended
    dated = ("*.json", "*.html")  # hold a date and seconds
    return [
        Case("data import", ("data", "import", clip, "OUT"), owned=True),
        Case("train", ("train", run, "-o", "OUT"), ("best", "last"), owned=True),
        Case("predict", (*predict, clip, "-o", "OUT", "--save", "depth,video"), owned=True),
        Case("city", ("city", "OUT", "--drives", "2", "--frames", "2", *city), owned=True),
        Case(
            "train --two-stage",
            ("train", run, "-o", "OUT", "--two-stage"),
            ("stage1/best", "stage1/last"),
            owned=True,
        ),
        Case("predict all", (*predict, clip, "-o", "OUT", "--save", "exr,tiff,png16,color,cloud,map")),
        Case("predict list", (*predict, inputs, "-o", "OUT", "--save", "depth,map"), varying=manifest),
        Case("predict shard", (*predict, inputs, "-o", "OUT", "--save", "color", "--shard", "1/2"), varying=manifest),
        Case("predict mcap", (*predict, str(folder / "drive"), "-o", "OUT/out.mcap"), varying=("*.mcap",)),
        Case(
            "live",
            ("live", checkpoint, clip, "-o", "OUT/live.mp4", "--no-page"),
            varying=("*.mp4",),
            ends=True,
        ),
        Case("view", ("view", checkpoint, clip, "--save", "OUT/map.glb")),
        Case("view ply", ("view", checkpoint, clip, "--save", "OUT/map.ply")),
        Case("evaluate", (*evaluate, "folder", "--data", clip, *pages)),
        Case("evaluate own", (*evaluate, "own", "--data", clip, *pages)),
        Case("odometry", ("odometry", checkpoint, clip, "-o", "OUT"), older=("odometry", other, clip, "-o", "OUT")),
        Case("calibrate", ("calibrate", checkpoint, clip, "-o", "OUT", "--from", "speed")),
        Case("convert", ("convert", str(folder / "glpn"), "OUT", "--image-size", "64", "96")),
        Case("export onnx", ("export", checkpoint, *onnx, "--pose")),
        Case("export openvino", ("export", checkpoint, *xml), older=("export", other, *xml)),
        Case(
            "export int8",
            ("export", checkpoint, *onnx, "--precision", "int8", "--calibrate", clip),
        ),
        Case("push", ("push", checkpoint, "file://OUT")),
        Case("push zip", ("push", checkpoint, "file://OUT/model.zip")),
        Case("init", ("init", clip, "-o", "OUT/run.yaml", "--device", "cpu"), varying=("run.yaml",)),
        Case("data check", ("data", "check", clip, "-o", "OUT", "--html", "OUT/page.html")),
        Case("data filter", ("data", "filter", clip, "OUT", "--ground", checkpoint)),
        Case("data splits", ("data", "splits", *halves), older=("data", "splits", *halves, "--seed", "1")),
        Case("semantics train", ("semantics", "train", str(folder / "semantics.yaml"), "-o", "OUT"), owned=True),
        Case(
            "semantics label",
            ("semantics", "label", "OUT", "--network", str(folder / "segmenter")),
            given=folder / "clip",
        ),
        Case(
            "study reconstruction",
            ("study", "reconstruction", "OUT", "--images", clip, clip, "--quick", "--processes", "1"),
            varying=dated,
            owned=True,
        ),
        Case("study contents", ("study", "contents", "OUT"), given=folder / "studied"),
        Case("demo", ("demo", "OUT", "--quick"), varying=dated, owned=True, points=2),
    ]
