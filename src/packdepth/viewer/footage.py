"""Footage for the viewer: frames with predicted, saved or measured depth, their trajectory and their map.

Frames are read and predicted on demand, and the last ones are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from packdepth.checkpoint import scale_in_words
from packdepth.color import color_range
from packdepth.data.targets import has_measured_depth
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.poses import from_first
from packdepth.geometry.voxels import VoxelGrid
from packdepth.inference.base import BasePredictor
from packdepth.inference.cameras import camera_for_points, is_metric_for, scale_of_points
from packdepth.inference.fusion import ClipMap, FusedMap
from packdepth.inference.options import POINTS, PointOptions
from packdepth.inference.trajectory import check_trajectory, measured_trajectory, trajectory, trajectory_origin
from packdepth.reading import read_arrays, refusing
from packdepth.records import Clip, Frame, Prediction
from packdepth.sources.files import by_name
from packdepth.thumbnail import shows_other_scene, thumbnail
from packdepth.viewer.clouds import SUFFIXES, read_cloud
from packdepth.viewer.scene import Material, Points, Shot, depth_colors, matched, shot_of

if TYPE_CHECKING:
    from packdepth.networks.semantic_network import SemanticNetwork

KEPT = 48  # frames in memory: at most 250,000 points and some pictures each, together about half a gigabyte
MEASURED_VOXEL = 0.1  # metres: side of the voxels of a map of measured points, unless --thin gives it; chosen by eye
MEASURED_ORIGIN = "measured poses"


class Footage(ABC):
    """Frames in the order of time, as the viewer shows them.

    Args:
        title: title of the page.
        names: names of the frames.
        scale: the scale of depth in words, such as "metric, from velocity (speed)".
        metric: whether depth is in metres.
        clip: the clip of the frames, if there is one.
        points: options of maps.
    """

    classes: tuple[str, ...] = ()
    """Names of the classes by their id, if they are known."""
    camera: Camera | None = None
    """The camera of the frames; None if it is not known."""
    is_map: bool = False
    """Whether its only frame is a map that was saved."""
    first: int = 0
    """The index of the frame that is shown first: with measured depth, if any has some."""

    def __init__(
        self,
        title: str,
        names: Sequence[str],
        scale: str,
        metric: bool,
        clip: Clip | None = None,
        points: PointOptions = POINTS,
    ) -> None:
        self.title, self.names, self.scale, self.metric = title, tuple(names), scale, metric
        self.clip, self.points = clip, points
        self._colors: tuple[float, float] | None = None
        self._kept: OrderedDict[int, Shot] = OrderedDict()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def colors(self) -> tuple[float, float]:
        """The range of inverse depth of the colors of depth, which is that of the first frame that was shown."""
        assert self._colors is not None
        return self._colors

    def time(self, index: int) -> float | None:
        """Return the time of a frame in seconds; None if it is not known.

        Args:
            index: index of the frame.
        """
        return None if self.clip is None or self.clip.independent else self.clip.frames[index].time

    def shot(self, index: int) -> Shot:
        """Return a frame, from memory if it is one of the last `KEPT` ones.

        Args:
            index: index of the frame.

        Raises InputError if a file of the frame cannot be read.
        """
        if index not in self._kept:
            self._kept[index] = self._shot(index)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(index)
        return self._kept[index]

    def _shot(self, index: int) -> Shot:
        """Read or predict a frame."""
        material = self.material(index)
        if self._colors is None:
            self._colors = depth_colors(material)
        return shot_of(self.names[index], material, self._colors, self.metric)

    @staticmethod
    def _beside(measured: np.ndarray | None, prediction: Prediction) -> np.ndarray | None:
        """Return measured depth in the unit of a prediction."""
        return measured if measured is None or prediction.metric else matched(measured, prediction.depth)

    @abstractmethod
    def material(self, index: int) -> Material:
        """Return what is known of a frame, at its own resolution.

        Args:
            index: index of the frame.
        """

    @property
    def poses_origin(self) -> str | None:
        """The origin of the poses in words; None if there are none."""
        return None if self.clip is None or measured_trajectory(self.clip) is None else MEASURED_ORIGIN

    def poses(self) -> Iterator[np.ndarray]:
        """Yield the pose T_first_current [4, 4] of each frame, in order; none at all if `poses_origin` is None."""
        measured = None if self.clip is None else measured_trajectory(self.clip)
        if measured is not None:
            yield from measured

    @abstractmethod
    def check_map(self) -> None:
        """Raise InputError, which says what to do, if no map can be made."""

    @abstractmethod
    def mapping(self) -> Iterator[FusedMap | None]:
        """Make the map of the clip: yield None after each frame, and the map in the end.

        Raises InputError if no two frames agree on any point.
        """


class PredictedFootage(Footage):
    """A clip whose depth is predicted.

    Args:
        predictor: the predictor.
        clip: the clip.
        flip: fuse each prediction with that of the mirrored image.
        points: options of maps.
        segmentation: network that labels the images; None for that of the checkpoint, if there is one.
    """

    def __init__(
        self,
        predictor: BasePredictor,
        clip: Clip,
        flip: bool = False,
        points: PointOptions = POINTS,
        segmentation: SemanticNetwork | None = None,
    ) -> None:
        names = [frame.name for frame in clip.frames]
        meta = predictor.meta
        camera, metric = _checked_camera(clip, camera_for_points(clip, meta)), is_metric_for(clip, meta)
        super().__init__(clip.short_name, names, scale_of_points(clip, camera, meta), metric, clip, points)
        self.predictor, self._clip, self._flip = predictor, clip, flip
        self.camera = self._camera = camera
        self._segmentation = segmentation or _own_segmentation(predictor)
        self.first = next((index for index, frame in enumerate(clip.frames) if has_measured_depth(frame)), 0)
        self.classes = _class_names(clip, self._segmentation)

    def prediction(self, index: int) -> Prediction:
        """Return the prediction of a frame.

        Args:
            index: index of the frame.
        """
        frame = self._clip.frames[index]
        labels = self.predictor.labels(frame.image, frame.semantic)
        return self.predictor.predict(frame.image.read(), self._camera, flip=self._flip, labels=labels)

    def material(self, index: int) -> Material:
        """Return what is known of a frame, at its own resolution.

        Args:
            index: index of the frame.
        """
        frame, prediction = self._clip.frames[index], self.prediction(index)
        return Material(
            camera=self._camera,
            image=prediction.image,
            depth=prediction.depth,
            reliable=prediction.kept(reliable=True),
            measured=self._beside(_measured(self._clip, frame, prediction.depth.shape), prediction),
            classes=_classes(frame, prediction.image, self._segmentation),
        )

    @property
    def poses_origin(self) -> str | None:
        """The origin of the poses in words; None if there are none."""
        try:
            self.check_map()
        except InputError:
            return None
        return trajectory_origin(self.predictor, self._clip, self.camera)

    def poses(self) -> Iterator[np.ndarray]:
        """Yield the pose T_first_current [4, 4] of each frame, in order; none at all if `poses_origin` is None."""
        if self.poses_origin is not None:
            yield from trajectory(self.predictor, self._clip, self.camera)

    def check_map(self) -> None:
        """Raise InputError, which says what to do, if no map can be made."""
        check_trajectory(self.predictor, self._clip, "map")

    def mapping(self) -> Iterator[FusedMap | None]:
        """Make the map of the clip, as `packdepth predict --save map` does, see `Footage.mapping`."""
        predictions = (self.prediction(index) for index in range(len(self)))
        yield from _fused(predictions, self.poses(), self.points, self.poses_origin or "", self.metric)


class SavedFootage(Footage):
    """Depth that `packdepth predict --save depth` wrote, with the clip that it was predicted for, if that is given.

    Args:
        folder: the folder that holds `depth/`.
        clip: the clip.
        points: options of maps.
        segmentation: network that labels the images.

    Raises InputError if a file cannot be read, if it knows no camera, or if it is of no frame of the clip.
    """

    def __init__(
        self,
        folder: Path,
        clip: Clip | None = None,
        points: PointOptions = POINTS,
        segmentation: SemanticNetwork | None = None,
    ) -> None:
        files = {file.stem: file for file in by_name((folder / "depth").glob("*.npz"))}
        self._frames: list[Frame | None] = [None] * len(files)
        names = list(files)
        if clip is not None:
            frames = [frame for frame in clip.frames if frame.name in files]
            missing = files.keys() - {frame.name for frame in frames}
            if missing:
                raise InputError(f"{folder / 'depth'}: {min(missing)} is no frame of {clip.path}; give its own clip")
            self._frames, names = [*frames], [frame.name for frame in frames]
        self.files = [files[name] for name in names]
        saved, _ = read_saved(self.files[0])
        metric, self.camera = saved.metric, saved.camera
        self.folder, self._segmentation = folder, segmentation
        super().__init__(folder.name, names, scale_in_words(metric, saved.scale_source), metric, clip, points)
        self.classes = _class_names(clip, segmentation)

    def time(self, index: int) -> float | None:
        """Return the time of a frame in seconds; None if it is not known.

        Args:
            index: index of the frame.
        """
        frame = self._frames[index]
        return None if frame is None or self.clip is None or self.clip.independent else frame.time

    def prediction(self, index: int) -> Prediction:
        """Return the saved prediction of a frame, with its image if the clip is given, and gray otherwise.

        Args:
            index: index of the frame.

        Raises InputError if it was predicted from another image than that of the clip.
        """
        (saved, small), frame = read_saved(self.files[index]), self._frames[index]
        if frame is None:
            return saved
        image = frame.image.read()
        if image.shape[:2] != saved.depth.shape:
            raise InputError(f"{self.files[index]}: has not the size of {frame.image.path}; predict it again")
        if small is not None and shows_other_scene(small, thumbnail(image)):
            raise InputError(
                f"{self.files[index]}: was predicted from another image than {frame.image.path}; name the clip that it "
                f"was predicted from"
            )
        return replace(saved, image=image)

    def material(self, index: int) -> Material:
        """Return what is known of a frame, at its own resolution.

        Args:
            index: index of the frame.
        """
        prediction, frame = self.prediction(index), self._frames[index]
        camera = prediction.camera
        assert camera is not None
        depth = prediction.depth
        if self.clip is None or frame is None:
            known = np.isfinite(depth) & (depth > 0)  # what is unreliable is found in the image, too, which is missing
            return Material(camera, depth=depth, reliable=known)
        return Material(
            camera=camera,
            image=prediction.image,
            depth=depth,
            reliable=prediction.kept(reliable=True),
            measured=self._beside(_measured(self.clip, frame, depth.shape), prediction),
            classes=_classes(frame, prediction.image, self._segmentation),
        )

    def poses(self) -> Iterator[np.ndarray]:
        """Yield the measured pose T_first_current [4, 4] of each frame, in order; none at all without them."""
        if self.poses_origin is not None:
            poses = [frame.pose for frame in self._frames if frame is not None and frame.pose is not None]
            yield from from_first(np.stack(poses))

    @property
    def poses_origin(self) -> str | None:
        """The origin of the poses in words; None if there are none, or if depth is not metric as they are."""
        return super().poses_origin if self.metric else None

    def check_map(self) -> None:
        """Raise InputError, which says what to do, if no map can be made."""
        if not (self.folder / "map.ply").exists() and self.poses_origin is None:
            raise InputError(
                f"{self.folder}: holds no map, and no measured poses to make one are known; predict with --save map, "
                f"or name the clip behind the folder if it has poses"
            )

    def mapping(self) -> Iterator[FusedMap | None]:
        """Read the saved map, or make it from the saved depth and measured poses, see `Footage.mapping`."""
        file = self.folder / "map.ply"
        if file.exists():
            yield read_map(file)
            return
        predictions = (self.prediction(index) for index in range(len(self)))
        yield from _fused(predictions, self.poses(), self.points, MEASURED_ORIGIN, self.metric)


class CloudFootage(Footage):
    """Clouds or a map that `packdepth predict --save cloud,map` or `packdepth view --save` wrote, without depth maps.

    Args:
        path: the folder that holds `cloud/` or `map.ply`, or one file.
    """

    def __init__(self, path: Path) -> None:
        self.map = path if path.suffix in SUFFIXES else path / "map.ply"
        self.files = by_name((path / "cloud").glob("*.ply"))
        _, texts = read_cloud(self.files[0] if self.files else self.map)
        metric = texts.get("unit") == "metre"
        scale = scale_in_words(metric, texts.get("scale_source", "none"))
        title = path.name if path.is_dir() else path.stem
        super().__init__(title, [file.stem for file in self.files] or [self.map.stem], scale, metric)
        self.is_map = not self.files

    def material(self, index: int) -> Material:
        """Return no more than a camera: clouds hold no depth maps.

        Args:
            index: index of the frame.
        """
        return Material(Camera.from_fov(60, 1, 1))

    def _shot(self, index: int) -> Shot:
        """Read the cloud of a frame; a map alone is shown as one frame."""
        cloud, _ = read_cloud(self.files[index] if self.files else self.map)
        places = cloud.points.astype(np.float32)
        ahead = places[places[:, 2] > 0]
        self._colors = self._colors or color_range([1 / ahead[:, 2]] if len(ahead) else [np.ones(1)])
        depth = float(np.median(ahead[:, 2])) if len(ahead) else 1.0
        size = 2 * depth / np.sqrt(max(len(places), 1))  # as if the points filled an image
        return Shot(self.names[index], Points(places, cloud.colors), None, {}, float(size))

    def check_map(self) -> None:
        """Raise InputError, which says what to do, if there is no map."""
        if not self.map.exists():
            raise InputError(f"{self.map.parent}: holds no map; predict with --save map")

    def mapping(self) -> Iterator[FusedMap | None]:
        """Read the saved map, see `Footage.mapping`."""
        yield read_map(self.map)


class MeasuredFootage(Footage):
    """A clip with its measured depth alone.

    Args:
        clip: the clip.
        points: options of maps.
        segmentation: network that labels the images.

    Raises InputError if no frame has measured depth, or if the camera is not known.
    """

    def __init__(self, clip: Clip, points: PointOptions = POINTS, segmentation: SemanticNetwork | None = None) -> None:
        measured = [index for index, frame in enumerate(clip.frames) if has_measured_depth(frame)]
        if not measured:
            raise InputError(
                f"{clip.path}: has no measured depth to show; predict it: packdepth view CHECKPOINT {clip.path}"
            )
        super().__init__(
            clip.short_name, [f.name for f in clip.frames], "metric, as it was measured", True, clip, points
        )
        self._clip, self._segmentation, self.first = clip, segmentation, measured[0]
        self.camera = self._camera = _checked_camera(clip, None if clip.missing_camera else clip.camera)
        self.classes = _class_names(clip, segmentation)

    def material(self, index: int) -> Material:
        """Return what is known of a frame, at its own resolution.

        Args:
            index: index of the frame.
        """
        frame = self._clip.frames[index]
        image = frame.image.read()
        return Material(
            camera=self._camera,
            image=image,
            measured=_measured(self._clip, frame, image.shape[:2]),
            classes=_classes(frame, image, self._segmentation),
        )

    def check_map(self) -> None:
        """Raise InputError, which says what to do, if no map can be made."""
        if self.poses_origin is None:
            raise InputError(
                f"{self._clip.path}: a map of measured depth needs the pose of each frame; give poses, or a checkpoint"
            )

    def mapping(self) -> Iterator[FusedMap | None]:
        """Make a map of all measured points, averaged in voxels, see `Footage.mapping`."""
        grid = VoxelGrid(self.points.thin or MEASURED_VOXEL)
        for index, pose in enumerate(self.poses()):
            points = self.shot(index).measured
            if points is not None and len(points.places):
                places, reach = points.places, self.points.max_depth
                near = places[:, 2] <= (np.inf if reach is None else reach)
                assert points.colors is not None
                world = places[near].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
                grid.add(world, points.colors[near], places[near, 2].astype(np.float64) ** -2)
            yield None
        cloud, views = grid.means()
        if not len(views):
            raise InputError(f"{self._clip.path}: no map: no measured point is near enough; give a larger --max-depth")
        texts = {"unit": "metre", "scale_source": "measured depth", "trajectory": MEASURED_ORIGIN}
        words = f"{len(views)} measured points, voxels of {grid.size:.3g} m, along {MEASURED_ORIGIN}"
        yield FusedMap(cloud, texts, words, views)


def _fused(
    predictions: Iterator[Prediction], poses: Iterator[np.ndarray], points: PointOptions, origin: str, metric: bool
) -> Iterator[FusedMap | None]:
    """Fuse predictions along their poses: yield None after each of them, and the map in the end."""
    fused, texts = ClipMap(points), {}
    for prediction, pose in zip(predictions, poses, strict=True):
        fused.add(replace(prediction, pose=pose))
        texts = prediction.texts
        yield None
    yield fused.described(texts, origin, metric)


def _checked_camera(clip: Clip, camera: Camera | None) -> Camera:
    """Return the camera of a clip. Raises InputError without one, and for images of several sizes."""
    if camera is None:
        raise InputError(
            f"{clip.path}: no camera is known, but points need one; name its file with --camera, or its field of view "
            f"with --fov"
        )
    for frame in clip.frames:
        if clip.image_size(frame) != (camera.height, camera.width):
            height, width = clip.image_size(frame)
            raise InputError(
                f"{frame.image.path}: is {width}x{height} pixels, but the camera is for "
                f"{camera.width}x{camera.height}; view images of one size"
            )
    return camera


def _measured(clip: Clip, frame: Frame, size: tuple[int, ...]) -> np.ndarray | None:
    """Return the measured depth [H, W] of a frame; None without any. Raises InputError for another size."""
    if not has_measured_depth(frame):
        return None
    from packdepth.data.dataset import measured_depth

    depth: np.ndarray = measured_depth(clip, frame)[0].numpy()
    if depth.shape != tuple(size):
        raise InputError(
            f"{clip.path}: measured depth of frame {frame.name} is {depth.shape[1]}x{depth.shape[0]} pixels, but its "
            f"image {size[1]}x{size[0]}; write depth maps at the size of the images"
        )
    return depth


def _classes(frame: Frame, image: np.ndarray, segmentation: SemanticNetwork | None) -> np.ndarray | None:
    """Return the class ids [H, W] of a frame: those of a network, or else those of its label map; None without both."""
    if segmentation is not None:
        from packdepth.segmentation.label import labeled

        return labeled(segmentation, image)
    return None if frame.semantic is None else frame.semantic.read()


def _class_names(clip: Clip | None, segmentation: SemanticNetwork | None) -> tuple[str, ...]:
    """Return the names of the classes that are shown, by class id: those of `_classes`; none if they are not stated."""
    if segmentation is not None:
        return segmentation.classes
    return () if clip is None else clip.classes or ()


def _own_segmentation(predictor: BasePredictor) -> SemanticNetwork | None:
    """Return the segmentation network that guides the depth network of a checkpoint; None if there is none."""
    from packdepth.inference.exported import ExportedPredictor

    if isinstance(predictor, ExportedPredictor):
        return None
    from packdepth.networks.guidance import NetworkGuidance

    guidance = getattr(getattr(predictor, "depth", None), "guidance", None)
    return guidance.semantics if isinstance(guidance, NetworkGuidance) else None


def read_map(path: Path) -> FusedMap:
    """Read a map that `packdepth predict --save map` or `packdepth view --save` wrote.

    Args:
        path: the file.

    Raises InputError if it is no such file.
    """
    cloud, texts = read_cloud(path)
    return FusedMap(cloud, texts, f"{len(cloud.points)} points of {path}")


def read_saved(path: Path) -> tuple[Prediction, np.ndarray | None]:
    """Read an npz file that `packdepth predict --save depth` wrote, as a prediction with a gray image.

    Args:
        path: the file.

    Returns:
        The prediction, and the thumbnail [12, 16] of the image that it was predicted from; None in files of version 0.2
        and before.

    Raises InputError if it is no such file, or if it does not hold the camera.
    """
    with refusing(path, "depth that packdepth saved", "predict again"):
        content = read_arrays(path, ("depth", "metric", "scale_source", "intrinsics", "thumbnail"))
        depth = content["depth"].astype(np.float32)
        metric, source = bool(content["metric"]), str(content["scale_source"])
        height, width = depth.shape
        known, small = content.get("intrinsics"), content.get("thumbnail")
        camera = None if known is None else Camera.from_matrix(known.astype(np.float64), width, height)
    if camera is None:
        raise InputError(f"{path}: holds no camera, so that it has no points; predict with --camera FILE or --fov")
    with np.errstate(divide="ignore"):
        inverse = np.where(depth > 0, 1 / depth, 0).astype(np.float32)
    return Prediction(depth, inverse, metric, source, np.full((height, width, 3), 128, np.uint8), camera), small
