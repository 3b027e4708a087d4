"""Writing of drives as clip folders, which all tools read like a user's own data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

from packdepth.city.drive import Drive, Recipe, Shot, View
from packdepth.city.ego import CAMERA_HEIGHT, RATE
from packdepth.city.lidar import ORIGIN
from packdepth.classes import PALETTE
from packdepth.color import colorize
from packdepth.depth_files import write_depth_png
from packdepth.disk import remove
from packdepth.files import claim, replacing, write_image
from packdepth.ownership import owned
from packdepth.progress import counting
from packdepth.sources.files import DepthPng, ImageFile, LabelPng
from packdepth.sources.folder import COLUMNS
from packdepth.sources.rigid import quaternion
from packdepth.workers import worker_pool

SEGMENT = 60  # frames of a job, so that several processes share a long drive; chosen by eye
SHEET_FRAMES = 12  # frames on the contact sheet; chosen by eye
SHEET_MIN_DEPTH = 0.1  # metres: lower bound of a divisor
SHEET_MAX_INV_DEPTH = 0.2  # 1/metres: the end of the color scale, 5 metres


@dataclass(frozen=True)
class Job:
    """Frames of a drive that one process renders."""

    recipe: Recipe  # settings of the drive
    number: int  # number of the drive
    frames: tuple[int, ...]  # numbers of the frames


def write_city(output: Path, recipe: Recipe, drives: int, processes: int = 2) -> None:
    """Render drives into clip folders, one for each drive and view, and write a contact sheet.

    Existing frames are kept, so that an interrupted call can be repeated and continues.

    Args:
        output: folder to write to.
        recipe: the settings of the drives.
        drives: number of drives.
        processes: number of processes.

    Raises InputError if the folder holds drives of another recipe, or another process writes to it.
    """
    with owned(output):
        _write_city(output, recipe, drives, processes)


def _write_city(output: Path, recipe: Recipe, drives: int, processes: int) -> None:
    """Write drives as `write_city` does, into a folder that this process owns."""
    _check_recipe(output, recipe)
    jobs = [
        Job(recipe, number, recipe.recorded[start : start + SEGMENT])
        for number in range(drives)
        for start in range(0, len(recipe.recorded), SEGMENT)
        if not all((clip_folder(output, recipe, number, view) / "frames.csv").exists() for view in recipe.views)
    ]
    _render(output, jobs, processes)
    for number in range(drives):
        drive = clip_folder(output, recipe, number, "front").name
        for view in recipe.views:
            _finish(clip_folder(output, recipe, number, view), recipe, drive)
    folders = [clip_folder(output, recipe, number, view) for number in range(drives) for view in recipe.views]
    write_sheet(output / "contact_sheet.jpg", folders, recipe)


def clip_folder(output: Path, recipe: Recipe, number: int, view: View) -> Path:
    """Return the clip folder of a view of a drive.

    Args:
        output: folder of all drives.
        recipe: the settings of the drive.
        number: number of the drive.
        view: the camera; the front camera is not named.

    >>> str(clip_folder(Path("city"), Recipe(), 3, "left"))
    'city/train-0003-left'
    """
    name = f"{recipe.split}-{number:04d}"
    return output / (name if view == "front" else f"{name}-{view}")


def _check_recipe(output: Path, recipe: Recipe) -> None:
    """Write the recipe to city.yaml, or raise InputError if the file holds another one."""
    text = yaml.safe_dump(json.loads(json.dumps(asdict(recipe))), sort_keys=False)  # YAML knows no tuples
    claim(output / "city.yaml", text, "a city of another recipe")


# --- rendering ----------------------------------------------------------------------------------------------------


def _render(output: Path, jobs: list[Job], processes: int) -> None:
    """Render all jobs, and count their frames."""
    total = sum(len(job.frames) for job in jobs)
    if not total:
        return
    with counting("rendering", total) as advance:
        for frames in _done(output, jobs, processes):
            advance(frames)


def _done(output: Path, jobs: list[Job], processes: int) -> Iterator[int]:
    """Yield the number of frames of each job when it is finished."""
    if processes == 1 or len(jobs) == 1:
        yield from (render_job(output, job) for job in jobs)
        return
    with worker_pool(processes) as pool:
        futures: list[Future[int]] = [pool.submit(render_job, output, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def render_job(output: Path, job: Job) -> int:
    """Render and write the missing frames of a job, and return the number of all its frames.

    Args:
        output: folder of all drives.
        job: the job.
    """
    drive = Drive(job.recipe, job.number)
    for frame in job.frames:
        for view in job.recipe.views:
            folder = clip_folder(output, job.recipe, job.number, view)
            if not (folder / "rows" / f"{frame:06d}.csv").exists():
                write_shot(folder, f"{frame:06d}", drive.shot(frame, view))
    return len(job.frames)


def write_shot(folder: Path, name: str, shot: Shot) -> None:
    """Write the files of a frame. Its row of frames.csv is written last, as a sign that all others exist.

    Args:
        folder: the clip folder.
        name: name of the frame.
        shot: the rendered frame.
    """
    write_image(folder / "frames" / f"{name}.png", shot.image)
    if shot.right is not None:
        write_image(folder / "right" / f"{name}.png", shot.right)
    write_depth_png(folder / "depth" / f"{name}.png", shot.depth)
    write_image(folder / "semantic" / f"{name}.png", shot.semantic)
    write_image(folder / "instance" / f"{name}.png", shot.instance.astype(np.uint16))
    write_image(folder / "moving" / f"{name}.png", shot.moving.astype(np.uint8) * 255)
    if shot.lidar is not None:
        with replacing(folder / "lidar" / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, points=shot.lidar, origin=ORIGIN)
    numbers = [*shot.pose[:3, 3], *quaternion(shot.pose[:3, :3])]
    with replacing(folder / "rows" / f"{name}.csv") as temporary:
        temporary.write_text(f"{name},{shot.time:.3f},{shot.speed:.6f},{','.join(f'{n:.9f}' for n in numbers)}\n")


def _finish(folder: Path, recipe: Recipe, drive: str) -> None:
    """Write camera.yaml and frames.csv, which make the folder a clip. All views of a drive have the drive's name."""
    if (folder / "frames.csv").exists():
        remove(folder / "rows")  # left by a kill after the table was written
        return
    camera = recipe.camera
    values = {name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    if recipe.baseline is not None:
        values["baseline_m"] = recipe.baseline
    values |= {"height_m": CAMERA_HEIGHT, "interval_s": 1 / RATE, "drive": drive}
    with replacing(folder / "camera.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False))
    rows = [folder / "rows" / f"{frame:06d}.csv" for frame in recipe.recorded]
    with replacing(folder / "frames.csv") as temporary:
        temporary.write_text("\n".join([",".join(COLUMNS), *(row.read_text().strip() for row in rows)]) + "\n")
    remove(folder / "rows")


# --- the contact sheet --------------------------------------------------------------------------------------------


def write_sheet(path: Path, folders: Iterable[Path], recipe: Recipe) -> None:
    """Write a contact sheet of some frames: image, inverse depth and classes side by side.

    Args:
        path: the image file to write.
        folders: the clip folders.
        recipe: the settings of the drives.
    """
    places = [(folder, frame) for folder in folders for frame in recipe.recorded]
    chosen = [places[i] for i in np.linspace(0, len(places) - 1, min(SHEET_FRAMES, len(places))).round().astype(int)]
    rows = []
    for folder, frame in chosen:
        name = f"{frame:06d}.png"
        depth = DepthPng(folder / "depth" / name).read()
        inverse = np.where(depth > 0, 1 / np.maximum(depth, SHEET_MIN_DEPTH), 0)
        semantic = LabelPng(folder / "semantic" / name).read()
        panels = [
            ImageFile(folder / "frames" / name).read(),
            colorize(inverse, 0, SHEET_MAX_INV_DEPTH),
            PALETTE[semantic],
        ]
        row = Image.fromarray(np.concatenate(panels, axis=1))
        ImageDraw.Draw(row).text((4, 2), f"{folder.name} {frame}", fill=(255, 255, 255))
        rows.append(np.asarray(row))
    half = -(-len(rows) // 2)
    blank = np.zeros_like(rows[0])
    columns = [rows[:half], [*rows[half:], *[blank] * (2 * half - len(rows))]] if len(rows) > 1 else [rows]
    write_image(path, np.concatenate([np.concatenate(column) for column in columns], axis=1))
