"""Prediction of depth and ego-motion with the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from packdepth.checkpoint import Meta, read, semantics_copy
from packdepth.config import Imported, Precision, Run
from packdepth.data.label_maps import check_ids, label_map, read_label_map
from packdepth.data.resized import resized_labels
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.geometry.align import aligned
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.inference.cameras import known_camera, match_camera
from packdepth.interop.read import is_foreign, read_foreign
from packdepth.networks.ego_motion import PairPoseNetwork, views
from packdepth.networks.flip import fuse_flipped
from packdepth.networks.layers.formats import use_channels_last
from packdepth.networks.uncertainty import Estimate, confidence_of
from packdepth.records import Clip, Frame, Prediction, Readable
from packdepth.sources.files import ImageFile
from packdepth.sources.open import open_clips
from packdepth.sources.stills import check_mode, upright

Image = str | Path | PIL.Image.Image | np.ndarray
PRECISIONS: dict[Precision, torch.dtype] = {"32": torch.float32, "bf16": torch.bfloat16}

BATCH = 8  # maximum number of images in a call of the depth network, so that larger batches fit in memory
PAIRS = 8  # maximum number of pairs of frames in a call of the pose network


class Maps(NamedTuple):
    """The maps that a depth network predicts for images, at its own size."""

    inv_depth: Tensor  # [B, 1, h, w] float32, 1/metres
    log_scale: Tensor | None  # [B, 1, h, w] float32, log of the scale of errors of log depth; None without uncertainty

    def fused(self, mirrored: Maps) -> Maps:
        """Return the maps, each fused with that of the mirrored images.

        Args:
            mirrored: the maps of the images mirrored left to right, as predicted.
        """
        inv_depth = fuse_flipped(self.inv_depth, mirrored.inv_depth)
        if self.log_scale is None or mirrored.log_scale is None:
            return Maps(inv_depth, None)
        return Maps(inv_depth, fuse_flipped(self.log_scale, mirrored.log_scale))

    @property
    def confidence(self) -> Tensor | None:
        """The confidence [B, 1, h, w] in [0, 1], see `confidence_of`; None without uncertainty."""
        return None if self.log_scale is None else confidence_of(self.log_scale)


def load(checkpoint: str | Path, device: str = "auto", precision: Precision = "32") -> Predictor:
    """Load the networks of a checkpoint, ready to predict.

    Args:
        checkpoint: the folder that training wrote, or another project's checkpoint: a file of packnet-sfm or vidar, of
            which nothing is executed, or a folder of monodepth2 or of a depth network of transformers.
        device: a device as torch names it; "auto" is a GPU if there is one.
        precision: precision of the depth network: "32" (float32) or "bf16" (bfloat16). bf16 changes depth by less than
            a percent. It is 1.1 to 1.8 times as fast on processors with bfloat16 arithmetic, and slower on others
            (docs/explanation/performance.md).

    Raises InputError if the checkpoint cannot be read, the device cannot be used or the precision is unknown.
    """
    place = _device(device)
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is not known; use '32' or 'bf16'")
    path = Path(checkpoint)
    content = read_foreign(path) if is_foreign(path) else read(path)
    networks = content.run.networks
    depth = networks.depth.assemble(semantics_copy(path))
    pose = None if networks.pose is None else networks.pose.assemble()
    try:
        nn.ModuleDict({"depth": depth} | ({"pose": pose} if pose else {})).load_state_dict(content.weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{checkpoint}: its weights do not fit the networks of its run.yaml ({reason}...); copy it again as a whole"
        ) from None
    return Predictor(content.run, content.meta, depth, pose, place, precision)


def image_tensor(image: Image) -> Tensor:
    """Return an image as a tensor [1, 3, H, W] float32, RGB in [0, 1], at its own size.

    Args:
        image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1]. A path and a
            Pillow image are turned upright, as EXIF asks for.

    Raises InputError for anything else.

    >>> image_tensor(np.zeros((2, 4, 3), dtype=np.uint8)).shape
    torch.Size([1, 3, 2, 4])
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
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def label_tensor(labels: np.ndarray | None) -> Tensor | None:
    """Return a label map as a tensor [1, 1, H, W] uint8, the input of `Predictor.inv_depth`; None for None.

    Args:
        labels: class ids [H, W] uint8, or None.
    """
    return None if labels is None else torch.from_numpy(labels.copy())[None, None]


def frame_inv_depth(predictor: Predictor, frame: Frame) -> Tensor:
    """Return the inverse depth [1, 1, h, w] (1/metres) of a frame on disk, at the network's size.

    Args:
        predictor: the predictor.
        frame: the frame. It must have a label map if label maps guide the depth network.
    """
    labels = label_tensor(predictor.labels(frame.image, frame.semantic))
    return predictor.inv_depth(image_tensor(frame.image.read()), labels)


class Predictor:
    """The networks of one checkpoint on one device. `load` returns one.

    Args:
        run: the run that the networks were trained with, or the description of another project's training.
        meta: the description of the checkpoint.
        depth: the depth network.
        pose: the pose network; None if another project's file holds none.
        device: the device for both networks.
        precision: the precision of the depth network, as in `load`.

    Attributes:
        run: the run.
        meta: the description of the checkpoint.
        depth: the depth network, in evaluation mode.
        pose: the pose network, in evaluation mode, or None.
        device: the device of both networks.
        dtype: the dtype of the depth network.
    """

    def __init__(
        self,
        run: Run | Imported,
        meta: Meta,
        depth: nn.Module,
        pose: PairPoseNetwork | None,
        device: torch.device,
        precision: Precision = "32",
    ) -> None:
        self.run, self.meta, self.device = run, meta, device
        self.dtype = PRECISIONS[precision]
        self.depth = depth.to(device, self.dtype).eval()
        if device.type == "cpu" or precision == "bf16":
            use_channels_last(self.depth)  # is faster there (bench/packnet.py)
        self.pose = None if pose is None else pose.to(device).eval()

    def __repr__(self) -> str:
        (height, width), networks = self.run.image_size, self.run.networks
        pose = "no pose network" if networks.pose is None else networks.pose.kind
        return f"Predictor({networks.depth.kind} {height}x{width}, {pose}, {self.meta.scale}, {self.device})"

    def predict(
        self, image: Image, camera: Camera | None = None, *, flip: bool = False, labels: np.ndarray | None = None
    ) -> Prediction:
        """Predict the depth of one image at its own resolution.

        Args:
            image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1].
            camera: the camera of the image. Without it, the image is taken for one of the trained camera if it has the
                size of its images. Depth is corrected for another focal length; the prediction is not metric if the
                camera differs too much (see `inference.cameras.match_camera`). `Prediction.points` needs a camera.
            flip: fuse the prediction with that of the mirrored image; better at the borders, twice the time.
            labels: class ids [H, W] uint8 of the image, if label maps guide the depth network.

        Raises InputError if the image cannot be used, if the camera is for another size, and if label maps guide the
        depth network but `labels` are missing or differ in size.
        """
        (prediction,) = self.predict_batch([image], camera, flip=flip, labels=[labels])
        return prediction

    def predict_batch(
        self,
        images: np.ndarray | Sequence[Image],
        camera: Camera | Sequence[Camera | None] | None = None,
        *,
        flip: bool = False,
        labels: Sequence[np.ndarray | None] | None = None,
    ) -> list[Prediction]:
        """Predict the depth of several images, each at its own resolution.

        The images are resized to the size of the depth network, which processes `BATCH` of them at a time. Each
        prediction equals that of `predict` up to the rounding of floats.

        Args:
            images: an array [B, H, W, 3] (RGB, uint8 or float in [0, 1]), or a list of images as `predict` takes them,
                of any sizes.
            camera: the camera of all images, or a list with one for each, in which None stands for no camera.
            flip: fuse each prediction with that of the mirrored image; better at the borders, twice the time.
            labels: the label map [H, W] uint8 of each image, if label maps guide the depth network.

        Raises InputError as `predict` does, and if the numbers of images, cameras and label maps differ.
        """
        if isinstance(images, (str, Path, PIL.Image.Image)) or (isinstance(images, np.ndarray) and images.ndim != 4):
            found = f"an array {list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
            raise InputError(f"a batch is an array [B, H, W, 3] or a list of images; found {found}")
        cameras = camera if isinstance(camera, Sequence) else [camera] * len(images)
        maps = [None] * len(images) if labels is None else labels
        if not len(images) == len(cameras) == len(maps):
            raise InputError(
                f"a batch of {len(images)} images comes with {len(cameras)} cameras and {len(maps)} label maps; "
                f"give one for each image"
            )
        return [
            prediction
            for start in range(0, len(images), BATCH)
            for prediction in self._predictions(
                images[start : start + BATCH], cameras[start : start + BATCH], maps[start : start + BATCH], flip
            )
        ]

    def predict_clip(self, clip: Clip, camera: Camera | None = None, *, flip: bool = False) -> Iterator[Prediction]:
        """Predict the depth of each frame of a clip, in order and in constant memory.

        Args:
            clip: the clip; its images are read on demand.
            camera: the camera of its images, as in `predict`.
            flip: fuse each prediction with that of the mirrored image.

        Yields:
            A prediction with its `time` for each frame.
        """
        for frame in clip.frames:
            labels = self.labels(frame.image, frame.semantic)
            yield replace(self.predict(frame.image.read(), camera, flip=flip, labels=labels), time=frame.time)

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

    @torch.inference_mode()
    def inv_depth(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return inverse depth [B, 1, h, w] (1/metres) at the network's size.

        `resize_inv_depth` resizes the result, and `fuse_flipped` fuses it with that of `images.flip(-1)`.

        Args:
            images: images [B, 3, H, W] of any size, RGB in [0, 1], on any device.
            labels: class ids [B, 1, H, W] uint8, if label maps guide the depth network; ignored otherwise.

        Raises InputError if label maps guide the depth network but `labels` are missing or differ in size.
        """
        return self.maps(images, labels).inv_depth

    @torch.inference_mode()
    def maps(self, images: Tensor, labels: Tensor | None = None) -> Maps:
        """Return inverse depth and, if the network predicts it, the log-scale of its errors, at the network's size.

        Args:
            images: images [B, 3, H, W] of any size, as in `inv_depth`.
            labels: class ids [B, 1, H, W] uint8, as in `inv_depth`.

        Raises InputError as `inv_depth` does.
        """
        return self._maps([images], [labels])

    def labels(self, image: Readable, semantic: Readable | None) -> np.ndarray | None:
        """Read the label map [H, W] of an image, if label maps guide the depth network; return None otherwise.

        Args:
            image: the image.
            semantic: the file of its label map, if there is one.

        Raises InputError, which names the image, if label maps guide the depth network but the image has none.
        """
        classes = self.run.networks.depth.label_classes
        return None if classes is None else read_label_map(label_map(image, semantic), classes)

    def ego_motion(self, images: Iterable[Image]) -> np.ndarray:
        """Predict the motion between consecutive frames of one camera.

        Args:
            images: N >= 2 frames, in order of time; they are read on demand. packnet-sfm's PoseNet, whose input is a
                frame and both its neighbors, needs N >= 3.

        Returns:
            T_next_current [N - 1, 4, 4] float64, which maps points from the camera of a frame to that of the next
            frame. Translations are in metres if `meta.metric`.

        Raises InputError for too few frames, and if the checkpoint holds no pose network.
        """
        return np.stack(list(self.motions(images)))

    @torch.inference_mode()
    def motions(self, images: Iterable[Image], camera: Camera | None = None) -> Iterator[np.ndarray]:
        """Yield the motions of `ego_motion`, each [4, 4], of a video of any length in constant memory.

        Args:
            images: frames as in `ego_motion`.
            camera: the camera of the images. If given, each motion is refined: it minimizes the difference between the
                frame and its synthesis from the next frame (`geometry.align`). It then has the scale of the depth.

        Raises InputError without a pose network, for too few images, and for a camera of another size.
        """
        if self.pose is None:
            raise InputError("the checkpoint holds a depth network alone; load one with a pose network for ego-motion")
        if camera is not None and self.run.networks.depth.label_classes is not None:
            raise InputError(
                "label maps guide the depth network, so that images alone give no depth to align with; "
                "leave out the camera (--align)"
            )
        offsets = self.pose.context_offsets
        before = len(offsets) - 1  # number of frames before the target that the pose network needs: 0 or 1
        frames = (self._resized(checked_size(image_tensor(image), camera)) for image in images)
        window = self._views(islice(frames, before + 1))
        first = True
        while chunk := self._views(islice(frames, PAIRS)):
            window = window[-before - 1 :] + chunk
            stacked, count = torch.cat(window), len(chunk)  # [before + 1 + count, C, h, w]
            context = [stacked[before + offset :][:count] for offset in offsets]
            T_context_target = self.pose(stacked[before:][:count], torch.stack(context, dim=1), offsets)
            target = stacked[before:][:count]
            if before and first:  # the first frame cannot be a target: invert the motion from the second frame to it
                T = self._aligned(target[:1], context[0][:1], T_context_target[:1, 0], camera)
                yield se3.inverse(T[0]).double().cpu().numpy()
            yield from self._aligned(target, context[-1], T_context_target[:, -1], camera).double().cpu().numpy()
            first = False
        if first:
            number = ("two", "three")[before]
            raise InputError(f"ego-motion is between frames: give at least {number} images")

    @torch.inference_mode()
    def _predictions(
        self,
        images: Sequence[Image] | np.ndarray,
        cameras: Sequence[Camera | None],
        labels: Sequence[np.ndarray | None],
        flip: bool,
    ) -> list[Prediction]:
        """Return the predictions of at most `BATCH` images."""
        pixels = [checked_size(image_tensor(image), camera) for image, camera in zip(images, cameras, strict=True)]
        ids = [label_tensor(each) for each in labels]
        maps = self._maps(pixels, ids)
        differences: Sequence[Tensor | None] = [None] * len(pixels)
        if flip:
            mirrored_ids = [None if each is None else each.flip(-1) for each in ids]
            mirrored = self._maps([each.flip(-1) for each in pixels], mirrored_ids)
            differences = list(relative_difference(maps.inv_depth, mirrored.inv_depth.flip(-1)))
            maps = maps.fused(mirrored)
        confidences: Sequence[Tensor | None] = (
            [None] * len(pixels) if maps.confidence is None else list(maps.confidence)
        )
        predictions = []
        for image, camera, inv_depth, difference, confidence in zip(
            pixels, cameras, maps.inv_depth, differences, confidences, strict=True
        ):
            height, width = image.shape[-2:]
            match = match_camera(camera, height, width, self.meta)
            resized = resize_inv_depth(inv_depth[None] / match.factor, height, width)
            full = resized.clamp(min=MIN_INV_DEPTH)[0, 0].cpu().numpy()
            predictions.append(
                Prediction(
                    depth=1 / full,
                    inv_depth=full,
                    metric=self.meta.metric and match.is_metric,
                    scale_source=self.meta.scale_source,
                    image=(image[0].permute(1, 2, 0) * 255).round().byte().numpy(),
                    camera=camera,
                    disagreement=_at_size(difference, height, width),
                    confidence=_at_size(confidence, height, width),
                )
            )
        return predictions

    def _maps(self, images: Sequence[Tensor], labels: Sequence[Tensor | None]) -> Maps:
        """Return the maps of images at the network's size.

        The B images are given as tensors [b, 3, H, W], one for each image size, with label maps [b, 1, H, W].
        """
        resized = torch.cat([self._resized(each) for each in images])
        if self.run.networks.depth.label_classes is None:
            return self._predicted(resized)
        pairs = zip(images, labels, strict=True)
        return self._predicted(resized, torch.cat([self._resized_labels(ids, each) for each, ids in pairs]))

    def _aligned(self, view: Tensor, following: Tensor, T: Tensor, camera: Camera | None) -> Tensor:
        """Return motions T_following_view [B, 4, 4], aligned with the depth of the views if there is a camera."""
        if camera is None:
            return T
        inv_depth = view[:, 3:] if view.shape[1] > 3 else self._finest(view)
        return aligned(view[:, :3], following[:, :3], inv_depth, T, camera.resized(*self.run.image_size))

    def _views(self, frames: Iterable[Tensor]) -> list[Tensor]:
        """Return frames [1, 3, h, w] as views [1, C, h, w], with inverse depth if the pose network uses it."""
        images = list(frames)
        if images and self.pose is not None and self.pose.uses_depth:
            stacked = torch.cat(images)
            images = list(views(stacked, self._finest(stacked))[:, None].unbind())
        return images

    def _resized_labels(self, labels: Tensor | None, images: Tensor) -> Tensor:
        """Return label maps [B, 1, H, W] of images [B, 3, H, W], resized to the network's size.

        Raises InputError if they are missing, differ in size from the images, or hold unknown ids.
        """
        classes = self.run.networks.depth.label_classes
        assert classes is not None
        if labels is None:
            raise InputError("label maps guide the depth network; give the label map of each image with it")
        if labels.shape[-2:] != images.shape[-2:]:
            (height, width), (rows, columns) = images.shape[-2:], labels.shape[-2:]
            raise InputError(f"the label map is {columns}x{rows} pixels, but its image {width}x{height}; resize it")
        check_ids(labels.numpy(), classes, "the label map")
        return torch.from_numpy(resized_labels(labels.numpy(), *self.run.image_size)).to(self.device)

    def _finest(self, images: Tensor, *guide: Tensor) -> Tensor:
        """Return the finest inverse depth [B, 1, h, w] float32 (1/metres) of images [B, 3, h, w].

        `guide` is the resized label maps if label maps guide the network; otherwise it is left out.
        """
        inv_depths: list[Tensor] = self.depth(images.to(self.dtype), *guide)
        return inv_depths[0]

    def _predicted(self, images: Tensor, *guide: Tensor) -> Maps:
        """Return the maps of images [B, 3, h, w]; `guide` is as in `_finest`."""
        if not self.run.networks.depth.uncertainty:
            return Maps(self._finest(images, *guide), None)
        estimate: Estimate = self.depth(images.to(self.dtype), *guide, with_log_scale=True)
        return Maps(estimate.inv_depths[0], estimate.log_scale)

    def _resized(self, images: Tensor) -> Tensor:
        return resize_image(images.to(self.device), *self.run.image_size)


def _at_size(values: Tensor | None, height: int, width: int) -> np.ndarray | None:
    """Return a map [1, h, w] resized as inverse depth is, [H, W] float32; None for None."""
    return None if values is None else resize_inv_depth(values[None], height, width)[0, 0].cpu().numpy()


def relative_difference(inv_depth: Tensor, other: Tensor) -> Tensor:
    """Return the difference of two inverse depths over their mean, between 0 and 2.

    Args:
        inv_depth: inverse depth of any shape.
        other: inverse depth of the same shape.

    >>> relative_difference(torch.tensor([1.0, 0.5]), torch.tensor([3.0, 0.5]))
    tensor([1., 0.])
    """
    return 2 * (inv_depth - other).abs() / (inv_depth + other).clamp(min=MIN_INV_DEPTH)


def checked_size(image: Tensor, camera: Camera | None) -> Tensor:
    """Return an image unchanged, after checking that its camera is for images of this size.

    Args:
        image: an image [1, 3, H, W].
        camera: its camera, if there is one.

    Raises InputError if the camera is for another size.
    """
    height, width = image.shape[-2:]
    if camera is not None and (camera.height, camera.width) != (height, width):
        raise InputError(
            f"the camera is for {camera.width}x{camera.height} pixels, but the image has {width}x{height}; "
            f"give the camera of this image, or camera.resized({height}, {width}) if the image was resized"
        )
    return image


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device '{name}' cannot be used here ({reason}); use auto, cpu or cuda") from None
    return device


def _check_array(image: object) -> None:
    """Raise InputError unless `image` is an array that `image_tensor` takes."""
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image is a path, a Pillow image or a numpy array; found {type(image).__name__}")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or image.size == 0:
        raise InputError(f"an image array has shape [H, W, 3] (RGB) or [H, W] (gray); found {list(image.shape)}")
    if image.dtype != np.uint8:
        if not np.issubdtype(image.dtype, np.floating):
            raise InputError(f"an image array holds uint8, or floats in [0, 1]; found {image.dtype}")
        if not (image.min() >= 0 and image.max() <= 1):
            raise InputError(
                f"an image array of floats holds values in [0, 1]; found {image.min():g} to {image.max():g}: "
                f"divide by 255 or pass uint8"
            )
