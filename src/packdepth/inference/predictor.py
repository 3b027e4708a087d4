"""From a checkpoint and images to depth and ego-motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

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
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.interop.pose import PacknetSfmPoseNet
from packdepth.interop.read import is_foreign, read_foreign
from packdepth.networks.ego_motion import PairPoseNetwork, views
from packdepth.networks.flip import fuse_flipped
from packdepth.networks.layout import lay_channels_last
from packdepth.records import Prediction, Readable
from packdepth.sources.files import ImageFile, check_mode

Image = str | Path | PIL.Image.Image | np.ndarray
PRECISIONS: dict[Precision, torch.dtype] = {"32": torch.float32, "bf16": torch.bfloat16}

MIN_INV_DEPTH = 1e-6  # 1/metres; keeps depth finite where a network's head underflows to zero
PAIRS = 8  # of frames in one step of the pose network


def load(checkpoint: str | Path, device: str = "auto", precision: Precision = "32") -> Predictor:
    """The networks of a checkpoint, ready to predict.

    Args:
        checkpoint: the folder that training wrote; or another project's: a file of packnet-sfm or vidar, of which
            nothing is executed, or a folder of monodepth2.
        device: as torch names it; "auto" is a GPU if there is one.
        precision: of the depth network's arithmetic. bf16 (bfloat16) moves depth by less than a percent; it is 1.1 to
            1.8 times as fast where the processor has it, and slower where it has not (docs/explanation/performance.md).

    Raises InputError if the checkpoint cannot be read, the device cannot be used or the precision is none.
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
    """An image as networks read it: [1, 3, H, W] float32, RGB in [0, 1], at its own size.

    Args:
        image: a path, a Pillow image, or an array: [H, W, 3] RGB or [H, W] gray, uint8 or float in [0, 1].

    Raises InputError for anything else.
    """
    if isinstance(image, (str, Path)):
        image = ImageFile(Path(image)).read()
    elif isinstance(image, PIL.Image.Image):
        check_mode(image, "the image")
        image = np.asarray(image.convert("RGB"))
    _check_array(image)
    pixels = np.array(image, dtype=np.float32)
    if image.dtype == np.uint8:
        pixels /= 255
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def label_tensor(labels: np.ndarray | None) -> Tensor | None:
    """Class ids [H, W] of an image, if there are any, as `Predictor.inv_depth` takes them: [1, 1, H, W]."""
    return None if labels is None else torch.from_numpy(labels.copy())[None, None]


class Predictor:
    """The networks of one checkpoint on one device.

    Attributes:
        run: the run file they were trained with, or what is known of another project's.
        meta: what the checkpoint says of itself.
        depth, pose: the networks, in evaluation mode; pose is None where another project's file holds none.
        device: where they are.
        dtype: of the depth network.
    """

    def __init__(
        self,
        run: Run | Imported,
        meta: Meta,
        depth: nn.Module,
        pose: nn.Module | None,
        device: torch.device,
        precision: Precision = "32",
    ) -> None:
        self.run, self.meta, self.device = run, meta, device
        self.dtype = PRECISIONS[precision]
        self.depth = depth.to(device, self.dtype).eval()
        if device.type == "cpu" or precision == "bf16":
            lay_channels_last(self.depth)  # is faster there (bench/packnet.py)
        self.pose = None if pose is None else pose.to(device).eval()

    @torch.inference_mode()
    def predict(
        self, image: Image, camera: Camera | None = None, *, flip: bool = False, labels: np.ndarray | None = None
    ) -> Prediction:
        """Depth of one image at its own resolution.

        Args:
            image: as `image_tensor` takes it, of any size.
            camera: of the image, to be handed on with its depth; prediction itself needs none.
            flip: fuse with the prediction of the mirrored image; better at the borders, twice the time.
            labels: class ids [H, W] uint8 of the image, where label maps guide the depth network.

        Raises InputError if the image is none, the camera is for another size, or labels are missing or do not fit.
        """
        pixels = seen_by(camera, image_tensor(image))
        height, width = pixels.shape[-2:]
        ids = label_tensor(labels)
        inv_depth = self.inv_depth(pixels, ids)
        if flip:
            inv_depth = fuse_flipped(inv_depth, self.inv_depth(pixels.flip(-1), None if ids is None else ids.flip(-1)))
        full = resize_inv_depth(inv_depth, height, width).clamp(min=MIN_INV_DEPTH)[0, 0].cpu().numpy()
        return Prediction(
            depth=1 / full,
            inv_depth=full,
            metric=self.meta.metric,
            scale=1.0,
            scale_source=self.meta.scale_source,
            camera=camera,
        )

    @torch.inference_mode()
    def inv_depth(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Inverse depth [B, 1, h, w] (1/metres) at the network's size, of images [B, 3, H, W] of any size.

        Images are RGB in [0, 1], on any device. `resize_inv_depth` brings the result to another size, `fuse_flipped`
        joins it with that of `images.flip(-1)`. `labels` are class ids [B, 1, H, W] uint8, where label maps guide the
        depth network, which ignores them otherwise. Raises InputError if they are missing or do not fit.
        """
        shown = () if self.run.networks.depth.label_classes is None else (self._resized_labels(labels, images),)
        return self._finest(self._resized(images), *shown)

    def labels(self, image: Readable, semantic: Readable | None) -> np.ndarray | None:
        """Class ids [H, W] of an image on disk, to predict it with; None where no label maps guide the network.

        Raises InputError, naming the image, if label maps guide but there is none.
        """
        classes = self.run.networks.depth.label_classes
        return None if classes is None else read_label_map(label_map(image, semantic), classes)

    def ego_motion(self, images: Iterable[Image]) -> np.ndarray:
        """Motion between consecutive frames of one camera.

        Args:
            images: N >= 2 frames, in order of time; they are read as they are needed. packnet-sfm's PoseNet, which
                looks at a frame and both its neighbors, needs N >= 3.

        Returns:
            T_next_current [N - 1, 4, 4] float64: maps points of a frame's camera into the next frame's; its
            translation is in metres where `meta.metric`. Raises InputError for too few frames, and if the checkpoint
            holds no pose network.
        """
        return np.stack(list(self.motions(images)))

    @torch.inference_mode()
    def motions(self, images: Iterable[Image], camera: Camera | None = None) -> Iterator[np.ndarray]:
        """The motions of `ego_motion`, each [4, 4], as they come: of a video of any length, in constant memory.

        Args:
            images: as in `ego_motion`.
            camera: of the images. If given, each motion is refined so that the predicted depth, moved so, explains the
                next frame best (see `geometry.align`): it then has the scale of the depth.

        Raises InputError without a pose network, for fewer than two images, or a camera for another size.
        """
        if self.pose is None:
            raise InputError("the checkpoint holds a depth network alone; load one with a pose network for ego-motion")
        if camera is not None and self.run.networks.depth.label_classes is not None:
            raise InputError(
                "label maps guide the depth network, so that images alone give no depth to align with; "
                "leave out the camera (--align)"
            )
        offsets = self.pose.offsets if isinstance(self.pose, PacknetSfmPoseNet) else (1,)
        before = len(offsets) - 1  # frames that are seen before the one whose motion to the next is predicted
        frames = (self._resized(seen_by(camera, image_tensor(image))) for image in images)
        window = self._views(islice(frames, before + 1))
        first = True
        while chunk := self._views(islice(frames, PAIRS)):
            window = window[-before - 1 :] + chunk
            stacked, count = torch.cat(window), len(chunk)  # [before + 1 + count, C, h, w]
            context = [stacked[before + offset :][:count] for offset in offsets]
            T_context_target = self.pose(stacked[before:][:count], torch.stack(context, dim=1), offsets)
            target = stacked[before:][:count]
            if before and first:  # the first frame has none before it: its motion is seen from the second
                T = self._aligned(target[:1], context[0][:1], T_context_target[:1, 0], camera)
                yield se3.inverse(T[0]).double().cpu().numpy()
            yield from self._aligned(target, context[-1], T_context_target[:, -1], camera).double().cpu().numpy()
            first = False
        if first:
            number = ("two", "three")[before]
            raise InputError(f"ego-motion is between frames: give at least {number} images")

    def _aligned(self, view: Tensor, following: Tensor, T: Tensor, camera: Camera | None) -> Tensor:
        """Motions T_following_view [B, 4, 4] of views [B, C, h, w]; aligned with their depth if there is a camera."""
        if camera is None:
            return T
        inv_depth = view[:, 3:] if view.shape[1] > 3 else self._finest(view)
        return aligned(view[:, :3], following[:, :3], inv_depth, T, camera.resized(*self.run.image_size))

    def _views(self, frames: Iterable[Tensor]) -> list[Tensor]:
        """Frames [1, 3, h, w] as the pose network looks at them: with their inverse depth if it uses that."""
        images = list(frames)
        if images and isinstance(self.pose, PairPoseNetwork) and self.pose.uses_depth:
            stacked = torch.cat(images)
            images = list(views(stacked, self._finest(stacked))[:, None].unbind())
        return images

    def _resized_labels(self, labels: Tensor | None, images: Tensor) -> Tensor:
        """Class ids [B, 1, H, W] of images [B, 3, H, W] at the network's size. Raises InputError if they do not fit."""
        classes = self.run.networks.depth.label_classes
        assert classes is not None
        if labels is None:
            raise InputError("label maps guide the depth network; give the label map of each image with it")
        if labels.shape[-2:] != images.shape[-2:]:
            (height, width), (rows, columns) = images.shape[-2:], labels.shape[-2:]
            raise InputError(f"the label map is {columns}x{rows} pixels, but its image {width}x{height}; resize it")
        check_ids(labels.numpy(), classes, "the label map")
        return torch.from_numpy(resized_labels(labels.numpy(), *self.run.image_size)).to(self.device)

    def _finest(self, images: Tensor, *shown: Tensor) -> Tensor:
        """Inverse depth [B, 1, h, w] float32 (1/metres) of images of the network's size, and what guidance is shown."""
        inv_depths: list[Tensor] = self.depth(images.to(self.dtype), *shown)
        return inv_depths[0]

    def _resized(self, images: Tensor) -> Tensor:
        return resize_image(images.to(self.device), *self.run.image_size)


def seen_by(camera: Camera | None, image: Tensor) -> Tensor:
    """The image [1, 3, H, W] as it is. Raises InputError if the camera, if there is one, is for another size."""
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
