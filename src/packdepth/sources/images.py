"""Images without times: a single image, or a folder of images."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import PositiveFloat

from packdepth.errors import InputError
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.calibrations.find import beside, in_folder
from packdepth.sources.camera_file import facts_or_guess
from packdepth.sources.files import ImageFile, name_parts, require, required
from packdepth.sources.guess import guess_of_images
from packdepth.sources.stills import IMAGES, image_size

STAMP_UNITS = (1, 10**3, 10**6, 10**9)  # parts of a second that time stamps count
EARLIEST, LATEST = 946_684_800, 4_102_444_800  # seconds since 1970, of the years 2000 and 2100


class Images(Source):
    """A single image, or the images of a folder as consecutive frames in the order of their names.

    Numbers in the names count by their value: frame_2 comes before frame_10. Training and `packdepth data` need images
    of one size. Prediction takes images of several sizes as well.
    """

    kind: Literal["images"] = "images"
    root: Path
    """An image (.png, .jpg or .jpeg), or a folder that holds images itself or in `frames/`."""
    camera: Path | None = None
    """The calibration (docs/how-to/calibration.md); if left out, the one in the folder, such as camera.yaml, or beside
    a single image under its name with the suffix .yaml or .xml, if there is one."""
    rate: PositiveFloat = 10.0
    """Images per second, unless the names are time stamps. This is an assumption, as nothing else tells the times.

    Names that count tell which images are missing: the frames on two sides of a hole are no neighbors.
    """

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a path is an image.

        Args:
            path: file or folder.
        """
        return path.is_file() and path.suffix.lower() in IMAGES

    @classmethod
    def tries(cls, path: Path) -> bool:
        """Return whether a folder holds images but no frames.csv.

        Args:
            path: file or folder.
        """
        return image_folder(path) is not None

    def find(self) -> list[Clip]:
        """Find the one clip. If no camera is known, its images may have several sizes (see `Frame.size`)."""
        require(self.root, "an image, or a folder of images")
        if self.root.is_dir():
            folder = self.root / "frames" if (self.root / "frames").is_dir() else self.root
            found = required(folder, IMAGES, ImageFile, "images")
            images = dict(found)
            name, expected = self.root.resolve().name, self.root / "camera.yaml"
        elif self.recognizes(self.root):
            images = {self.root.stem: ImageFile(self.root)}
            name, expected = self.root.stem, self.root.with_suffix(".yaml")
        else:
            raise InputError(f"{self.root}: is no {' or '.join(IMAGES)} file; give an image, or a folder of images")
        sizes = [image_size(image.path) for image in images.values()]
        camera_path = self.camera or (in_folder if self.root.is_dir() else beside)(self.root)
        paths = [image.path for image in images.values()]
        facts = facts_or_guess(camera_path, expected, lambda: guess_of_images(paths, *sizes[0]))
        camera = facts["camera"]
        camera_size = camera.height, camera.width
        for image, (height, width) in zip(images.values(), sizes, strict=True):
            if camera_path is not None and (height, width) != camera_size:
                raise InputError(
                    f"{image.path}: is {width}x{height} pixels, but {camera_path} is for "
                    f"{camera.width}x{camera.height}; give the camera of these images"
                )
        frames = tuple(
            Frame(name=name, time=time, image=image, size=None if size == camera_size else size)
            for (name, image), size, time in zip(images.items(), sizes, times_of(list(images), self.rate), strict=True)
        )
        return [Clip(name=f"images/{name}", path=self.root, frames=frames, **facts)]


def times_of(names: Sequence[str], rate: float) -> list[float]:
    """Return the times of images in seconds, by their names in order: time stamps, numbers that count, or the order.

    Args:
        names: names of the images, without suffix, in order.
        rate: images per second.

    >>> times_of(["frame_8", "frame_9", "frame_12"], rate=10)  # two are missing
    [0.0, 0.1, 0.4]
    >>> times_of(["1700000000000000000", "1700000000050000000"], rate=10)  # nanoseconds since 1970
    [1700000000.0, 1700000000.05]
    >>> times_of(["start", "middle"], rate=10)
    [0.0, 0.1]
    """
    parts = [name_parts(name) for name in names]
    varying = [place for place, values in enumerate(zip(*parts, strict=False)) if len(set(values)) > 1]
    in_order = [index / rate for index in range(len(names))]
    if len({len(part) for part in parts}) > 1 or len(varying) != 1 or varying[0] % 2 == 0:
        return in_order  # the names differ by more than one number
    numbers = [Decimal(part[varying[0]]) for part in parts]
    unit = next((unit for unit in STAMP_UNITS if numbers[0] / unit >= EARLIEST and numbers[-1] / unit <= LATEST), None)
    if unit is not None:
        return [float(number / unit) for number in numbers]
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    if min(steps) <= 0:
        return in_order
    usual = sorted(steps)[(len(steps) - 1) // 2]
    return [float((number - numbers[0]) / usual) / rate for number in numbers]


def image_folder(path: Path) -> Path | None:
    """Return the folder that holds the images of a path: `frames/` or the path itself; None if there are none.

    Args:
        path: file or folder. A folder with a frames.csv is a clip, and the result is None.
    """
    if not path.is_dir() or (path / "frames.csv").exists():
        return None
    folder = path / "frames" if (path / "frames").is_dir() else path
    names = (child for child in folder.iterdir() if child.name[0] != ".")
    return folder if any(child.suffix.lower() in IMAGES for child in names) else None
