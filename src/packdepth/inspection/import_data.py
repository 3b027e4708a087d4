"""Command `packdepth data import`: writes the clips of any source as folders of packdepth's own contract.

A clip is written into a hidden folder, which gets its final name when the clip is complete. Files that exist already
are kept, so that an import that was stopped continues where it stopped.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from packdepth.blocks import Closed, parse
from packdepth.data.agreement import by_road
from packdepth.data.overlap import without_repeated_frames
from packdepth.data.resized import resized_depth, resized_image, resized_labels
from packdepth.data.targets import camera_advice, scale_in_words
from packdepth.depth_files import write_depth_png
from packdepth.disk import check_room, size_in_words, unfinished_folder
from packdepth.errors import InputError, in_one_line
from packdepth.files import make_folder, replacing, write_image
from packdepth.geometry.height import written_height
from packdepth.inspection.check import calibrations
from packdepth.ownership import owned
from packdepth.progress import counted, progress
from packdepth.reading import parse_yaml
from packdepth.records import Clip, Frame, Readable, Scan
from packdepth.sources.base import AnySource
from packdepth.sources.class_list import write_class_list
from packdepth.sources.decoding import VideoFrame
from packdepth.sources.files import ImageFile, read_text
from packdepth.sources.folder import POSE_COLUMNS
from packdepth.sources.guess import guess_in_words
from packdepth.sources.open import check_names
from packdepth.sources.recognize import source_at
from packdepth.sources.rigid import quaternion
from packdepth.sources.split import own_line, write_split
from packdepth.sources.video import check_sizes_of_videos

Size = tuple[int, int] | None
"""Height and width of the images to write, in pixels; None for their own size."""
Row = Sequence[object]
"""The cells of a line of a table."""

MIN_SIDE = 16  # pixels, of the images to write: a smaller number is a typing error
SAMPLED_CLIPS = 10  # clips, spread over all, whose first files are written to estimate the disk space: some seconds
ANOTHER = "name another folder, or remove it"  # advice where a folder holds another import
ROUNDING = 1e-4  # seconds, metres and pixels: the last decimal that is written
CAMERA_NUMBERS = ("width", "height", "fx", "fy", "cx", "cy")  # of camera.yaml
GUESS_DECIMALS = 1  # of a pixel, of a camera that is guessed
TIME_DECIMALS, SPEED_DECIMALS = 6, 4  # of a second and of a metre per second: beyond what is ever measured
MOVING = 255  # gray level of moving objects in moving/, so that the mask can be looked at; readers take any but 0


class Recipe(Closed):
    """The content of import.yaml: the source of the clips in a folder, and how they were written."""

    source: AnySource
    """The source."""
    size: Size
    """Height and width of the images, in pixels; null for their own size."""
    format: Literal["jpg", "png"]
    """Format of the images."""


def import_data(
    path: Path,
    output: Path,
    kind: str | None = None,
    options: Sequence[str] = (),
    size: Size = None,
    image_format: Literal["jpg", "png"] = "jpg",
) -> list[Path]:
    """Write the clips of a data set as folders of packdepth's contract, and return these folders.

    Args:
        path: path of the data set.
        output: folder to write to.
        kind: kind of the data set, such as "kitti_raw"; if None, it is recognized by its content.
        options: fields of the source as `key=value`, such as "cameras=[left]".
        size: height and width of the images to write, in pixels; None for their own size.
        image_format: format of the images. Images that have it already and are not resized are copied.

    Raises InputError for data that cannot be used, a disk that is too small and a folder that holds another import.
    """
    if size is not None and min(size) < MIN_SIDE:
        raise InputError(f"--size: is {size[0]} {size[1]}; give height and width, of {MIN_SIDE} pixels at least")
    source = source_at(path, kind, options)
    recipe = Recipe(source=source, size=size, format=image_format)
    check_recipe(output / "import.yaml", recipe)
    print(f"reading {path}", flush=True)  # offset=auto compares many images
    clips = source.clips()
    check_names(clips, path, "import")
    check_sizes_of_videos(clips)
    (clips,) = without_repeated_frames(clips)
    for line in calibrations(clips):
        print(line)
    for clip in clips:
        if clip.speed_source:
            print(f"{clip.name}: {clip.speed_source}")
            _print_road(clip)
    folders = {clip.name: output / clip.short_name for clip in clips}
    with owned(output):
        _write_clips(recipe, clips, folders, output)
    return list(folders.values())


def _print_road(clip: Clip) -> None:
    """Print what the motion of the road says of the speeds of a clip that a log has given it."""
    said = by_road(clip)
    if said is not None:
        print(f"{clip.name}: {said.text}{'' if said.usual else '; packdepth data check tells what to do'}")


def _write_clips(recipe: Recipe, clips: Sequence[Clip], folders: dict[str, Path], output: Path) -> None:
    """Write the clips that are not there yet, and print what is to be known of them."""
    size, file = recipe.size, output / "import.yaml"
    check_recipe(file, recipe)  # once more, now that no other import can write it
    if not file.exists():
        with replacing(file) as temporary:
            temporary.write_text(_found(clips) + yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))

    todo = [clip for clip in clips if not folders[clip.name].exists()]
    for clip in clips:
        if folders[clip.name].exists():
            check_unchanged(folders[clip.name], clip, size)
    pieces_of = partial(pieces, size=size, suffix=f".{recipe.format}")
    if todo:
        if recipe.format == "jpg" and any(isinstance(clip.frames[0].image, VideoFrame) for clip in todo):
            print("images of the video are compressed again, as JPEG; --format png keeps every pixel")
        _check_space(todo, pieces_of, output)
    else:
        print(f"{output}: complete already; nothing is changed")
    steps = [(clip, frame) for clip in todo for frame in clip.frames]
    for clip, frame in progress(steps, "importing", len(steps)):
        hidden = output / f".{folders[clip.name].name}"
        for piece in pieces_of(frame):
            if not (hidden / piece.name).exists():
                piece.write(hidden / piece.name)
        if frame is clip.frames[-1]:
            write_tables(hidden, clip, size)
            hidden.rename(folders[clip.name])
    for clip in clips:
        if clip.corrected is not None:
            print(f"{clip.path}: {clip.corrected}")
    _write_targets(output / "split.txt", clips, folders)
    _print_guesses(clips, folders)
    scale = scale_in_words(clips)
    if scale is not None:
        print(scale)


def _found(clips: Sequence[Clip]) -> str:
    """Return what import.yaml says of an import besides its recipe, as comments: where it ran, and its logs."""
    logs = [f"{clip.name}: {clip.speed_source}" for clip in clips if clip.speed_source]
    return "".join(f"# {in_one_line(line)}\n" for line in (f"imported in {Path.cwd()}", *logs))


def check_recipe(file: Path, recipe: Recipe) -> None:
    """Raise InputError, which names the options that differ, if a folder holds another import.

    Args:
        file: the import.yaml of the folder, which may not exist.
        recipe: the import to write. The file may have its keys in another order, or their names of earlier versions.
    """
    if not file.exists():
        return
    try:
        there = parse(Recipe, parse_yaml(file.read_text(), file), str(file))
    except (UnicodeDecodeError, InputError):
        raise InputError(f"{file}: this folder holds another import, whose options cannot be read; {ANOTHER}") from None
    if there == recipe:
        return
    before, now = _options(there), _options(recipe)
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    listed = ", ".join(f"{name}={_in_yaml(before.get(name))}, not {_in_yaml(now.get(name))}" for name in names)
    raise InputError(f"{file}: this folder holds another import, with {listed}; {ANOTHER}")


def _options(recipe: Recipe) -> dict[str, Any]:
    """Return the fields of a recipe and of its source side by side."""
    values = recipe.model_dump(mode="json")
    return {**values.pop("source"), **values}


def _in_yaml(value: Any) -> str:
    """Return a value as YAML has it, in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()


# --- frames -------------------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """One file of a clip folder."""

    name: str  # path within the clip folder, such as "frames/000012.jpg"
    write: Callable[[Path], None]  # writes the file to a path

    @property
    def kind(self) -> str:
        """Subfolder that holds the file, such as "frames"."""
        return self.name.split("/")[0]


def pieces(frame: Frame, size: Size, suffix: str) -> Iterator[Piece]:
    """Yield the files of a frame.

    Args:
        frame: the frame to write.
        size: height and width of its images, in pixels; None for their own size.
        suffix: suffix of image files, ".jpg" or ".png".
    """
    for kind, image in (("frames", frame.image), ("right", frame.right)):
        if image is not None:
            yield Piece(f"{kind}/{frame.name}{suffix}", partial(_write_image, image, size))
    if frame.depth is not None:
        yield Piece(f"depth/{frame.name}.png", partial(_write_depth, frame.depth, size))
    if frame.lidar is not None:
        yield Piece(f"lidar/{frame.name}.npz", partial(_write_points, frame.lidar))
    if frame.semantic is not None:
        yield Piece(f"semantic/{frame.name}.png", partial(_write_labels, frame.semantic, size, np.uint8, 1))
    if frame.instance is not None:
        yield Piece(f"instance/{frame.name}.png", partial(_write_labels, frame.instance, size, np.uint16, 1))
    if frame.moving is not None:
        yield Piece(f"moving/{frame.name}.png", partial(_write_labels, frame.moving, size, np.uint8, MOVING))


def _write_image(image: Readable, size: Size, path: Path) -> None:
    """Write an image; copy its file if it is neither resized nor converted."""
    same = image.path.suffix.lower().replace(".jpeg", ".jpg") == path.suffix
    if size is None and same and isinstance(image, ImageFile):
        with replacing(path) as temporary:
            shutil.copyfile(image.path, temporary)
    else:
        pixels = image.read()
        write_image(path, pixels if size is None else resized_image(pixels, *size))


def _write_depth(depth: Readable, size: Size, path: Path) -> None:
    """Write a depth map as a 16-bit PNG."""
    values = depth.read()
    write_depth_png(path, values if size is None else resized_depth(values, *size))


def _write_points(scan: Scan, path: Path) -> None:
    """Write a LiDAR scan as an npz."""
    with replacing(path) as temporary:
        np.savez_compressed(temporary, points=scan.read(), origin=scan.origin)


def _write_labels(labels: Readable, size: Size, dtype: type[np.unsignedinteger], factor: int, path: Path) -> None:
    """Write label values, converted to `dtype` and multiplied by `factor`, as a PNG."""
    values = labels.read().astype(dtype) * dtype(factor)
    write_image(path, values if size is None else resized_labels(values, *size))


# --- tables -------------------------------------------------------------------------------------------------------


def write_tables(folder: Path, clip: Clip, size: Size) -> None:
    """Write camera.yaml and frames.csv of a clip, and semantic.yaml if it has label maps of stated classes.

    Args:
        folder: the clip folder to write to.
        clip: the clip.
        size: height and width of the written images, in pixels; None for their own size.
    """
    with replacing(folder / "camera.yaml") as temporary:
        stated = "" if clip.stated_fov is None else f"# camera: a stated field of view of {clip.stated_fov:g} degrees\n"
        temporary.write_text(stated + yaml.safe_dump(camera_values(clip, size), sort_keys=False))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(frame_rows(clip))
    with replacing(folder / "frames.csv") as temporary:
        temporary.write_text(text.getvalue())
    if clip.classes is not None and any(frame.semantic is not None for frame in clip.frames):
        write_class_list(folder, clip.classes)


def camera_values(clip: Clip, size: Size) -> dict[str, Any]:
    """Return the content of camera.yaml.

    Args:
        clip: the clip.
        size: height and width of the written images, in pixels; None for their own size.
    """
    camera = clip.camera if size is None else clip.camera.resized(*size)
    values: dict[str, Any] = {name: getattr(camera, name) for name in CAMERA_NUMBERS}
    if clip.baseline is not None:
        values["baseline_m"] = clip.baseline
    if clip.camera_height is not None:
        values["height_m"] = written_height(clip.camera_height)
    if clip.independent:
        values["independent"] = True
    if clip.times_assumed:
        values["times_assumed"] = True
    if clip.interval is not None:
        values["interval_s"] = clip.interval
    values["drive"] = clip.drive or str(clip.path)
    if clip.missing_camera is not None:
        values |= {name: round(float(values[name]), GUESS_DECIMALS) for name in ("fx", "fy", "cx", "cy")}
        values["guess"] = guess_in_words(clip)
    return values


def frame_rows(clip: Clip) -> list[Row]:
    """Return the rows of frames.csv, with its header.

    Args:
        clip: the clip.
    """
    speeds = any(frame.speed is not None for frame in clip.frames)
    poses = any(frame.pose is not None for frame in clip.frames)
    rows: list[Row] = [["frame", "time_s", *(["speed_mps"] if speeds else []), *(POSE_COLUMNS if poses else [])]]
    for frame in clip.frames:
        row: list[object] = [frame.name, round(frame.time, TIME_DECIMALS)]
        row += ["" if frame.speed is None else round(frame.speed, SPEED_DECIMALS)] if speeds else []
        row += _pose_cells(frame.pose) if poses else []
        rows.append(row)
    return rows


def check_unchanged(folder: Path, clip: Clip, size: Size) -> None:
    """Raise InputError if the tables of an imported clip are not what its import would write now.

    The log, the calibration or the video was changed after the import, or the table by hand. A camera that was written
    by hand in place of a guess is not touched by this.

    Args:
        folder: the clip folder.
        clip: the clip, as its source gives it now.
        size: height and width of the written images, in pixels; None for their own size.
    """
    tables: dict[Path, tuple[Sequence[Row], Sequence[Row]]] = {}  # what is there, and what would be
    if clip.missing_camera is None:
        file = folder / "camera.yaml"
        there, now = parse_yaml(read_text(file, "the camera"), file), camera_values(clip, size)
        old = there if isinstance(there, dict) else {}
        names = [name for name in (*CAMERA_NUMBERS, "baseline_m") if name in now]
        tables[file] = [(name, old.get(name)) for name in names], [(name, now[name]) for name in names]
    file = folder / "frames.csv"
    lines = csv.reader(io.StringIO(read_text(file, "the frames")))
    tables[file] = [line for line in lines if line], frame_rows(clip)
    for file, (written, rows) in tables.items():
        change = f"one of them was changed after the import; remove {folder} to import it again"
        if len(written) != len(rows):
            raise InputError(f"{file}: has {len(written) - 1} frames, and its source now {len(rows) - 1}: {change}")
        for before, row in zip(written, rows, strict=True):
            if not _same(before, row):
                texts = [",".join(map(str, cells)) for cells in (before, row)]
                raise InputError(f"{file}: says '{texts[0]}', and its source now gives '{texts[1]}': {change}")


def _same(cells: Row, others: Row) -> bool:
    """Return whether two lines have the same name, in the first cell, and up to rounding the same numbers."""
    same = len(cells) == len(others) and str(cells[0]) == str(others[0])
    return same and all(_near(str(cell), str(other)) for cell, other in zip(cells[1:], others[1:], strict=True))


def _near(cell: str, other: str) -> bool:
    """Return whether two cells hold one text, or one number up to rounding."""
    if cell == other:
        return True
    try:
        return abs(float(cell) - float(other)) <= ROUNDING
    except ValueError:
        return False


def _pose_cells(pose: np.ndarray | None) -> list[object]:
    """Return x, y, z, qx, qy, qz, qw of T_world_camera [4, 4]; empty cells if the pose is unknown."""
    if pose is None:
        return [""] * len(POSE_COLUMNS)
    return [*pose[:3, 3].tolist(), *quaternion(pose[:3, :3]).tolist()]


def _write_targets(path: Path, clips: Sequence[Clip], folders: dict[str, Path]) -> None:
    """Write a split file of the targets, if any clip restricts its targets."""
    if all(clip.targets is None for clip in clips):
        return
    lines = []
    for clip in clips:
        name = f"folder/{folders[clip.name].name}"
        frames = [frame.name for frame in clip.frames if clip.is_target(frame)]
        lines += [own_line(name)] if clip.targets is None else [own_line(name, frame) for frame in frames]
    write_split(path, lines, f"the targets of {len(clips)} imported clips")


def _print_guesses(clips: Sequence[Clip], folders: dict[str, Path]) -> None:
    """Print a line for each guess of a camera that was written in place of a calibration, and for assumed times."""
    guesses = {guess_in_words(clip): folders[clip.name] for clip in clips if clip.missing_camera is not None}
    for guess, folder in guesses.items():
        print(f"{folder / 'camera.yaml'}: is a guess, {guess}; {camera_advice(folder / 'camera.yaml')}")
    for clip in clips:
        if clip.times_assumed:
            table = folders[clip.name] / "frames.csv"
            print(f"{table}: its times are an assumption, for the names of its images tell none; give rate=NUMBER")


# --- disk space ---------------------------------------------------------------------------------------------------


def _check_space(clips: Sequence[Clip], pieces_of: Callable[[Frame], Iterator[Piece]], output: Path) -> None:
    """Print how much will be written, estimated from some clips. Raises InputError if the disk is too small."""
    sampled = clips[:: -(-len(clips) // SAMPLED_CLIPS) or 1]
    sizes: dict[str, list[int]] = {}
    make_folder(output)
    with unfinished_folder(output / "sample") as folder:
        for clip in sampled:
            firsts = {piece.kind: piece for frame in reversed(clip.frames) for piece in pieces_of(frame)}
            for kind, piece in firsts.items():
                file = folder / piece.name
                piece.write(file)
                sizes.setdefault(kind, []).append(file.stat().st_size)
                file.unlink()
    counts = Counter(piece.kind for clip in clips for frame in clip.frames for piece in pieces_of(frame))
    typical = {kind: float(np.mean(sizes.get(kind, [0]))) for kind in counts}
    needed = sum(count * typical[kind] for kind, count in counts.items())
    print(
        f"{counted(counts['frames'], 'frame')} of {counted(len(clips), 'clip')} to write: about {size_in_words(needed)}"
    )
    check_room(output, needed, "name another folder, or a smaller --size")
