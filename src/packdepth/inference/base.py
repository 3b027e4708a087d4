"""The predictor of depth, whatever computes its networks. Importing this module does not import torch."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from packdepth.checkpoint import Meta
from packdepth.data.label_maps import check_guiding_classes, label_map, read_label_map
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.inference.ahead import read_ahead
from packdepth.inference.cameras import known_camera, match_camera
from packdepth.inference.options import RECONNECT_SECONDS
from packdepth.inference.stream import FeedOptions, PredictionStream, open_feed
from packdepth.records import Clip, Prediction, Readable
from packdepth.sources.files import ImageFile
from packdepth.sources.open import open_clips
from packdepth.sources.stills import check_mode, upright

Image = str | Path | PIL.Image.Image | np.ndarray

BATCH = 8  # number of images in a call of the depth network, unless more are asked for: so many fit in memory


class ImageMaps(NamedTuple):
    """The maps that are predicted for an image, at its size."""

    inv_depth: np.ndarray  # [H, W] float32, 1/metres, not corrected for the focal length
    disagreement: np.ndarray | None  # [H, W] float32, relative difference from the mirrored image's; None without flip
    confidence: np.ndarray | None  # [H, W] float32 in [0, 1]; None if the network predicts none


class BasePredictor(ABC):
    """A predictor of depth: images in, predictions out. Subclasses compute the maps, in torch or in another runtime.

    Attributes:
        meta: the description of the checkpoint.
        batch: number of frames of a clip in a call of the depth network.
    """

    meta: Meta
    batch: int = 1

    @property
    @abstractmethod
    def image_size(self) -> tuple[int, int]:
        """Height and width of the depth network's input, in pixels."""

    @property
    @abstractmethod
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the depth network; None without label maps."""

    @property
    @abstractmethod
    def has_confidence(self) -> bool:
        """Whether the depth network predicts confidence."""

    @property
    @abstractmethod
    def pose_offsets(self) -> tuple[int, ...]:
        """The offsets of the context frames of the ego-motion network, in frames; empty without such a network."""

    @property
    def frame_step(self) -> int:
        """The distance of the frames between which the ego-motion network has learned motion, in frames.

        It is 1 if it is not known. For a clip of another frame rate than that of the training, `frame_step` of
        `inference.trajectory` converts it.
        """
        return 1

    @property
    def has_pose(self) -> bool:
        """Whether there is a network that predicts ego-motion."""
        return len(self.pose_offsets) > 0

    @property
    def aligns_motions(self) -> bool:
        """Whether `motions` can be aligned with the predicted depth."""
        return self.label_classes is None

    @property
    def pose_advice(self) -> str:
        """The advice if there is no network that predicts ego-motion, after "no measured poses" in a sentence."""
        return ", and the checkpoint holds no pose network; give poses, or a checkpoint that was trained with one"

    @property
    def flip_note(self) -> str | None:
        """A sentence on why fusion with the mirror image is no gain for this network; None if nothing is known."""
        return None

    @abstractmethod
    def image_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], flip: bool
    ) -> list[ImageMaps]:
        """Return the maps of images, in one call of the depth network.

        Args:
            images: images [H, W, 3] float32, RGB in [0, 1], of any sizes.
            labels: the label map [H, W] uint8 of each image, if label maps guide the depth network.
            flip: fuse each prediction with that of the mirrored image.

        Raises InputError if label maps guide the depth network but are missing or differ in size.
        """

    @abstractmethod
    def network_inv_depth(self, image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return the inverse depth [h, w] float32 (1/metres) of an image at the network's size.

        Args:
            image: an image [H, W, 3], uint8 or float in [0, 1].
            labels: its label map [H, W] uint8, if label maps guide the depth network.
        """

    @abstractmethod
    def motions(self, images: Iterable[Image], camera: Camera | None = None, step: int = 1) -> Iterator[np.ndarray]:
        """Yield the motions of `ego_motion`, each [4, 4], of a video of any length in constant memory.

        Args:
            images: frames as in `ego_motion`.
            camera: the camera of the images. If given, each motion is refined: it minimizes the difference between the
                frame and its synthesis from the later frame (`geometry.align`). It then has the scale of the depth.
            step: the distance of the frames of each motion, in frames: with 3, the motions are those from the first
                frame to the fourth, from the second to the fifth, and so on.

        Raises InputError without a pose network, for a camera of another size, and as `ego_motion` does.
        """

    def predict(
        self, image: Image, camera: Camera | None = None, *, flip: bool = False, labels: np.ndarray | None = None
    ) -> Prediction:
        """Predict the depth of one image at its own resolution.

        Args:
            image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1].
            camera: the camera of the image, a `packdepth.Camera`. Without it, the image is taken for one of the trained
                camera if it has the size of its images. Depth is corrected for another focal length; the prediction is
                not metric if the camera differs too much (see `inference.cameras.match_camera`). `Prediction.points`
                needs a camera.
            flip: fuse the prediction with that of the mirrored image; better at the borders, twice the time.
            labels: class ids [H, W] uint8 of the image, if label maps guide the depth network.

        Raises InputError if the image cannot be used, if the camera is no `Camera`, a batch of them or one for another
        size, and if label maps guide the depth network but `labels` are missing or differ in size.
        """
        (prediction,) = self.predict_batch([image], camera, flip=flip, labels=[labels])
        return prediction

    def predict_batch(
        self,
        images: np.ndarray | Iterable[Image],
        camera: Camera | Sequence[Camera | None] | None = None,
        *,
        flip: bool = False,
        labels: Sequence[np.ndarray | None] | None = None,
    ) -> list[Prediction]:
        """Predict the depth of several images, each at its own resolution.

        The images are resized to the size of the depth network, which processes up to `BATCH` of them at a time. Each
        prediction equals that of `predict` up to the rounding of floats.

        Args:
            images: an array [B, H, W, 3] (RGB, uint8 or float in [0, 1]), or images as `predict` takes them, of any
                sizes: a list, or an iterator, which is read as a whole.
            camera: the camera of all images, or a list with one for each, in which None stands for no camera.
            flip: fuse each prediction with that of the mirrored image; better at the borders, twice the time.
            labels: the label map [H, W] uint8 of each image, if label maps guide the depth network.

        Raises InputError as `predict` does, and if the numbers of images, cameras and label maps differ.
        """
        check_several(images, "a batch is an array [B, H, W, 3]")
        if not isinstance(images, (np.ndarray, Sequence)):
            images = list(images)
        given = camera if isinstance(camera, Sequence) else [camera] * len(images)
        cameras = [checked_camera(each) for each in given]
        maps = [None] * len(images) if labels is None else labels
        if not len(images) == len(cameras) == len(maps):
            raise InputError(
                f"a batch of {len(images)} images comes with {len(cameras)} cameras and {len(maps)} label maps; "
                f"give one for each image"
            )
        size = max(BATCH, self.batch)
        return [
            prediction
            for start in range(0, len(images), size)
            for prediction in self._predictions(
                images[start : start + size], cameras[start : start + size], maps[start : start + size], flip
            )
        ]

    def _predictions(
        self,
        images: Sequence[Image] | np.ndarray,
        cameras: Sequence[Camera | None],
        labels: Sequence[np.ndarray | None],
        flip: bool,
    ) -> list[Prediction]:
        """Return the predictions of images, in one call of the depth network."""
        pixels = [checked_size(image_pixels(image), camera) for image, camera in zip(images, cameras, strict=True)]
        predictions = []
        for image, camera, maps in zip(pixels, cameras, self.image_maps(pixels, labels, flip), strict=True):
            match = match_camera(camera, image.shape[0], image.shape[1], self.meta)
            inv_depth = np.maximum(maps.inv_depth / np.float32(match.factor), np.float32(MIN_INV_DEPTH))
            predictions.append(
                Prediction(
                    depth=1 / inv_depth,
                    inv_depth=inv_depth,
                    metric=self.meta.metric and match.is_metric,
                    scale_source=self.meta.scale_source,
                    image=np.rint(image * 255).astype(np.uint8),
                    camera=camera,
                    disagreement=maps.disagreement,
                    confidence=maps.confidence,
                )
            )
        return predictions

    def predict_clip(self, clip: Clip, camera: Camera | None = None, *, flip: bool = False) -> Iterator[Prediction]:
        """Predict the depth of each frame of a clip, in order and in constant memory.

        With a `batch` of more than one, a thread reads the next frames while some are predicted.

        Args:
            clip: the clip; its images are read on demand.
            camera: the camera of its images, as in `predict`.
            flip: fuse each prediction with that of the mirrored image.

        Yields:
            A prediction with its `time` for each frame.
        """
        check_guiding_classes(clip, self.meta.label_classes)
        content = ((frame, frame.image.read(), self.labels(frame.image, frame.semantic)) for frame in clip.frames)
        with read_ahead(content, self.batch) as stream:
            while chunk := list(islice(stream, self.batch)):
                frames, images, maps = zip(*chunk, strict=True)
                predictions = self.predict_batch(images, camera, flip=flip, labels=maps)
                for frame, prediction in zip(frames, predictions, strict=True):
                    yield replace(prediction, time=frame.time)

    def video(
        self,
        path: str | Path,
        kind: str | None = None,
        options: Sequence[str] = (),
        *,
        camera: Path | None = None,
        flip: bool = False,
    ) -> Iterator[Prediction]:
        """Predict the depth of each frame of a video, or of anything else that `packdepth.open` opens as one clip.

        Frames are read and predicted one at a time, so that a video of any length fits in memory. `prediction.time` is
        when the frame was taken, in seconds; `prediction.camera` is the camera of the clip, or else the one that the
        checkpoint has learned.

        Args:
            path: a file or folder as `packdepth.open` takes it.
            kind: the kind of source; if left out, it is recognized.
            options: options of the source, each as `key=value`.
            camera: a camera.yaml for the images, in place of the camera that the source knows.
            flip: fuse each prediction with that of the mirrored image; better at the borders, twice the time.

        Raises InputError, before the first prediction, if the path cannot be opened or holds several clips.
        """
        clips = open_clips(path, kind, options, camera)
        if len(clips) > 1:
            names = ", ".join(clip.name for clip in clips[:3]) + (", ..." if len(clips) > 3 else "")
            raise InputError(f"{path}: holds {len(clips)} clips ({names}); give the path or the options of one of them")
        return self.predict_clip(clips[0], known_camera(clips[0], self.meta), flip=flip)

    def stream(
        self,
        source: str | int | Path,
        *,
        camera: Path | None = None,
        fov: float | None = None,
        flip: bool = False,
        smooth: bool = False,
        reconnect: float = RECONNECT_SECONDS,
    ) -> PredictionStream:
        """Predict the depth of the newest frame of a live source, again and again.

        A thread reads the source; frames that arrive while another one is predicted are dropped, except the newest one.
        `prediction.time` is in seconds since the first frame, or in those of a file.

        Args:
            source: the index of a camera, /dev/videoN, the URL of a stream (RTSP, HTTP and others of FFmpeg), or a file
                or folder as `packdepth.open` takes it, which is played in real time.
            camera: a calibration file of its images, in place of the camera that a file's source knows.
            fov: horizontal field of view of images without calibration, in degrees, in place of `camera`.
            flip: fuse each prediction with that of the mirrored image; twice the time.
            smooth: smooth depth over time in a way that follows the motion.
            reconnect: seconds for which a broken stream is opened again.

        Returns:
            An iterator over predictions with `dropped` (number of dropped frames), `timing` (latency and frame rate),
            `metric`, `scale` and `stop()`. As a context manager, it ends the reading.

        Raises InputError, at once or at the first prediction, if the source cannot be opened.
        """
        feed = open_feed(source, FeedOptions(camera=camera, fov=fov))
        return PredictionStream(self, feed, flip=flip, smooth=smooth, reconnect=reconnect)

    def labels(self, image: Readable, semantic: Readable | None) -> np.ndarray | None:
        """Read the label map [H, W] of an image, if label maps guide the depth network; return None otherwise.

        Args:
            image: the image.
            semantic: the file of its label map, if there is one.

        Raises InputError, which names the image, if label maps guide the depth network but the image has none.
        """
        classes = self.label_classes
        return None if classes is None else read_label_map(label_map(image, semantic), classes)

    def ego_motion(self, images: np.ndarray | Iterable[Image]) -> np.ndarray:
        """Predict the motion between consecutive images of one camera.

        The images should be as far apart as in training, where the distance was `frame_step` frames; the length of the
        motion is wrong otherwise. Of a video with the frame rate of the training, give `images[::frame_step]`.

        Args:
            images: N >= 2 frames of one size, in order of time: an array [N, H, W, 3], or images as `predict` takes
                them, which are read on demand. packnet-sfm's PoseNet, whose input is a frame and both its neighbors,
                needs N >= 3.

        Returns:
            T_next_current [N - 1, 4, 4] float64, which maps points from the camera of a frame to that of the next given
            frame. Translations are in metres if `meta.metric`.

        Raises InputError for too few frames, for frames of several sizes, for one image in place of a sequence, and if
        the checkpoint holds no pose network.
        """
        return np.stack(list(self.motions(images)))


def say_flip_note(predictor: BasePredictor, flip: bool) -> None:
    """Print, to standard error, that fusion with mirror images was asked for but is no gain, if this is known.

    Args:
        predictor: the predictor.
        flip: whether predictions are fused with those of mirrored images.
    """
    if flip and predictor.flip_note is not None:
        print(f"flip: {predictor.flip_note}", file=sys.stderr)


def image_pixels(image: Image) -> np.ndarray:
    """Return an image as an array [H, W, 3] float32, RGB in [0, 1], at its own size.

    Args:
        image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1]. A path and a
            Pillow image are turned upright, as EXIF asks for.

    Raises InputError for anything else.

    >>> image_pixels(np.full((2, 4), 255, dtype=np.uint8)).shape
    (2, 4, 3)
    """
    if isinstance(image, (str, Path)):
        image = ImageFile(Path(image)).read()
    elif isinstance(image, PIL.Image.Image):
        check_mode(image, "the image")
        image = np.asarray(upright(image).convert("RGB"))
    _check_array(image)
    pixels = np.array(image, dtype=np.float32)
    if image.dtype == np.uint8:
        pixels /= 255
    return np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels


def check_several(images: object, form: str) -> None:
    """Raise InputError for one image where several are needed, whose rows would be taken for images.

    Args:
        images: what is given as images.
        form: the beginning of the message, which says what several images are.

    >>> check_several(np.zeros((2, 4, 6, 3)), "a batch is an array [B, H, W, 3]")
    """
    if (
        isinstance(images, (str, Path, PIL.Image.Image))
        or not isinstance(images, Iterable)
        or (isinstance(images, np.ndarray) and images.ndim != 4)
    ):
        found = f"an array {list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
        raise InputError(f"{form} or a list of images; found {found}")


def sequence_pixels(images: Iterable[Image]) -> Iterator[np.ndarray]:
    """Yield consecutive frames of one camera as `image_pixels` returns them, one at a time.

    Args:
        images: the frames, as in `BasePredictor.ego_motion`.

    Raises InputError for one image in place of a sequence, and for frames of several sizes.

    >>> [pixels.shape for pixels in sequence_pixels(np.zeros((2, 4, 6, 3)))]
    [(4, 6, 3), (4, 6, 3)]
    """
    check_several(images, "a sequence is an array [N, H, W, 3]")
    size: tuple[int, ...] | None = None
    for image in images:
        pixels = image_pixels(image)
        size = size or pixels.shape
        if pixels.shape != size:
            raise InputError(
                f"ego-motion is between frames of one camera, but the first one is {size[1]}x{size[0]} pixels, and a "
                f"later one {pixels.shape[1]}x{pixels.shape[0]}; give frames of one size"
            )
        yield pixels


def checked_camera(camera: object) -> Camera | None:
    """Return the camera of an image with floats as intrinsics; None for no camera.

    Args:
        camera: a `packdepth.Camera` of floats, or of tensors that hold one number each, or None.

    Raises InputError for a batch of cameras, and for what is no camera.

    >>> checked_camera(None) is None
    True
    """
    if camera is None:
        return None
    if not isinstance(camera, Camera):
        raise InputError(
            f"camera is a packdepth.Camera; found {type(camera).__name__}; packdepth.Camera.from_matrix makes one of "
            f"K, and packdepth.open(path, camera=file)[0].camera is that of a calibration file"
        )
    return camera.single()


def checked_size(image: np.ndarray, camera: Camera | None) -> np.ndarray:
    """Return an image unchanged, after checking that its camera is for images of this size.

    Args:
        image: an image [H, W, 3].
        camera: its camera, if there is one.

    Raises InputError for a camera of another size.
    """
    if camera is not None:
        camera.check_size(image.shape[0], image.shape[1], "image")
    return image


def check_label_size(labels: np.ndarray | None, height: int, width: int) -> np.ndarray:
    """Return the label map of an image, after checking that there is one, and that it has the size of the image.

    Args:
        labels: the label map [H, W], or None.
        height: height of the image, in pixels.
        width: width of the image, in pixels.

    Raises InputError if it is missing or differs in size.
    """
    if labels is None:
        raise InputError("label maps guide the depth network; give the label map of each image with it")
    rows, columns = labels.shape[-2:]
    if (rows, columns) != (height, width):
        raise InputError(f"the label map is {columns}x{rows} pixels, but its image {width}x{height}; resize it")
    return labels


def check_predicted(valid: bool) -> None:
    """Raise InputError if a depth network has predicted what is no depth: it would be written as none, or as far away.

    Args:
        valid: whether all inverse depths of its prediction are finite and not negative.

    >>> check_predicted(True)
    """
    if not valid:
        raise InputError(
            "the depth network predicts inverse depths that are negative or not finite, although its weights are "
            "finite: they are damaged or too large; take another checkpoint"
        )


def _check_array(image: object) -> None:
    """Raise InputError unless `image` is an array that `image_pixels` takes."""
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image is a path, a Pillow image or a numpy array; found {type(image).__name__}")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or image.size == 0:
        raise InputError(f"an image array has shape [H, W, 3] (RGB) or [H, W] (gray); found {list(image.shape)}")
    if image.dtype != np.uint8:
        if not np.issubdtype(image.dtype, np.floating):
            raise InputError(f"an image array holds uint8, or floats in [0, 1]; found {image.dtype}")
        low, high = image.min(), image.max()
        if not np.isfinite([low, high]).all():
            raise InputError("an image array of floats holds values in [0, 1]; found NaN or infinity: replace them")
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"an image array of floats holds values in [0, 1]; found {low:g} to {high:g}: "
                f"divide by 255 or pass uint8"
            )
