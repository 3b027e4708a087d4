"""Images without times: a single image, or a folder of images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import PositiveFloat

from packdepth.errors import InputError, InputWarning
from packdepth.records import Clip, Frame
from packdepth.sources.base import UncalibratedSource, unread_names
from packdepth.sources.calibrations.find import beside, in_folder
from packdepth.sources.camera_file import facts_or_guess
from packdepth.sources.files import ImageFile, by_name, is_clutter, listed, require, required
from packdepth.sources.guess import guess_of_images
from packdepth.sources.series import counted_clips, series_of, stamps_of, times_of, unique_labels
from packdepth.sources.size_index import image_sizes
from packdepth.sources.stills import IMAGES


class Images(UncalibratedSource):
    """A single image, or the images of a folder as consecutive frames in the order of their names.

    Numbers in the names count by their value: frame_2 comes before frame_10. Training and `packdepth data` need images
    of one size. Prediction takes images of several sizes as well.
    """

    kind: Literal["images"] = "images"
    root: Path
    """An image (PNG, JPEG, BMP, WebP, TIFF, PPM), or a folder that holds images itself or in `frames/`.

    Names that count apart, such as left_0001 and right_0001, are clips of their own.
    """
    camera: Path | None = None
    """The calibration (docs/how-to/calibration.md); if left out, the one in the folder, such as camera.yaml, or beside
    a single image under its name with the suffix .yaml or .xml, if there is one."""
    rate: PositiveFloat = 10.0
    """Images per second, unless the names are time stamps, or dates with times.

    This is an assumption, as nothing else tells the times.

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
        """Find the clip of each series of images (`series.series_of`), and one of unrelated images beside them.

        If no camera is known, the images of a clip may have several sizes (see `Frame.size`).
        """
        require(self.root, "an image, or a folder of images")
        if self.root.is_dir():
            folder = self.root / "frames" if (self.root / "frames").is_dir() else self.root
            images = required(folder, IMAGES, ImageFile, "images")
            _warn_of_others(folder)
            name, expected = self.root.resolve().name, self.root / "camera.yaml"
        elif self.recognizes(self.root):
            images = {self.root.stem: ImageFile(self.root)}
            name, expected = self.root.stem, self.root.with_suffix(".yaml")
        else:
            raise InputError(f"{self.root}: is no {' or '.join(IMAGES)} file; give an image, or a folder of images")
        camera_path = self.camera or (in_folder if self.root.is_dir() else beside)(self.root)
        try:
            series, others = series_of(list(images))
        except InputError as error:
            raise InputError(f"{self.root}: {error}") from None
        if len(series) == 1 and not others:
            return [self._clip(f"images/{name}", images, camera_path, expected)]
        labels = unique_labels(series)
        warnings.warn(
            f"{self.root}: its names are not of one series, so that it is {counted_clips(labels, others)}",
            InputWarning,
            stacklevel=2,
        )
        clips = [
            self._clip(f"images/{name}/{label}", {each: images[each] for each in names}, camera_path, expected)
            for label, (_, names) in zip(labels, series, strict=True)
        ]
        if others:
            rest = self._clip(f"images/{name}/others", {each: images[each] for each in others}, camera_path, expected)
            clips.append(replace(rest, independent=True))
        return [replace(clip, drive=clip.drive or name) for clip in clips]

    def _clip(self, name: str, images: Mapping[str, ImageFile], camera_path: Path | None, expected: Path) -> Clip:
        """Make a clip of images, by their names in order."""
        sizes = image_sizes(list(images.values()))
        facts = facts_or_guess(
            camera_path, expected, lambda: guess_of_images([image.path for image in images.values()], *sizes[0])
        )
        camera = facts["camera"]
        camera_size = camera.height, camera.width
        for image, (height, width) in zip(images.values(), sizes, strict=True):
            if camera_path is not None and (height, width) != camera_size:
                raise InputError(
                    f"{image.path}: is {width}x{height} pixels, but {camera_path} is for "
                    f"{camera.width}x{camera.height}; give the camera of these images"
                )
        assumed = "rate" not in self.model_fields_set and stamps_of(list(images)) is None
        if self.speeds is not None and assumed:
            warnings.warn(
                f"{self.root}: the names of its images tell no times, so that its speeds are taken at an assumed "
                f"{self.rate:g} images a second; give rate=NUMBER",
                InputWarning,
                stacklevel=3,
            )
        frames = tuple(
            Frame(name=name, time=time, image=image, size=None if size == camera_size else size)
            for (name, image), size, time in zip(images.items(), sizes, times_of(list(images), self.rate), strict=True)
        )
        return Clip(name=name, path=self.root, frames=frames, times_assumed=assumed, **facts)


def _warn_of_others(folder: Path) -> None:
    """Warn of files in a folder of images that are not read."""
    unread = [child for child in folder.iterdir() if not child.name.lower().endswith(IMAGES)]
    if others := unread_names(by_name(child for child in unread if not is_clutter(child) and child.is_file()), IMAGES):
        warnings.warn(f"{folder}: packdepth reads its images; left alone: {listed(others)}", InputWarning, stacklevel=3)


def image_folder(path: Path) -> Path | None:
    """Return the folder that holds the images of a path: `frames/` or the path itself; None if there are none.

    Args:
        path: file or folder. A folder with a frames.csv is a clip, and the result is None.
    """
    if not path.is_dir() or (path / "frames.csv").exists():
        return None
    folder = path / "frames" if (path / "frames").is_dir() else path
    names = (child for child in folder.iterdir() if not is_clutter(child))
    return folder if any(child.suffix.lower() in IMAGES for child in names) else None
