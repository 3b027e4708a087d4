"""The class of an evaluation protocol. Importing this module does not import torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from packdepth.blocks import Closed, nearest, parse
from packdepth.classes import Label
from packdepth.errors import InputError
from packdepth.evaluation.choices import (
    BASELINES,
    CAP,
    CROPS,
    GROUND_TRUTHS,
    MEDIANS,
    METRICS,
    MIN_DEPTH,
    PROJECTIONS,
    RESIZINGS,
    STANDARD_METRICS,
    STREET,
    Baseline,
    Crop,
    GroundTruth,
    Median,
    Projection,
    Resizing,
)
from packdepth.progress import counted
from packdepth.records import Clip, Frame
from packdepth.sources import AnySource
from packdepth.sources.base import Source
from packdepth.sources.files import require
from packdepth.sources.folder import Folder

FLIP = "flip rows fuse the inverse depth of the image and of its mirror image"
BOUNDARIES = (
    "dbe_acc and dbe_comp after Koch et al. (2018), 10 pixels at most, between jumps of log depth as Canny's detector "
    "finds them in both maps (1.25 or more), those 4 pixels or less from unknown depth or the border left out"
)
MEAN = (
    "each image's metrics are computed on their own and then averaged; images without valid ground truth are left out"
)
ALL_CLASSES = tuple(label.words for label in Label if label != Label.SKY)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """An evaluation protocol: every choice that a score depends on, under one name.

    A protocol is data. `packdepth.evaluate` carries it out.

    >>> from packdepth.evaluation import Protocol
    >>> protocol = Protocol(
    ...     name="harbor",
    ...     about="drives through the harbor, against their LiDAR",
    ...     source={"kind": "folder", "root": "harbor"},
    ...     truth="lidar",
    ...     cap=120,
    ... )
    >>> protocol.settings()["range"]
    'ground truth from 0.001 m to 120 m is valid, predictions are clamped to that range'

    Raises InputError for a value that is not a valid choice.
    """

    name: str
    """The name by which the protocol is found."""
    about: str
    """A description of the data and of the origin of its ground truth."""
    source: Mapping[str, Any] | Source
    """The clips: a source, or a block that describes one in a run file. Its paths are relative to the data folder."""
    marker: str | None = None
    """A file or folder that the source's root must contain. With None, every folder is accepted as the root."""
    folders: bool = False
    """Whether data in the folder contract is accepted, too, instead of the source's own format."""
    truth: GroundTruth = "depth"
    """The ground truth: depth maps (`depth`), LiDAR scans (`lidar`), or whichever a frame has (`any`).

    With `any`, a frame that has both is evaluated against its depth map.
    """
    projection: Projection = "nearest"
    """How a LiDAR scan becomes a depth map."""
    left_out: int | None = None
    """Number of LiDAR beams, as in `data.beams`. Only the returns of the other beams are evaluated. With None: all."""
    step: int = 1
    """Evaluate every `step`-th frame of a clip, beginning with the first."""
    images: int | None = None
    """The number of images with ground truth that the data must have. With None, any number is accepted."""
    split: str | None = None
    """The `split_hash` that the images with ground truth must have. With None, any images are accepted."""
    crop: Crop = "none"
    """The part of an image that is evaluated."""
    min_depth: float = MIN_DEPTH
    """Ground truth must be greater than this many metres; predictions are clamped to it."""
    cap: float = CAP
    """Ground truth must be less than this many metres; predictions are clamped to it."""
    resizing: Resizing = "inverse_depth"
    """How predictions are resized to the size of the ground truth."""
    median: Median = "lower"
    """The kind of median that scales predictions in the scaled rows."""
    metrics: Sequence[str] = STANDARD_METRICS
    """The names of the metrics that a report holds. Reports need abs_rel and a1 among them."""
    ranges: Sequence[float] = STREET
    """The bounds of the ranges of distance that are evaluated separately, metres."""
    classes: Sequence[str] = ALL_CLASSES
    """The names of the classes that are evaluated separately, where frames have label maps."""
    scaled_by_class: bool = False
    """Whether the scaled rows scale each class by its own medians instead of those of its image."""
    baseline: Baseline = "none"
    """The baseline that a network should beat (`evaluation.baseline`)."""
    baseline_images: int | None = None
    """The number of images, evenly spread, from which and on which the baseline is computed. With None: all."""
    boundaries: bool = False
    """Whether depth boundaries are evaluated (`evaluation.boundaries`). This needs dense ground truth."""
    ego_motion: bool = True
    """Whether the ego-motion is evaluated of clips whose frames all have poses."""

    def __post_init__(self) -> None:
        valid_choices: list[tuple[str, Sequence[str]]] = [
            ("truth", list(GROUND_TRUTHS)),
            ("projection", list(PROJECTIONS)),
            ("crop", list(CROPS)),
            ("resizing", list(RESIZINGS)),
            ("median", list(MEDIANS)),
            ("baseline", list(BASELINES)),
        ]
        for field, valid in valid_choices:
            self._check_choice(field, getattr(self, field), valid)
        for metric in self.metrics:
            self._check_choice("metrics", metric, METRICS)
        for name in self.classes:
            self._check_choice("classes", name, ALL_CLASSES)
        if not 0 <= self.min_depth < self.cap:
            raise InputError(
                f"protocol {self.name}: min_depth is {self.min_depth:g} and cap {self.cap:g}; give metres, 0 or more, "
                f"the lower one as min_depth"
            )
        if len(self.ranges) < 2 or any(high <= low for low, high in pairwise(self.ranges)):
            raise InputError(f"protocol {self.name}: ranges must be two or more rising bounds, in metres")
        for field in ("step", "images", "baseline_images"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise InputError(f"protocol {self.name}: {field} is {value}; it must be at least 1")
        if missing := [metric for metric in ("abs_rel", "a1") if metric not in self.metrics]:
            raise InputError(f"protocol {self.name}: metrics lack {missing[0]}, which reports need; add it")

    def _check_choice(self, field: str, value: str, valid: Sequence[str]) -> None:
        """Raise InputError unless the value of a field is one of the valid ones."""
        if value not in valid:
            raise InputError(f"protocol {self.name}: {field} cannot be '{value}': {nearest(str(value), list(valid))}")

    def clips(self, data: Path) -> list[Clip]:
        """Return the clips of the protocol. Their frames hold the ground truth of this protocol and no other.

        Args:
            data: the data folder, or the folder inside it that is the source's own root.

        Raises InputError if anything is missing, or if the images are not those of the protocol.
        """
        clips = self._located_source(data).clips()
        self._check_images(clips)
        return [
            replace(clip, frames=tuple(self._evaluated_frame(clip, i) for i in range(len(clip.frames))))
            for clip in clips
        ]

    def _located_source(self, data: Path) -> Source:
        """Return the source with paths inside the data folder."""
        source = self._parsed_source()
        root = Path(getattr(source, source.place))
        require(
            data, "a clip's folder, or a folder of them" if self.marker is None else f"the folder that holds {root}"
        )
        places = [place for place in (data / root, data) if self.marker is None or (place / self.marker).exists()]
        if not places:
            raise InputError(
                f"{data}: protocol {self.name} finds neither {root}/{self.marker} nor {self.marker} in it; "
                f"give the folder that holds {root}"
            )
        kind, values = type(source), dict(source)
        if self.folders and Folder.recognizes(places[0]):
            kind = Folder
            values = {name: values[name] for name in values if name in Folder.model_fields} | {"kind": "folder"}
        values[kind.place] = places[0]
        if source.split_file is not None:
            values["split_file"] = places[0] / source.split_file
        return kind.model_validate(values)

    def _parsed_source(self) -> Source:
        """Return the source as an object, parsed if it was given as a block of a run file."""
        if isinstance(self.source, Source):
            return self.source
        return parse(SourceBlock, {"source": dict(self.source)}, f"protocol {self.name}").source

    def evaluates(self, clip: Clip, index: int) -> bool:
        """Return whether the protocol evaluates a frame, provided that the frame has ground truth.

        Args:
            clip: the clip.
            index: the position of the frame in the clip.
        """
        return index % self.step == 0 and clip.is_target(clip.frames[index])

    def _evaluated_frame(self, clip: Clip, index: int) -> Frame:
        """Return a frame with the ground truth that it is evaluated against, and no other."""
        frame, evaluated = clip.frames[index], self.evaluates(clip, index)
        return replace(
            frame,
            depth=frame.depth if evaluated and self.truth != "lidar" else None,
            lidar=frame.lidar if evaluated and self._uses_scan(frame) else None,
        )

    def _uses_scan(self, frame: Frame) -> bool:
        """Return whether a frame is evaluated against its LiDAR scan, provided that it has one."""
        return self.truth == "lidar" or (self.truth == "any" and frame.depth is None)

    def _has_truth(self, frame: Frame) -> bool:
        """Return whether a frame has the ground truth of this protocol."""
        return (frame.lidar if self._uses_scan(frame) else frame.depth) is not None

    def _check_images(self, clips: Sequence[Clip]) -> None:
        """Raise InputError unless the images with ground truth are those of the protocol."""
        wanted = [(clip, frame) for clip in clips for i, frame in enumerate(clip.frames) if self.evaluates(clip, i)]
        names = [f"{clip.name} {frame.name}" for clip, frame in wanted if self._has_truth(frame)]
        if self.images is not None and len(names) != self.images:
            for clip, frame in wanted:
                if len(wanted) == self.images and not self._has_truth(frame):
                    raise InputError(
                        f"{frame.image.path}: has no {self._truth_names()}, but protocol {self.name} evaluates this "
                        f"frame against it ({len(names)} of its {self.images} images have it); complete {clip.path}"
                    )
            raise InputError(
                f"protocol {self.name} evaluates {self.images} images, but {len(names)} were found; copy the data again"
            )
        if not names:
            raise InputError(
                f"{clips[0].path}: no frame has {self._truth_names()}, against which protocol {self.name} evaluates; "
                f"add it, or judge the network without ground truth by --protocol own"
            )
        if self.split is not None and split_hash(names) != self.split:
            raise InputError(
                f"{clips[0].path}: protocol {self.name} evaluates other images (its split is {self.split}, "
                f"this one is {split_hash(names)}); give the data it names"
            )

    def settings(self) -> dict[str, str]:
        """Return the main settings of the protocol by name, each in a few words."""
        count = "all frames with ground truth" if self.images is None else counted(self.images, "image")
        scaling = (
            "each image's depth" if not self.scaled_by_class else "the depth of each image, and of each class in it,"
        )
        return {
            "data": self.about,
            "split": count if self.split is None else f"{count}, sha256 {self.split}",
            "truth": self._truth_in_words(),
            "range": (
                f"ground truth from {self.min_depth:g} m to {self.cap:g} m is valid, "
                "predictions are clamped to that range"
            ),
            "crop": CROPS[self.crop],
            "resizing": RESIZINGS[self.resizing],
            "scaling": (
                f"scaled rows multiply {scaling} by median(ground truth) / median(depth) ({MEDIANS[self.median]})"
            ),
            "flip": FLIP,
            "mean": MEAN,
            "baseline": BASELINES[self.baseline] + self._baseline_images_in_words(),
            **({"edges": BOUNDARIES} if self.boundaries else {}),
        }

    def _truth_names(self) -> str:
        """Return the fields of a frame that may hold the ground truth."""
        return "depth or lidar" if self.truth == "any" else self.truth

    def _truth_in_words(self) -> str:
        if self.truth != "lidar":
            return GROUND_TRUTHS[self.truth]
        words = PROJECTIONS[self.projection]
        return words if self.left_out is None else f"{words}, of those that data.beams: {self.left_out} leaves out"

    def _baseline_images_in_words(self) -> str:
        if self.baseline == "none" or self.baseline_images is None:
            return ""
        return f"; of at most {self.baseline_images} images, evenly spread"

    def describe(self) -> str:
        """Return the name and the main settings as text, one line each."""
        return "\n".join([f"protocol  {self.name}", *(f"{name:<8}  {text}" for name, text in self.settings().items())])


class SourceBlock(Closed):
    """A block with one source, used to parse it."""

    source: AnySource
    """The source, as in a run file."""


def split_hash(names: Sequence[str]) -> str:
    """Return a short hash that identifies a set of images: the first 16 hexadecimal digits of its SHA-256.

    Args:
        names: `CLIP FRAME` of each image, in order.

    >>> split_hash(["clip 000000", "clip 000001"])
    'fd7ffc5a79006192'
    """
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
