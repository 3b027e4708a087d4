"""One point cloud of a whole clip."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import ClassVar

from packdepth.errors import InputError
from packdepth.files import write_cloud
from packdepth.inference.fusion import ClipMap
from packdepth.inference.options import PictureOptions, PointOptions
from packdepth.inference.writers import ClipFacts, Writer
from packdepth.records import Prediction


class MapWriter(Writer):
    """Writer of `map.ply`: the points that several frames agree on, in the frame of the first camera."""

    kind: ClassVar[str] = "map"
    content: ClassVar[str] = "map"
    needs_camera: ClassVar[bool] = True
    needs_poses: ClassVar[bool] = True

    def __init__(self, place: Path, facts: ClipFacts, points: PointOptions, pictures: PictureOptions) -> None:
        super().__init__(place, facts, points, pictures)
        self._map = ClipMap(points)
        self._texts: dict[str, str] = {}
        self._found = ""

    @classmethod
    def place(cls, folder: Path, name: str) -> Path:
        """Return the file of the map.

        Args:
            folder: the output folder of the clip.
            name: the name of the clip; not used.
        """
        return folder / "map.ply"

    def append(self, name: str, prediction: Prediction) -> None:
        """Add a frame to the map.

        Args:
            name: the name of the frame.
            prediction: its prediction, with a camera and a pose.
        """
        self._texts = prediction.texts
        self._map.add(prediction)

    def summary(self, count: int) -> str:
        """Return what was written, for the report.

        Args:
            count: number of frames of the clip.
        """
        return f"{super().summary(count)} ({self._found})"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the map, unless an error occurred."""
        super().__exit__(kind, error, traceback)
        if kind is not None:
            return
        try:
            cloud, views, size = self._map.finish()
        except InputError as reason:
            raise InputError(f"{self.path}: {reason}") from None
        unit = " m" if self.facts.metric else ""
        assert self._map.reach is not None
        least, largest = self._map.reach
        reach = f"{largest:.3g}{unit}" if f"{least:.3g}" == f"{largest:.3g}" else f"{least:.3g} to {largest:.3g}{unit}"
        given = self.points.max_depth is not None
        origin = "--max-depth" if given else "the median depth of each frame; --max-depth takes farther points"
        texts = {
            **self._texts,
            "frame": "the first camera, x right, y down, z forward",
            "trajectory": self.facts.trajectory,
            "reach": f"depth up to {reach} ({'given' if given else 'the median depth of each frame'})",
            "voxel": f"{size:.4g}",
            "views": f"frames averaged in a point; {self._map.views} frames were used",
        }
        write_cloud(self.path, cloud.points, cloud.colors, texts, views.clip(max=65535), cloud.confidence)
        self._found = (
            f"{len(views)} points up to a depth of {reach} ({origin}), voxels of {size:.3g}{unit}, "
            f"along {self.facts.trajectory}"
        )
