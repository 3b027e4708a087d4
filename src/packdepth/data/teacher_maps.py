"""Maps of a teacher on disk: inverse depth of each frame, found by the names of clip and frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.data.disagreement import evenly_spread, refusal
from packdepth.data.measured_depth import DepthWords, depth_fault
from packdepth.data.targets import has_measured_depth
from packdepth.errors import InputError
from packdepth.reading import read_arrays, refusing
from packdepth.records import Clip, Frame
from packdepth.sources.files import DepthPng, read_array, read_gray16

SUFFIXES = (".npz", ".tiff", ".tif", ".png")  # in the order of search: predict writes npz and png of one frame
HOLDS = "maps of a teacher are npz, TIFF of floats, or 16-bit gray PNG"
MAX_STRETCH = 1.05  # ratio of the aspects of image and map: multiples of 14 or 32 pixels change it by less
CHECKED_CLIPS, CHECKED_MAPS = 2, 8  # clips, and maps of all of them, that are compared with the images: about three
# seconds of work, or ten if they are metric; one program writes all maps
TYPICAL = 10.0  # metres: median that relative depth is given where its shape is checked, as a street's may be
MIN_KNOWN = 0.5  # share of the neighborhood of a pixel that must be known for a resized map


@dataclass(frozen=True)
class TeacherMaps:
    """The maps of a teacher in a folder.

    Args:
        folder: the folder. The map of a frame is CLIP/depth/FRAME or CLIP/FRAME; with one clip, also depth/FRAME or
            FRAME.
        clips: number of different clips of the run.
        inverse: whether the maps hold inverse depth in any unit; otherwise, depth.
        metric: whether the depth must be in metres.
    """

    folder: Path
    clips: int
    inverse: bool = False
    metric: bool = False

    def path(self, clip: Clip, frame: Frame) -> Path:
        """Return the file with the map of a frame.

        Args:
            clip: the clip of the frame.
            frame: the frame.

        Raises InputError, which names the frame, if there is none.
        """
        folders = [self.folder / clip.short_name, *([self.folder] if self.clips == 1 else [])]
        places = [place / frame.name for base in folders for place in (base / "depth", base)]
        files = (place.with_name(place.name + suffix) for place in places for suffix in SUFFIXES)
        path = next((file for file in files if file.exists()), None)
        if path is None:
            expected = f"{folders[-1] / frame.name}.npz, .tiff or .png"
            raise InputError(
                f"{self.folder}: has no map for frame {frame.name} of clip {clip.name} (looked for {expected}, also in "
                f"depth/); write it, with packdepth predict --save depth or another program"
            )
        return path

    def check(self, targets: Iterable[tuple[Clip, int]]) -> None:
        """Raise InputError, which names frame or clip, if a target has no map, or if maps cannot be right.

        The first map of each clip is read. In a few clips, some maps are compared with the motion of the images, as
        measured depth is: they may be inverted, upside down or, if they are metric, in another unit.

        Args:
            targets: clips and the indices of their frames.
        """
        indices: dict[Clip, list[int]] = {}
        for clip, index in targets:
            self.path(clip, clip.frames[index])
            if clip not in indices:
                self(clip, clip.frames[index])
            indices.setdefault(clip, []).append(index)
        checked = evenly_spread(list(indices), CHECKED_CLIPS)
        for clip in checked:
            taught = self._taught(clip, set(evenly_spread(indices[clip], CHECKED_MAPS // len(checked))))
            fault = depth_fault(taught, self._words, self.metric)
            if fault is not None:
                raise refusal(clip, fault.found, fault.advice)

    def __call__(self, clip: Clip, frame: Frame) -> np.ndarray:
        """Return the inverse depth of a frame: [h, w] float32, NaN where it is not known.

        Args:
            clip: the clip of the frame.
            frame: the frame.

        Raises InputError, which names the file, if the map is missing, damaged, of another shape than the image, or not
        in metres where it must be.
        """
        path = self.path(clip, frame)
        values = self._read(path)
        (rows, columns), (height, width) = values.shape, clip.image_size(frame)
        stretch = (columns / rows) / (width / height)
        if max(stretch, 1 / stretch) > MAX_STRETCH:
            raise InputError(
                f"{path}: is {columns}x{rows} pixels, which is not the shape of its image, {width}x{height}; a map "
                f"shows the whole image, at any resolution"
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            inv_depth = values if self.inverse else np.where(values > 0, 1 / values, np.nan)
        known = np.isfinite(inv_depth) & (inv_depth >= 0)
        if not known.any():
            raise InputError(f"{path}: no pixel is known; a map holds {self._content}")
        return np.where(known, inv_depth, np.nan).astype(np.float32)

    def _taught(self, clip: Clip, indices: Set[int]) -> Clip:
        """Return a clip whose measured depth is that of the maps of some frames."""
        frames = tuple(
            replace(frame, depth=_MapDepth(self, clip, frame) if index in indices else None, lidar=None)
            if index in indices or has_measured_depth(frame)
            else frame
            for index, frame in enumerate(clip.frames)
        )
        return replace(clip, frames=frames)

    @property
    def _words(self) -> DepthWords:
        """How messages name the depth of the maps, and what they advise."""
        scale = "Write PNGs as metres x 256 in 16 bits and npz in metres, or remove metric: true from the term teacher"
        inverse = "remove inverse: true from" if self.inverse else "set inverse: true in"
        return DepthWords(
            name="teacher",
            subject=f"the depth of the teacher's maps in {self.folder}",
            inverse="depth" if self.inverse else "inverse depth",
            axes_advice="Write maps whose rows and columns are those of the image, the upper row first.",
            inverse_advice=f"{inverse.capitalize()} the term teacher, or write the maps again.",
            length_advice=f"{scale}; and see the unit of speeds or poses.",
            height_advice=f"{scale}; and state the height of the camera in metres.",
        )

    @property
    def _content(self) -> str:
        return "inverse depth" if self.inverse else "depth, with 0 or NaN where it is not known"

    def _read(self, path: Path) -> np.ndarray:
        """Return the values of a map, [h, w] float64."""
        if path.suffix == ".npz":
            values = read_array(path, "inv_depth" if self.inverse else "depth")
            if self.metric and not _is_metric(path):
                raise InputError(
                    f"{path}: does not say that its depth is in metres, but the teacher is to be metric; "
                    f"predict with a metric checkpoint, or remove metric: true"
                )
        elif self.metric and path.suffix != ".png":
            raise InputError(f"{path}: states no unit, but the teacher is to be metric; give npz or 16-bit PNG")
        elif path.suffix == ".png" and not self.inverse:
            values = DepthPng(path).read()
        else:
            values = read_gray16(path, HOLDS)
        if values.ndim != 2:
            raise InputError(f"{path}: holds an array of shape {list(values.shape)}; a map is [height, width]")
        return values.astype(np.float64)


@dataclass(frozen=True)
class _MapDepth:
    """The depth of a teacher's map, at the size of the clip's camera; if it has no unit, its median is `TYPICAL`."""

    maps: TeacherMaps
    clip: Clip
    frame: Frame

    @property
    def path(self) -> Path:
        """The path of the map."""
        return self.maps.path(self.clip, self.frame)

    def read(self) -> np.ndarray:
        """Return the depth, [H, W] float64: that of the nearest pixel of the map, 0 where it is not known."""
        inv_depth, camera = self.maps(self.clip, self.frame), self.clip.camera
        rows, columns = (
            np.arange(size) * count // size
            for size, count in zip((camera.height, camera.width), inv_depth.shape, strict=True)
        )
        nearest = inv_depth[rows][:, columns].astype(np.float64)
        depth: np.ndarray = np.divide(1, nearest, out=np.zeros_like(nearest), where=nearest > 0)
        known = depth[depth > 0]
        return depth if self.maps.metric or not len(known) else depth * (TYPICAL / np.median(known))


def resized_inv_depth(inv_depth: Tensor, height: int, width: int) -> Tensor:
    """Return inverse depth at another size, by bilinear interpolation with antialiasing over the known pixels.

    Args:
        inv_depth: [h, w], NaN where it is not known.
        height: height of the result, in pixels.
        width: width of the result, in pixels.

    Returns:
        [`height`, `width`], NaN where half of the neighborhood or more is not known.

    >>> resized_inv_depth(torch.tensor([[1.0, 3.0, torch.nan, torch.nan]]), 1, 2)
    tensor([[2., nan]])
    """
    known = inv_depth.isfinite()
    layers = torch.stack([torch.where(known, inv_depth, 0), known.to(inv_depth.dtype)])[None]
    if inv_depth.shape != (height, width):
        layers = F.interpolate(layers, (height, width), mode="bilinear", align_corners=False, antialias=True)
    values, share = layers[0]
    return torch.where(share > MIN_KNOWN, values / share.clamp(min=MIN_KNOWN), torch.nan)


def teacher_maps(folder: Path, clips: Sequence[Clip], inverse: bool, metric: bool) -> TeacherMaps:
    """Return the maps of a teacher for the clips of a run.

    Args:
        folder: the folder of the maps.
        clips: all clips of the run, for training and for validation.
        inverse: whether the maps hold inverse depth in any unit.
        metric: whether the depth must be in metres.

    Raises InputError if the folder does not exist, or if two clips have one short name, which names their folders.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; it would hold the maps of the teacher (objective: teacher.maps)")
    owners: dict[str, Clip] = {}
    for clip in clips:
        other = owners.setdefault(clip.short_name, clip)
        if (other.name, other.path) != (clip.name, clip.path):
            raise InputError(
                f"{folder}: the maps of the clips {other.path} and {clip.path} would both be in {clip.short_name}; "
                f"rename one of the clips"
            )
    return TeacherMaps(folder, len(owners), inverse, metric)


def _is_metric(path: Path) -> bool:
    """Return whether a npz says that its depth is in metres."""
    with refusing(path, "depth that packdepth saved", "predict again"):
        content = read_arrays(path, ["metric"])
        return "metric" in content and bool(content["metric"])
