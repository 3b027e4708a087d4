"""Export of every depth network of the run files to ONNX and OpenVINO, compared with torch on real images.

    python bench/exports.py IMAGES [--formats .onnx .xml] [--configs FOLDER] [--others]

IMAGES is a folder of images, a video or a data set. PACKDEPTH_DATA and PACKDEPTH_CITY must be set, as for the run
files; what they name is not read. Weights are random, because what is compared is computation. Networks that
differ neither in their depth network nor in their size are exported once. With --others, depth networks that no run
file has follow, at a small size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.config import Run, load_run, parse_run
from packdepth.errors import InputError
from packdepth.export.command import export

META = Meta(packdepth="0", created="", epoch=0, step=0, metric=False, scale_source="random weights", clips=[], frames=0)
LIGHT = {"kind": "efficientnet_lite", "weights": None}
OTHERS: dict[str, dict[str, Any]] = {
    "1A": {"kind": "packnet", "preset": "1A"},
    "tiny, flip": {"kind": "packnet", "preset": "tiny", "flip": True},
    "tiny, confidence": {"kind": "packnet", "preset": "tiny", "uncertainty": True},
    "depth_resnet 18": {"kind": "depth_resnet", "layers": 18},
    "superdepth 18": {"kind": "superdepth", "layers": 18},
    **{
        f"efficientnet_lite, {decoder}": {"kind": "encoder_decoder", "encoder": LIGHT, "decoder": {"kind": decoder}}
        for decoder in ("monodepth2", "packnet", "coarse_to_fine")
    },
}
OTHERS_SIZE = (96, 320)


def of_run_files(folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield the run files of a folder with the names of all that have the same depth network and size.

    Args:
        folder: the folder.
    """
    found: dict[str, tuple[list[str], Run]] = {}
    for path in sorted(folder.glob("*.yaml")):
        run = load_run(path)
        depth = run.networks.depth.model_dump_json(exclude={"dropout", "frozen"})
        key = f"{depth} {run.image_size}"
        found.setdefault(key, ([], run))[0].append(path.stem)
    yield from ((", ".join(names), run) for names, run in found.values())


def of_others() -> Iterator[tuple[str, Run]]:
    """Yield runs of depth networks that no run file has."""
    for name, depth in OTHERS.items():
        values = {
            "data": {"train": [{"kind": "folder", "root": "/none"}], "image_size": OTHERS_SIZE, "context": []},
            "networks": {"depth": depth},
            "objective": [{"kind": "stereo", "both": False}]
            + ([{"kind": "uncertainty"}] if depth.get("uncertainty") else []),
            "training": {"epochs": 1},
        }
        yield name, parse_run(values, name)


def written(run: Run, folder: Path) -> Path:
    """Write a checkpoint of random weights, and return its folder.

    Args:
        run: the run.
        folder: a folder for it.
    """
    torch.manual_seed(0)
    modules = {name: block.assemble() for name, block in run.networks if block is not None}
    weights = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    checkpoint.write(folder, Checkpoint(run, META, weights))
    return folder


def main() -> None:
    """Export what the command line asks for, and print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--formats", nargs="+", default=[".onnx", ".xml"])
    parser.add_argument("--configs", type=Path, default=Path(__file__).parents[1] / "configs")
    parser.add_argument("--others", action="store_true")
    options = parser.parse_args()
    runs = [*of_run_files(options.configs), *(of_others() if options.others else [])]
    for name, run in runs:
        with tempfile.TemporaryDirectory() as place:
            folder = written(run, Path(place) / "best")
            pose = run.networks.pose is not None
            for suffix in options.formats:
                start = time.perf_counter()
                try:
                    (done,) = export(folder, Path(place) / f"m{suffix}", images=options.images, pose=pose)
                    result = f"{done.parity}{', ego-motion too' if pose else ''}"
                except InputError as error:
                    result = f"REFUSED: {error}"
                size = "{}x{}".format(*run.image_size)
                print(f"{suffix} {size} {time.perf_counter() - start:.0f} s: {result}  ({name})", flush=True)


if __name__ == "__main__":
    main()
