"""One point cloud of a whole clip: the points that several frames agree on, averaged in voxels along the trajectory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from packdepth.errors import InputError
from packdepth.files import CAMERA_AXES, write_cloud, write_glb
from packdepth.geometry.camera import Camera
from packdepth.geometry.voxels import MAX_VOXELS, Cloud, VoxelGrid
from packdepth.inference.options import PointOptions
from packdepth.records import Prediction

VOXEL_SHARE = 0.005  # side of a voxel over the median depth of the first frame, unless --thin gives it: 0.1 m at 20 m
MIN_STEP = 0.02  # translation over the median depth from which a frame counts as another view; smaller: no parallax
MIN_TURN = 5.0  # degrees of rotation from which a frame counts as another view, although it stands
# The following were chosen on 3 rendered drives (packdepth city --split val --seed 32) of 40 frames, with voxels of
# 0.15 m: 77 to 84 % of the points of a map then lie within 0.25 m of the true surface.
REACH = 1.0  # largest depth over a frame's median depth, unless --max-depth gives it; with 1.5: 48 to 70 %
AGREEMENT = 0.05  # largest relative difference of two depths that agree; with 0.1: 73 to 80 %
MIN_FRAMES = 2  # least number of frames in a voxel; with 1: 48 to 57 %


@dataclass(frozen=True, eq=False)
class FusedMap:
    """A finished map in the frame of the first camera (x right, y down, z forward).

    >>> points = Cloud(np.zeros((1, 3)), np.zeros((1, 3), np.uint8))
    >>> FusedMap(points, {"unit": "metre"}, "1 point").views is None
    True
    """

    cloud: Cloud  # its points, colors and, if it is known, confidence
    texts: Mapping[str, str]  # what a PLY says of it, by keyword
    words: str  # what it is, in words
    views: np.ndarray | None = None  # [N] number of frames that each point was averaged over; None if it is not known

    def write(self, path: Path) -> None:
        """Write the map as GLB (glTF, y up) if that is the suffix of the file, otherwise as PLY (y down).

        Args:
            path: the file.
        """
        if path.suffix == ".glb":
            write_glb(path, self.cloud.points, self.cloud.colors, self.texts)
            return
        views = None if self.views is None else self.views.clip(max=65535)
        write_cloud(path, self.cloud.points, self.cloud.colors, self.texts, views, self.cloud.confidence)


class ClipMap:
    """A map that grows with each prediction of a clip, in bounded memory.

    A frame is used if the camera has moved since the last one that was. A point of a used frame enters the map if the
    depth of the used frame before or after it agrees, and neither of them sees through it, as they do where an object
    has moved. A voxel is kept if points of two frames met it. Near points weigh more than far ones: the error of depth
    grows with depth.

    Args:
        options: options of point clouds and maps.
        max_voxels: the most voxels in memory.
    """

    def __init__(self, options: PointOptions, max_voxels: int = MAX_VOXELS) -> None:
        self.options, self._max = options, max_voxels
        self.grid: VoxelGrid | None = None  # made when the first points are known
        self.views = 0  # number of used frames
        self.reach: tuple[float, float] | None = None  # least and largest depth at which used frames were cut
        self._window: deque[Prediction] = deque(maxlen=3)

    def add(self, prediction: Prediction) -> None:
        """Add a prediction, in the order of time.

        Args:
            prediction: a prediction with a camera and a pose.
        """
        if self._window and not moved(self._window[-1], prediction):
            return
        self.views += 1
        self._window.append(prediction)
        if len(self._window) == 3:
            self._fuse(1, (0, 2))
        elif len(self._window) == 2:
            self._fuse(0, (1,))

    def finish(self) -> tuple[Cloud, np.ndarray, float]:
        """Return the points of the map, with their colors and confidence, their views [N] and the side of a voxel.

        Raises InputError if no two frames agree on any point.
        """
        if len(self._window) > 1:
            self._fuse(-1, (-2,))
        self._window.clear()
        if self.grid is not None:
            cloud, views = self.grid.means(MIN_FRAMES)
            if len(views):
                return cloud, views, self.grid.size
        raise InputError("no map: no two frames with motion between them agree on any point; try a larger --thin")

    def described(self, texts: Mapping[str, str], trajectory: str, metric: bool) -> FusedMap:
        """Return the finished map with what there is to say of it.

        Args:
            texts: the texts of its predictions (`Prediction.texts`).
            trajectory: the origin of their poses, in words.
            metric: whether their depth is in metres.

        Raises InputError as `finish` does.
        """
        cloud, views, size = self.finish()
        unit = " m" if metric else ""
        assert self.reach is not None
        least, largest = self.reach
        reach = f"{largest:.3g}{unit}" if f"{least:.3g}" == f"{largest:.3g}" else f"{least:.3g} to {largest:.3g}{unit}"
        given = self.options.max_depth is not None
        origin = "--max-depth" if given else "the median depth of each frame; --max-depth takes farther points"
        return FusedMap(
            cloud,
            {
                **texts,
                "frame": f"the first camera, {CAMERA_AXES}",
                "trajectory": trajectory,
                "reach": f"depth up to {reach} ({'given' if given else 'the median depth of each frame'})",
                "voxel": f"{size:.4g}",
                "views": f"frames averaged in a point; {self.views} frames were used",
            },
            f"{len(views)} points up to a depth of {reach} ({origin}), voxels of {size:.3g}{unit}, along {trajectory}",
            views,
        )

    def _fuse(self, index: int, others: tuple[int, ...]) -> None:
        """Add the points of a frame of the window that other ones of it agree on."""
        options, prediction = self.options, self._window[index]
        reach = REACH * float(np.median(prediction.depth)) if options.max_depth is None else options.max_depth
        self.reach = (reach, reach) if self.reach is None else (min(reach, self.reach[0]), max(reach, self.reach[1]))
        points, colors, confidence = prediction.cloud(
            reach, reliable=not options.all_points, min_confidence=options.min_confidence
        )
        depth = points[:, 2]
        assert prediction.pose is not None
        world = points.astype(np.float64) @ prediction.pose[:3, :3].T + prediction.pose[:3, 3]
        agrees, contradicted = np.zeros(len(points), bool), np.zeros(len(points), bool)
        for other in others:
            difference = relative_difference(world, self._window[other])
            agrees |= np.abs(difference) <= AGREEMENT
            contradicted |= difference > AGREEMENT
        chosen = agrees & ~contradicted
        if not chosen.any():
            return
        if self.grid is None:
            size = VOXEL_SHARE * float(np.median(prediction.depth)) if options.thin is None else options.thin
            self.grid = VoxelGrid(size, self._max)
        sure = None if confidence is None else confidence[chosen]
        self.grid.add(world[chosen], colors[chosen], depth[chosen].astype(np.float64) ** -2, sure)


def moved(before: Prediction, after: Prediction) -> bool:
    """Return whether the camera has moved or turned enough between two predictions for another view.

    Args:
        before: the earlier prediction, with a pose.
        after: the later one, with a pose.
    """
    assert before.pose is not None
    assert after.pose is not None
    T = np.linalg.inv(before.pose) @ after.pose
    turn = np.degrees(np.arccos(np.clip((np.trace(T[:3, :3]) - 1) / 2, -1, 1)))
    return bool(np.linalg.norm(T[:3, 3]) >= MIN_STEP * np.median(after.depth) or turn >= MIN_TURN)


def relative_difference(points: np.ndarray, prediction: Prediction) -> np.ndarray:
    """Return by how much a prediction sees farther than points, over their depth there.

    Args:
        points: points [N, 3] in the world.
        prediction: a prediction with a camera and a pose.

    Returns:
        [N]: 0 where the prediction has the depth of the point, positive where it sees through the point, negative where
        the point is hidden, NaN where the image does not show the point.
    """
    camera = prediction.camera
    assert isinstance(camera, Camera)
    assert prediction.pose is not None
    T_camera_world = np.linalg.inv(prediction.pose)
    local = points @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
    z = local[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(z > 0, camera.fx * local[:, 0] / z + camera.cx, -1)
        v = np.where(z > 0, camera.fy * local[:, 1] / z + camera.cy, -1)
    height, width = prediction.depth.shape
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    columns, rows = (np.where(inside, place, 0).round().astype(int) for place in (u, v))
    return np.where(inside, prediction.depth[rows, columns] / np.where(inside, z, 1) - 1, np.nan)
