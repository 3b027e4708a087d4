"""Points averaged in the cubes (voxels) of a grid: thinned clouds, and maps that grow frame by frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packdepth.errors import check_length

CELLS = 1 << 20  # cells of the grid on either side of its origin along each axis: three indices fit into 63 bits
MAX_VOXELS = 3_000_000  # voxels in memory; beyond, voxels become twice as large. With the copies of a merge: 1 GB
PENDING = 500_000  # least number of voxels of new frames that are merged with the others at once, which takes a sort


class Cloud(NamedTuple):
    """Colored points."""

    points: np.ndarray  # [N, 3]
    colors: np.ndarray  # [N, 3] uint8, RGB
    confidence: np.ndarray | None = None  # [N] in [0, 1]; None if it is not known


class Voxels(NamedTuple):
    """Voxels of a grid, with sums over their points."""

    keys: np.ndarray  # [N] int64, one number for each cell of the grid
    sums: np.ndarray  # [N, 8] weight, weight x (x, y, z), weight x (red, green, blue), weight x confidence
    frames: np.ndarray  # [N] int64, number of frames that met the voxel


class VoxelGrid:
    """Points and colors, averaged in cubes. It grows with `add`, and its memory is bounded.

    If a grid would hold more than `max_voxels` voxels, its voxels become twice as large, as often as needed.

    Args:
        size: side of a voxel, in the unit of the points.
        max_voxels: the most voxels to hold.

    Attributes:
        size: the present side of a voxel.

    Raises InputError for a side that is not positive and finite.

    >>> grid = VoxelGrid(1.0)
    >>> colors = np.full((3, 3), 100, np.uint8)
    >>> grid.add(np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4], [5.0, 0.0, 0.0]]), colors, np.ones(3))
    >>> cloud, frames = grid.means()
    >>> cloud.points.round(3).tolist(), frames.tolist()
    ([[0.3, 0.3, 0.3], [5.0, 0.0, 0.0]], [1, 1])
    """

    def __init__(self, size: float, max_voxels: int = MAX_VOXELS) -> None:
        check_length("size", size, "in the unit of the points")
        self.size, self._max = size, max_voxels
        self._voxels = Voxels(np.zeros(0, np.int64), np.zeros((0, 8)), np.zeros(0, np.int64))
        self._pending: list[Voxels] = []  # those of the latest frames

    def add(
        self, points: np.ndarray, colors: np.ndarray, weights: np.ndarray, confidence: np.ndarray | None = None
    ) -> None:
        """Add the points of a frame.

        Args:
            points: points [N, 3].
            colors: their colors [N, 3] uint8.
            weights: their weights in averages [N], positive.
            confidence: their confidence [N], if it is known.
        """
        sure = np.full(len(points), np.nan) if confidence is None else confidence
        cells = np.floor(points / self.size).clip(-CELLS, CELLS - 1).astype(np.int64)  # the outermost ones are endless
        sums = np.concatenate([np.ones((len(points), 1)), points, colors, sure[:, None]], axis=1) * weights[:, None]
        frame = merged(Voxels(packed(cells), sums, np.ones(len(cells), np.int64)), np.maximum)
        self._pending.append(frame)
        if sum(len(each.keys) for each in self._pending) > max(PENDING, len(self._voxels.keys) // 2):
            self._merge()

    def means(self, min_frames: int = 1) -> tuple[Cloud, np.ndarray]:
        """Return the mean points (float64), colors and confidence of the voxels, and their numbers of frames [N].

        Args:
            min_frames: leave out voxels that fewer frames have met.
        """
        self._merge()
        chosen = self._voxels.frames >= min_frames
        sums = self._voxels.sums[chosen]
        values = sums[:, 1:] / sums[:, :1]
        points, colors, confidence = values[:, :3], values[:, 3:6].round().astype(np.uint8), values[:, 6]
        cloud = Cloud(points, colors, None if np.isnan(confidence).any() else confidence)
        return cloud, self._voxels.frames[chosen]

    def _merge(self) -> None:
        """Merge the voxels of the latest frames with the others."""
        parts = [self._voxels, *self._pending]
        self._voxels = merged(Voxels(*map(np.concatenate, zip(*parts, strict=True))), np.add)
        self._pending = []
        while len(self._voxels.keys) > self._max:
            keys, sums, frames = self._voxels
            self.size *= 2
            self._voxels = merged(Voxels(packed(unpacked(keys) >> 1), sums, frames), np.maximum)


def thinned(cloud: Cloud, size: float) -> Cloud:
    """Return one point for each cube of a grid that holds points: the mean of its points, colors and confidence.

    Args:
        cloud: N points.
        size: side of a cube, in the unit of the points.

    Returns:
        M <= N points of the same type, in the order of the cubes.

    Raises InputError for a side that is not positive and finite.

    >>> cloud = Cloud(np.array([[0.1, 0, 1], [0.3, 0, 1]]), np.array([[0, 0, 0], [2, 2, 2]], np.uint8))
    >>> thinned(cloud, 0.5).colors.tolist()
    [[1, 1, 1]]
    """
    grid = VoxelGrid(size, max_voxels=len(cloud.points) + 1)
    grid.add(cloud.points, cloud.colors, np.ones(len(cloud.points)), cloud.confidence)
    means, _ = grid.means()
    confidence = None if cloud.confidence is None else means.confidence
    return Cloud(means.points.astype(cloud.points.dtype), means.colors, confidence)


def packed(cells: np.ndarray) -> np.ndarray:
    """Return cells as keys, one number for each.

    Args:
        cells: indices [N, 3] int64 of cells, from -`CELLS` to `CELLS` - 1.

    Returns:
        Keys [N] int64.

    >>> unpacked(packed(np.array([[-3, 0, 5]]))).tolist()
    [[-3, 0, 5]]
    """
    shifted = cells + CELLS
    return np.asarray((shifted[:, 0] << 42) | (shifted[:, 1] << 21) | shifted[:, 2])


def unpacked(keys: np.ndarray) -> np.ndarray:
    """Return the cells [N, 3] int64 of keys.

    Args:
        keys: keys [N] int64, as `packed` returns them.
    """
    low = (1 << 21) - 1
    return np.stack([keys >> 42, (keys >> 21) & low, keys & low], axis=1) - CELLS


def merged(voxels: Voxels, count: np.ufunc) -> Voxels:
    """Return voxels without duplicates, in the order of their keys.

    Args:
        voxels: voxels, of which several may have one key; their sums are added up.
        count: function that joins their numbers of frames: `np.add`, or `np.maximum` if they met the same frames.
    """
    order = np.argsort(voxels.keys, kind="stable")
    keys = voxels.keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(starts):
        return voxels
    return Voxels(
        keys[starts], np.add.reduceat(voxels.sums[order], starts), count.reduceat(voxels.frames[order], starts)
    )
