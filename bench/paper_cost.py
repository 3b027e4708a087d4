"""Cost of the run files in configs/paper and configs/today: step times on this GPU, and GPU hours from them.

    PYTHONPATH=src:tests python bench/paper_cost.py measure times.json    on a machine with a GPU
    PYTHONPATH=src:tests python bench/paper_cost.py write times.json      anywhere: into the headers of the run files

A step is timed as it is, with the published networks and size, on small data that the tests write in the format of the
data set; loading is not part of it. Eight GPUs are taken to be eight times as fast, which is the best case.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import tempfile
from pathlib import Path

import paper_data
import segmenter
import torch
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.config import load_run
from packdepth.files import replacing, write_json
from packdepth.recommend.step_time import time_of_step

FOLDER = Path(__file__).parents[1] / "configs"
PATHS = sorted([*FOLDER.glob("paper/*.yaml"), *FOLDER.glob("today/*.yaml")])
COST = re.compile(r"# Cost: (?P<work>.*: [\d,]+ steps of (?P<batch>\d+) on one GPU .*);\n# {3}(?P<time>.*)\n")
STEPS = re.compile(r"samples: ([\d,]+) steps of")
ONE_GPU = ("training.devices=1", "training.accelerator=gpu", "data.workers=0")
RANDOM = ("networks.depth.weights", "networks.depth.encoder.weights", "networks.pose.weights")


def header(text: str) -> re.Match[str]:
    """Return the lines of a run file's header that hold its cost.

    Args:
        text: the run file.
    """
    match = COST.search(text)
    assert match is not None, "no header of cost"
    return match


def with_time(text: str, seconds: float, device: str) -> str:
    """Return a run file with the measured step time and the GPU hours in its header.

    Args:
        text: the run file.
        seconds: time of a step on one GPU, in seconds.
        device: name of the GPU.
    """
    match = header(text)
    steps = STEPS.search(match["work"])
    assert steps is not None
    hours = int(steps[1].replace(",", "")) * seconds / 3600
    words = f"{seconds:.3f} s a step on one {device}: {hours:.0f} GPU hours, {hours / 8:.0f} h on eight."
    return text[: match.start("time")] + words + text[match.end("time") :]


def overrides(text: str) -> tuple[str, ...]:
    """Return values that make a run file run on one GPU without downloads.

    Args:
        text: the run file.
    """
    batch = header(text)["batch"]
    pretrained = [f"{place}=null" for place in RANDOM if _has(text, place)]
    return (*ONE_GPU, f"training.batch_size={batch}", *pretrained)


def _has(text: str, place: str) -> bool:
    """Return whether a run file gives pretrained weights at a place."""
    encoder = r"  depth: .*encoder: \{([^}]*weights: imagenet|kind: efficientnet_lite)"  # the latter by default
    lines = {"pose": r"  pose: .*weights: imagenet", "encoder": encoder}
    lines["depth"] = r"  depth: \{kind: (depth_resnet|superdepth)[^{]*weights: imagenet"
    return re.search(lines[place.split(".")[-2]], text) is not None


def measure(output: Path, names: list[str]) -> None:
    """Time a step of each run file and write the times, by name.

    Args:
        output: the JSON file.
        names: names of run files; all if empty.
    """
    device = torch.cuda.get_device_name().removeprefix("NVIDIA ")
    times: dict[str, float] = json.loads(output.read_text())["seconds"] if output.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        root = paper_data.tree(Path(folder))
        os.environ["PACKDEPTH_DATA"] = str(root)
        os.environ["PACKDEPTH_KEPT"] = str(root / "kitti_raw" / "data_splits" / "kept.txt")
        os.environ["PACKDEPTH_SEGMENTATION"] = str(segmenter.write(root / "segmentation"))
        for path in PATHS:
            name = f"{path.parent.name}/{path.stem}"
            if names and name not in names:
                continue
            text = path.read_text()
            run = load_run(path, overrides(text))
            run = run.model_copy(update={"initial": type(run.initial)()})
            if "teacher" in path.stem:
                os.environ["PACKDEPTH_TEACHER"] = str(_teacher(root / "teacher"))
                run = load_run(path, (*overrides(text), "objective.3.cache=null"))
            clips = [clip for source in run.data.train for clip in source.clips()]
            times[name] = time_of_step(run, clips).seconds
            print(f"{name}: {times[name]:.3f} s", flush=True)
            write_json(output, {"device": device, "seconds": times})
            gc.collect()
            torch.cuda.empty_cache()


def _teacher(folder: Path) -> Path:
    """Write a network of about the size of the teacher, with random weights, and return its folder."""
    run = load_run(FOLDER / "paper" / "resnet50_kitti.yaml")
    assert run.networks.pose is not None
    networks = nn.ModuleDict({"depth": run.networks.depth.assemble(), "pose": run.networks.pose.assemble()})
    meta = Meta(packdepth="0", created="", epoch=0, step=0, metric=False, scale_source="none", clips=[], frames=0)
    checkpoint.write(folder, Checkpoint(run, meta, networks.state_dict()))
    return folder


def write(times: Path) -> None:
    """Write measured times into the headers of the run files.

    Args:
        times: the JSON file that `measure` wrote.
    """
    content = json.loads(times.read_text())
    for path in PATHS:
        seconds = content["seconds"].get(f"{path.parent.name}/{path.stem}")
        if seconds is not None:
            with replacing(path) as temporary:
                temporary.write_text(with_time(path.read_text(), seconds, content["device"]))


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["measure", "write"])
    parser.add_argument("times", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.action == "measure":
        measure(options.times, options.names)
    else:
        write(options.times)


if __name__ == "__main__":
    main()
