"""The work behind the widgets of the app, by the same functions as `packdepth predict`. Nothing here imports gradio."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np

from packdepth.color import color_range
from packdepth.errors import InputError
from packdepth.html import STYLE, cloud
from packdepth.html.page import SCRIPT
from packdepth.inference.base import BasePredictor
from packdepth.inference.cameras import CameraAdvice, camera_for_points, scale_of_points
from packdepth.inference.load import load
from packdepth.inference.options import AppOptions
from packdepth.inference.pictures import with_bar
from packdepth.inference.run import predict
from packdepth.records import Clip, Prediction
from packdepth.sources.open import open_clips

CLOUD_REACH = 4.0  # greatest depth of the points that are shown, over the median depth; chosen by eye on road scenes
FRAME_STYLE = (
    "html, body { height: 100%; margin: 0; padding: 0; max-width: none; overflow: hidden } "
    ".cloud { height: 100%; max-height: none }"
)
IFRAME_STYLE = "display: block; width: 100%; height: 420px; border: 0"
STORED_SECONDS = 3600  # for which files of a page that was left are kept
WRITTEN = "answer-"  # beginning of the names of folders with files that are served
ADVICE = CameraAdvice("state its field of view", "state its field of view if it is another")
FLIP_GAIN = "better at the borders"  # of predictions that are fused with those of mirrored images
NO_CAMERA = "No points: the camera of the image is not known; state its field of view, or train on this camera."


@dataclass(frozen=True, eq=False)
class Dropped:
    """An image or a video that somebody has dropped.

    >>> from packdepth.geometry.camera import Camera
    >>> Dropped(Clip("images/a", Path("a.png"), Camera.from_fov(60, 640, 192), frames=())).note
    ''
    """

    clip: Clip  # its frames, up to the limit
    note: str = ""  # a sentence on the frames that were left out


@dataclass(frozen=True, eq=False)
class Answer:
    """Everything that the page shows of a frame.

    >>> Answer(np.zeros((1, 1, 3), np.uint8), "metric", None, ()).cloud is None
    True
    """

    picture: np.ndarray  # [H, W, 3] uint8, depth in colors with a bar
    words: str  # what depth means, and what is missing
    cloud: str | None  # HTML of its points; None without a camera
    downloads: tuple[Path, ...]  # depth as npz, and as png16 and ply if that is possible


class Workshop:
    """The networks of the app, and the folder that its files are written to.

    Args:
        checkpoints: checkpoints and exported files.
        folder: an existing folder for what is written; its content is served.
        options: limits.
        runtime: what computes exported files, as in `load`.

    Raises InputError if a checkpoint cannot be read.
    """

    def __init__(
        self, checkpoints: Sequence[Path], folder: Path, options: AppOptions, runtime: str | None = None
    ) -> None:
        self.folder, self.options = folder, options
        self._runtime = runtime
        self._paths: Mapping[str, Path] = {str(path): path for path in checkpoints}
        self._predictors: Mapping[str, BasePredictor] = {
            name: load(path, runtime=runtime) for name, path in self._paths.items()
        }
        self._lock = threading.Lock()  # networks are computed one at a time: they take all cores

    @property
    def names(self) -> list[str]:
        """The names of the checkpoints."""
        return list(self._paths)

    def about_flip(self, checkpoint: str) -> str:
        """Return what fusion with the mirrored image does to the predictions of a checkpoint, in words.

        Args:
            checkpoint: name of the checkpoint.
        """
        return self._predictor(checkpoint).flip_note or FLIP_GAIN

    def open(self, path: Path, fov: float | None = None) -> Dropped:
        """Return what somebody has dropped, cut to the limit of frames.

        Args:
            path: an image or a video.
            fov: its horizontal field of view in degrees; None if it is not known.

        Raises InputError if it is too large, or if it is no image and no video.
        """
        size = path.stat().st_size / 1e6
        if size > self.options.max_megabytes:
            raise InputError(
                f"{path.name}: has {size:.0f} MB, more than the {self.options.max_megabytes:g} MB that this app takes "
                f"(--max-megabytes); use packdepth predict for it"
            )
        try:
            (clip,) = open_clips(path, fov=fov)
        except InputError as error:
            raise InputError(str(error).replace(f"{path.parent}/", "")) from None
        most, count = self.options.max_frames, len(clip.frames)
        note = f"These are the first {most} of {count} frames (--max-frames)." if count > most else ""
        return Dropped(replace(clip, frames=clip.frames[:most]), note)

    def depth(self, checkpoint: str, dropped: Dropped, index: int, flip: bool = False) -> Prediction:
        """Return the depth of a frame.

        Args:
            checkpoint: name of the checkpoint.
            dropped: the image or video, as `open` returns it.
            index: index of the frame.
            flip: fuse the prediction with that of the mirrored image.

        Raises InputError if the frame cannot be read, or if the network needs label maps.
        """
        predictor = self._predictor(checkpoint)
        clip = dropped.clip
        frame = clip.frames[min(index, len(clip.frames) - 1)]
        with self._lock:
            one = replace(clip, frames=(frame,))
            return next(predictor.predict_clip(one, camera_for_points(clip, predictor.meta), flip=flip))

    def answer(self, checkpoint: str, dropped: Dropped, index: int, prediction: Prediction) -> Answer:
        """Return what the page shows of a prediction, and write its files.

        Args:
            checkpoint: name of the checkpoint.
            dropped: the image or video.
            index: index of the frame.
            prediction: its prediction.
        """
        predictor, clip = self._predictor(checkpoint), dropped.clip
        meta = predictor.meta
        scale = scale_of_points(clip, camera_for_points(clip, meta), meta, ADVICE)
        words = f"Depth is {scale}. {dropped.note}".rstrip()
        frame = clip.frames[min(index, len(clip.frames) - 1)].name
        name = frame if len(clip.frames) == 1 else f"{clip.short_name}-{frame}"
        place = self._new_folder() / name
        downloads = written(prediction, place)
        if prediction.camera is None:
            return Answer(picture_of(prediction), f"{words} {NO_CAMERA}", None, downloads)
        return Answer(picture_of(prediction), words, cloud_frame(prediction), downloads)

    def video(self, checkpoint: str, path: Path, fov: float | None = None, flip: bool = False) -> Path:
        """Write a video of the images beside their depth, up to the limit of frames, and return it.

        Args:
            checkpoint: name of the checkpoint.
            path: the video.
            fov: its horizontal field of view in degrees; None if it is not known.
            flip: fuse each prediction with that of the mirrored image.

        Raises InputError as `packdepth predict --save video` does.
        """
        clip = self.open(path, fov).clip
        output = self._new_folder()
        options = [f"frames=[0, {len(clip.frames)}]"]
        with self._lock:
            predict(
                self._paths[checkpoint], path, output, "video", options=options, flip=flip, fov=fov,
                runtime=self._runtime,
            )  # fmt: skip
        return next(output.glob("*.mp4"))

    def _new_folder(self) -> Path:
        """Return a new folder for files that are served, and remove those that are too old."""
        for folder in self.folder.glob(f"{WRITTEN}*"):
            if time.time() - folder.stat().st_mtime > STORED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=WRITTEN, dir=self.folder))

    def _predictor(self, name: str) -> BasePredictor:
        """Return a predictor by its name. Raises InputError for a name that is not on the page."""
        if name not in self._predictors:
            raise InputError(f"{name}: is no checkpoint of this app; choose {' or '.join(self._predictors)}")
        return self._predictors[name]


def picture_of(prediction: Prediction) -> np.ndarray:
    """Return the depth of a prediction in colors, with a bar at its right.

    Args:
        prediction: the prediction.
    """
    limits = color_range([prediction.inv_depth])
    return with_bar(prediction.color(*limits), *limits, "dusk", prediction.metric)


def distance_at(prediction: Prediction, x: int, y: int) -> str:
    """Return how far the point at a pixel is, in words.

    Args:
        prediction: the prediction.
        x: column of the pixel.
        y: row of the pixel.

    >>> depth = np.full((2, 2), 4.0, np.float32)
    >>> image = np.zeros((2, 2, 3), np.uint8)
    >>> distance_at(Prediction(depth, 1 / depth, True, "stereo", image), 1, 0)
    'Pixel (1, 0): 4.00 m ahead.'
    >>> distance_at(Prediction(depth, 1 / depth, True, "stereo", image), 2, 0)
    'There is no depth at (2, 0); click into the picture.'
    """
    height, width = prediction.depth.shape
    if not (0 <= x < width and 0 <= y < height):
        return f"There is no depth at ({x}, {y}); click into the picture."
    z = float(prediction.depth[y, x])
    unit = " m" if prediction.metric else ""
    words = f"Pixel ({x}, {y}): {z:.3g}{unit} ahead" if z >= 100 else f"Pixel ({x}, {y}): {z:.2f}{unit} ahead"
    if prediction.camera is not None:
        fx, fy, cx, cy = prediction.camera.numbers
        distance = z * float(np.sqrt(1 + ((x - cx) / fx) ** 2 + ((y - cy) / fy) ** 2))
        words += f", {distance:.2f}{unit} from the camera in a straight line"
    if prediction.confidence is not None:
        words += f", confidence {prediction.confidence[y, x]:.2f}"
    return f"{words}." if prediction.metric else f"{words} (in an unknown unit: depth is up to a factor)."


def written(prediction: Prediction, place: Path) -> tuple[Path, ...]:
    """Write a prediction as npz and, if that is possible, as 16-bit png (metric) and ply (camera); return the files.

    Args:
        prediction: the prediction.
        place: path of the files, without a suffix.
    """
    suffixes = [".npz", *([".png"] if prediction.metric else []), *([".ply"] if prediction.camera is not None else [])]
    files = tuple(place.parent / f"{place.name}{suffix}" for suffix in suffixes)
    for file in files:
        prediction.save(file, reliable=file.suffix == ".ply")
    return files


def cloud_frame(prediction: Prediction) -> str:
    """Return HTML that shows the points of a prediction that are reliable and not far, to be turned.

    It is a page of its own in a frame, so that its script runs wherever the HTML is inserted.

    Args:
        prediction: a prediction with a camera.
    """
    reach = CLOUD_REACH * float(np.median(prediction.depth))
    points, colors, _ = prediction.cloud(reach, reliable=True)
    canvas = cloud("points", points, colors)
    page = f"<!doctype html><style>{STYLE}{FRAME_STYLE}</style>{canvas}<script>{SCRIPT}</script>"
    return f'<iframe title="points" style="{IFRAME_STYLE}" srcdoc="{escape(page)}"></iframe>'
