"""Named protocols: everything that a number depends on, fixed under one name. Importing this takes no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packdepth.closed import nearest
from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.files import require
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.kitti_raw import KittiRaw

if TYPE_CHECKING:
    from packdepth.evaluation.metrics import Crop

CROPS = {
    "none": "none",
    "garg": "of Garg et al. (ECCV 2016): rows from 0.408 H to 0.992 H, columns from 0.036 W to 0.964 W",
}
BASELINES = {
    "pixel_median": "each pixel's median over the truth of all images",
    "others_median": (
        "the median of the other images' truth at each pixel, or in the smallest window of radius 1, 2, 4, ... pixels "
        "around it that holds any; the per-pixel median over all images is given as pixel_median, "
        "but of sparse scans it mostly repeats the truth it is judged by"
    ),
}
RESIZING = "the network's inverse depth, bilinear, to the size of the truth"
SCALING = (
    "scaled rows multiply each image's depth by median(truth) / median(depth) (lower medians of pixels that count)"
)
FLIP = "flip rows fuse the inverse depth of the image and of its mirror image"
MEAN = "each image's metrics are computed on their own and then averaged"


@dataclass(frozen=True)
class Protocol:
    """An evaluation of one clip, with all its choices."""

    name: str
    about: str
    """The data and where the truth comes from, in words."""
    source: KittiOdometry | KittiRaw
    """Its clip; the root is relative to the data folder."""
    marker: str
    """A folder that the source's root must hold."""
    truth: Literal["depth", "lidar"]
    """The field of a frame that it is judged by; of a scan, the nearest return in each pixel."""
    crop: Crop
    cap: float
    """Metres: truth must be nearer, predictions are clamped to it."""
    baseline: Literal["pixel_median", "others_median"]
    """What a network must beat, see `evaluation.baseline`."""
    min_depth: float = 1e-3
    """Metres: truth must be farther, predictions are clamped to it."""
    step: int = 1
    """Every which frame is judged, from the first on."""

    def clip(self, data: Path) -> Clip:
        """The clip below a data folder, or below the folder that is the source's own root.

        Its frames carry the truth that the protocol judges by and no other. Raises InputError if anything is missing.
        """
        require(data, f"the folder that holds {self.source.root}")
        root = next((path for path in (data / self.source.root, data) if (path / self.marker).is_dir()), None)
        if root is None:
            raise InputError(
                f"{data}: protocol {self.name} finds neither {self.source.root / self.marker} nor {self.marker} in it; "
                f"give the folder that holds {self.source.root}"
            )
        (clip,) = self.source.model_copy(update={"root": root}).clips()
        judged = set(clip.frames[:: self.step])
        for frame in clip.frames:
            if frame in judged and getattr(frame, self.truth) is None:
                raise InputError(
                    f"{frame.image.path}: has no {self.truth}, but protocol {self.name} judges this frame by it; "
                    f"complete {clip.path}"
                )
        frames = (
            replace(
                frame,
                depth=frame.depth if frame in judged and self.truth == "depth" else None,
                lidar=frame.lidar if frame in judged and self.truth == "lidar" else None,
            )
            for frame in clip.frames
        )
        return replace(clip, frames=tuple(frames))

    def settings(self) -> dict[str, str]:
        """Everything that the protocol fixes, each in a few words."""
        return {
            "data": self.about,
            "range": f"truth from {self.min_depth:g} m to {self.cap:g} m counts, predictions are clamped to that",
            "crop": CROPS[self.crop],
            "resizing": RESIZING,
            "scaling": SCALING,
            "flip": FLIP,
            "mean": MEAN,
            "baseline": BASELINES[self.baseline],
        }

    def describe(self) -> str:
        """The same as text, a line each."""
        return "\n".join([f"protocol  {self.name}", *(f"{name:<8}  {text}" for name, text in self.settings().items())])


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="kitti-odometry-clip",
            about=(
                "KITTI odometry, sequence 06, frames 0 to 50 of the left grey camera, against depth_0 "
                "(semi-global matching of the stereo pair)"
            ),
            source=KittiOdometry(
                kind="kitti_odometry", root=Path("kitti_odometry/dataset"), sequences=["06"], frames=(0, 51)
            ),
            marker="sequences",
            truth="depth",
            crop="none",
            cap=80.0,
            baseline="pixel_median",
        ),
        Protocol(
            name="kitti-raw-clip",
            about=(
                "KITTI raw, drive 2011_09_26_drive_0052_sync, frames 0, 12, ..., 72 of the left colour camera, against "
                "their Velodyne scans (of several returns in a pixel the nearest); from frame 51 on the car stands, "
                "so that the last two see one scene"
            ),
            source=KittiRaw(
                kind="kitti_raw", root=Path("kitti_raw"), drives=["2011_09_26_drive_0052_sync"], frames=(0, 78)
            ),
            marker="2011_09_26",
            truth="lidar",
            crop="garg",
            cap=80.0,
            baseline="others_median",
            step=12,
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of this name. Raises InputError that names the nearest one, if there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol is named '{name}': {nearest(name, list(PROTOCOLS))}")
    return PROTOCOLS[name]
