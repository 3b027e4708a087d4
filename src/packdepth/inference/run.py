"""`packdepth predict`: an image, a folder or a video in, files with depth out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from packdepth.blocks import nearest
from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.color import color_range, colorize
from packdepth.config import Precision
from packdepth.data.label_maps import label_map
from packdepth.errors import InputError
from packdepth.files import make_folder, write_depth_png, write_image
from packdepth.geometry.camera import Camera
from packdepth.inference.info import depth_unit
from packdepth.inference.predictor import Predictor, image_tensor, label_tensor, load
from packdepth.inference.writers import (
    above,
    video_writer,
    write_cloud,
    write_depth_npz,
)
from packdepth.records import Clip, Readable
from packdepth.sources.camera_file import read_camera
from packdepth.sources.decoding import VideoFrame, probe
from packdepth.sources.files import IMAGES, ImageFile, image_size, require, required
from packdepth.sources.folder import read_clip
from packdepth.sources.recognize import source_at

KINDS = ("depth", "color", "video", "cloud")
SAMPLES = 16  # frames that set the colors of a clip
IMAGES_PER_SECOND = 10.0  # of a video made from images whose times are unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Footage:
    """The images of one camera, read when they are needed."""

    name: str  # for files that hold all of it
    images: dict[str, Readable]  # by frame
    sizes: list[tuple[int, int]]  # height and width of each image
    times: Sequence[float]  # of the frames, seconds
    fps: float  # frames per second
    poses: np.ndarray | None = None  # measured T_world_camera [N, 4, 4], metres, where every frame has one
    consecutive: bool = True  # whether the images follow each other in time
    camera: Camera | None = None  # of the images, where the source itself says
    labels: Mapping[str, Readable] = field(default_factory=dict)  # label maps by frame, where there are any


def predict(
    checkpoint: Path,
    input: Path,
    output: Path,
    save: str = "depth,color",
    camera: Path | None = None,
    precision: Precision = "32",
) -> None:
    """Predict depth of each frame, write it and print what was written and what its unit is.

    Frames are read, predicted and written one at a time, so that a video of any length fits in memory. Colors mean
    the same depth in each frame: their range comes from up to 16 frames spread over the clip, predicted beforehand.

    Args:
        checkpoint: the folder that training wrote, or another project's checkpoint (see `load`).
        input: an image, a folder of images, a clip in the folder contract, or a video.
        output: the folder to write to.
        save: what to write, separated by commas:
            `depth`: depth/NAME.npz and depth/NAME.png (16 bit, metres x 256) for each frame;
            `color`: color/NAME.png for each frame, inverse depth in colors;
            `video`: <input's name>.mp4, the images over their depth in colors;
            `cloud`: cloud/NAME.ply for each frame, its pixels as colored points; needs a camera.
        camera: a camera.yaml for the size of the images. If left out, it is looked for in an input folder, or beside
            an input file under its name with the suffix .yaml; without one, the camera is the one that the data set
            tells, or else the one that the checkpoint has learned for images of this size.
        precision: of the depth network's arithmetic, see `load`.

    Raises InputError before anything is written, unless a frame turns out to be damaged when its turn comes.
    """
    kinds = _kinds(save)
    footage = find_footage(input)
    predictor = load(checkpoint, precision=precision)
    known, learned = known_camera(footage, input, predictor.meta, camera)
    if known is None and "cloud" in kinds:
        raise InputError(f"{input}: no camera is known, but point clouds need one; name its file with --camera")
    if predictor.run.networks.depth.label_classes is not None:
        for name, image in footage.images.items():
            label_map(image, footage.labels.get(name))
    if "video" in kinds:
        _check_sizes(footage, *footage.sizes[0], "the first one is", "a video needs images of one size")
    places = {kind: output / (f"{footage.name}.mp4" if kind == "video" else kind) for kind in kinds}
    _check_places(input, output, list(places.values()))
    make_folder(output)
    _write(predictor, footage, known, places)
    _report(predictor, len(footage.images), places)
    if learned is not None:
        print(f"camera, learned with the networks: {learned}")


def find_footage(path: Path) -> Footage:
    """What there is to predict at `path`. Raises InputError if that is nothing."""
    require(path, "an image, a folder of images, a clip's folder or a video")
    if not path.is_dir() and path.suffix.lower() not in IMAGES:
        info = probe(path)
        frames: dict[str, Readable] = {f"{index:06d}": VideoFrame(path, index) for index in range(info.frames)}
        return Footage(path.stem, frames, [(info.height, info.width)] * info.frames, info.times, float(info.fps))
    if (path / "frames.csv").exists():
        return _of_clip(path, read_clip(path))
    if path.absolute().parent.name == "sequences" and (path / "calib.txt").exists():
        return _of_clip(path, *source_at(path, "kitti_odometry").clips())
    if path.is_dir():
        folder = path / "frames" if (path / "frames").is_dir() else path
        images = dict(required(folder, IMAGES, ImageFile, "images"))
    else:
        images = {path.stem: ImageFile(path)}
    name = path.resolve().name if path.is_dir() else path.stem
    sizes = [image_size(image.path) for image in images.values()]
    return Footage(name, dict(images), sizes, [i / IMAGES_PER_SECOND for i in range(len(images))], IMAGES_PER_SECOND)


def _of_clip(path: Path, clip: Clip) -> Footage:
    """The images of a clip that was found at `path`."""
    times = [frame.time for frame in clip.frames]
    timed = len(times) > 1 and not clip.independent
    poses = [frame.pose for frame in clip.frames if frame.pose is not None]
    return Footage(
        name=path.resolve().name,
        images={frame.name: frame.image for frame in clip.frames},
        sizes=[(clip.camera.height, clip.camera.width)] * len(times),
        times=times,
        fps=(len(times) - 1) / (times[-1] - times[0]) if timed else IMAGES_PER_SECOND,
        poses=np.stack(poses) if len(poses) == len(times) else None,
        consecutive=not clip.independent,
        camera=clip.camera if clip.missing_camera is None else None,
        labels={frame.name: frame.semantic for frame in clip.frames if frame.semantic is not None},
    )


def _kinds(save: str) -> list[str]:
    """The kinds of files in the order of KINDS."""
    wanted = [kind.strip() for kind in save.split(",")]
    for kind in wanted:
        if kind not in KINDS:
            raise InputError(f"--save: cannot save '{kind}': {nearest(kind, list(KINDS))}")
    return [kind for kind in KINDS if kind in wanted]


def known_camera(
    footage: Footage, path: Path, meta: Meta, file: Path | None = None
) -> tuple[Camera | None, LearnedCamera | None]:
    """The camera of what was found at `path`, None if nothing tells it; and what it was learned as, if it was.

    It is that of the camera file, or else of one that lies with the source, or else of the source itself, or else one
    that was learned with the checkpoint.

    Raises InputError if a camera file is for images of another size.
    """
    file = file or _camera_beside(path)
    if file is not None:
        camera = read_camera(file).camera
        _check_sizes(footage, camera.height, camera.width, f"{file} is for", "give the camera of these images")
        return camera, None
    sizes = set(footage.sizes)
    learned = None if footage.camera or len(sizes) > 1 else meta.camera_for(*sizes.pop())
    return learned.camera if learned else footage.camera, learned


def _camera_beside(path: Path) -> Path | None:
    """The camera file that lies with an input, if there is one."""
    file = path / "camera.yaml" if path.is_dir() else path.with_suffix(".yaml")
    return file if file.exists() else None


def _check_sizes(footage: Footage, height: int, width: int, whose: str, advice: str) -> None:
    """Raise InputError for the first image that is not of this size."""
    for image, size in zip(footage.images.values(), footage.sizes, strict=True):
        if size != (height, width):
            raise InputError(f"{image.path}: is {size[1]}x{size[0]} pixels, but {whose} {width}x{height}; {advice}")


def _check_places(path: Path, output: Path, places: list[Path]) -> None:
    """Raise InputError if writing would touch what is read, such as a clip's measured depth."""
    written = {place.resolve() for place in places}
    holds_clip = any((output / name).exists() for name in ("camera.yaml", "frames.csv", "frames"))
    if holds_clip or path.resolve() in {output.resolve(), *written} or path.resolve().parent in written:
        raise InputError(
            f"{output}: predictions would be written into a clip's data or over the input {path}; name another folder"
        )


def _write(predictor: Predictor, footage: Footage, camera: Camera | None, places: dict[str, Path]) -> None:
    """Predict and write all frames."""

    def labels(name: str) -> np.ndarray | None:
        return predictor.labels(footage.images[name], footage.labels.get(name))

    def small(name: str) -> np.ndarray:
        """Inverse depth at the network's size."""
        image = image_tensor(footage.images[name].read())
        return predictor.inv_depth(image, label_tensor(labels(name))).cpu().numpy()

    names = list(footage.images)
    low = high = 0.0
    if "color" in places or "video" in places:
        chosen = names[:: math.ceil(len(names) / SAMPLES)]
        low, high = color_range([small(name) for name in progress(chosen, "colors", len(chosen))])
    with ExitStack() as stack:
        append = stack.enter_context(video_writer(places["video"], footage.fps)) if "video" in places else None
        for name, image in progress(footage.images.items(), "depth", len(names)):
            rgb = image.read()
            prediction = predictor.predict(rgb, camera, labels=labels(name))
            colors = colorize(prediction.inv_depth, low, high)
            if "depth" in places:
                write_depth_npz(places["depth"] / f"{name}.npz", prediction)
                write_depth_png(places["depth"] / f"{name}.png", prediction.depth)
            if "color" in places:
                write_image(places["color"] / f"{name}.png", colors)
            if append is not None:
                append(above(rgb, colors))
            if "cloud" in places and camera is not None:
                write_cloud(places["cloud"] / f"{name}.ply", prediction.depth, rgb, camera)


def progress(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """`items`, with a progress bar on standard error."""
    return track(items, description=what, total=total, console=Console(stderr=True))


def _report(predictor: Predictor, frames: int, places: dict[str, Path]) -> None:
    what = {"depth": "depth as npz and 16-bit png", "color": "colors", "video": "video", "cloud": "point clouds"}
    for kind, place in places.items():
        print(f"{what[kind]} of {frames} frame{'' if frames == 1 else 's'}: {place}")
    print(f"depth is {depth_unit(predictor.meta.metric, predictor.meta.scale_source)}")
