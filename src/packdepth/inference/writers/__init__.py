"""Writers: files of one kind that hold the predictions of a clip. Each writer is a module of this package.

A module `NAME.py` defines one class, a `Writer` with `kind = "NAME"`: `packdepth predict --save NAME` finds it there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from packdepth.blocks import submodules
from packdepth.records import Prediction


class Writer(ABC):
    """A context manager that writes the predictions of one clip, one after the other.

    Each file is written completely or not at all. If the block fails, completed files remain.

    Args:
        place: the file or folder to write, as `place` gives it.
        rate: the clip's frames per second.
        colors: inverse depths (1/metres) of the darkest and the brightest color; only used if `needs_colors`.
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

    def __init__(self, place: Path, rate: float, colors: tuple[float, float]) -> None:
        self.path, self.rate, self.colors = place, rate, colors
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

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the files or, after an error, remove those that are not complete."""
        self.stack.__exit__(kind, error, traceback)


def all_writers() -> dict[str, type[Writer]]:
    """Return the writers by their kind. Writers that need a camera or images of one size come last.

    >>> list(all_writers())
    ['depth', 'color', 'video', 'cloud']
    """
    writers = [
        value
        for module in submodules(__name__)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Writer) and value.__module__ == module.__name__
    ]
    writers.sort(key=lambda writer: (writer.needs_camera, writer.needs_one_size, writer.needs_colors, writer.kind))
    return {writer.kind: writer for writer in writers}
