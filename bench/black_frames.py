"""Training on a clip whose first frames are black, beside the clean clip: `python bench/black_frames.py CLIP OTHER`.

Both are folders with measured depth. The first three frames of a copy are black, as those of a camera that has just
been switched on. PackNet tiny is trained on the clip and on the copy with the same seeds, and evaluated on OTHER.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from packdepth import checkpoint, train

BLACK = 3  # frames


def blackened(clip: Path, place: Path) -> Path:
    """Write a copy of a clip whose first frames are black, and return its folder.

    Args:
        clip: the clip.
        place: the folder of the copy.
    """
    shutil.copytree(clip, place)
    for path in sorted((place / "frames").iterdir())[:BLACK]:
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    return place


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    print("| clip | seed | skipped steps | abs_rel, scaled | loss of the last epoch | weights not finite |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {"clean": asked.clip, f"{BLACK} black frames": blackened(asked.clip, folder / "dark" / asked.clip.name)}
        for seed in asked.seeds:
            for which, clip in clips.items():
                output, said = folder / f"{clip.parent.name}-{seed}", io.StringIO()
                values = {
                    "data": {
                        "train": [{"kind": "folder", "root": str(clip)}],
                        "val": [{"kind": "folder", "root": str(asked.other), "frames": [0, 20]}],
                        "image_size": [64, 192],
                        "workers": 0,
                    },
                    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
                    "objective": [{"kind": "photometric"}, {"kind": "smoothness"}, {"kind": "velocity", "weight": 0.1}],
                    "training": {"epochs": 1, "epoch_steps": asked.steps, "batch_size": 4, "seed": seed},
                }
                with contextlib.redirect_stdout(said):
                    train(values, output)
                scores = json.loads((output / "last" / "meta.json").read_text())["scores"]
                wrong = len(checkpoint.not_finite(checkpoint.read(output / "last").weights))
                skipped = sum("skipped    step" in line for line in said.getvalue().splitlines())
                numbers = f"{skipped} | {scores['val/abs_rel_scaled']:.3f} | {scores['train/loss']:.4f} | {wrong}"
                print(f"| {which} | {seed} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
