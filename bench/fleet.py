"""A list of short videos, predicted by two shards of which one is killed, and by one process: `python bench/fleet.py`.

    python bench/fleet.py CHECKPOINT --videos 200

The videos are written first. The table has the seconds of one process and of two shards side by side, each with the
start of the interpreter. Then, two shards share the list again; the first is killed once a quarter of the list is done,
and is started again. Printed is how often each video was done. With --ray, two workers of Ray take the place of the
shards.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np

HEIGHT, WIDTH, FRAMES, RATE = 96, 160, 8, 10


def write_video(path: Path, seed: int) -> None:
    """Write a video of a pattern that moves.

    Args:
        path: the file.
        seed: seed of the pattern.
    """
    rng = np.random.default_rng(seed)
    pattern = np.kron(rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8 + FRAMES, 3), dtype=np.uint8), np.ones((8, 8, 1)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            image = np.ascontiguousarray(pattern[:, 4 * index : 4 * index + WIDTH], dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def start(checkpoint: Path, listed: Path, output: Path, *shared: str) -> subprocess.Popen[bytes]:
    """Start a process for a list.

    Args:
        checkpoint: the checkpoint.
        listed: the list.
        output: the output.
        shared: the option that shares the list, such as --shard 1/2.
    """
    command = [sys.executable, "-m", "packdepth.cli", "predict", str(checkpoint), str(listed), "-o", str(output)]
    return subprocess.Popen(
        [*command, "--save", "depth", *shared], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def entries(output: Path) -> list[dict[str, Any]]:
    """Return the entries of the manifest of an output.

    Args:
        output: the output.
    """
    manifest = output / "manifest.jsonl"
    text = manifest.read_text() if manifest.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def times_done(output: Path) -> Counter[str]:
    """Return how often the manifest of an output says of each video that it was done.

    Args:
        output: the output.
    """
    return Counter(entry["name"] for entry in entries(output) if entry["state"] == "done")


def predict_with_shards(checkpoint: Path, listed: Path, output: Path, count: int) -> None:
    """Predict a list with two shards, of which the first is killed and started again.

    Args:
        checkpoint: the checkpoint.
        listed: the list.
        output: the output.
        count: number of videos.
    """
    victim, other = (start(checkpoint, listed, output, "--shard", shard) for shard in ("1/2", "2/2"))
    while times_done(output).total() < count // 4:
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    print(f"killed: shard 1/2, when {times_done(output).total()} of {count} were done; started again")
    again = start(checkpoint, listed, output, "--shard", "1/2")
    assert [worker.wait() for worker in (again, other)] == [0, 0]


def predict_with_ray(checkpoint: Path, listed: Path, output: Path, count: int) -> None:
    """Predict a list with two workers of Ray, of which one is killed while it predicts.

    Args:
        checkpoint: the checkpoint.
        listed: the list.
        output: the output.
        count: number of videos.
    """
    began = time.monotonic()
    process = start(checkpoint, listed, output, "--ray", "2")
    while times_done(output).total() < count // 4 or entries(output)[-1]["state"] != "started":
        time.sleep(0.01)
    latest = entries(output)[-1]
    os.kill(int(latest["process"].split(":")[1]), signal.SIGKILL)
    print(f"killed: the worker of {latest['name']}, when {times_done(output).total()} of {count} were done")
    assert process.wait() == 0
    workers = Counter(entry["process"] for entry in entries(output) if entry["state"] == "done")
    print(f"videos by worker: {list(workers.values())}; {time.monotonic() - began:.0f} s with the start of Ray")


def main() -> None:
    """Print the table and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), asked.videos
        paths = [folder / f"video{index:04d}.mp4" for index in range(count)]
        for seed, path in enumerate(paths):
            write_video(path, seed)
        listed = folder / "list.txt"
        listed.write_text("".join(f"{path}\n" for path in paths))

        output = folder / "killed"
        if asked.ray:
            predict_with_ray(asked.checkpoint, listed, output, count)
        else:
            print("| processes | seconds | frames/s |\n|---|---|---|")
            for shards in (1, 2):
                began, shared = time.monotonic(), folder / f"shards{shards}"
                names = [f"{each}/{shards}" for each in range(1, shards + 1)]
                workers = [start(asked.checkpoint, listed, shared, "--shard", name) for name in names]
                assert [worker.wait() for worker in workers] == [0] * shards
                seconds = time.monotonic() - began
                print(f"| {shards} | {seconds:.0f} | {FRAMES * count / seconds:.1f} |", flush=True)
            predict_with_shards(asked.checkpoint, listed, output, count)
        done = times_done(output)
        maps = [len(list((output / path.stem / "depth").glob("*.npz"))) for path in paths]
        print(f"done: {len(done)} of {count} videos; times each was done: {dict(Counter(done.values()))}")
        print(f"maps of depth in each folder: {dict(Counter(maps))}; left over: {(output / '.partial').exists()}")


if __name__ == "__main__":
    main()
