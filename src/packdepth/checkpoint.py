"""Checkpoints: folders with `weights.safetensors`, `run.yaml` and `meta.json`. None of these files is a pickle."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PositiveFloat, PositiveInt, model_validator

from packdepth import __version__
from packdepth.blocks import CheckpointContext, Closed, parse
from packdepth.config import Imported, Run, dump_run, parse_run
from packdepth.disk import recover, replaced, rights
from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.geometry.camera import Camera
from packdepth.reading import CHECKSUM, checksum_of, parse_json, parse_yaml, read_weights_file, reason_of
from packdepth.sources.content import disguise

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, RUN, META = "weights.safetensors", "run.yaml", "meta.json"
TRAINER_STATE = "trainer.ckpt"  # file in `last/`, which is not part of a checkpoint: state for resuming the training
SEMANTICS = "semantics"  # optional folder in a checkpoint: copy of the segmentation network that guides depth


WELL_DETERMINED = 0.05  # largest relative standard deviation of a well determined focal length; chosen by eye
ROUGHLY_DETERMINED = 0.15  # the same of a roughly determined one: half of that of the guess


class TrainedCamera(Closed):
    """A camera whose images the networks were trained on, at the size of its images.

    >>> TrainedCamera(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5).camera.fx
    2.0
    """

    width: PositiveInt
    """Width of its images, in pixels."""
    height: PositiveInt
    """Height of its images, in pixels."""
    fx: PositiveFloat
    """Focal length along x, in pixels."""
    fy: PositiveFloat
    """Focal length along y, in pixels."""
    cx: float
    """x of the principal point, in pixels."""
    cy: float
    """y of the principal point, in pixels."""
    stated: bool = False
    """Whether a person stated its field of view in place of a calibration. Packdepth before 0.2 did not record it."""

    @property
    def camera(self) -> Camera:
        """The camera, at the size of its images."""
        return Camera(self.fx, self.fy, self.cx, self.cy, self.width, self.height)


class LearnedCamera(TrainedCamera):
    """A camera that was learned with the networks, or assumed in training.

    >>> LearnedCamera(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5, focal_deviation=0.01).camera.fx
    2.0
    """

    focal_deviation: float
    """Relative standard deviation of the focal length; 0.3, as for the guess, if the video does not improve it."""
    assumed: bool = False
    """Whether the run file states its field of view, for clips without calibration, and it was not learned."""

    def __str__(self) -> str:
        if self.assumed:
            return f"as stated (camera.fov), {self.camera.fov():.4g} degrees across, for {self.width}x{self.height}"
        return (
            f"fx {self.fx:.1f}, fy {self.fy:.1f}, cx {self.cx:.1f}, cy {self.cy:.1f} for {self.width}x{self.height} "
            f"({self.camera.fov():.1f} degrees across), focal length within {self.focal_deviation:.1%}: "
            f"{self._determined()}"
        )

    def _determined(self) -> str:
        """Return in words how well the focal length is determined."""
        if self.focal_deviation <= WELL_DETERMINED:
            return "well determined"
        if self.focal_deviation <= ROUGHLY_DETERMINED:
            return "roughly determined"
        return "ill determined, the video turns too little to tell it, or depth is not learned yet"


DIRECT = ("points", "lidar", "depth")  # sources of `ScaleCheck` that measure depth itself


class ScaleCheck(Closed):
    """The comparison of a checkpoint's scale with measured lengths.

    >>> ScaleCheck(source="speed", ratio=0.98, spread=0.03, frames=40, held_out=True).ratio
    0.98
    """

    source: str
    """Source of the measured lengths: "speed", "poses", "stereo", "camera height", "depth", "lidar" or
    "points"."""
    ratio: float
    """Predicted over measured length, the median over frames; 1 is right."""
    spread: float
    """Relative standard deviation over frames, robust."""
    frames: int
    """Number of frames."""
    held_out: bool
    """Whether the frames were left out of the training, or of the calibration, that set the scale."""
    too_few: int | None = None
    """Number of held-out frames that could be measured, if training frames were measured as these were too few."""


class CalibrationRecord(Closed):
    """The calibration of a checkpoint by `packdepth calibrate`.

    >>> record = CalibrationRecord(source="speed", factor=1.7, motion_factor=1.6, spread=0.03, frames=40, data="drive")
    >>> record.factor
    1.7
    """

    source: str
    """Source of the measured lengths, as in `ScaleCheck`."""
    factor: float
    """Factor by which depth was multiplied."""
    motion_factor: float
    """Factor by which the translations of ego-motion were multiplied."""
    spread: float
    """Relative standard deviation of the factor over frames, robust."""
    frames: int
    """Number of frames."""
    data: str
    """Path of the frames."""

    def __str__(self) -> str:
        return (
            f"depth times {self.factor:.4g}, ego-motion times {self.motion_factor:.4g}, by {self.source} in "
            f"{self.frames} frames of {self.data}, spread {self.spread:.1%}"
        )


class OtherSize(Closed):
    """The difference that a network's size makes to depth: an exported network may compute at another one.

    A network that computes at another size than in training sees everything larger or smaller than it has learned.

    >>> other = OtherSize(size=(96, 352), trained=(64, 224), abs_rel=0.18)
    >>> other.keeps_metres
    False
    >>> str(other)
    'at 96x352, depth differs by abs_rel 0.18 from that at 64x224, the size of the training'
    """

    size: tuple[int, int]
    """Height and width at which the network computes, in pixels."""
    trained: tuple[int, int]
    """Height and width of the training, in pixels."""
    abs_rel: float
    """Mean of the difference of depth over the depth at the size of the training, on real images."""

    @property
    def keeps_metres(self) -> bool:
        """Whether depth that is metric at the size of the training is metric at the other one, too."""
        return self.abs_rel <= TOLERANCE

    def __str__(self) -> str:
        size, trained = ("x".join(map(str, each)) for each in (self.size, self.trained))
        return (
            f"at {size}, depth differs by abs_rel {self.abs_rel:.2g} from that at {trained}, the size of the training"
        )


class Meta(Closed):
    """The description of a checkpoint.

    >>> meta = Meta(packdepth="0.1.0", created="2026-11-26", epoch=1, step=20, metric=True, scale_source="stereo",
    ...             clips=["kitti_odometry/06/left"], frames=100)
    >>> meta.camera_for(height=192, width=640) is None
    True
    """

    packdepth: str
    """Version of packdepth that wrote it."""
    git_commit: str | None = None
    """Git commit of the project that it was trained with."""
    created: str
    """Date and time of writing, UTC."""
    epoch: int
    """Number of finished epochs. This and the other numbers are 0 if another project trained the checkpoint."""
    step: int
    """Number of finished optimizer steps."""
    metric: bool
    """Whether depth is in metres. Training sets it if lengths were measured after it, and agree."""
    scale_source: str
    """Source of the scale, such as "velocity (poses)"; "none" if nothing gives depth a scale."""
    clips: list[str]
    """Names of the training clips."""
    frames: int
    """Number of frames of these clips, without dropped static frames."""
    scores: dict[str, float] = {}
    """Mean training loss of the epoch, and the scores of its validation, if there was one."""
    cameras: list[LearnedCamera] = []
    """Cameras that were learned or assumed, if any."""
    scale_checks: list[ScaleCheck] = []
    """Comparisons of the scale with measured lengths, if any."""
    trained_cameras: list[TrainedCamera] = []
    """Cameras of the training images, except learned and assumed ones. Packdepth before 0.2 recorded none."""
    calibration: CalibrationRecord | None = None
    """The latest calibration by `packdepth calibrate`, if any."""
    teacher: str | None = None
    """The network that taught, if one did: its name, and a hash of its weights. The checkpoint does not hold it."""
    label_classes: tuple[str, ...] = ()
    """Names of the classes of the label maps that guide the network, by class id, if the training clips state them."""
    frame_interval: float | None = None
    """Seconds between neighboring frames, the median of the training clips. Packdepth before 0.3 recorded none."""
    packages: dict[str, str] = {}
    """Package of each block of the run file that is not packdepth's own, by the kind of the block."""
    other_size: OtherSize | None = None
    """The size of an exported network, if depth that is metric at the size of the training is not metric there."""

    @model_validator(mode="after")
    def _of_one_mind(self) -> Meta:
        """Raise ValueError for metres that the measurements of their own source deny, as if written by hand.

        Other sources do not count, for `packdepth calibrate` lets a person choose one of several that disagree; nor do
        the checks of a calibration, which has its own limits of what is good enough. The spread does not count either:
        packdepth before 0.3 called lengths that agree on average metric, and such checkpoints are still read. It also
        called metres of stereo metric that depend on a guessed focal length: such a description becomes not metric.
        """
        if self.needs_calibration:
            object.__setattr__(self, "metric", False)  # it is frozen for all others
        if not self.metric or self.calibration is not None:
            return self
        own = [check for check in self.scale_checks if check.source in self.scale_source]
        measured = [check for check in own if check.frames >= MIN_CHECKED]
        if self.scale_source == "none" or not all(agrees_on_average(check.ratio) for check in measured):
            found = scale_in_words(False, self.scale_source, own).partition(";")[0]
            raise ValueError(
                f"metric: is true, but depth is {found}; write false, then correct it with packdepth calibrate"
            )
        return self

    def at_size(self, other: OtherSize) -> Meta:
        """Return the description of the networks at another size: without metres if depth differs too much there.

        Args:
            other: the difference of depth.

        >>> meta = Meta(packdepth="0.2.0", created="2026-11-27", epoch=1, step=20, metric=True, scale_source="stereo",
        ...             clips=[], frames=100)
        >>> meta.at_size(OtherSize(size=(96, 352), trained=(64, 224), abs_rel=0.18)).scale
        'not metric: at 96x352, depth differs by abs_rel 0.18 from that at 64x224, the size of the training'
        """
        if not self.metric or other.keeps_metres:
            return self
        return self.model_copy(update={"metric": False, "other_size": other})

    @property
    def judged_checks(self) -> list[ScaleCheck]:
        """The checks that decide whether depth is metric: by the source of the scale, and by measured depth.

        All checks if there are none of these. The camera's height, if it is not the source, is noted alone: the ground
        of a network is not flat enough to overrule lengths.
        """
        judged = [check for check in self.scale_checks if check.source in self.scale_source or check.source in DIRECT]
        return judged or self.scale_checks

    @property
    def needs_calibration(self) -> bool:
        """Whether metres depend on a focal length that was guessed: they come from the camera's height or a baseline.

        One that a person stated, by `fov=` of a source or by `camera.fov`, is taken for known; `scale` says so.
        """
        doubtful = any(not camera.assumed and camera.focal_deviation > WELL_DETERMINED for camera in self.cameras)
        return self._focal_bound is not None and doubtful

    @property
    def _focal_bound(self) -> str | None:
        """The length, in words, that metres come from if they are as right as the focal length, or None."""
        sources = self.scale_source.removesuffix(CALIBRATED).split(", ")
        return BY_FOCAL[sources[0]] if all(source in BY_FOCAL for source in sources) else None

    @property
    def scale(self) -> str:
        """The scale of depth in words, and how well it was measured."""
        if self.other_size is not None:
            return f"not metric: {self.other_size}"
        if self.needs_calibration:
            return (
                f"not metric: metres come from {self._focal_bound}, and are as wrong as the focal length, which is a "
                f"guess; calibrate the camera"
            )
        words = scale_in_words(self.metric, self.scale_source, self.judged_checks)
        if self.metric and self._focal_bound is not None and self._is_stated:
            return f"{words}; as right as the stated field of view"
        return words

    @property
    def _is_stated(self) -> bool:
        """Whether a person stated the field of view of a camera that it was trained on."""
        return any(camera.stated for camera in self.trained_cameras) or any(camera.assumed for camera in self.cameras)

    def camera_for(self, height: int, width: int) -> LearnedCamera | None:
        """Return the learned or assumed camera for images of one size; None unless exactly one has that size.

        Args:
            height: height of the images, in pixels.
            width: width of the images, in pixels.
        """
        learned = [camera for camera in self.cameras if (camera.height, camera.width) == (height, width)]
        return learned[0] if len(learned) == 1 else None


HEIGHT = "camera height"  # begins the source of a scale that comes from it
# By the source of a scale that is as right as the focal length, what metres come from. A measured motion gives metres
# without it, by the growth of what comes nearer.
BY_FOCAL = {HEIGHT: "the height of the camera", "stereo": "the distance between the cameras"}
CALIBRATED = ", calibrated"  # ends the source of a scale that `packdepth calibrate` found
MIN_CHECKED = 5  # frames: the median over fewer says little about a scale
TOLERANCE = 0.1  # relative error of lengths up to which depth is called metric: about the error of depth itself
MAX_SPREAD = 0.3  # relative standard deviation over frames. The median of 40 is then within 6 %; chosen
LENGTHS = {  # nouns for what a check compares, by its source: of an agreement, of a prediction and of a measurement
    "speed": ("lengths", "motion", "measured length"),
    "poses": ("lengths", "motion", "measured length"),
    "camera height": ("ground", "the height above the ground", "camera's height"),
    "depth": ("depth", "depth", "measured depth"),
    "lidar": ("depth", "depth", "depth measured by LiDAR"),
    "points": ("depth", "depth", "depth of the measured points"),
    "stereo": ("baseline", "the distance between the cameras", "baseline"),
}


def is_metric(scale_source: str, checks: Sequence[ScaleCheck]) -> bool:
    """Return whether depth is metric: whether its scale has a source, was measured, and agrees (see `agrees`).

    Args:
        scale_source: source of the scale; "none" without one.
        checks: comparisons with measured lengths by that source.

    >>> right = ScaleCheck(source="speed", ratio=0.98, spread=0.03, frames=40, held_out=True)
    >>> short, unsteady = right.model_copy(update={"ratio": 0.58}), right.model_copy(update={"spread": 0.6})
    >>> [is_metric("velocity (speed)", [check]) for check in (right, short, unsteady)], is_metric("none", [right])
    ([True, False, False], False)
    """
    measured = [check for check in checks if check.frames >= MIN_CHECKED]
    return scale_source != "none" and bool(measured) and all(map(agrees, measured))


def agrees(check: ScaleCheck) -> bool:
    """Return whether lengths agree: to `TOLERANCE` on average, and with a spread over frames of at most `MAX_SPREAD`.

    Args:
        check: the comparison.
    """
    return agrees_on_average(check.ratio) and check.spread <= MAX_SPREAD


def agrees_on_average(ratio: float) -> bool:
    """Return whether predicted lengths are the measured ones on average, to `TOLERANCE`.

    Args:
        ratio: predicted over measured length.

    >>> agrees_on_average(1.1), agrees_on_average(1.2)
    (True, False)
    """
    return 1 - TOLERANCE <= ratio <= 1 / (1 - TOLERANCE)


def scale_in_words(metric: bool, scale_source: str, checks: Sequence[ScaleCheck] = ()) -> str:
    """Return the scale of depth in words, as every command and report states it.

    Args:
        metric: whether depth is in metres.
        scale_source: source of the scale; "none" without one.
        checks: comparisons with measured lengths by that source.

    >>> check = ScaleCheck(source="speed", ratio=0.97, spread=0.03, frames=40, held_out=True)
    >>> scale_in_words(True, "velocity (speed)", [check])
    'metric, from velocity (speed); lengths within 3 %'
    >>> scale_in_words(True, "velocity (speed)", [check.model_copy(update={"spread": 0.12})])
    'metric, from velocity (speed); lengths within 3 % on average, 12 % from frame to frame'
    >>> short = check.model_copy(update={"ratio": 0.58})
    >>> scale_in_words(False, "velocity (speed)", [short])
    'not metric yet: motion is 58 % of the measured length; train longer, or correct it with packdepth calibrate'
    >>> scale_in_words(False, "none")
    'up to a factor: nothing gives it a scale'
    """
    if scale_source == "none":
        return "up to a factor: nothing gives it a scale"
    if metric:
        first = {check.source: check for check in reversed(checks)}  # of each source the first: on held-out frames
        return "; ".join([f"metric, from {scale_source}", *map(_agreement, reversed(first.values()))])
    wrong = [check for check in checks if check.frames >= MIN_CHECKED and not agrees(check)]
    if not wrong:
        few = max((check.frames for check in checks), default=0)
        known = f"only {few} frames could be measured" if few else "it was not measured"
        advice = "train longer, until depth shows the road, or see" if scale_source.startswith(HEIGHT) else "see"
        return f"not metric yet: its scale should come from {scale_source}, but {known}; {advice} packdepth calibrate"
    worst = max(wrong, key=lambda check: (check.spread > MAX_SPREAD, abs(math.log(check.ratio))))
    _, predicted, measured = LENGTHS[worst.source]
    spread, advice = "", "train longer, or correct it with packdepth calibrate"
    if worst.spread > MAX_SPREAD:
        spread, advice = f" on average, and varies by {worst.spread * 100:.0f} % from frame to frame", "train longer"
    return (
        f"not metric yet: {predicted} is {worst.ratio * 100:.0f} % of the {measured}{spread}{_frames_of(worst)}; "
        f"{advice}"
    )


def _agreement(check: ScaleCheck) -> str:
    """Return how well a check agrees, in a few words; a spread that is larger than `TOLERANCE` is among them."""
    error = max(math.ceil(abs(check.ratio - 1) * 100 - 0.5), 1)
    steady = check.spread <= TOLERANCE
    spread = "" if steady else f" on average, {check.spread * 100:.0f} % from frame to frame"
    return f"{LENGTHS[check.source][0]} within {error} %{spread}{_frames_of(check)}"


def _frames_of(check: ScaleCheck) -> str:
    """Return on which frames a check was made, and why, if these are training frames; empty for held-out frames."""
    if check.held_out:
        return ""
    if check.too_few is None:
        return " on training frames"
    few = f"only {check.too_few}" if check.too_few else "none"
    return f" on training frames, as {few} of the held-out ones could be measured"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    run: Run | Imported  # run file, or its place-holder if another project trained the networks
    meta: Meta  # description
    weights: dict[str, Tensor]  # weights by name, as in the training module: `depth.*`, `pose.*`


def write(folder: Path, checkpoint: Checkpoint, extra: Callable[[Path], None] | None = None) -> None:
    """Write a checkpoint atomically: the folder always holds a complete checkpoint, the old or the new one.

    Args:
        folder: the folder.
        checkpoint: the checkpoint.
        extra: a function that adds files of its own to the temporary folder before it takes the place of `folder`.

    Raises InputError, and leaves the folder as it is, if weights are not finite.
    """
    check_writable(checkpoint.weights, folder)
    with replaced(folder) as temporary:
        write_weights_file(temporary / WEIGHTS, checkpoint.weights)
        (temporary / RUN).write_text(dump_run(checkpoint.run))
        (temporary / META).write_text(_meta_text(checkpoint.meta))
        if extra is not None:
            extra(temporary)


def write_weights_file(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, with a checksum by which `read_weights_file` finds a damage.

    Args:
        path: the file, which is not written atomically.
        weights: the tensors by name.
    """
    from safetensors.torch import save_file

    save_file({name: each.contiguous() for name, each in weights.items()}, path, {CHECKSUM: checksum_of(weights)})
    path.chmod(rights())  # safetensors lets nobody else read it


def rewrite_meta(folder: Path, meta: Meta) -> None:
    """Replace the description of a checkpoint, atomically.

    Args:
        folder: the folder of the checkpoint.
        meta: the new description.
    """
    with replacing(folder / META) as temporary:
        temporary.write_text(_meta_text(meta))


def _meta_text(meta: Meta) -> str:
    """Return the content of meta.json. What a checkpoint does not have is left out."""
    unused = {name for name in ("packages", "calibration", "teacher") if not getattr(meta, name)}
    return meta.model_dump_json(indent=2, exclude=unused) + "\n"


def read(folder: Path) -> Checkpoint:
    """Return the checkpoint in a folder.

    Args:
        folder: the folder.

    Raises InputError if the folder is no checkpoint, or its weights are not finite.
    """
    run, meta = read_description(folder)
    truth = disguise(folder / WEIGHTS)
    if truth is not None:
        raise InputError(f"{folder / WEIGHTS}: cannot be read (it {truth})")
    weights = read_weights_file(folder / WEIGHTS)
    check_finite(weights, folder / WEIGHTS)
    return Checkpoint(run, meta, weights)


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError, which names a tensor, if weights are not finite: what they predict would be nothing.

    Args:
        weights: the weights by name.
        path: their file or folder, for the message.

    >>> import torch
    >>> check_finite({"depth.weight": torch.ones(2)}, Path("weights.safetensors"))
    """
    wrong = not_finite(weights)
    if wrong:
        raise InputError(
            f"{path}: {len(wrong)} of its {len(weights)} tensors hold numbers that are not finite, such as {wrong[0]}; "
            f"its training has failed, or the file is damaged: take another checkpoint"
        )


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load the weights of a checkpoint into a network.

    Args:
        network: the network, on any device.
        weights: its weights by name.
        path: their file or folder, for the message.

    Raises InputError if the weights do not fit the network, or hold another kind of numbers than it: torch converts
    whole numbers and complex ones without a word.

    >>> from torch import nn
    >>> fill(nn.Linear(2, 1), nn.Linear(2, 1).half().state_dict(), Path("best"))
    >>> fill(nn.Linear(2, 1), nn.Linear(2, 1, bias=False).state_dict(), Path("best"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    packdepth.errors.InputError: best: its weights do not fit the networks of its run.yaml (...Missing key(s)...
    """
    needed = network.state_dict()
    shared = [name for name in weights if name in needed]
    wrong = [name for name in shared if needed[name].is_floating_point() and not weights[name].is_floating_point()]
    if wrong:
        found, right = (str(tensors[wrong[0]].dtype).removeprefix("torch.") for tensors in (weights, needed))
        raise InputError(
            f"{path}: {len(wrong)} of its {len(weights)} tensors hold another kind of numbers than the networks of its "
            f"run.yaml, such as {wrong[0]} ({found}, where {right} is needed); take another checkpoint"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: its weights do not fit the networks of its run.yaml ({reason}...); copy it again as a whole"
        ) from None


def check_writable(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Raise InputError if weights are not finite, so that no checkpoint is made of them.

    Args:
        weights: the weights by name.
        folder: the folder of the checkpoint, which is left as it is.

    >>> import torch
    >>> check_writable({"depth.weight": torch.ones(2)}, Path("best"))
    """
    wrong = not_finite(weights)
    if wrong:
        raise InputError(
            f"{folder}: is not written, because {len(wrong)} of {len(weights)} tensors hold numbers that are not "
            f"finite, such as {wrong[0]}; what was there is kept: lower the learning rates, and train again"
        )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold numbers that are not finite.

    Args:
        weights: the weights by name.

    >>> import torch
    >>> not_finite({"depth.weight": torch.ones(2), "depth.bias": torch.tensor([float("nan")])})
    ['depth.bias']
    """
    return [name for name, tensor in weights.items() if not _is_finite(tensor)]


def _is_finite(tensor: Tensor) -> bool:
    """Return whether all numbers are finite. Their sum tells, at a tenth of the time, unless it overflows."""
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def read_description(folder: Path) -> tuple[Run | Imported, Meta]:
    """Return the run and the description of a checkpoint, without its weights.

    Terms, sources and optimizers of packages that are not installed are kept as `blocks.Unknown`: only the networks
    must be known.

    Args:
        folder: the folder.

    Raises InputError if the folder is no checkpoint, or if its networks are not known here.
    """
    run_values, meta_values = description_values(folder, "checkpoint", "training wrote, such as OUTPUT/best")
    try:
        meta = parse(Meta, meta_values, str(folder / META))
        context = CheckpointContext(is_checkpoint=True, packages=meta.packages)
        return _parse_run(run_values, str(folder / RUN), context), meta
    except InputError as error:
        writer = meta_values.get("packdepth") if isinstance(meta_values, dict) else None
        if isinstance(writer, str) and _version(writer) > _version(__version__):
            raise InputError(
                f"{folder}: was written by packdepth {writer}, and this is {__version__}, which cannot read it; update "
                f"packdepth ({error})"
            ) from error
        raise


def _version(text: str) -> list[int]:
    """Return the numbers of a version, such as [0, 2, 0]."""
    return [int(number) for number in re.findall(r"\d+", text)]


def description_values(folder: Path, what: str, origin: str) -> tuple[Any, Any]:
    """Return the content of `run.yaml` and of `meta.json` of a checkpoint of any kind of network.

    Args:
        folder: the folder of the checkpoint.
        what: what the folder should be, such as "checkpoint", for the sentence of an error.
        origin: where such a folder comes from, the end of that sentence.

    Raises InputError if a file is missing or is not valid YAML or JSON.
    """
    if not folder.exists():
        recover(folder)
    missing = [name for name in (WEIGHTS, RUN, META) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: is no {what} (it lacks {', '.join(missing)}); give a folder that {origin}")
    try:
        run, meta = ((folder / name).read_text(encoding="utf-8") for name in (RUN, META))
        return parse_yaml(run, RUN), parse_json(meta, META, f"the description of a {what}")
    except ValueError as error:
        raise InputError(f"{folder}: its description cannot be read: {reason_of(error)}") from error


def _parse_run(values: Any, origin: str, context: CheckpointContext) -> Run | Imported:
    """Return the content of a checkpoint's `run.yaml`."""
    if isinstance(values, dict) and "imported_from" in values:
        return parse(Imported, values, origin, context)
    return parse_run(values, origin, context)


def check_place(folder: Path) -> None:
    """Put back a checkpoint that a kill has left beside its place, and raise InputError if something else is there.

    Args:
        folder: the folder that a training will write its checkpoint to.

    >>> check_place(Path("runs/mine/best"))
    """
    if folder.parent.is_dir():
        recover(folder)
    if folder.is_dir() and not (folder / META).exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is a folder that no training wrote; rename it, or give another --output")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, in the place of a checkpoint; rename it, or give another --output")


def semantics_copy(folder: Path) -> Path | None:
    """Return the folder with a checkpoint's copy of the segmentation network that guides depth; None without one.

    Args:
        folder: the folder of the checkpoint.
    """
    copy = folder / SEMANTICS
    return copy if copy.is_dir() else None


def copy_semantics(folder: Path, new: Path) -> None:
    """Copy the segmentation network that guides depth from a checkpoint to a new one, if there is one.

    Args:
        folder: the folder of the checkpoint.
        new: the folder of the new checkpoint.
    """
    copy = semantics_copy(folder)
    if copy is not None:
        shutil.copytree(copy, new / SEMANTICS)


def check_unchanged(output: Path, before: Closed, after: Closed, free: AbstractSet[str]) -> None:
    """Raise InputError if a training is to be resumed with other values than it began with.

    Args:
        output: the output of the training.
        before: the run file that it began with.
        after: the run file that it is to be resumed with.
        free: dotted names of the values that may change, such as "data.workers".
    """
    changed = _changes(before.model_dump(mode="json"), after.model_dump(mode="json"))
    changed = [name for name in changed if name not in free]
    if changed:
        raise InputError(
            f"{output}: was trained with other values of {', '.join(changed)}; "
            f"resume with the same run file, or train into another --output"
        )


def _changes(before: object, after: object, name: str = "") -> list[str]:
    """Return the dotted names of the values that differ."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return [change for key in before for change in _changes(before[key], after[key], f"{name}.{key}".lstrip("."))]
    return [] if before == after else [name]
