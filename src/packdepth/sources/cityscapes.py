"""Cityscapes' video snippets. Each folder has subfolders for a split, such as train/, and a city, such as aachen/.

leftImg8bit_sequence/   <city>_<sequence>_<frame>_leftImg8bit.png: frames of a snippet, 17 per second
rightImg8bit_sequence/  ..._rightImg8bit.png
camera/                 ..._camera.json: calibration, for the annotated frame of a snippet, its 20th of 30
vehicle_sequence/       ..._vehicle.json: speed of each frame (or vehicle/: only of annotated frames)
gtFine/                 ..._gtFine_labelIds.png: label ids of annotated frames
disparity/              ..._disparity.png: disparity of annotated frames, 1 + 256 x pixels in 16 bits, 0 where unknown
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat

from packdepth.blocks import nearest
from packdepth.classes import STREET_CLASSES, UNLABELED, Label
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.files import ImageFile, LabelPng, check_sizes, common_size, read_gray16, require
from packdepth.sources.json_file import Content, read_json

RATE = 17.0  # frames per second
BEFORE, AFTER = 19, 10  # frames of a snippet before and after the annotated one
CENTER = (0.25, 0.75)  # of width and height: limits of a plausible principal point; chosen by eye
MIN_DISPARITY = 1e-6  # pixels: avoids division by zero where disparity is unknown
NAME = re.compile(r"(?P<city>.+)_(?P<sequence>\d{6})_(?P<frame>\d{6})_(?P<what>.+)")
TRAIN_IDS = np.full(
    256, UNLABELED, dtype=np.uint8
)  # train id of each label id; UNLABELED for classes that are not evaluated
TRAIN_IDS[[7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]] = list(Label)


class Cityscapes(Source):
    """Cityscapes' video snippets.

    Images and calibration are required; right images, speed, label maps and depth are optional. Label maps hold train
    ids, 255 where a pixel has none. Depth is computed from disparity maps.
    """

    class_names: ClassVar[tuple[str, ...] | None] = STREET_CLASSES

    kind: Literal["cityscapes"] = "cityscapes"
    root: Path
    """Folder that holds leftImg8bit_sequence/ and camera/."""
    split: Literal["train", "val", "test"] = "train"
    """Split of the data set to use."""
    cities: Annotated[list[str], Field(min_length=1)] | None = None
    """Cities to use, such as ["aachen"]; all that exist if left out."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder holds images of snippets.

        Args:
            path: file or folder.
        """
        return (path / "leftImg8bit_sequence").is_dir()

    def find(self) -> list[Clip]:
        """Find one clip for each snippet."""
        folder = require(self.root / "leftImg8bit_sequence" / self.split, f"the {self.split} images of Cityscapes")
        cities = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
        for name in self.cities or ():
            if name not in cities:
                raise InputError(f"{folder}: cities: holds no '{name}'; {nearest(name, cities or ['none'])}")
        clips = [clip for city in self.cities or cities for clip in self._city(city)]
        if not clips:
            raise InputError(f"{folder}: holds no CITY/CITY_000000_000000_leftImg8bit.png; give the data set's folder")
        return clips

    def _city(self, city: str) -> list[Clip]:
        """Make the clips of a city."""
        images = self._files("leftImg8bit_sequence", city, "leftImg8bit.png")
        rights = self._files("rightImg8bit_sequence", city, "rightImg8bit.png")
        vehicles = self._files("vehicle", city, "vehicle.json") | self._files("vehicle_sequence", city, "vehicle.json")
        labels = self._files("gtFine", city, "gtFine_labelIds.png")
        disparities = self._files("disparity", city, "disparity.png")
        cameras = self._files("camera", city, "camera.json")
        snippets: dict[Moment, list[Frame]] = {}
        for moment, image in images.items():
            annotated = [key for key in _annotated(moment) if key in cameras]
            if not annotated:
                raise InputError(
                    f"{image}: no file in {self.root / 'camera' / self.split / city} is the calibration of its "
                    f"snippet; get camera_trainvaltest.zip"
                )
            frame = Frame(
                name=f"{moment.sequence}_{moment.frame}",
                time=int(moment.frame) / RATE,
                image=ImageFile(image),
                right=ImageFile(rights[moment]) if moment in rights else None,
                depth=_depth(disparities[moment], cameras[annotated[0]]) if moment in disparities else None,
                semantic=TrainIds(labels[moment]) if moment in labels else None,
                speed=_speed(vehicles[moment]) if moment in vehicles else None,
            )
            snippets.setdefault(annotated[0], []).append(frame)
        return [_clip(city, cameras[key], tuple(frames)) for key, frames in snippets.items()]

    def _files(self, folder: str, city: str, what: str) -> dict[Moment, Path]:
        """Return the files of one kind of a city, by moment, sorted."""
        files = {}
        for path in sorted((self.root / folder / self.split / city).glob(f"*_{what}")):
            match = NAME.fullmatch(path.name)
            if match is None or match["city"] != city or match["what"] != what:
                raise InputError(f"{path}: is not named like {city}_000000_000000_{what}; rename or remove it")
            files[Moment(match["sequence"], match["frame"])] = path
        return files


class Moment(NamedTuple):
    """Sequence and frame number in the name of a file, of six digits each."""

    sequence: str  # number of the sequence, such as "000000"
    frame: str  # number of the frame, such as "000019"


@dataclass(frozen=True)
class TrainIds:
    """Label map of Cityscapes, converted from label ids to train ids."""

    path: Path  # PNG of label ids

    def read(self) -> np.ndarray:
        """Read the label map: [H, W] uint8, train ids, 255 where there is none."""
        ids: np.ndarray = TRAIN_IDS[LabelPng(self.path).read()]
        return ids


@dataclass(frozen=True)
class DisparityPng:
    """Disparity map of Cityscapes, computed by semi-global matching of the stereo pair, converted to depth."""

    path: Path  # 16-bit PNG of disparity
    product: float  # focal length (pixels) times baseline (metres)

    def read(self) -> np.ndarray:
        """Compute depth: [H, W] float32, metres, 0 where disparity is unknown or zero."""
        values = read_gray16(self.path, "disparity maps hold 1 + 256 x pixels in 16 bits")
        disparity = (values.astype(np.float32) - 1) / 256
        depth: np.ndarray = np.where(disparity > 0, self.product / np.maximum(disparity, MIN_DISPARITY), 0).astype(
            np.float32
        )
        return depth


class Intrinsic(Content):
    """Intrinsics of a camera, in pixels."""

    fx: PositiveFloat
    """Horizontal focal length."""
    fy: PositiveFloat
    """Vertical focal length."""
    u0: float
    """Column of the principal point."""
    v0: float
    """Row of the principal point."""


class Extrinsic(Content):
    """Distance between the two cameras, in metres."""

    baseline: PositiveFloat
    """Distance from the left to the right camera."""


class CameraJson(Content):
    """Calibration of a snippet."""

    intrinsic: Intrinsic
    """Intrinsics of the left camera."""
    extrinsic: Extrinsic
    """Position of the right camera relative to the left one."""


class VehicleJson(Content):
    """Odometry of the car at a frame."""

    speed: NonNegativeFloat
    """Speed of the car, in metres per second."""


def _clip(city: str, calibration: Path, frames: tuple[Frame, ...]) -> Clip:
    """Make the clip of a snippet."""
    content = _calibration(calibration)
    K = content.intrinsic
    height, width = common_size(frame.image for frame in frames)
    low, high = CENTER
    if not (low * width < K.u0 < high * width and low * height < K.v0 < high * height):
        raise InputError(
            f"{calibration}: its principal point ({K.u0:.0f}, {K.v0:.0f}) is far from the center of images of "
            f"{width}x{height} pixels; resize them back"
        )
    first = frames[0].image.path
    others = [file for frame in frames for file in (frame.right, frame.depth, frame.semantic) if file is not None]
    check_sizes(others, height, width, first)
    return Clip(
        name=f"cityscapes/{city}/{frames[0].name}",
        drive=city,
        interval=1 / RATE,
        path=first.parent,
        camera=Camera(K.fx, K.fy, K.u0, K.v0, width=width, height=height),
        frames=frames,
        baseline=content.extrinsic.baseline,
    )


def _annotated(moment: Moment) -> list[Moment]:
    """Return the moments that may be the annotated frame of the snippet that a moment belongs to."""
    number = int(moment.frame)
    return [Moment(moment.sequence, f"{n:06d}") for n in range(number - AFTER, number + BEFORE + 1) if n >= 0]


def _calibration(path: Path) -> CameraJson:
    """Read the calibration of a snippet."""
    return read_json(path, CameraJson, "the calibration of a snippet")


def _depth(disparity: Path, calibration: Path) -> DisparityPng:
    """Return the depth of a frame, from its disparity map and the calibration of its snippet."""
    content = _calibration(calibration)
    return DisparityPng(disparity, content.intrinsic.fx * content.extrinsic.baseline)


def _speed(path: Path) -> float:
    """Read the speed of a frame, in metres per second."""
    return read_json(path, VehicleJson, "the odometry of a frame").speed
