"""Run files: the classes of all their blocks. The docstring of a field is its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from packdepth.blocks import Block, ByKind, CheckpointContext, Closed, package_of, parse
from packdepth.networks.blocks import IMPORTED_POSE_NETWORKS, AnyDepthNetwork, AnyPoseNetwork, PoseBlock
from packdepth.networks.options import Unit
from packdepth.objectives.term import AnyTerm, StatefulTerm, Term
from packdepth.optimization.adam import AdamBlock
from packdepth.optimization.blocks import AnyOptimizer, AnySchedule
from packdepth.optimization.schedules import Constant
from packdepth.run_files import read_yaml
from packdepth.sources.base import AnySource
from packdepth.sources.guess import FieldOfView

Precision = Literal["32", "bf16"]
"""Precision of the networks: float32, or bfloat16 by autocast."""


# --- data -------------------------------------------------------------------------------------------------------


class Jitter(Closed):
    """Color jitter of the networks' input: factors are drawn from [1 - x, 1 + x], the hue shift from [-x, x].

    >>> Jitter(hue=0.1).hue
    0.1
    """

    brightness: Unit = 0.2
    """Largest change of the brightness factor."""
    contrast: Unit = 0.2
    """Largest change of the contrast factor."""
    saturation: Unit = 0.2
    """Largest change of the saturation factor."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest shift of the hue, as a fraction of the color circle."""


ImageSize = tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]
"""Height and width of images, in pixels."""


class Augmentation(Closed):
    """Random changes of a sample. All frames of a sample are changed in the same way.

    >>> Augmentation().flip
    0.5
    """

    flip: Unit = 0.5
    """Probability of mirroring a sample left to right."""
    jitter: Jitter | None = Jitter()
    """Color jitter; `null` for none."""


class DropStatic(Closed):
    """Filter that drops the frames in which the camera does not move (`packdepth.data.filters`).

    >>> DropStatic(by="speed").slowest
    0.5
    """

    by: Literal["image", "speed"]
    """Criterion by which a frame is dropped: `image` or `speed`.

    image: the mean optical flow to the frame 0.1 s later, or to the next one, is below 1/416 of the image width, or the
    next frame is a copy. speed: the mean speed to the next frame, measured or computed from poses, is below `slowest`.
    """
    slowest: PositiveFloat = 0.5
    """Speed below which a frame is dropped, in metres per second. Only `by: speed` uses it."""


class Data(Closed):
    """The clips, and the samples that are made of them."""

    train: Annotated[list[AnySource], Field(min_length=1)]
    """Clips to train on."""
    val: list[AnySource] = []
    """Clips to validate on. The loss is computed on all of them, metrics on those with measured depth."""
    val_tail: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the frames of each training clip, at its end, that is validated on and not trained on; 0 for none.

    Frames behind the last measured speed or pose come on top.
    """
    image_size: ImageSize
    """Height and width of the input of the networks, in pixels."""
    context: tuple[int, ...] = (-1, 1)
    """Offsets of the context frames from the target frame, in frames. All differ, and none is zero.

    With an empty list, depth is trained on single frames, by stereo pairs or measured depth, without ego-motion.
    """
    beams: Literal[1, 4, 8, 16, 32, 64] | None = None
    """Number of LiDAR beams to train on. No other measured depth is then used for training.

    Validation uses depth maps. Frames without a depth map are validated on the remaining beams.
    """
    drop_static: DropStatic | None = None
    """Drop the training frames in which the camera does not move. The summary of the run gives their number."""
    augmentation: Augmentation = Augmentation()
    """Random changes of the training samples."""
    zoom: Annotated[float, Field(ge=0.2, le=1)] = 1.0
    """Smallest share of an image's height and width that a random window covers; 1 turns zooming off.

    The depth network sees a window of each training image, enlarged, as a camera of longer focal length would show it.
    Depth and ego-motion stay what they are. It helps on cameras with another mount, and costs accuracy on the
    training's own.
    """
    workers: Annotated[int, Field(ge=0)] = 2
    """Number of processes that load samples; 0 loads them in the training process."""
    cache: bool = False
    """Keep all resized images in memory. They must fit there."""

    @field_validator("context")
    @classmethod
    def _context_frames(cls, offsets: tuple[int, ...]) -> tuple[int, ...]:
        """Raise ValueError for an offset of 0, and for one that is given twice."""
        if 0 in offsets or len(set(offsets)) < len(offsets):
            raise ValueError(f"offsets are whole numbers other than 0, each once; found {list(offsets)}")
        return offsets


class CameraConfig(Closed):
    """Choice between given, assumed and learned camera intrinsics.

    >>> CameraConfig(learn=True).fov is None
    True
    """

    learn: bool = False
    """Learn focal lengths and principal point together with depth and ego-motion.

    Calibrations of the clips then serve only to distinguish cameras: clips of the same image size share one learned
    camera if they have the same calibration, or if none of them has one.
    """
    fov: FieldOfView | None = None
    """Horizontal field of view, in degrees between the left and the right border of the image.

    Learned cameras begin with it; if it is left out, with the guess that `data check` reports: from EXIF, else
    60 degrees. If cameras are not learned, it is assumed of clips without calibration; calibrated clips keep theirs.
    """


# --- networks ---------------------------------------------------------------------------------------------------


class Networks(Closed):
    """The two networks of self-supervised training.

    >>> Networks(depth={"kind": "packnet", "preset": "tiny"}, pose={"kind": "posenet"}).depth.preset
    'tiny'
    """

    depth: AnyDepthNetwork
    """The depth network."""
    pose: AnyPoseNetwork | None = None
    """The ego-motion network. It is left out if, and only if, `data.context` is empty."""


class Initial(Closed):
    """Checkpoints from which networks are initialized. A network without one starts from
    pretrained weights if its block names some, otherwise from random ones.

    >>> Initial(depth="runs/first/best").depth.name
    'best'
    """

    depth: Path | None = None
    """Checkpoint for the depth network: its folder, or an address such as `hf://user/name`."""
    pose: Path | None = None
    """Checkpoint for the ego-motion network: its folder, or an address."""


# --- training ---------------------------------------------------------------------------------------------------


class Training(Closed):
    """Options of the training.

    >>> Training(epochs=10).batch_size
    4
    """

    epochs: PositiveInt
    """Number of epochs."""
    epoch_steps: PositiveInt | None = None
    """Number of steps of an epoch, after which the run is validated and saved. If left out: one pass over the data."""
    best_after: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the epochs after which a checkpoint can become `best`; before, `best` is the latest.

    While the learning rate is high, depth is far from its end, and a few validation frames cannot tell which of two
    checkpoints is better.
    """
    best_by: Literal["depth", "loss"] = "depth"
    """Score that decides which checkpoint is `best`: `depth` or `loss`.

    depth: the error against the measured depth of the validation frames; the loss if they have none. loss: the loss, so
    that measured depth is kept for evaluation.
    """
    batch_size: PositiveInt = 4
    """Number of samples of a step, summed over all processes."""
    depth_learning_rate: PositiveFloat = 2e-4
    """Learning rate of the depth network."""
    pose_learning_rate: PositiveFloat = 2e-4
    """Learning rate of the ego-motion network."""
    optimizer: AnyOptimizer = AdamBlock()
    """Optimizer: `adam` or `muon`."""
    schedule: AnySchedule = Constant()
    """Schedule of the learning rates: `constant`, `step` or `cosine`."""
    clip_norm: PositiveFloat | None = None
    """Maximum 2-norm of the gradient. A larger gradient is scaled down to it. If left out, nothing is clipped."""
    precision: Precision = "32"
    """Precision of the networks. bf16 computes them in bfloat16 (autocast); weights and losses stay float32."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the initial weights, of the order of the samples, of their augmentation and of dropout."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Device of the training: `cpu`, `gpu`, or `auto` for a GPU if there is one."""
    devices: PositiveInt = 1
    """Number of processes on each machine."""
    nodes: PositiveInt = 1
    """Number of machines."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Work of several processes: `ddp` or `fsdp`.

    ddp: each process holds all weights. fsdp: each holds a share of the weights, of their gradients and of the state of
    the optimizer, which takes less memory and more exchange. It works with the optimizer `adam`, and without terms that
    have state.
    """

    @model_validator(mode="after")
    def _sharded(self) -> Training:
        """Raise ValueError if weights are sharded that the optimizer needs whole."""
        if self.strategy == "fsdp" and self.optimizer.kind != "adam":
            raise ValueError(
                f"strategy: fsdp works with the optimizer adam, as '{self.optimizer.kind}' may need whole weights; "
                f"remove one of the two"
            )
        return self


class Run(Closed):
    """A run file: the whole experiment.

    >>> run = Run.model_validate({
    ...     "data": {"train": [{"kind": "folder", "root": "clips"}], "image_size": [96, 320]},
    ...     "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    ...     "objective": [{"kind": "photometric"}, {"kind": "smoothness"}],
    ...     "training": {"epochs": 10},
    ... })
    >>> run.image_size
    (96, 320)
    """

    data: Data
    """The clips, and the samples that are made of them."""
    camera: CameraConfig = CameraConfig()
    """Given or learned camera intrinsics."""
    networks: Networks
    """The networks."""
    initial: Initial = Initial()
    """Checkpoints from which the networks are initialized."""
    objective: Annotated[list[AnyTerm], Field(min_length=1)]
    """The terms of the objective, each kind once."""
    training: Training
    """Options of the training."""

    def completed(self, before: Run | Imported | None = None) -> Run:
        """Return the run with all that its networks need from files that they name; see `NetworkBlock.completed`.

        Args:
            before: the run of the checkpoint that is resumed, whose networks are complete; None otherwise.

        Raises InputError if such a file cannot be used.
        """
        former = {} if before is None else dict(before.networks)
        networks = {name: block.completed(former.get(name)) for name, block in self.networks if block is not None}
        return self.model_copy(update={"networks": self.networks.model_copy(update=networks)})

    @field_validator("objective")
    @classmethod
    def _each_once(cls, terms: list[AnyTerm]) -> list[AnyTerm]:
        """Raise ValueError for a term that is given twice."""
        kinds = [term.kind for term in terms]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(
                    f"'{kind}' stands there {kinds.count(kind)} times; give each term once, with its weight"
                )
        return terms

    @model_validator(mode="after")
    def _context_and_ego_motion(self) -> Run:
        """Raise ValueError if context frames have no pose network, or a part that needs context frames has none."""
        if self.data.context and self.networks.pose is None:
            raise ValueError(
                f"networks.pose is missing: the ego-motion to the context frames {list(self.data.context)} needs a "
                f"pose network; add one, or train without context frames by data.context: []"
            )
        if not self.data.context and self.networks.pose is not None:
            raise ValueError("data.context is empty, so that networks.pose is never trained; remove it")
        for term in self.objective if not self.data.context else ():
            if isinstance(term, Term) and term.needs_context:
                raise ValueError(f"objective: '{term.kind}' needs context frames, but data.context is empty; add some")
        return self

    @model_validator(mode="after")
    def _uncertainty(self) -> Run:
        """Raise ValueError if a term trains an uncertainty that is not predicted, or if none trains it."""
        trained = [term.kind for term in self.objective if isinstance(term, Term) and "log_scale" in term.needs]
        if trained and not self.networks.depth.uncertainty:
            raise ValueError(
                f"objective: '{trained[0]}' trains the uncertainty of depth, but networks.depth predicts none; "
                f"add networks.depth.uncertainty: true"
            )
        if self.networks.depth.uncertainty and not trained and not self.networks.depth.frozen:
            raise ValueError(
                "networks.depth.uncertainty is true, but no term of the objective trains it; add {kind: uncertainty}"
            )
        if self.networks.depth.flip and any(
            isinstance(term, Term) and "mirrored_inv_depth" in term.needs for term in self.objective
        ):
            raise ValueError(
                "networks.depth.flip makes the prediction of the mirrored image the same, from which the uncertainty "
                "learns nothing; choose another residual of the term 'uncertainty', or remove flip"
            )
        return self

    @model_validator(mode="after")
    def _sharded(self) -> Run:
        """Raise ValueError if weights are sharded that a step may leave without a gradient in some processes."""
        for name, network in self.networks if self.training.strategy == "fsdp" else ():
            if network is not None and network.has_unused:
                raise ValueError(
                    f"training.strategy: fsdp needs the gradient of all weights, but networks.{name}: '{network.kind}' "
                    f"may leave some unused; use strategy: ddp, or another network"
                )
        for term in self.objective if self.training.strategy == "fsdp" else ():
            if isinstance(term, StatefulTerm):
                raise ValueError(
                    f"training.strategy: fsdp shares the weights of networks, but not the state of the objective term "
                    f"'{term.kind}'; use strategy: ddp"
                )
        return self

    @model_validator(mode="after")
    def _taught(self) -> Run:
        """Raise ValueError if a term needs a teacher, but there is none."""
        for term in self.objective if all(term.kind != "teacher" for term in self.objective) else ():
            if isinstance(term, Term) and "teacher" in term.needs:
                raise ValueError(f"objective: '{term.kind}' needs a teacher; add the term 'teacher'")
        return self

    @model_validator(mode="after")
    def _sky(self) -> Run:
        """Raise ValueError if a term needs the sky of a segmentation network, but none guides the depth network."""
        guidance = self.networks.depth.guidance
        if guidance is not None and guidance.semantics.label_classes is None:
            return self
        for term in self.objective:
            if isinstance(term, Term) and "sky" in term.needs:
                raise ValueError(
                    f"objective: '{term.kind}' takes the sky from the segmentation network that guides depth, but "
                    f"{'none does' if guidance is None else 'label maps do'}; guide by a network in "
                    f"networks.depth.guidance, or write by: labels"
                )
        return self

    @model_validator(mode="after")
    def _label_maps(self) -> Run:
        """Raise ValueError if label maps guide the depth network, but images without label maps need its depth."""
        if self.networks.depth.label_classes is None:
            return self
        if self.networks.pose is not None and self.networks.pose.uses_depth:
            raise ValueError(
                f"networks.pose: {self.networks.pose.kind} looks at the depth of any image, but label maps guide "
                f"networks.depth and belong to clips; use another pose network, or guide by a segmentation network"
            )
        for term in self.objective:
            if isinstance(term, Term) and "right_inv_depths" in term.needs:
                raise ValueError(
                    f"objective: '{term.kind}' predicts the depth of right images, which have no label maps to guide "
                    f"networks.depth; do without (of stereo: both: false), or guide by a segmentation network"
                )
        return self

    @model_validator(mode="after")
    def _zoom(self) -> Run:
        """Raise ValueError if depth is predicted of windows, but a part of the run is of whole images."""
        if self.data.zoom == 1:
            return self
        pose, depth = self.networks.pose, self.networks.depth
        if self.camera.learn:
            raise ValueError(
                "data.zoom: windows have other intrinsics than the whole images whose camera is learned (camera.learn);"
                " calibrate the camera first, or write data.zoom: 1"
            )
        if pose is not None and pose.uses_depth:
            raise ValueError(
                f"data.zoom: depth is that of windows, but networks.pose: {pose.kind} takes that of whole images as "
                f"input; use another pose network, or write data.zoom: 1"
            )
        if depth.frozen:
            raise ValueError(
                "data.zoom: networks.depth is frozen, so that windows teach it nothing, and ego-motion is trained on "
                "worse depth; write data.zoom: 1"
            )
        if depth.guidance is not None and depth.guidance.cache is not None:
            raise ValueError(
                "data.zoom: windows differ in each step, but networks.depth.guidance.cache is of whole images; remove "
                "cache, or write data.zoom: 1"
            )
        if any(term.kind == "teacher" and getattr(term, "network", None) is not None for term in self.objective):
            raise ValueError(
                "data.zoom: a network that teaches would look at windows, too; write its maps with packdepth predict "
                "--save depth and name them as maps in place of network, or write data.zoom: 1"
            )
        return self

    @model_validator(mode="after")
    def _something_to_train(self) -> Run:
        """Raise ValueError if what is frozen has no initial weights, or if all networks are frozen."""
        frozen = []
        for name in ("depth", "pose"):
            network, start = getattr(self.networks, name), getattr(self.initial, name)
            if network is None and start is not None:
                raise ValueError(f"initial.{name} is given, but there is no networks.{name}; describe it, or remove it")
            if network is not None:
                frozen.append(network.frozen)
                if network.frozen and start is None:
                    raise ValueError(
                        f"networks.{name} is frozen but random; give the checkpoint to take as initial.{name}"
                    )
                if network.keeps_random is not None and start is None:
                    raise ValueError(
                        f"networks.{name}.{network.keeps_random} keeps what is random; name pretrained weights or "
                        f"initial.{name}, or remove it"
                    )
        if all(frozen):
            raise ValueError("all networks are frozen, so nothing would be trained; free one")
        return self

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the input of the networks, in pixels."""
        return self.data.image_size


# --- networks of other projects ---------------------------------------------------------------------------------


class ImportedNetworks(Closed):
    """The networks of a checkpoint that another project trained."""

    depth: AnyDepthNetwork
    """The depth network."""
    pose: Annotated[PoseBlock, ByKind(IMPORTED_POSE_NETWORKS)] | None = None
    """The ego-motion network; None if the checkpoint has none."""


class Imported(Closed):
    """The content of `run.yaml` in a checkpoint that another project trained. It does not describe the training.

    >>> Imported(imported_from="vidar", image_size=(96, 320), networks={"depth": {"kind": "packnet"}}).notes
    []
    """

    imported_from: Literal["packnet-sfm", "vidar", "monodepth2", "transformers"]
    """The project that trained the checkpoint."""
    image_size: ImageSize
    """Height and width of the input of the networks, in pixels."""
    networks: ImportedNetworks
    """The networks."""
    notes: list[str] = []
    """Assumptions of the import, and parts that were left out."""


def blocks_of(run: Run) -> list[Block]:
    """Return all blocks of a run that have a kind.

    Args:
        run: the run.
    """
    guidance = run.networks.depth.guidance
    blocks: list[Block | None] = [
        *(*run.data.train, *run.data.val, *run.objective, run.networks.depth, run.networks.pose),
        *(run.training.optimizer, run.training.schedule, None if guidance is None else guidance.semantics),
    ]
    return [block for block in blocks if block is not None]


def packages_of(run: Run) -> dict[str, str]:
    """Return the package of each block that is not packdepth's own, by the kind of the block.

    Args:
        run: the run.
    """
    packages = {block.kind: package_of(type(block)) for block in blocks_of(run)}
    return {kind: package for kind, package in packages.items() if package is not None}


# --- reading and writing ----------------------------------------------------------------------------------------


def load_run(path: Path, overrides: tuple[str, ...] = (), context: CheckpointContext | None = None) -> Run:
    """Return the run of a run file, with overrides.

    Args:
        path: the run file; `configs/NAME.yaml` is packdepth's own if no such file exists.
        overrides: texts `key=value`, such as `training.epochs=5` or `objective.0.weight=2`.
        context: context of the checkpoint that the run continues, if it does: an error names missing packages.

    Raises InputError, one sentence, for a missing file, broken YAML, an unknown key or a wrong type.
    """
    return parse_run(read_yaml(path, overrides), str(path), context)


def parse_run(values: Any, origin: str, context: CheckpointContext | None = None) -> Run:
    """Return the run that the content of a run file describes.

    Args:
        values: the content.
        origin: its name in error messages, such as the path of the file.
        context: the checkpoint's context, with which blocks of unknown kind are kept if only training needs them.
            None if the run does not belong to a checkpoint.

    Raises InputError, one sentence, for an unknown key or kind, or a wrong type.
    """
    return parse(Run, values, origin, context)


def dump_run(run: Run | Imported) -> str:
    """Return the run as YAML, from which `parse_run` reads an equal run.

    Args:
        run: the run.
    """
    return yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)
