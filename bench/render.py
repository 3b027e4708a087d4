"""Rendering rate of the city with all ground truth: two image sizes, one and two processes.

    python bench/render.py [--frames N]

Each measurement writes drives to a new folder, including right images and LiDAR. It includes the start of processes and
the set-up of streets and textures, so that longer drives have a higher rate. The set-up time of the first drive is
printed separately.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from packdepth.city.drive import Drive, Recipe
from packdepth.city.write import write_city


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=30)
    options = parser.parse_args()
    start = time.perf_counter()
    drive = Drive(Recipe())
    drive.world(0)
    print(f"set-up of a drive: {time.perf_counter() - start:.1f} s")
    print(f"{'size':>8} {'processes':>10} {'frames/s':>9}")
    for height, width in ((96, 320), (192, 640)):
        for processes in (1, 2):
            recipe = Recipe(frames=options.frames, height=height, width=width)
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                write_city(Path(folder), recipe, drives=2, processes=processes)
                rate = 2 * options.frames / (time.perf_counter() - start)
            print(f"{f'{height}x{width}':>8} {processes:10} {rate:9.2f}", flush=True)


if __name__ == "__main__":
    main()
