"""Named protocols: everything that a number depends on, fixed under one name. Importing this takes no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packdepth.blocks import Closed, nearest, parse
from packdepth.classes import Label
from packdepth.errors import InputError
from packdepth.records import Clip, Frame
from packdepth.sources import AnySource
from packdepth.sources.files import require
from packdepth.sources.folder import Folder

if TYPE_CHECKING:
    from packdepth.evaluation.metrics import Crop, Median

Resizing = Literal["inverse_depth", "depth", "depth_nearest"]
Baseline = Literal["none", "pixel_median", "others_median"]

CROPS = {
    "none": "none",
    "garg": "of Garg et al. (ECCV 2016): rows from 0.408 H to 0.992 H, columns from 0.036 W to 0.964 W, rounded down",
    "cityscapes": "of ManyDepth (CVPR 2021): rows from H / 4 to 3 H / 4, columns from 0.094 W to 0.906 W, rounded down",
}
BASELINES = {
    "none": "none",
    "pixel_median": "each pixel's median over the truth of all images",
    "others_median": (
        "the median of the other images' truth at each pixel, or in the smallest window of radius 1, 2, 4, ... pixels "
        "around it that holds any; the per-pixel median over all images is given as pixel_median, "
        "but of sparse scans it mostly repeats the truth it is judged by"
    ),
}
RESIZINGS = {
    "inverse_depth": "the network's inverse depth, bilinear, to the size of the truth",
    "depth": "the network's depth (not its inverse), bilinear with aligned corners, to the size of the truth",
    "depth_nearest": "the network's depth, the nearest value, to the size of the truth",
}
MEDIANS = {
    "lower": "lower medians of pixels that count",
    "mean": "medians of pixels that count, of an even number the mean of the middle two",
}
PROJECTIONS = {
    "nearest": "of a scan, the nearest return in each pixel",
    "monodepth2": "of a scan, the nearest return in each pixel, a pixel left and up as in monodepth2's maps",
}
FLIP = "flip rows fuse the inverse depth of the image and of its mirror image"
BOUNDARIES = (
    "dbe_acc and dbe_comp after Koch et al. (2018), 10 pixels at most, between jumps of log depth as Canny's detector "
    "finds them in both maps (1.25 or more), those 4 pixels or less from unknown depth or the border left out"
)
MEAN = "each image's metrics are computed on their own and then averaged; images without truth that counts are left out"
STANDARD = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
STREET = (0, 10, 20, 30, 40, 50, 60, 70, 80)  # metres
FAR = (0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200)  # metres
ROOM = (0, 1, 2, 3, 4, 5, 10)  # metres
ALL_CLASSES = tuple(label.words for label in Label if label != Label.SKY)


@dataclass(frozen=True)
class Protocol:
    """An evaluation with all its choices: a record, which says nothing of how they are carried out."""

    name: str
    about: str
    """The data and where the truth comes from, in words."""
    source: Mapping[str, Any]
    """Its clips, as a run file names them; paths are relative to the data folder."""
    crop: Crop
    cap: float
    """Metres: truth must be nearer, predictions are clamped to it."""
    ranges: Sequence[float]
    """Bounds of the ranges of distance that are judged on their own, metres."""
    truth: Literal["depth", "lidar"] = "depth"
    """The field of a frame that it is judged by."""
    folders: bool = False
    """Whether clips in the folder contract will do as well."""
    marker: str | None = None
    """A folder that the source's root must hold; None where the data folder itself is the root."""
    min_depth: float = 1e-3
    """Metres: truth must be farther, predictions are clamped to it."""
    step: int = 1
    """Every which frame is judged, from the first on."""
    images: int | None = None
    """How many images are judged; None where that is up to the data."""
    split: str | None = None
    """`split_hash` of these images, where it is known."""
    resizing: Resizing = "inverse_depth"
    projection: Literal["nearest", "monodepth2"] = "nearest"
    """How a scan becomes a depth map."""
    left_out: int | None = None
    """Of a scan, only the returns count that `data.beams` of this many beams leaves out of training."""
    median: Median = "lower"
    """Which median scales."""
    classes: Sequence[str] = ALL_CLASSES
    """That are judged on their own, where frames have labels."""
    scaled_by_class: bool = False
    """Whether each class is scaled by its own medians, not by its image's."""
    metrics: Sequence[str] = STANDARD
    """Which ones are given."""
    baseline: Baseline = "none"
    """What a network must beat, see `evaluation.baseline`."""
    boundaries: bool = False
    """Whether the boundaries of depth are judged (`evaluation.boundaries`), for which truth must be dense."""
    ego_motion: bool = True
    """Whether ego-motion is judged too, where all frames have poses."""

    def clips(self, data: Path) -> list[Clip]:
        """The clips below a data folder, or below the folder that is the source's own root.

        Their frames carry the truth that the protocol judges by and no other. Raises InputError if anything is
        missing, and if the images are others than the protocol's.
        """
        what = (
            "a clip's folder, or a folder of them"
            if self.marker is None
            else f"the folder that holds {self.source['root']}"
        )
        located = self._located(require(data, what))
        clips = parse(Block, {"source": located}, f"protocol {self.name}").source.clips()
        self._check(clips)
        return [replace(clip, frames=tuple(self._frame(clip, i) for i in range(len(clip.frames)))) for clip in clips]

    def _located(self, data: Path) -> dict[str, Any]:
        """The block of the source with paths that lead somewhere."""
        block, root = dict(self.source), Path(self.source["root"])
        places = [place for place in (data / root, data) if self.marker is None or (place / self.marker).exists()]
        if not places:
            raise InputError(
                f"{data}: protocol {self.name} finds neither {root}/{self.marker} nor {self.marker} in it; "
                f"give the folder that holds {root}"
            )
        block["root"] = str(places[0])
        if self.folders and Folder.recognizes(places[0]):
            block["kind"] = "folder"
        if "split_file" in block:
            block["split_file"] = str(places[0] / block["split_file"])
        return block

    def judges(self, clip: Clip, index: int) -> bool:
        """Whether a frame of a clip is judged, if it has truth."""
        return index % self.step == 0 and clip.is_target(clip.frames[index])

    def _frame(self, clip: Clip, index: int) -> Frame:
        """A frame with the truth it is judged by, and no other."""
        frame, judged = clip.frames[index], self.judges(clip, index)
        return replace(
            frame,
            depth=frame.depth if judged and self.truth == "depth" else None,
            lidar=frame.lidar if judged and self.truth == "lidar" else None,
        )

    def _check(self, clips: Sequence[Clip]) -> None:
        """Raise InputError unless the images with truth are those that the protocol judges."""
        wanted = [(clip, frame) for clip in clips for i, frame in enumerate(clip.frames) if self.judges(clip, i)]
        names = [f"{clip.name} {frame.name}" for clip, frame in wanted if getattr(frame, self.truth) is not None]
        if self.images is not None and len(names) != self.images:
            for clip, frame in wanted:
                if len(wanted) == self.images and getattr(frame, self.truth) is None:
                    raise InputError(
                        f"{frame.image.path}: has no {self.truth}, but protocol {self.name} judges this frame by it "
                        f"(it judges {self.images} images, and {len(names)} have it); complete {clip.path}"
                    )
            raise InputError(
                f"protocol {self.name} judges {self.images} images, but {len(names)} were found; copy the data again"
            )
        if not names:
            raise InputError(
                f"{clips[0].path}: no frame has {self.truth}, by which protocol {self.name} judges; add it"
            )
        if self.split is not None and split_hash(names) != self.split:
            raise InputError(
                f"{clips[0].path}: protocol {self.name} judges other images (its split is {self.split}, "
                f"this one is {split_hash(names)}); give the data it names"
            )

    def settings(self) -> dict[str, str]:
        """Everything that the protocol fixes, each in a few words."""
        count = "all frames with truth" if self.images is None else f"{self.images} images"
        scaling = (
            "each image's depth" if not self.scaled_by_class else "the depth of each image, and of each class in it,"
        )
        return {
            "data": self.about,
            "split": count if self.split is None else f"{count}, sha256 {self.split}",
            "truth": self._truth_in_words(),
            "range": f"truth from {self.min_depth:g} m to {self.cap:g} m counts, predictions are clamped to that",
            "crop": CROPS[self.crop],
            "resizing": RESIZINGS[self.resizing],
            "scaling": f"scaled rows multiply {scaling} by median(truth) / median(depth) ({MEDIANS[self.median]})",
            "flip": FLIP,
            "mean": MEAN,
            "baseline": BASELINES[self.baseline],
            **({"edges": BOUNDARIES} if self.boundaries else {}),
        }

    def _truth_in_words(self) -> str:
        if self.truth == "depth":
            return "depth maps"
        words = PROJECTIONS[self.projection]
        return words if self.left_out is None else f"{words}, of those that data.beams: {self.left_out} leaves out"

    def describe(self) -> str:
        """The same as text, a line each."""
        return "\n".join([f"protocol  {self.name}", *(f"{name:<8}  {text}" for name, text in self.settings().items())])


class Block(Closed):
    """A source of a run file."""

    source: AnySource


def split_hash(names: Sequence[str]) -> str:
    """What tells one set of images from another: the first 16 digits of the SHA-256 of `clip frame` lines."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


# --- the protocols ----------------------------------------------------------------------------------------------

_EIGEN = Protocol(
    name="kitti-eigen-original",
    about=(
        "KITTI raw, the 697 test images of Eigen et al. (NeurIPS 2014; kitti_raw/data_splits/eigen_test_files.txt), "
        "against their Velodyne scans; as packnet-sfm evaluates"
    ),
    source={"kind": "kitti_raw", "root": "kitti_raw", "split_file": "data_splits/eigen_test_files.txt"},
    marker="data_splits",
    truth="lidar",
    images=697,
    crop="garg",
    cap=80.0,
    ranges=STREET,
    resizing="depth",
    projection="monodepth2",
    ego_motion=False,
)

_DDAD = Protocol(
    name="ddad-val",
    about=(
        "DDAD, the front camera of the 50 validation scenes, against the full LiDAR at 1216x1936; "
        "as packnet-sfm evaluates"
    ),
    source={"kind": "ddad", "root": "ddad", "split": "val", "cameras": ["CAMERA_01"]},
    marker="ddad.json",
    truth="lidar",
    images=3950,
    crop="none",
    cap=200.0,
    ranges=FAR,
    resizing="depth",
    ego_motion=False,
)

_PAIRS = Protocol(
    name="kitti2015-pairs",
    about="33 unrelated left images of KITTI 2015, against their measured depth",
    source={"kind": "folder", "root": "clips", "names": ["kitti2015_pairs"]},
    marker="kitti2015_pairs",
    images=33,
    split="c7ea21768a03accc",
    crop="garg",
    cap=80.0,
    ranges=STREET,
    baseline="others_median",
)

_RGBD = Protocol(
    name="rgbd",
    about="RGB-D sequences (7-Scenes, TUM) or clips in the folder contract, indoors, against their registered depth",
    source={"kind": "rgbd", "root": "."},
    folders=True,
    crop="none",
    min_depth=0.1,
    cap=10.0,
    ranges=ROOM,
)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="kitti-odometry-clip",
            about=(
                "KITTI odometry, sequence 06, frames 0 to 50 of the left gray camera, against depth_0 "
                "(semi-global matching of the stereo pair)"
            ),
            source={"kind": "kitti_odometry", "root": "kitti_odometry/dataset", "sequences": ["06"], "frames": [0, 51]},
            marker="sequences",
            images=51,
            split="a44524fec8d83b75",
            crop="none",
            cap=80.0,
            ranges=STREET,
            baseline="pixel_median",
        ),
        Protocol(
            name="kitti-raw-clip",
            about=(
                "KITTI raw, drive 2011_09_26_drive_0052_sync, frames 0, 12, ..., 72 of the left color camera, against "
                "their Velodyne scans (of several returns in a pixel the nearest); from frame 51 on the car stands, "
                "so that the last two see one scene"
            ),
            source={
                "kind": "kitti_raw",
                "root": "kitti_raw",
                "drives": ["2011_09_26_drive_0052_sync"],
                "frames": [0, 78],
            },
            marker="2011_09_26",
            truth="lidar",
            images=7,
            split="0ac33e31e87724a3",
            crop="garg",
            cap=80.0,
            ranges=STREET,
            baseline="others_median",
            step=12,
        ),
        _PAIRS,
        replace(
            _PAIRS,
            name="kitti2015-left-out",
            about=(
                "the last 8 of 33 unrelated left images of KITTI 2015, which configs/kitti2015_stereo.yaml leaves out "
                "of training, against their measured depth"
            ),
            source={**_PAIRS.source, "frames": [25, 33]},
            images=8,
            split="d00df72a0a364b6e",
        ),
        Protocol(
            name="kitti360-4-beams",
            about=(
                "KITTI-360, the 25 frames of clips/kitti360_3000 that have a scan, against the returns that training "
                "on 4 beams leaves out; other frames show the same street"
            ),
            source={"kind": "folder", "root": "clips", "names": ["kitti360_3000"]},
            marker="kitti360_3000",
            truth="lidar",
            left_out=4,
            images=25,
            split="ca2f370933cdea43",
            crop="none",
            cap=80.0,
            ranges=STREET,
            baseline="others_median",
        ),
        Protocol(
            name="city",
            about="clips that `packdepth city` rendered, against their exact depth; the sky has none",
            source={"kind": "folder", "root": "."},
            crop="none",
            cap=80.0,
            ranges=STREET,
            boundaries=True,
        ),
        _EIGEN,
        replace(
            _EIGEN,
            name="kitti-eigen-original-monodepth2",
            about=_EIGEN.about.replace("packnet-sfm", "monodepth2"),
            resizing="inverse_depth",
            median="mean",
        ),
        replace(
            _EIGEN,
            name="kitti-eigen-improved",
            about=(
                "KITTI raw, those 652 of the test images of Eigen et al. (NeurIPS 2014; "
                "kitti_raw/data_splits/eigen_test_files.txt) that the depth benchmark has accumulated depth for "
                "(Uhrig et al., 3DV 2017; proj_depth/groundtruth), against that; as packnet-sfm evaluates"
            ),
            truth="depth",
            images=652,
        ),
        _DDAD,
        replace(
            _DDAD,
            name="ddad-val-classes",
            about=(
                "DDAD, labeled images of the front camera, against the full LiDAR; "
                "by class, as the challenge of 2021 scores"
            ),
            images=None,
            resizing="depth_nearest",
            classes=tuple(name for name in ALL_CLASSES if name not in ("train", "motorcycle")),
            scaled_by_class=True,
            metrics=(*STANDARD, "silog"),
        ),
        Protocol(
            name="cityscapes",
            about=(
                "Cityscapes, the 1525 test images, against depth from their disparity maps (semi-global matching); "
                "the middle half, as ManyDepth evaluates"
            ),
            source={"kind": "cityscapes", "root": "cityscapes", "split": "test"},
            marker="disparity",
            images=1525,
            crop="cityscapes",
            cap=80.0,
            ranges=STREET,
            median="mean",
            ego_motion=False,
        ),
        _RGBD,
        replace(
            _RGBD,
            name="hololens-room",
            about="100 frames of a hand-held RGB-D camera in a room, against its registered depth",
            source={"kind": "folder", "root": "clips", "names": ["hololens_room"]},
            marker="hololens_room",
            images=100,
            split="876206b7cc6b2c61",
            baseline="pixel_median",
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of this name. Raises InputError that names the nearest one, if there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol is named '{name}': {nearest(name, list(PROTOCOLS))}")
    return PROTOCOLS[name]
