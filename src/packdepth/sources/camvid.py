"""CamVid: unrelated street images with semantic labels, in `<part>/<name>.*` and `<part>annot/<name>.png`.

This is the layout of SegNet's tutorial: images of 480x360 pixels and eleven classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from packdepth.classes import UNLABELED
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.camera_file import CameraFacts, calibrated_camera
from packdepth.sources.files import ImageFile, LabelPng, check_sizes, common_size, found, required
from packdepth.sources.stills import IMAGES

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
)
"""Names of the classes; the index is the class id. Pixels of one more id, 11, are unlabeled."""


@dataclass(frozen=True)
class CamVidLabels:
    """Label map of CamVid."""

    path: Path  # PNG of class ids

    def read(self) -> np.ndarray:
        """Read the label map: [H, W] uint8, class ids, 255 where there is none."""
        ids = LabelPng(self.path).read()
        return np.where(ids == len(CLASSES), np.uint8(UNLABELED), ids)


class CamVid(Source):
    """CamVid's images with their semantic labels (`CLASSES`).

    Frames are independent images, so they cannot be used for self-supervised training.
    """

    class_names: ClassVar[tuple[str, ...] | None] = CLASSES

    kind: Literal["camvid"] = "camvid"
    root: Path
    """Folder that holds train/ and trainannot/, and so on."""
    parts: Annotated[tuple[Literal["train", "val", "test"], ...], Field(min_length=1)] = ("train",)
    """Parts to use; each becomes a clip."""
    camera: Path | None = None
    """camera.yaml of the images. CamVid has none; if left out, the focal length is set to the width of the images."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder holds images and their labels.

        Args:
            path: file or folder.
        """
        return any((path / part).is_dir() and (path / f"{part}annot").is_dir() for part in ("train", "val", "test"))

    def find(self) -> list[Clip]:
        """Find one clip for each part."""
        return [self._clip(part) for part in self.parts]

    def _clip(self, part: str) -> Clip:
        """Make the clip of a part."""
        folder = self.root / part
        images = required(folder, IMAGES, ImageFile, "the images of CamVid")
        labels = found(self.root / f"{part}annot", (".png",), CamVidLabels)
        for name, label in labels.items():
            if name not in images:
                raise InputError(f"{label.path}: has no image in {folder}; copy the image, or remove the labels")
        if self.camera is not None:
            facts = calibrated_camera(self.camera)
        else:
            height, width = common_size(images.values())
            facts = CameraFacts(camera=Camera(width, width, (width - 1) / 2, (height - 1) / 2, width, height))
        camera = facts["camera"]
        check_sizes([*images.values(), *labels.values()], camera.height, camera.width, self.camera or folder)
        return Clip(
            name=f"camvid/{part}",
            path=folder,
            camera=camera,
            lens=facts.get("lens"),
            frames=tuple(
                Frame(name=name, time=float(index), image=image, semantic=labels.get(name))
                for index, (name, image) in enumerate(images.items())
            ),
            independent=True,
        )
