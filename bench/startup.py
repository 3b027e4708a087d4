"""Time and memory of the start of a training on many frames: `python bench/startup.py 1000 100000`.

A folder of images is made of hard links to a few images. Printed are, for each number of frames, the seconds and the
memory from the run file to the first batch: the clips are found and checked, the data set, its order and the
fingerprint of the clips are made, and one batch is read. The first start builds the index of the folder, the second
one uses it. Each start is a process of its own, with the memory that importing torch takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = 60  # number of different images; each of their files gets so many links as the file system allows
HEIGHT, WIDTH = 96, 320

START = """
import resource, sys, time
begun = time.monotonic()
import packdepth.training.run
from packdepth.config import parse_run
from packdepth.objectives import Objective
from packdepth.training.data import RunData
from packdepth.data.dataset import DrawSampler
from packdepth.data.fingerprint import fingerprint
from packdepth.records import Batch
from packdepth.training.run import run_clips
imported, base = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = parse_run({
    "data": {"train": [{"kind": "images", "root": sys.argv[1]}], "image_size": [96, 320], "workers": 0},
    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    "objective": [{"kind": "photometric"}, {"kind": "smoothness"}],
    "training": {"epochs": 1},
}, "bench")
objective = Objective(run.objective)
found = run_clips(run, objective)
data = RunData(run, objective, found.clips, found.validation)
prints = [fingerprint(clip) for clip in found.clips]
draws = next(iter(DrawSampler(len(data.train), 4, data.epoch_steps(), seed=0)))
Batch.stack([data.train[draw] for draw in draws])
done, peak = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{done - imported:.1f} {imported - begun:.1f} {peak / 1024:.0f} {base / 1024:.0f} {time.process_time():.1f}")
"""


def make_folder(folder: Path, count: int) -> None:
    """Make a folder of images, which are links to a few files.

    Args:
        folder: the folder.
        count: number of images.
    """
    frames, originals = folder / "frames", folder / "originals"
    frames.mkdir(parents=True)
    originals.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8 + IMAGES, 3), dtype=np.uint8)
    for index in range(IMAGES):
        small = Image.fromarray(noise[:, index : index + WIDTH // 8])
        small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(originals / f"{index}.jpg")
    numbers = f"width: {WIDTH}\nheight: {HEIGHT}\nfx: 200.0\nfy: 200.0\ncx: {(WIDTH - 1) / 2}\ncy: {(HEIGHT - 1) / 2}\n"
    (folder / "camera.yaml").write_text(numbers)
    for index in range(count):
        os.link(originals / f"{index % IMAGES}.jpg", frames / f"{index:07d}.jpg")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int, nargs="+")
    counts = parser.parse_args().frames
    print("| frames | start | seconds | of the processor | memory (MB) | of that, imports |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            make_folder(Path(name) / "drive", count)
            environment = os.environ | {"XDG_CACHE_HOME": str(Path(name) / "cache")}
            for start in ("first", "second"):
                command = [sys.executable, "-W", "ignore", "-c", START, str(Path(name) / "drive")]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(done.stderr)
                seconds, _, peak, base, used = done.stdout.split()[-5:]
                print(f"| {count:,} | {start} | {seconds} | {used} | {peak} | {base} |", flush=True)


if __name__ == "__main__":
    main()
