"""One point cloud of a whole clip."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import ClassVar

from packdepth.errors import InputError
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
            fused = self._map.described(self._texts, self.facts.trajectory, self.facts.metric)
        except InputError as reason:
            raise InputError(f"{self.path}: {reason}") from None
        fused.write(self.path)
        self._found = fused.words
