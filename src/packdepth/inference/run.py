"""Prediction of depth for a path of any kind, written to files: `packdepth predict`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from packdepth.blocks import nearest
from packdepth.checkpoint import Meta
from packdepth.color import color_range
from packdepth.config import Precision
from packdepth.data.label_maps import check_labeled
from packdepth.errors import InputError, check_least
from packdepth.files import say_replaced
from packdepth.geometry.camera import Camera
from packdepth.inference.base import BasePredictor, say_flip_note
from packdepth.inference.cameras import (
    ASSUMED,
    camera_for_points,
    is_metric_for,
    known_camera,
    learned_camera,
    match_clip,
    scale_of_clip,
    scale_of_points,
)
from packdepth.inference.load import load
from packdepth.inference.options import PICTURES, POINTS, SAVED, PictureOptions, PointOptions
from packdepth.inference.trajectory import check_trajectory, trajectory, trajectory_origin
from packdepth.inference.writers import ClipFacts, Writer, all_writers
from packdepth.ownership import owned
from packdepth.progress import progress
from packdepth.records import Clip
from packdepth.sources.open import check_names, open_clips

SAMPLES = 16  # maximum number of frames, spread over a clip, from which its range of colors is computed
IMAGES_PER_SECOND = 10.0  # frame rate of a video that is written from images without times; chosen by eye
LIST_SUFFIX = ".txt"  # suffix of lists of inputs


@dataclass(frozen=True)
class Job:
    """A clip to predict, and the files and folders to write."""

    clip: Clip  # clip to predict
    camera: Camera | None  # the camera of its images, if one is known
    folder: Path  # the output folder of the clip
    places: dict[type[Writer], Path]  # the file or folder of each writer


@dataclass(frozen=True)
class Asked:
    """Options of the prediction of an input, and of the files to write; as those of `predict`.

    >>> Asked(flip=True).save
    'depth,color'
    """

    save: str = SAVED  # kinds of files to write, separated by commas
    camera: Path | None = None  # calibration file
    kind: str | None = None  # kind of the source; None recognizes it
    options: tuple[str, ...] = ()  # options of the source, each as key=value
    flip: bool = False  # whether predictions are fused with those of mirrored images
    points: PointOptions = POINTS  # options of point clouds and maps
    pictures: PictureOptions = PICTURES  # options of pictures and videos
    fov: float | None = None  # horizontal field of view of images without calibration, in degrees


def predict(
    checkpoint: Path,
    input: Path,
    output: Path,
    save: str = SAVED,
    camera: Path | None = None,
    precision: Precision = "32",
    kind: str | None = None,
    options: Sequence[str] = (),
    flip: bool = False,
    points: PointOptions = POINTS,
    pictures: PictureOptions = PICTURES,
    fov: float | None = None,
    runtime: str | None = None,
    batch: int = 1,
) -> None:
    """Predict depth of each frame, write it, and print what was written and the unit of depth.

    Frames are read, predicted and written a few at a time, so that a video of any length fits in memory. A color means
    the same depth in each frame of a clip. For this, up to 16 frames spread over the clip are predicted beforehand.

    Args:
        checkpoint: the folder that training wrote, another project's checkpoint, or an exported file (see `load`).
        input: an image, a folder of images, a video or a data set: anything that `packdepth.open` opens.
        output: the folder to write to. If there are several clips, each gets a subfolder with its name.
        save: the kinds of files to write, separated by commas:
            `depth`: depth/NAME.npz and, if depth is metric, depth/NAME.png (16 bit, metres x 256) for each frame;
            `exr`, `tiff`, `png16`: exr/NAME.exr, tiff/NAME.tiff (32-bit floats), png16/NAME.png for each frame;
            `color`: color/NAME.png for each frame, inverse depth in colors;
            `video`: <input's name>.mp4, each image above its depth in colors;
            `cloud`: cloud/NAME.ply for each frame, its pixels as colored points; needs a camera;
            `map`: map.ply, one cloud of the whole clip; needs a camera and consecutive frames.
        camera: a calibration file for the size of the images. If left out, it is looked for in an input folder, or
            beside an input file; without one, the camera is that of the data set, or else the one that the checkpoint
            has learned for images of this size. Images of a lens are undistorted before they are predicted.
        precision: the precision of the depth network, as in `load`.
        kind: the kind of source; if left out, it is recognized by the content.
        options: options of the source, each as `key=value`.
        flip: fuse each prediction with that of the mirrored image, and cut points from clouds where the two differ.
        points: options of point clouds and maps.
        pictures: options of pictures and videos.
        fov: horizontal field of view of images without calibration, in degrees, in place of `camera`.
        runtime: what computes an exported file, as in `load`.
        batch: number of images in a call of the depth network; of more than one, the next are read meanwhile.

    Raises InputError before anything is written, unless a frame turns out to be damaged when its turn comes.
    """
    asked = Asked(save, camera, kind, tuple(options), flip, points, pictures, fov)
    check_asked(asked, batch)
    clips = open_clips(input, kind, options, camera, fov)
    predictor = load(checkpoint, precision=precision, runtime=runtime)
    predictor.batch = batch
    points.check_confidence(predictor.has_confidence, checkpoint)
    lines = predict_clips(predictor, clips, input, output, asked)
    print("\n".join([*lines, *last_lines(predictor.meta, clips, points)]))


def is_list(path: Path) -> bool:
    """Return whether an input is a list of inputs: a text file.

    Args:
        path: the input.

    >>> is_list(Path("drive.mp4"))
    False
    """
    return path.suffix.lower() == LIST_SUFFIX and path.is_file()


def check_asked(asked: Asked, batch: int) -> None:
    """Raise InputError for options that suit no input.

    Args:
        asked: the options.
        batch: number of images in a call of the depth network.
    """
    check_least("batch", batch, 1)
    asked.points.check()
    _chosen(asked.save)


def predict_clips(
    predictor: BasePredictor, clips: Sequence[Clip], input: Path, output: Path, asked: Asked
) -> list[str]:
    """Predict the clips of an input, write the predictions, and return lines that say what was written.

    Args:
        predictor: the predictor.
        clips: the clips of the input.
        input: the path of the input.
        output: the folder to write to.
        asked: what to write.

    Raises InputError before anything is written, unless a frame turns out to be damaged when its turn comes.
    """
    writers = _chosen(asked.save)
    jobs = _jobs(clips, input, output, writers, predictor)
    for job in jobs:
        _check(job, input, predictor)
    if predictor.label_classes is not None:
        check_labeled(clips, predictor.meta.label_classes)
    say_flip_note(predictor, asked.flip)
    with owned(output):
        say_replaced(place for job in jobs for place in job.places.values())
        return [line for job in jobs for line in _write(predictor, job, asked.flip, asked.points, asked.pictures)]


def _chosen(save: str) -> list[type[Writer]]:
    """Return the writers that --save names, in the order of `all_writers`."""
    known = all_writers()
    wanted = [kind.strip() for kind in save.split(",")]
    for kind in wanted:
        if kind not in known:
            raise InputError(f"--save: cannot save '{kind}': {nearest(kind, list(known))}")
    return [writer for kind, writer in known.items() if kind in wanted]


def _jobs(
    clips: Sequence[Clip], path: Path, output: Path, writers: Sequence[type[Writer]], predictor: BasePredictor
) -> list[Job]:
    """Return a job for each clip. Raises InputError if two clips have one name."""
    check_names(clips, path, "predict")
    jobs = []
    for clip in clips:
        folder, name = output / clip.short_name, clip.short_name
        if len(clips) == 1:
            folder, name = output, path.resolve().name if path.is_dir() else path.stem
        places = {writer: writer.place(folder, name) for writer in writers}
        find = camera_for_points if any(writer.needs_camera for writer in writers) else known_camera
        jobs.append(Job(clip, find(clip, predictor.meta), folder, places))
    return jobs


def _check(job: Job, path: Path, predictor: BasePredictor) -> None:
    """Raise InputError if a writer cannot write the clip, or would overwrite the input."""
    clip = job.clip
    for writer in job.places:
        if writer.needs_metric and not is_metric_for(clip, predictor.meta):
            raise InputError(
                f"--save {writer.kind}: {writer.content} holds metres x 256; save depth, tiff or exr, as depth is "
                f"{scale_of_clip(clip, predictor.meta)}"
            )
        if writer.needs_poses:
            check_trajectory(predictor, clip, writer.content)
        if writer.needs_camera and job.camera is None:
            raise InputError(
                f"{clip.path}: no camera is known, but --save {writer.kind} needs one; name its file with --camera, "
                f"or its field of view with --fov"
            )
        if writer.needs_one_size:
            height, width = clip.image_size(clip.frames[0])
            for frame in clip.frames:
                if clip.image_size(frame) != (height, width):
                    other_height, other_width = clip.image_size(frame)
                    raise InputError(
                        f"{frame.image.path}: is {other_width}x{other_height} pixels, but the first one is "
                        f"{width}x{height}; a {writer.content} needs images of one size"
                    )
    written = {place.resolve() for place in job.places.values()}
    holds_clip = any((job.folder / name).exists() for name in ("camera.yaml", "frames.csv", "frames"))
    for read in {path.resolve(), clip.path.resolve()}:
        if holds_clip or read in {job.folder.resolve(), *written} or read.parent in written:
            raise InputError(
                f"{job.folder}: predictions would be written into a clip's data or over the input {path}; "
                f"name another folder"
            )
    names = {frame.name for frame in clip.frames}
    for place in job.places.values():
        found = sorted(file for file in place.iterdir() if file.name[0] != ".") if place.is_dir() else []
        others = [file.name for file in found if file.stem not in names]
        if others:
            raise InputError(
                f"{place}: holds files of other frames, such as {others[0]}, with which these predictions would be "
                f"mixed; name another folder, or remove it"
            )


def _write(predictor: BasePredictor, job: Job, flip: bool, points: PointOptions, pictures: PictureOptions) -> list[str]:
    """Predict and write all frames of a clip, and return lines that say what was written."""
    frames, colors = job.clip.frames, (0.0, 0.0)
    if any(writer.needs_colors for writer in job.places):
        chosen = frames[:: math.ceil(len(frames) / SAMPLES)]
        maps = [
            predictor.network_inv_depth(frame.image.read(), predictor.labels(frame.image, frame.semantic))
            for frame in progress(chosen, "colors", len(chosen))
        ]
        colors = color_range([each / match_clip(job.clip, predictor.meta).factor for each in maps])
    poses: Sequence[np.ndarray | None] = [None] * len(frames)
    origin = "unknown"
    if any(writer.needs_poses for writer in job.places):
        poses = list(progress(trajectory(predictor, job.clip, job.camera), "poses", len(frames)))
        origin = trajectory_origin(predictor, job.clip, job.camera)
    times = () if job.clip.independent else tuple(frame.time for frame in frames)
    metric = is_metric_for(job.clip, predictor.meta)
    facts = ClipFacts(frames_per_second(job.clip), times, colors, origin, metric)
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(place, facts, points, pictures)) for writer, place in job.places.items()]
        predictions = predictor.predict_clip(job.clip, job.camera, flip=flip)
        for frame, pose, prediction in progress(zip(frames, poses, predictions, strict=True), "depth", len(frames)):
            for each in writers:
                each.append(frame.name, replace(prediction, pose=pose, metric=metric))
    lines = [each.summary(len(frames)) for each in writers]
    said = scale_of_clip(job.clip, predictor.meta)  # by `last_lines`
    if scale_of_points(job.clip, job.camera, predictor.meta) != said:
        lines.append(f"{job.clip.path}: {ASSUMED}")
    return lines


def frames_per_second(clip: Clip) -> float:
    """Return the frame rate of the video that is written for a clip.

    Args:
        clip: the clip.

    Returns:
        Frames per second: the nominal rate if the clip is a video, else the mean rate according to the frames' times,
        else, without times, `IMAGES_PER_SECOND`.
    """
    if clip.rate is not None:
        return clip.rate
    times = [frame.time for frame in clip.frames]
    if clip.independent or len(times) < 2:
        return IMAGES_PER_SECOND
    return (len(times) - 1) / (times[-1] - times[0])


def last_lines(meta: Meta, clips: Sequence[Clip], points: PointOptions) -> list[str]:
    """Return the lines that state corrections, the unit of depth and of the lengths that options give, and cameras.

    Args:
        meta: the description of the checkpoint.
        clips: the predicted clips.
        points: options of point clouds.
    """
    lines = [f"{clip.path}: {clip.corrected}" for clip in clips if clip.corrected is not None]
    lines += [f"depth is {scale}" for scale in dict.fromkeys(scale_of_clip(clip, meta) for clip in clips)]
    lengths = {"--max-depth": points.max_depth, "--thin": points.thin}
    given = [f"{option} {value:g}" for option, value in lengths.items() if value is not None]
    if given and not all(is_metric_for(clip, meta) for clip in clips):
        lines.append(f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} in the unknown unit of this depth")
    learned = dict.fromkeys(str(each) for clip in clips if (each := learned_camera(clip, meta)) is not None)
    return [*lines, *(f"camera of the checkpoint: {each}" for each in learned)]
