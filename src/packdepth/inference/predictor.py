"""Prediction of depth and ego-motion with the networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from packdepth.checkpoint import Checkpoint, Meta, fill, read, semantics_copy
from packdepth.config import Imported, Precision, Run
from packdepth.data.label_maps import check_ids
from packdepth.data.resized import resized_labels
from packdepth.errors import InputError
from packdepth.geometry import se3
from packdepth.geometry.align import aligned
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.inference.base import BATCH as BATCH
from packdepth.inference.base import (
    BasePredictor,
    Image,
    ImageMaps,
    check_label_size,
    check_predicted,
    checked_camera,
    checked_size,
    image_pixels,
    sequence_pixels,
)
from packdepth.inference.exported import is_exported
from packdepth.interop.read import is_foreign, read_foreign
from packdepth.networks.ego_motion import PairPoseNetwork, views
from packdepth.networks.flip import fuse_flipped
from packdepth.networks.hub import on_this_machine
from packdepth.networks.layers.formats import fastest_convolutions, use_channels_last
from packdepth.networks.uncertainty import Estimate, confidence_of
from packdepth.records import Frame

PRECISIONS: dict[Precision, torch.dtype] = {"32": torch.float32, "bf16": torch.bfloat16}

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
    if is_exported(path):
        raise InputError(f"{path}: is an exported network; give the checkpoint that it was exported from")
    with on_this_machine():
        content = read_foreign(path) if is_foreign(path) else read(path)
    networks = content.run.networks
    _check_room(checkpoint, content)
    with on_this_machine():
        depth = networks.depth.assemble(semantics_copy(path))
        pose = None if networks.pose is None else networks.pose.assemble()
    fill(nn.ModuleDict({"depth": depth} | ({"pose": pose} if pose else {})), content.weights, path)
    return Predictor(content.run, content.meta, depth, pose, place, precision)


def _check_room(path: str | Path, content: Checkpoint) -> None:
    """Raise InputError if the networks of a run.yaml have more weights than the checkpoint, before memory is taken."""
    held = sum(tensor.numel() for tensor in content.weights.values())
    networks = content.run.networks
    builds = [networks.depth.build, *([] if networks.pose is None else [networks.pose.assemble])]
    for build in builds:
        try:
            with on_this_machine(), torch.device("meta"):
                needed = sum(weight.numel() for weight in build().parameters())
        except Exception:  # somebody else's network may need real tensors; what is wrong here is said by `assemble`
            continue
        if needed > held:
            raise InputError(
                f"{path}: its weights do not fit the networks of its run.yaml ({held} numbers, where one network has "
                f"{needed}); copy it again as a whole"
            )


def image_tensor(image: Image) -> Tensor:
    """Return an image as a tensor [1, 3, H, W] float32, RGB in [0, 1], at its own size.

    Args:
        image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1]. A path and a
            Pillow image are turned upright, as EXIF asks for.

    Raises InputError for anything else.

    >>> image_tensor(np.zeros((2, 4, 3), dtype=np.uint8)).shape
    torch.Size([1, 3, 2, 4])
    """
    return _as_tensor(image_pixels(image))


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


class Predictor(BasePredictor):
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

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the networks' input, in pixels."""
        return self.run.image_size

    @property
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the depth network; None without label maps."""
        return self.run.networks.depth.label_classes

    @property
    def has_confidence(self) -> bool:
        """Whether the depth network predicts confidence."""
        return self.run.networks.depth.uncertainty

    @property
    def pose_offsets(self) -> tuple[int, ...]:
        """The offsets of the context frames of the pose network, in frames; empty without one."""
        return () if self.pose is None else self.pose.context_offsets

    @property
    def frame_step(self) -> int:
        """The distance of the nearest context frame in training, in frames; 1 if it is not known."""
        return (
            1 if isinstance(self.run, Imported) or not self.run.data.context else min(map(abs, self.run.data.context))
        )

    @property
    def flip_note(self) -> str | None:
        """A sentence on why fusion with the mirror image is no gain, if the training has seen no mirrored image."""
        if isinstance(self.run, Imported) or self.run.data.augmentation.flip > 0 or self.run.networks.depth.flip:
            return None
        return (
            "this network was trained without mirrored images (data.augmentation.flip: 0), and predictions that "
            "are fused with those of mirrored images are usually worse than plain ones"
        )

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
        return self.maps_of_images([images], [labels])

    def network_inv_depth(self, image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return the inverse depth [h, w] float32 (1/metres) of an image at the network's size."""
        inv_depth: np.ndarray = self.inv_depth(image_tensor(image), label_tensor(labels))[0, 0].cpu().numpy()
        return inv_depth

    @torch.inference_mode()
    def motions(self, images: Iterable[Image], camera: Camera | None = None, step: int = 1) -> Iterator[np.ndarray]:
        """Yield the motions of `ego_motion`, each [4, 4], of a video of any length in constant memory."""
        if self.pose is None:
            raise InputError("the checkpoint holds a depth network alone; load one with a pose network for ego-motion")
        if camera is not None and self.run.networks.depth.label_classes is not None:
            raise InputError(
                "label maps guide the depth network, so that images alone give no depth to align with; "
                "leave out the camera (--align)"
            )
        camera, offsets = checked_camera(camera), self.pose.context_offsets
        before = step * (len(offsets) - 1)  # frames before the target that the pose network needs: none, or a step
        frames = (self._resized(_as_tensor(checked_size(pixels, camera))) for pixels in sequence_pixels(images))
        window = self._views(islice(frames, before + step))
        first = True
        while chunk := self._views(islice(frames, max(PAIRS, before))):
            window = window[-before - step :] + chunk
            stacked, count = torch.cat(window), len(chunk)  # [before + step + count, C, h, w]
            if first and count < before:
                break
            context = [stacked[before + step * offset :][:count] for offset in offsets]
            with fastest_convolutions():
                T_context_target = self.pose(stacked[before:][:count], torch.stack(context, dim=1), offsets)
            target = stacked[before:][:count]
            if before and first:  # the first frames cannot be targets: invert the motions from later frames to them
                T = self._aligned(target[:before], context[0][:before], T_context_target[:before, 0], camera)
                yield from se3.inverse(T).double().cpu().numpy()
            yield from self._aligned(target, context[-1], T_context_target[:, -1], camera).double().cpu().numpy()
            first = False
        if first:
            raise InputError(f"ego-motion is between frames: give at least {max(3 * before, step + 1)} images")

    @torch.inference_mode()
    def image_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], flip: bool
    ) -> list[ImageMaps]:
        """Return the maps of images, in one call of the depth network."""
        pixels, ids = [_as_tensor(image) for image in images], [label_tensor(each) for each in labels]
        maps = self.maps_of_images(pixels, ids)
        differences: Sequence[Tensor | None] = [None] * len(pixels)
        if flip:
            mirrored_ids = [None if each is None else each.flip(-1) for each in ids]
            mirrored = self.maps_of_images([each.flip(-1) for each in pixels], mirrored_ids)
            differences = list(relative_difference(maps.inv_depth, mirrored.inv_depth.flip(-1)))
            maps = maps.fused(mirrored)
        confidences: Sequence[Tensor | None] = (
            [None] * len(pixels) if maps.confidence is None else list(maps.confidence)
        )
        sizes = [image.shape[:2] for image in images]
        return [
            ImageMaps(at_size(inv_depth, *size), _at_size(difference, *size), _at_size(confidence, *size))
            for size, inv_depth, difference, confidence in zip(
                sizes, maps.inv_depth, differences, confidences, strict=True
            )
        ]

    @torch.inference_mode()
    def maps_of_images(self, images: Sequence[Tensor], labels: Sequence[Tensor | None]) -> Maps:
        """Return the maps of images of several sizes, in one call of the depth network, at the network's size.

        Args:
            images: tensors [b, 3, H, W] as in `inv_depth`, one for each image size.
            labels: their class ids [b, 1, H, W] uint8, as in `inv_depth`.

        Raises InputError as `inv_depth` does.
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
        inv_depth = view[:, 3:] if view.shape[1] > 3 else self._predicted(view).inv_depth
        return aligned(view[:, :3], following[:, :3], inv_depth, T, camera.resized(*self.run.image_size))

    def _views(self, frames: Iterable[Tensor]) -> list[Tensor]:
        """Return frames [1, 3, h, w] as views [1, C, h, w], with inverse depth if the pose network uses it."""
        images = list(frames)
        if images and self.pose is not None and self.pose.uses_depth:
            stacked = torch.cat(images)
            images = list(views(stacked, self._predicted(stacked).inv_depth)[:, None].unbind())
        return images

    def _resized_labels(self, labels: Tensor | None, images: Tensor) -> Tensor:
        """Return label maps [B, 1, H, W] of images [B, 3, H, W], resized to the network's size.

        Raises InputError if they are missing, differ in size from the images, or hold unknown ids.
        """
        classes = self.run.networks.depth.label_classes
        assert classes is not None
        ids = check_label_size(None if labels is None else labels.numpy(), *images.shape[-2:])
        check_ids(ids, classes, "the label map")
        return torch.from_numpy(resized_labels(ids, *self.run.image_size)).to(self.device)

    def _predicted(self, images: Tensor, *guide: Tensor) -> Maps:
        """Return the maps of images [B, 3, h, w].

        `guide` is the resized label maps if label maps guide the network; otherwise it is left out.
        """
        asked = {"with_log_scale": True} if self.run.networks.depth.uncertainty else {}
        with fastest_convolutions():
            found: Estimate | list[Tensor] = self.depth(images.to(self.dtype), *guide, **asked)
        inv_depths, log_scale = found if isinstance(found, Estimate) else (found, None)
        check_predicted(bool((inv_depths[0].isfinite() & (inv_depths[0] >= 0)).all()))
        return Maps(inv_depths[0], log_scale)

    def _resized(self, images: Tensor) -> Tensor:
        return resize_image(images.to(self.device), *self.run.image_size)


def _as_tensor(pixels: np.ndarray) -> Tensor:
    """Return an image [H, W, 3] float32 as a tensor [1, 3, H, W]."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def at_size(values: Tensor, height: int, width: int) -> np.ndarray:
    """Return a map resized as inverse depth is, as an array [H, W] float32.

    Args:
        values: the map [1, h, w].
        height: height of the result, in pixels.
        width: width of the result, in pixels.
    """
    resized: np.ndarray = resize_inv_depth(values[None], height, width)[0, 0].cpu().numpy()
    return resized


def _at_size(values: Tensor | None, height: int, width: int) -> np.ndarray | None:
    """Return a map [1, h, w] at another size, see `at_size`; None for None."""
    return None if values is None else at_size(values, height, width)


def relative_difference(inv_depth: Tensor, other: Tensor) -> Tensor:
    """Return the difference of two inverse depths over their mean, between 0 and 2.

    Args:
        inv_depth: inverse depth of any shape.
        other: inverse depth of the same shape.

    >>> relative_difference(torch.tensor([1.0, 0.5]), torch.tensor([3.0, 0.5]))
    tensor([1., 0.])
    """
    return 2 * (inv_depth - other).abs() / (inv_depth + other).clamp(min=MIN_INV_DEPTH)


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
