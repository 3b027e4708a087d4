"""Recordings: a folder of images with one JSON file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from packdepth import Camera
from packdepth.records import Clip, Frame
from packdepth.sources import Content, DepthPng, ImageFile, Source, common_size, read_json


class Shot(Content):
    """A frame in recording.json. Paths are relative to the folder."""

    image: str
    time: float  # seconds
    speed: float | None = None  # metres per second
    depth: str | None = None  # a depth map: metres x 256 in a 16-bit PNG, 0 where unknown


class RecordingFile(Content):
    """The content of recording.json. Focal lengths and principal point are in pixels."""

    fx: PositiveFloat
    fy: PositiveFloat
    cx: float
    cy: float
    frames: Annotated[list[Shot], Field(min_length=1)]


class Recording(Source):
    """A folder that holds images and a recording.json."""

    kind: Literal["recording"] = "recording"
    root: Path
    """The folder."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a path is such a folder."""
        return (path / "recording.json").is_file()

    def find(self) -> list[Clip]:
        """Return the one clip. Raises InputError if a file is missing or does not fit."""
        content = read_json(self.root / "recording.json", RecordingFile, "the camera and the frames of a recording")
        images = [ImageFile(self.root / shot.image) for shot in content.frames]
        height, width = common_size(images)
        depths = [DepthPng(self.root / shot.depth) if shot.depth else None for shot in content.frames]
        frames = tuple(
            Frame(name=image.path.stem, time=shot.time, image=image, speed=shot.speed, depth=depth)
            for shot, image, depth in zip(content.frames, images, depths, strict=True)
        )
        camera = Camera(content.fx, content.fy, content.cx, content.cy, width=width, height=height)
        return [Clip(f"recording/{self.root.resolve().name}", self.root, camera, frames)]
