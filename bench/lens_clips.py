"""City drives seen through lenses of known distortion, and by the pinhole cameras that undistortion gives.

    python bench/lens_clips.py OUT [--lens brown_conrady] [--drives 40] [--frames 240] [--processes 2]

writes, for each lens, OUT/<lens>/distorted and OUT/<lens>/pinhole, each with train/ and val/: folders of clips with
images, depth, speeds, poses and camera.yaml. Every pixel is rendered along its own ray: nothing is interpolated. Both
sets show the same moments, and the pinhole set has the camera that `data import` gives to the distorted one: networks
that were trained on either are comparable. OUT/run.yaml trains on the clips at $CLIPS.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import yaml

from packdepth.city.drive import Drive, Recipe
from packdepth.city.style import Split
from packdepth.depth_files import write_depth_png
from packdepth.files import write_image
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens, ideal_camera
from packdepth.inspection.import_data import write_tables
from packdepth.records import Clip, Frame
from packdepth.sources.camera_file import LensFile
from packdepth.sources.files import ImageFile

HEIGHT, WIDTH = 96, 320  # pixels, as in configs/city_unknown_camera.yaml
LENSES: dict[str, tuple[float, Lens]] = {  # focal length in image widths, and lens
    "brown_conrady": (0.5, BrownConrady(-0.30, 0.09, 0.0008, -0.0006, -0.01)),  # a dashcam: 113 degrees across
    "kannala_brandt": (0.44, KannalaBrandt(-0.02, 0.004, -0.002, 0.0003)),  # a fisheye: 133 degrees across
}
RECORD = 5, 60  # of each 60 frames, 5 are rendered, so that few images cover much of the town
VAL_DRIVES = 8  # drives of the split val, which networks are evaluated on

RUN = """# Trains on the clips at $CLIPS: configs/city_unknown_camera.yaml with a known camera.
data:
  train:
    - {kind: folder, root: "${CLIPS:?set it to a folder that holds train and val}/train"}
  val:
    - {kind: folder, root: "${CLIPS:?set it to a folder that holds train and val}/val"}
  image_size: [64, 224]
  context: [-1, 1]
  augmentation: {flip: 0.5, jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4}}
  workers: 0
  cache: true
networks:
  depth: {kind: packnet, preset: tiny, initial_depth: 6.0, dropout: 0.2}
  pose: {kind: posenet, initial_forward: 0.85}
objective:
  - {kind: photometric, scales: pyramid}
  - {kind: smoothness, weight: 1.0e-2}
  - {kind: velocity, weight: 0.1, impose: true}
training:
  epochs: 10
  epoch_steps: 56
  batch_size: 16
  depth_learning_rate: 2.0e-3
  pose_learning_rate: 1.0e-3
  optimizer: {kind: muon, learning_rate: 0.04, pose_learning_rate: 0.02, weight_decay: 0.3}
  schedule: {kind: cosine, warmup: 100, hold: 0.3}
  seed: 1
  accelerator: cpu
  devices: 2
"""


@dataclass(frozen=True)
class Job:
    """A drive seen through a lens."""

    output: Path  # folder of all clips
    name: str  # name of the lens in `LENSES`
    split: Split  # split of the city
    number: int  # number of the drive
    frames: int  # frames of the drive, at 10 Hz


def cameras(name: str) -> tuple[Camera, Lens, Camera]:
    """Return the intrinsics of the distorted images, their lens, and the camera of the pinhole images.

    Args:
        name: name of the lens in `LENSES`.
    """
    focal, lens = LENSES[name]
    raw = Camera(focal * WIDTH, focal * WIDTH, (WIDTH - 1) / 2 + 2.0, (HEIGHT - 1) / 2 - 1.0, WIDTH, HEIGHT)
    ideal = ideal_camera(raw, lens)
    assert ideal is not None
    return raw, lens, ideal


def write_drive(job: Job) -> None:
    """Render a drive through the lens and as a pinhole camera, and write both clips.

    Args:
        job: the drive.
    """
    raw, lens, ideal = cameras(job.name)
    habits = Recipe(job.split, 1, job.frames, HEIGHT, WIDTH, lead_share=0.1, stop_share=0.1, record=RECORD)
    recipe = replace(habits, speeds=(6.0, 12.0))
    drive = Drive(recipe, job.number)
    name = f"{job.split}-{job.number:04d}"
    views = {"distorted": (raw, lens), "pinhole": (ideal, None)}
    folders = {kind: job.output / job.name / kind / job.split / name for kind in views}
    if all((folder / "frames.csv").exists() for folder in folders.values()):
        return
    frames: dict[str, list[Frame]] = {kind: [] for kind in views}
    for number in recipe.recorded:
        world, _ = drive.world(number)
        T = drive.ego.pose(number, 0.0)
        for kind, (camera, view) in views.items():
            file = folders[kind] / "frames" / f"{number:06d}.png"
            write_image(file, world.image(camera, T, view))
            write_depth_png(folders[kind] / "depth" / file.name, world.ground_truth(camera, T, view).depth)
            speed = drive.ego.speed(number)
            frames[kind].append(Frame(file.stem, drive.time(number), ImageFile(file), speed=speed, pose=T))
    for kind, (camera, view) in views.items():
        folder = folders[kind]
        write_tables(folder, Clip(name, folder, camera, tuple(frames[kind]), interval=0.1, drive=name), None)
        if view is not None:
            with (folder / "camera.yaml").open("a") as text:
                text.write(yaml.safe_dump({"lens": LensFile.of(view).model_dump(mode="json")}))


def main() -> None:
    """Run the script from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--lens", choices=[*LENSES], action="append")
    parser.add_argument("--drives", type=int, default=40)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    splits: dict[Split, int] = {"train": options.drives, "val": min(VAL_DRIVES, options.drives)}
    jobs = [
        Job(options.output, name, split, number, options.frames)
        for name in options.lens or LENSES
        for split, drives in splits.items()
        for number in range(drives)
    ]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(write_drive, jobs), 1):
            print(f"{done} of {len(jobs)} drives", flush=True)
    (options.output / "run.yaml").write_text(RUN)


if __name__ == "__main__":
    main()
