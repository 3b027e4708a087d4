"""Records that rooms exchange, with their shapes and units.

    disk --sources--> Clip --data--> Sample -> Batch --networks--> Outputs --objectives--> loss
                                                        inference--> Prediction

Importing this module does not import torch, so that sources can be parsed without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from packdepth.classes import STREET_CLASSES
from packdepth.color import Colormap, color_range, colorize
from packdepth.depth_files import write_depth_exr, write_depth_png, write_depth_tiff
from packdepth.errors import InputError, check_confidence, check_length, in_one_line
from packdepth.files import replacing, write_cloud
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth
from packdepth.geometry.reliable import reliable_pixels
from packdepth.geometry.voxels import Cloud, thinned
from packdepth.thumbnail import thumbnail

if TYPE_CHECKING:
    from torch import Tensor

    from packdepth.geometry.lens import Lens


class Readable(Protocol):
    """A file whose content is read on demand. The object is small and can be sent to a worker process."""

    @property
    def path(self) -> Path:
        """The path of the file, for messages."""

    def read(self) -> np.ndarray:
        """Return the content. Raises InputError, which names the file, if it cannot be read."""


class Scan(Readable, Protocol):
    """A LiDAR scan: points [N, 3] float32 in the camera frame, metres."""

    @property
    def origin(self) -> np.ndarray:
        """The position of the scanner in the camera frame, [3], metres; zeros if it is not known."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One moment of a clip. A run may have a million."""

    name: str  # name, unique in its clip, such as "000012"
    time: float  # seconds
    image: Readable  # [H, W, 3] uint8, RGB
    right: Readable | None = None  # [H, W, 3] uint8, RGB: the rectified right image
    depth: Readable | None = None  # [H, W] float32, z-depth in metres, 0 where unknown
    lidar: Scan | None = None  # [N, 3] float32, metres, in the camera frame
    semantic: Readable | None = None  # [H, W] uint8, class ids
    instance: Readable | None = None  # [H, W] int32, ids of countable objects, 0 elsewhere
    moving: Readable | None = None  # [H, W] bool, mask of dynamic objects
    speed: float | None = None  # metres per second
    pose: np.ndarray | None = None  # T_world_camera [4, 4] float64, metres
    size: tuple[int, int] | None = None  # height and width of the image in pixels, if they differ from the camera's


@dataclass(frozen=True, eq=False)
class Clip:
    """Consecutive frames of one camera, as found on disk.

    >>> camera = Camera.from_fov(60, width=640, height=192)
    >>> Clip("kitti_odometry/06/left", Path("data"), camera, frames=()).short_name
    '06-left'
    """

    name: str  # name, such as "kitti_odometry/06/left"
    path: Path  # folder or file of the clip, for messages
    camera: Camera  # camera of the images
    frames: tuple[Frame, ...]  # frames in the order of time
    baseline: float | None = None  # metres from the left camera to the right one
    camera_height: float | None = None  # metres of the camera above the road
    independent: bool = False  # whether the frames are unrelated images, without temporal neighbors
    interval: float | None = None  # nominal seconds between neighboring frames; None: the median of the clip's steps
    targets: frozenset[str] | None = None  # names of frames that may be targets, others are context only; None: all
    drive: str | None = None  # name of the drive, which clips recorded at the same place and time share; None: unknown
    missing_camera: Path | None = None  # file in which no calibration was found; `camera` is then a guess
    calibration: tuple[Path, str] | None = None  # the calibration file, and what it says; None for other forms
    guess: str | None = None  # origin of the guess, such as "EXIF of a.jpg: 26 mm on 35 mm film"; None if it is none
    stated_fov: float | None = None  # degrees across, if a person stated the field of view in place of a calibration
    corrected: str | None = None  # description of what the source has corrected in the data, if anything
    rate: float | None = None  # nominal frames per second of a video; None: only the frames' `time` is known
    lens: Lens | None = None  # distortion of the images on disk; None: pinhole, as of all clips of `Source.clips`
    speed_source: str | None = None  # description of how a log's speeds were attached to the frames, if any were
    speed_option: str | None = None  # option that takes speeds from the source itself, such as a topic, if it has any
    times_assumed: bool = False  # whether the frames' times are an assumption, as those of images without time stamps
    classes: tuple[str, ...] | None = None  # names of the label maps' classes, by class id, if the data state them

    def __repr__(self) -> str:
        """Return the clip in one line, however many frames it has.

        >>> camera = Camera.from_fov(60, width=640, height=192)
        >>> Clip("kitti_odometry/06/left", Path("data"), camera, frames=())
        Clip(kitti_odometry/06/left, 0 frames, 192x640)
        """
        return f"Clip({self.name}, {len(self.frames)} frames, {self.camera.height}x{self.camera.width})"

    @property
    def short_name(self) -> str:
        """The name without the kind of its source, as the name of a file or folder: "06-left"."""
        return "-".join(self.name.split("/")[1:]) or self.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of the label maps, by class id: Cityscapes' train ids if the data state none."""
        return STREET_CLASSES if self.classes is None else self.classes

    def image_size(self, frame: Frame) -> tuple[int, int]:
        """Return height and width of a frame's image, in pixels.

        Args:
            frame: a frame of the clip.
        """
        return frame.size or (self.camera.height, self.camera.width)

    def is_target(self, frame: Frame) -> bool:
        """Return whether a frame of the clip may be a target.

        Args:
            frame: a frame of the clip.
        """
        return self.targets is None or frame.name in self.targets


@dataclass
class Sample:
    """A target frame with its context, as tensors at the run's image size.

    An optional field is None unless a term of the objective, the guidance or the validation needs it.
    """

    names: list[str]  # clip/frame, one per sample
    offsets: tuple[int, ...]  # offsets of the N context frames from the target, in frames, such as (-1, 1)
    camera: Camera  # camera of all images
    image: Tensor  # [3, H, W] RGB in [0, 1]
    context: Tensor  # [N, 3, H, W] RGB in [0, 1], the context frames
    network_image: Tensor  # [3, H, W], the image with color jitter: the input of the networks
    network_context: Tensor  # [N, 3, H, W], the context frames with color jitter
    distance: Tensor | None = None  # [N] metres traveled between the target and each context frame
    truth: Tensor | None = None  # [1, h, w] measured z-depth in metres at its own resolution, 0 where unknown
    camera_index: Tensor | None = None  # [] int64, index among the run's cameras; given only if cameras are learned
    mirrored: Tensor | None = None  # [] bool, whether the images are mirrored; given only if cameras are learned
    right: Tensor | None = None  # [3, H, W] RGB in [0, 1], the image of the other camera of a rectified pair
    network_right: Tensor | None = None  # [3, H, W], that image with color jitter
    camera_height: Tensor | None = None  # [] metres of the camera above the road
    baseline: Tensor | None = None  # [] metres along x to that camera; negative (to the left) in mirrored samples
    semantic: Tensor | None = None  # [1, H, W] uint8 class ids, if label maps guide the depth network
    context_semantic: Tensor | None = None  # [N, 1, H, W] uint8 class ids of the context frames
    motion: Tensor | None = None  # [N, 4, 4] measured T_context_target of each context frame, metres
    teacher: Tensor | None = None  # [1, H, W] inverse depth of a teacher, in any unit, NaN where it is not known
    focal_share: Tensor | None = None  # [] focal length of the whole image over that of the sample; of windows only
    whole_image: Tensor | None = None  # [3, H, W], the network image that a window was cut from, for ego-motion
    whole_context: Tensor | None = None  # [N, 3, H, W], the network context that a window was cut from, likewise


@dataclass
class Batch(Sample):
    """A stack of samples: every tensor has a leading B, and the camera holds tensors [B]."""

    @classmethod
    def stack(cls, samples: list[Sample]) -> Batch:
        """Return the batch of several samples, which must hold the same fields.

        Args:
            samples: the samples.

        Raises InputError if their tensors differ in size, as measured depth of several cameras may.
        """
        import torch

        values: dict[str, Any] = {}
        for field in fields(Sample):
            parts = [getattr(sample, field.name) for sample in samples]
            first = parts[0]
            if any(isinstance(part, torch.Tensor) for part in parts):
                values[field.name] = _stacked(field.name, samples)
            elif isinstance(first, Camera):
                numbers = zip(*[(part.fx, part.fy, part.cx, part.cy) for part in parts], strict=True)
                fx, fy, cx, cy = (torch.tensor(column) for column in numbers)
                values[field.name] = Camera(fx, fy, cx, cy, width=first.width, height=first.height)
            elif field.name == "names":
                values[field.name] = [name for part in parts for name in part]
            else:
                values[field.name] = first
        return cls(**values)

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to each of its tensors.

        Args:
            function: the function of a tensor.
        """
        import torch

        changes: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                changes[field.name] = function(value)
            elif isinstance(value, Camera):
                changes[field.name] = value.map(function)
        return replace(self, **changes)

    def to(self, device: Any, **kwargs: Any) -> Batch:
        """Return the batch on another device.

        Args:
            device: the device.
            kwargs: further arguments of `Tensor.to`.
        """
        return self.map(lambda tensor: tensor.to(device, **kwargs))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, for faster copies to a GPU."""
        return self.map(lambda tensor: tensor.pin_memory())

    def __len__(self) -> int:
        return len(self.names)


def _stacked(name: str, samples: list[Sample]) -> Tensor:
    """Return one field of several samples as one tensor."""
    import torch

    tensors = [getattr(sample, name) for sample in samples]
    for sample, tensor in zip(samples, tensors, strict=True):
        if torch.is_tensor(tensor) and torch.is_tensor(tensors[0]) and tensor.shape != tensors[0].shape:
            raise InputError(
                f"{name} of {samples[0].names[0]} is {list(tensors[0].shape)}, but of {sample.names[0]} "
                f"{list(tensor.shape)}; make batches of samples of one size"
            )
    return torch.stack(tensors)


@dataclass
class Outputs:
    """The predictions of the networks for a batch.

    >>> import torch
    >>> outputs = Outputs([torch.ones(2, 1, 8, 16)], torch.eye(4).expand(2, 1, 4, 4))
    >>> outputs.right_inv_depths is None
    True
    """

    inv_depths: list[Tensor]  # [B, 1, H / 2^s, W / 2^s], rounded up, inverse depth in 1/metres, finest first
    T_context_target: Tensor  # [B, N, 4, 4] ego-motion, metres where the scale is metric
    # These are predicted only if a term of the objective needs them:
    right_inv_depths: list[Tensor] | None = None  # inverse depths of the right view, as `inv_depths`
    context_inv_depths: Tensor | None = None  # [B, N, 1, H, W] inverse depth of the context frames in 1/metres
    log_scale: Tensor | None = None  # [B, 1, H, W] log of the scale of the target's errors of depth
    mirrored_inv_depth: Tensor | None = None  # [B, 1, H, W] target's, predicted from its mirror image, mirrored back
    T_context_target_reversed: Tensor | None = None  # [B, N, 4, 4] ego-motion from pairs with the later frame first
    sky: Tensor | None = None  # [B, 1, H, W] bool, the target's sky by the segmentation network that guides depth


@dataclass(frozen=True, eq=False)
class Prediction:
    """Depth of one image at its own resolution.

    >>> depth = np.array([[2.0, 4.0]], dtype=np.float32)
    >>> image = np.zeros((1, 2, 3), dtype=np.uint8)
    >>> prediction = Prediction(depth, 1 / depth, metric=True, scale_source="velocity (speed)", image=image)
    >>> prediction
    Prediction(1x2, metric from velocity (speed), 2.0 to 4.0 m)
    >>> prediction.color().shape
    (1, 2, 3)
    """

    depth: np.ndarray  # [H, W] float32 z-depth, in metres if `metric`
    inv_depth: np.ndarray  # [H, W] float32, 1 / depth
    metric: bool  # whether depth is in metres; if not, it is known up to a factor
    scale_source: str  # source of the scale, such as "velocity (speed)" or "none"
    image: np.ndarray  # [H, W, 3] uint8, RGB, the image that depth was predicted from
    camera: Camera | None = None  # camera of the image, at the resolution of `depth`; None if it is not known
    time: float | None = None  # seconds, if the image is a frame of a clip
    pose: np.ndarray | None = None  # T_world_camera [4, 4] float64, in the unit of depth; None if it is not known
    disagreement: np.ndarray | None = None  # [H, W] float32, relative difference from the mirrored image's depth
    confidence: np.ndarray | None = None  # [H, W] float32 in [0, 1], 1 is sure; None if the network predicts none

    def __repr__(self) -> str:
        (height, width), low, high = self.depth.shape, self.depth.min(), self.depth.max()
        unit = f"metric from {self.scale_source}" if self.metric else "up to a factor"
        reach = f"{low:.1f} to {high:.1f} m" if self.metric else f"{low:.3g} to {high:.3g}"
        return f"Prediction({height}x{width}, {unit}, {reach})"

    def color(self, low: float | None = None, high: float | None = None, colormap: Colormap = "dusk") -> np.ndarray:
        """Return inverse depth in colors: far is the first color of the map, near the last one.

        Args:
            low: inverse depth (1/metres) of the first color; if left out, percentile 2 of this prediction.
            high: inverse depth (1/metres) of the last color; if left out, percentile 98 of this prediction.
            colormap: the name of the color map; in "dusk", far is dark, and near is bright and warm.

        Returns:
            Colors [H, W, 3] uint8, RGB.
        """
        own_low, own_high = (0.0, 0.0) if low is not None and high is not None else color_range([self.inv_depth])
        low, high = own_low if low is None else low, own_high if high is None else high
        return colorize(self.inv_depth, low, high, colormap)

    def kept(
        self, max_depth: float | None = None, reliable: bool = False, min_confidence: float | None = None
    ) -> np.ndarray:
        """Return which pixels have a depth and are not cut.

        Args:
            max_depth: the largest depth that is kept, in metres if `metric`, otherwise in the unit of `depth`; None
                cuts nothing.
            reliable: whether unreliable pixels are cut, as `packdepth.geometry.reliable` finds them: sky, what is
                far, edges between near and far, and what the mirrored image contradicts. It needs a camera.
            min_confidence: the smallest confidence that is kept, in [0, 1]; None cuts nothing.

        Returns:
            The mask [H, W], bool.

        Raises InputError for a `max_depth` that is not positive and finite, for a `min_confidence` beyond [0, 1] or if
        the network predicts no confidence, and for `reliable` without a camera of the size of `depth`.
        """
        kept: np.ndarray = np.isfinite(self.depth) & (self.depth > 0)
        if max_depth is not None:
            check_length("max_depth", max_depth, "in the unit of depth")
            kept &= self.depth <= max_depth
        if min_confidence is not None:
            check_confidence("min_confidence", min_confidence)
            if self.confidence is None:
                raise InputError(
                    "min_confidence cuts by confidence, but this prediction has none: its network was trained without "
                    "networks.depth.uncertainty; leave it out, or train with uncertainty: true"
                )
            kept &= self.confidence >= min_confidence
        if reliable:
            kept &= reliable_pixels(self.inv_depth, self.image, self._known_camera(), self.disagreement)
        return kept

    def points(
        self,
        max_depth: float | None = None,
        reliable: bool = False,
        thin: float | None = None,
        min_confidence: float | None = None,
    ) -> np.ndarray:
        """Return the points of all pixels with depth, row by row.

        Args:
            max_depth: cut points farther than this, as in `kept`.
            reliable: whether unreliable points are cut, as in `kept`.
            thin: side of a cube, in the unit of depth; all points in one cube become their mean. None: all.
            min_confidence: cut points that are less sure, as in `kept`.

        Returns:
            Points [N, 3] float32 in the camera frame (x right, y down, z forward), in metres if `metric`.

        Raises InputError without a camera of the size of `depth`, for a `thin` that is not positive and finite, and as
        `kept` does.
        """
        return self.cloud(max_depth, reliable, thin, min_confidence).points

    def cloud(
        self,
        max_depth: float | None = None,
        reliable: bool = False,
        thin: float | None = None,
        min_confidence: float | None = None,
    ) -> Cloud:
        """Return the points [N, 3] of `points`, their colors [N, 3] uint8 (RGB) and, if it is known, their confidence.

        Args:
            max_depth: cut points farther than this, as in `kept`.
            reliable: whether unreliable points are cut, as in `kept`.
            thin: side of the cubes in which points are averaged, as in `points`.
            min_confidence: cut points that are less sure, as in `kept`.

        Raises InputError as `points` does.
        """
        if thin is not None:
            check_length("thin", thin, "in the unit of depth")
        kept = self.kept(max_depth, reliable, min_confidence)
        points, _ = points_from_depth(np.where(kept, self.depth, 0), self._known_camera())
        cloud = Cloud(points, self.image[kept], None if self.confidence is None else self.confidence[kept])
        return cloud if thin is None else thinned(cloud, thin)

    def save(
        self,
        path: str | Path,
        *,
        max_depth: float | None = None,
        reliable: bool = False,
        thin: float | None = None,
        min_confidence: float | None = None,
    ) -> None:
        """Write the prediction to a file in the format of its suffix. The file appears whole or not at all.

        `.npz` is read by `np.load` without pickle. It holds `depth` [H, W] float32; `metric`, a bool; `scale_source`, a
        text; `thumbnail`, the image at 12x16 pixels, by which `evaluate` knows it; and, if the camera is known,
        `intrinsics`, K [3, 3] float64 in pixels of this depth map.
        `.tiff` and `.exr` hold depth as 32-bit floats in one channel.
        `.png` is a depth map of 16 bits, metres x 256, as KITTI keeps it: at most 255.996 m, and steps of 4 mm.
        `.ply` is a colored point cloud, one vertex for each pixel with depth; it needs a camera.
        All but `.npz` carry the texts `unit` and `scale_source`.
        Confidence, if the network predicts it, is the array `confidence` of a `.npz`, the second page of a `.tiff`, the
        channel "confidence" of a `.exr` and the property `confidence` of a `.ply`; a `.png` does not hold it.

        Args:
            path: the file; missing folders are made.
            max_depth: cut what is farther, as in `kept`: such points, or depth, which is 0 there.
            reliable: whether what is unreliable is cut likewise.
            thin: for `.ply`, the side of the cubes in which points are averaged, as in `points`.
            min_confidence: cut what is less sure, likewise.

        Raises InputError for another suffix, for a point cloud without a camera, and for a `.png` of depth that is not
        metric.
        """
        path = Path(path)
        if path.suffix == ".ply":
            cloud = self.cloud(max_depth, reliable, thin, min_confidence)
            write_cloud(path, cloud.points, cloud.colors, self.texts, confidence=cloud.confidence)
            return
        depth = self.depth
        if max_depth is not None or reliable or min_confidence is not None:
            depth = np.where(self.kept(max_depth, reliable, min_confidence), depth, np.float32(0))
        if path.suffix == ".npz":
            arrays: dict[str, Any] = {
                "depth": depth,
                "metric": self.metric,
                "scale_source": self.scale_source,
                "thumbnail": thumbnail(self.image),
            }
            if self.camera is not None:
                camera = self.camera
                arrays["intrinsics"] = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
            if self.confidence is not None:
                arrays["confidence"] = self.confidence
            with replacing(path) as temporary:
                np.savez_compressed(temporary, **arrays)
        elif path.suffix == ".png":
            if not self.metric:
                raise InputError(
                    f"{path}: a 16-bit PNG holds metres x 256, but this depth is known up to a factor; name a file "
                    f".npz, .tiff or .exr"
                )
            write_depth_png(path, depth, self.texts | {"unit": "metre x 256, 0 where unknown"})
        elif path.suffix == ".tiff":
            write_depth_tiff(path, depth, self.texts, self.confidence)
        elif path.suffix == ".exr":
            write_depth_exr(path, depth, self.texts, self.confidence)
        else:
            raise InputError(
                f"{path}: a prediction is not saved as '{path.suffix}'; name a file .npz, .tiff or .exr (depth), .png "
                f"(metric depth in 16 bits) or .ply (points)"
            )

    @property
    def texts(self) -> dict[str, str]:
        """The unit of depth and the source of its scale, as files carry them."""
        unit = "metre" if self.metric else "none, depth is known up to a factor"
        return {"unit": unit, "scale_source": in_one_line(self.scale_source)}

    def _known_camera(self) -> Camera:
        """Return the camera. Raises InputError without one."""
        if self.camera is None:
            raise InputError(
                "points need a camera, but this prediction has none; give predict its camera=, or predict a clip"
            )
        return self.camera
