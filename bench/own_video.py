"""A stranger's first try, on clips whose truth is known: the commands of the README, typed as a user types them.

    python bench/own_video.py OUT --data DATA [--only NAME ...] [--seed N]

DATA is the folder of the real clips (PACKDEPTH_DATA). Each try prints its commands and what they said, and adds a line
to OUT/results.md; its files lie in OUT/NAME. All of them take 80 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from packdepth.files import write_image
from packdepth.inference.writers.video import video_writer
from packdepth.records import Clip
from packdepth.sources import open_clips

KITTI360 = "clips/kitti360_3000"
CLOCK = 1.7  # seconds: what the logger's clock reads at the first frame
HEIGHT = "height_m=1.65"  # metres: height of the cameras of KITTI's car above the road (its sensor setup)
OLD_RUN_FILE = """# What the README told before `init`: motion reaches 60 % of the measured length.
data:
  train:
    - {kind: folder, root: mine}
  image_size: [96, 320]
networks:
  depth: {kind: packnet, preset: tiny}
  pose: {kind: posenet, initial_forward: 0.5}
objective:
  - {kind: photometric, scales: own}
  - {kind: smoothness, weight: 1.0e-3}
  - {kind: velocity, weight: 0.05}
training: {epochs: 20, batch_size: 4, depth_learning_rate: 1.0e-3, seed: 1}
"""


@dataclass(frozen=True)
class Try:
    """One try: its folder, the real clips, and the seed of `init`."""

    folder: Path
    data: Path
    seed: int

    def packdepth(self, *words: str | Path) -> str:
        """Run a command in the folder, print it with its output, and return the output.

        Args:
            words: the words behind `packdepth`.

        Raises:
            SystemExit: the command failed.
        """
        command = ["packdepth", *map(str, words)]
        print("$", *command, flush=True)
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        if process.wait():
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
        print(f"({time.perf_counter() - start:.0f} s)", flush=True)
        return "".join(lines)

    def train(self, name: str, *source: str | Path) -> None:
        """Write NAME.yaml by `init` and train it into runs/NAME.

        Args:
            name: name of the run.
            source: data and options of `init`.
        """
        self.packdepth("init", *source, "-o", f"{name}.yaml", "--seed", str(self.seed))
        self.packdepth("train", f"{name}.yaml", "--output", f"runs/{name}")

    def scores(self, name: str, protocol: str, data: str | Path) -> dict[str, Any]:
        """Return what `evaluate --json` wrote of runs/NAME/best.

        Args:
            name: name of the run.
            protocol: name of the protocol.
            data: the data of the protocol.
        """
        page = self.folder / f"{name}.{protocol}.json"
        self.packdepth("evaluate", f"runs/{name}/best", "--protocol", protocol, "--data", data, "--json", page)
        found: dict[str, Any] = json.loads(page.read_text())
        return found


def write_own_video(run: Try) -> Clip:
    """Write drive.mp4, drive.yaml and log.csv of KITTI-360, and return its clip.

    The log has 5 speeds a second in km/h, decimal commas, and a clock that reads `CLOCK` at the first frame.

    Args:
        run: the try.
    """
    (clip,) = open_clips(run.data / KITTI360)
    folder = run.folder
    times = np.array([frame.time for frame in clip.frames])
    speeds = np.array([frame.speed for frame in clip.frames])
    shutil.copy(run.data / KITTI360 / "camera.yaml", folder / "drive.yaml")
    with video_writer(folder / "drive.mp4", (len(times) - 1) / (times[-1] - times[0])) as write:
        for frame in clip.frames:
            write(frame.image.read())
    logged = np.arange(times[0], times[-1], 0.2)
    rows = [f"{t + CLOCK:.2f};{v:.3f}" for t, v in zip(logged, np.interp(logged, times, speeds) * 3.6, strict=True)]
    (folder / "log.csv").write_text("\n".join(["time_s;speed_kmh", *rows]).replace(".", ",") + "\n")
    return clip


def enlarge(clip: Path, folder: Path) -> None:
    """Write the middle of the images of a clip, twice as large, with its LiDAR: half the field of view.

    Args:
        clip: folder of the clip.
        folder: folder to write.
    """
    shutil.copytree(clip / "lidar", folder / "lidar")
    shutil.copy(clip / "frames.csv", folder)
    camera = yaml.safe_load((clip / "camera.yaml").read_text())
    width, height = camera["width"], camera["height"]
    for axis, size in ("x", width), ("y", height):
        camera[f"f{axis}"] *= 2
        camera[f"c{axis}"] = 2 * (camera[f"c{axis}"] - size / 4 + 0.5) - 0.5
    (folder / "camera.yaml").write_text(yaml.safe_dump(camera))
    for path in sorted((clip / "frames").iterdir()):
        middle = Image.open(path).crop((width // 4, height // 4, width // 4 + width // 2, height // 4 + height // 2))
        image = np.asarray(middle.resize((width, height), Image.Resampling.BICUBIC))
        write_image(folder / "frames" / f"{path.stem}.png", image)


def drive(run: Try) -> str:
    """mp4 and CSV: the commands of the README, judged by LiDAR; then the same network at half the field of view."""
    clip = write_own_video(run)
    start = time.perf_counter()
    run.packdepth("data", "import", "drive.mp4", "mine", "speeds=log.csv", "offset=auto")
    run.packdepth("init", "mine", "-o", "run.yaml", "--minutes", "6", "--seed", str(run.seed))
    run.packdepth("train", "run.yaml", "--output", "runs/mine")
    own = run.scores("mine", "own", "mine")
    minutes = (time.perf_counter() - start) / 60
    lidar = run.folder / "mine" / "drive" / "lidar"
    lidar.mkdir()
    for number, frame in enumerate(clip.frames):
        if frame.lidar is not None:
            shutil.copy(run.data / KITTI360 / "lidar" / f"{frame.name}.npz", lidar / f"{number:06d}.npz")
    whole = run.scores("mine", "folder", "mine")
    enlarge(run.data / KITTI360, run.folder / "enlarged")
    near = run.scores("mine", "folder", "enlarged")
    said = [line for line in run.packdepth("info", "runs/mine/best").splitlines() if "metric" in line]
    return f"{of(whole)}; {minutes:.1f} min; own: {own['verdict']}; {' '.join(said)}; enlarged twice {of(near)}"


def before_init(run: Try) -> str:
    """The same drive by what the README told before `init`: it must not be called metric."""
    write_own_video(run)
    run.packdepth("data", "import", "drive.mp4", "mine", "speeds=log.csv", "offset=auto")
    (run.folder / "run.yaml").write_text(OLD_RUN_FILE)
    said = run.packdepth("train", "run.yaml", "--output", "runs/mine")
    return " ".join(line for line in said.splitlines() if "metric" in line)


def height(run: Try) -> str:
    """Sequence 06 by the height of the camera, beside the same minutes by speed."""
    source = run.data / "kitti_odometry" / "dataset", 'sequences=["06"]', "cameras=[left]"
    run.train("height", *source, HEIGHT, "--minutes", "4", "--without", "depth", "stereo", "speed")
    run.train("speed", *source, "--minutes", "4", "--without", "depth", "stereo")
    found = [run.scores(name, "kitti-odometry-clip", source[0]) for name in ("height", "speed")]
    return f"by height {of(found[0])}; by speed {of(found[1])}"


def mono(run: Try) -> str:
    """A clip with nothing but the height of its camera: how far `calibrate` finds the ground from it."""
    clip = run.data / "clips" / "kitti_0926_mono"
    run.train("mono", clip, HEIGHT, "--minutes", "4")
    return run.packdepth("calibrate", "runs/mono/best", clip, "--height", "1.65", "-o", "runs/calibrated")


def trained(*source: str, protocol: str, judged: str | None = None) -> Callable[[Try], str]:
    """Return the try that trains on a data set of the real clips what `init` writes, and judges it.

    Args:
        source: path below DATA, and options of `init`.
        protocol: name of the protocol; `own` judges without truth.
        judged: path below DATA to judge by, where it is another.
    """

    def run_it(run: Try) -> str:
        data = run.data / source[0]
        run.train("run", data, *source[1:])
        return of(run.scores("run", protocol, data if judged is None else run.data / judged))

    return run_it


def city(run: Try) -> str:
    """A rendered drive, judged by its exact depth."""
    run.packdepth(
        "city", "town", "--drives", "1", "--frames", "60", "--size", "96x320", "--split", "val", "--seed", "77"
    )
    run.train("run", "town", "--minutes", "4", "--without", "depth")
    return of(run.scores("run", "city", "town"))


def of(scores: dict[str, Any]) -> str:
    """Return abs_rel and a1 of each row of a report, and of its baselines; or its verdict, if it has no truth.

    Args:
        scores: what `evaluate --json` wrote.
    """
    rows = {**scores["metrics"]} if scores.get("metrics") else {}
    rows |= {name: scores[name] for name in scores if name.startswith(("baseline", "pixel_median")) and scores[name]}
    said = [f"{name} {row['abs_rel']:.4f} (a1 {row['a1']:.3f})" for name, row in rows.items() if "abs_rel" in row]
    return ", ".join(said) or str(scores.get("verdict"))


TRIES: dict[str, Callable[[Try], str]] = {
    "drive": drive,
    "before_init": before_init,
    "height": height,
    "mono": mono,
    "stereo": trained(
        *("kitti_odometry/dataset", 'sequences=["06"]', "cameras=[left]", "--minutes", "10"),
        *("--without", "depth", "speed"),
        protocol="kitti-odometry-clip",
    ),
    "room": trained(
        "clips/hololens_room", "--minutes", "4", "--without", "depth", protocol="hololens-room", judged="clips"
    ),
    "raw": trained("kitti_raw", "--minutes", "5", protocol="kitti-raw-clip"),
    "pairs": trained("clips/kitti2015_pairs", "--minutes", "4", "--without", "depth", protocol="folder"),
    "lead_car": trained("clips/kitti2015_lead_car", "--minutes", "3", "--without", "depth", protocol="folder"),
    "ddad": trained("ddad_format", "--minutes", "3", "--without", "depth", protocol="own"),
    "dashcam": trained("video/highway_dashcam.mp4", "--minutes", "3", protocol="own"),
    "city": city,
}  # fmt: skip


def main() -> None:
    """Run the tries that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=TRIES, default=list(TRIES))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    results = given.output / "results.md"
    for name in given.only:
        folder = given.output.resolve() / name
        folder.mkdir(parents=True)
        start = time.perf_counter()
        result = TRIES[name](Try(folder, given.data.resolve(), given.seed))
        with results.open("a") as file:
            file.write(f"* {name}, seed {given.seed}, {time.perf_counter() - start:.0f} s: {result.strip()}\n")


if __name__ == "__main__":
    main()
