"""Writers: files of one kind that hold the predictions of a clip, each a `Writer` in a module of this package.

`packdepth predict --save NAME` finds the class with `kind = "NAME"` there; most modules have the name of their kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from packdepth.blocks import submodules
from packdepth.inference.options import PictureOptions, PointOptions
from packdepth.records import Prediction


@dataclass(frozen=True)
class ClipFacts:
    """Facts about a clip that its writers need.

    >>> ClipFacts(rate=10.0).trajectory
    'unknown'
    """

    rate: float  # frames per second
    times: tuple[float, ...] = ()  # seconds, of each frame, if they are known and the frames are consecutive
    colors: tuple[float, float] = (0.0, 0.0)  # range of inverse depth (1/metres) of the colors, if a writer needs it
    trajectory: str = "unknown"  # the origin of the predictions' poses, for texts, if a writer needs poses
    metric: bool = True  # whether depth is in metres


class Writer(ABC):
    """A context manager that writes the predictions of one clip, one after the other.

    Each file is written completely or not at all. If the block fails, completed files remain.

    Args:
        place: the file or folder to write, as `place` gives it.
        facts: facts about the clip.
        points: options of point clouds and maps.
        pictures: options of pictures and videos.
    """

    kind: ClassVar[str]
    """The name of the writer for --save, which is the name of its module."""
    content: ClassVar[str]
    """A description of the files for messages, such as "point clouds"."""
    needs_camera: ClassVar[bool] = False
    """Whether every prediction must have a camera."""
    needs_one_size: ClassVar[bool] = False
    """Whether all images must be of one size."""
    needs_colors: ClassVar[bool] = False
    """Whether the writer needs the clip's range of inverse depth."""
    needs_poses: ClassVar[bool] = False
    """Whether every prediction must have a pose."""
    needs_metric: ClassVar[bool] = False
    """Whether depth must be in metres."""

    def __init__(self, place: Path, facts: ClipFacts, points: PointOptions, pictures: PictureOptions) -> None:
        self.path, self.facts, self.points, self.pictures = place, facts, points, pictures
        self.stack = ExitStack()  # files that are open for the whole clip

    @classmethod
    def place(cls, folder: Path, name: str) -> Path:
        """Return the file or folder that the writer fills.

        Args:
            folder: the output folder of the clip.
            name: the name for a file that holds the whole clip.
        """
        return folder / cls.kind

    @abstractmethod
    def append(self, name: str, prediction: Prediction) -> None:
        """Write the prediction of the next frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """

    def summary(self, count: int) -> str:
        """Return what was written, for the report.

        Args:
            count: number of frames of the clip.
        """
        return f"{self.content} of {count} frame{'' if count == 1 else 's'}: {self.path}"

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the files or, after an error, remove those that are not complete."""
        self.stack.__exit__(kind, error, traceback)


class FrameWriter(Writer):
    """A writer of one file of depth for each frame, `KIND/FRAME.SUFFIX` (see `Prediction.save`)."""

    suffix: ClassVar[str]
    """The suffix of the files, with its dot."""

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the file of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        prediction.save(self.path / f"{name}{self.suffix}")


def all_writers() -> dict[str, type[Writer]]:
    """Return the writers by their kind. Writers that need a camera or images of one size come last.

    >>> list(all_writers())
    ['depth', 'exr', 'tiff', 'png16', 'color', 'video', 'cloud', 'map']
    """
    writers = [
        value
        for module in submodules(__name__)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Writer) and value.__module__ == module.__name__
    ]
    needs = ("needs_poses", "needs_camera", "needs_one_size", "needs_colors", "needs_metric")
    writers.sort(key=lambda writer: (*(getattr(writer, need) for need in needs), writer.kind))
    return {writer.kind: writer for writer in writers}
