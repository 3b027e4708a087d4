"""CamVid: unrelated street images with classes, as `<part>/<name>.*` and `<part>annot/<name>.png`.

This is the layout of SegNet's tutorial: 480x360 pixels and eleven classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.camera_file import read_camera
from packdepth.sources.files import IMAGES, ImageFile, LabelPng, check_sizes, common_size, found, required

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
    "unlabeled",
)
"""By class id."""


class CamVid(Source):
    """CamVid's images and their classes (`CLASSES`). Frames are independent: they are not for self-supervision."""

    class_names: ClassVar[tuple[str, ...]] = CLASSES[:-1]  # the last one is "unlabeled"

    kind: Literal["camvid"] = "camvid"
    root: Path
    """The folder that holds train/ and trainannot/, and so on."""
    parts: Annotated[tuple[Literal["train", "val", "test"], ...], Field(min_length=1)] = ("train",)
    """One clip each."""
    camera: Path | None = None
    """camera.yaml of the images. CamVid has none; if left out, a nominal one stands for it, as long as wide."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Whether a folder holds images and their classes."""
        return any((path / part).is_dir() and (path / f"{part}annot").is_dir() for part in ("train", "val", "test"))

    def find(self) -> list[Clip]:
        """One clip for each part."""
        return [self._clip(part) for part in self.parts]

    def _clip(self, part: str) -> Clip:
        folder = self.root / part
        images = required(folder, IMAGES, ImageFile, "the images of CamVid")
        labels = found(self.root / f"{part}annot", (".png",), LabelPng)
        for name, label in labels.items():
            if name not in images:
                raise InputError(f"{label.path}: has no image in {folder}; copy the image, or remove the labels")
        if self.camera is not None:
            camera = read_camera(self.camera).camera
        else:
            height, width = common_size(images.values())
            camera = Camera(width, width, (width - 1) / 2, (height - 1) / 2, width=width, height=height)
        check_sizes([*images.values(), *labels.values()], camera.height, camera.width, self.camera or folder)
        return Clip(
            name=f"camvid/{part}",
            path=folder,
            camera=camera,
            frames=tuple(
                Frame(name=name, time=float(index), image=image, semantic=labels.get(name))
                for index, (name, image) in enumerate(images.items())
            ),
            independent=True,
        )
