"""Clips of distorted images turned into clips of pinhole images, which are remapped when they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import Lens, fields_of_view, ideal_camera, source_pixels
from packdepth.records import Clip, Frame, Readable

if TYPE_CHECKING:
    from torch import Tensor

MAPS = 8  # maps that a process keeps: some clips of different cameras; 4 MB each for 1408x376
NARROWER = 0.6  # of the field of view that the focal length alone makes: lenses of pincushion distortion leave 0.9


@dataclass(frozen=True)
class View:
    """A pinhole image and the distorted image that it is made of. Equal views share one map in memory."""

    lens: Lens  # lens of the distorted image
    raw: tuple[float, float, float, float]  # fx, fy, cx, cy of the distorted image, in pixels
    ideal: tuple[float, float, float, float]  # those of the pinhole image
    width: int  # pixels, of both images
    height: int  # pixels, of both images

    @classmethod
    def of(cls, lens: Lens, raw: Camera, ideal: Camera) -> View:
        """Return the view of two cameras.

        Args:
            lens: lens of the distorted image.
            raw: intrinsics of the distorted image.
            ideal: camera of the pinhole image, which has the same size.
        """
        numbers = [tuple(float(value) for value in (c.fx, c.fy, c.cx, c.cy)) for c in (raw, ideal)]
        return cls(lens, numbers[0], numbers[1], raw.width, raw.height)  # type: ignore[arg-type]

    def cameras(self) -> tuple[Camera, Camera]:
        """Return the intrinsics of the distorted image, and the camera of the pinhole image."""
        return Camera(*self.raw, self.width, self.height), Camera(*self.ideal, self.width, self.height)


@lru_cache(maxsize=MAPS)
def source_map(view: View) -> Tensor:
    """Return where each pixel of the pinhole image lies in the distorted one: [H, W, 2] float32 as (u, v).

    Args:
        view: the two images.
    """
    import torch

    raw, ideal = view.cameras()
    v, u = torch.meshgrid(
        torch.arange(view.height, dtype=torch.float64), torch.arange(view.width, dtype=torch.float64), indexing="ij"
    )
    return source_pixels(raw, view.lens, ideal, torch.stack([u, v], -1))[0].float()


@lru_cache(maxsize=MAPS)
def _sampling_grid(view: View) -> Tensor:
    """Return the map in the coordinates of grid_sample: [1, H, W, 2] in [-1, 1]."""
    size = source_map(view).new_tensor([view.width - 1, view.height - 1])
    return (source_map(view) * (2 / size) - 1)[None]


@lru_cache(maxsize=MAPS)
def _nearest(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the nearest pixels: [H, W] int64 each."""
    places = source_map(view).round().long()
    limits = places.new_tensor([view.width - 1, view.height - 1])
    columns, rows = places.clamp(min=places.new_tensor(0), max=limits).unbind(-1)
    return rows.numpy(), columns.numpy()


@dataclass(frozen=True)
class UndistortedImage:
    """Image that is undistorted when it is read, with bilinear interpolation."""

    file: Readable  # the distorted image
    view: View  # the distorted and the pinhole image

    @property
    def path(self) -> Path:
        """Path of the distorted image, for messages."""
        return self.file.path

    def read(self) -> np.ndarray:
        """Read the image and undistort it: [H, W, 3] uint8, RGB."""
        import torch
        from torch.nn.functional import grid_sample

        pixels = torch.from_numpy(_checked(self.file, self.view).copy()).permute(2, 0, 1)[None].float()
        moved = grid_sample(pixels, _sampling_grid(self.view), padding_mode="border", align_corners=True)
        return moved[0].round_().byte().permute(1, 2, 0).contiguous().numpy()


@dataclass(frozen=True)
class UndistortedMap:
    """Depth map, label map or mask that is undistorted when it is read. Each pixel takes the nearest pixel's value."""

    file: Readable  # the map of the distorted image
    view: View  # the distorted and the pinhole image

    @property
    def path(self) -> Path:
        """Path of the map of the distorted image, for messages."""
        return self.file.path

    def read(self) -> np.ndarray:
        """Read the map and undistort it: [H, W] of its own type. Depth is z-depth, which the lens does not change."""
        rows, columns = _nearest(self.view)
        moved: np.ndarray = _checked(self.file, self.view)[rows, columns]
        return moved


def _checked(file: Readable, view: View) -> np.ndarray:
    """Read an array. Raises InputError if it does not have the size of the distorted image."""
    array = file.read()
    if array.shape[:2] != (view.height, view.width):
        raise InputError(
            f"{file.path}: is {array.shape[1]}x{array.shape[0]} pixels, but the calibration of its lens is for "
            f"{view.width}x{view.height}; give the calibration of these images"
        )
    return array


def undistorted(clip: Clip) -> Clip:
    """Return the clip of pinhole images of a clip whose images have a lens; another clip is returned unchanged.

    Images are interpolated; depth, label maps and masks take the nearest value. LiDAR scans and poses stay.

    Args:
        clip: the clip as its source has found it. Raises InputError if no pinhole image fits into its images, and if it
            has right images, which are rectified: then they have no lens.

    >>> camera = Camera.from_fov(90, width=640, height=480)
    >>> from packdepth.geometry.lens import BrownConrady
    >>> clip = undistorted(Clip("images/mine", Path("mine"), camera, frames=(), lens=BrownConrady(-0.2)))
    >>> clip.corrected
    'lens: brown_conrady undistorted; 92 of 104 degrees across are left'
    """
    lens, raw = clip.lens, clip.camera
    if lens is None:
        return clip
    if any(frame.right is not None for frame in clip.frames):
        raise InputError(
            f"{clip.path}: has right images, which must be rectified, but its camera has a lens ({lens.name}); rectify "
            f"both images and give their camera without a lens, or leave the right images out"
        )
    ideal = ideal_camera(raw, lens)
    what = f"the lens ({lens.name}, {', '.join(f'{value:g}' for value in lens.coefficients)})"
    if ideal is None:
        raise InputError(
            f"{clip.path}: {what} leaves no pinhole image of {raw.width}x{raw.height}; give the calibration of these "
            f"images"
        )
    across, alone = lens.field_of_view(raw)[0], raw.fov()
    if across < NARROWER * alone:
        raise InputError(
            f"{clip.path}: {what} makes {across:.0f} degrees across of the {alone:.0f} of its focal length, as none "
            f"does; give coefficients and focal length of one calibration"
        )
    view = View.of(lens, raw, ideal)
    note = f"lens: {lens.name} undistorted; {_left(lens, raw, ideal)}"
    return replace(
        clip,
        camera=ideal,
        frames=tuple(_undistorted_frame(frame, view) for frame in clip.frames),
        lens=None,
        corrected=note if clip.corrected is None else f"{clip.corrected}; {note}",
    )


def _left(lens: Lens, raw: Camera, ideal: Camera) -> str:
    """Describe the horizontal field of view that undistortion leaves."""
    return f"{fields_of_view(ideal)[0]:.0f} of {lens.field_of_view(raw)[0]:.0f} degrees across are left"


def _undistorted_frame(frame: Frame, view: View) -> Frame:
    """Return a frame of pinhole images."""

    def moved(file: Readable | None) -> Readable | None:
        return None if file is None else UndistortedMap(file, view)

    return replace(
        frame,
        image=UndistortedImage(frame.image, view),
        depth=moved(frame.depth),
        semantic=moved(frame.semantic),
        instance=moved(frame.instance),
        moving=moved(frame.moving),
    )
