"""The run file as a whole. `docs/reference/run_file.md` is generated from the docstrings of the fields."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from packdepth.blocks import Block, ByKind, CheckpointContext, Closed, package_of, parse
from packdepth.errors import InputError
from packdepth.networks.blocks import IMPORTED_POSE_NETWORKS, AnyDepthNetwork, AnyPoseNetwork, PoseBlock, Unit
from packdepth.objectives.term import AnyTerm, Term
from packdepth.optimization.adam import AdamBlock
from packdepth.optimization.blocks import AnyOptimizer, AnySchedule
from packdepth.optimization.schedules import Constant
from packdepth.run_files import find_run_file
from packdepth.sources.base import AnySource

Precision = Literal["32", "bf16"]


# --- data -------------------------------------------------------------------------------------------------------


class Jitter(Closed):
    """Color jitter of the network's input: each factor is drawn from [1 - x, 1 + x], the shift of hue from [-x, x]."""

    brightness: Unit = 0.2
    """x of the factor of brightness."""
    contrast: Unit = 0.2
    """x of the factor of contrast."""
    saturation: Unit = 0.2
    """x of the factor of saturation."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """x of the shift of hue; 1 is once around the color circle."""


ImageSize = tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]


class Augmentation(Closed):
    """Random changes of a sample, drawn once and shared by its frames."""

    flip: Unit = 0.5
    """Probability of mirroring a sample left to right."""
    jitter: Jitter | None = Jitter()
    """Color jitter; null turns it off."""


class DropStatic(Closed):
    """Frames to leave out because the camera stands (`packdepth.data.filters` defines this)."""

    by: Literal["image", "speed"]
    """image: the mean optical flow to the next frame is below 1/416 of the width; speed: by measured speed or poses."""
    slowest: PositiveFloat = 0.5
    """Metres per second: a slower camera stands. Only `by: speed` uses this."""


class Data(Closed):
    """The clips to train and validate on, and how samples are made of them."""

    train: Annotated[list[AnySource], Field(min_length=1)]
    """Clips to train on."""
    val: list[AnySource] = []
    """Clips to validate on: by depth metrics where a clip has measured depth, by the loss everywhere."""
    image_size: ImageSize
    """Height and width of the networks' input, in pixels."""
    context: tuple[int, ...] = (-1, 1)
    """The context frames, by their offsets from the target frame: not 0, and each offset once.

    An empty list trains without ego-motion, by stereo pairs or measured depth; targets then need no neighbors.
    """
    beams: Literal[1, 4, 8, 16, 32, 64] | None = None
    """Train on this many beams of LiDAR scans, and on no other measured depth.

    Validation uses depth maps, or else the returns of the beams that are left out.
    """
    drop_static: DropStatic | None = None
    """Leave out frames of the training clips in which the camera stands; the run's summary says how many."""
    augmentation: Augmentation = Augmentation()
    """Random changes of the training samples."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Number of processes that load samples; 0 loads them in the training process."""
    cache: bool = False
    """Keep resized images in memory, for data that fit there."""

    @field_validator("context")
    @classmethod
    def _context_frames(cls, offsets: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in offsets or len(set(offsets)) < len(offsets):
            raise ValueError(f"offsets are whole numbers other than 0, each once; found {list(offsets)}")
        return offsets


class CameraConfig(Closed):
    """The cameras: calibrated, or learned."""

    learn: bool = False
    """Learn focal lengths and principal point with depth and ego-motion, and do not read calibrations.

    Clips count as one camera if their images have one size and their calibrations are equal or all missing.
    """
    fov: Annotated[float, Field(ge=10, le=150)] = 60.0
    """Horizontal field of view that learning begins with, in degrees from the left to the right border."""


# --- networks ---------------------------------------------------------------------------------------------------


class Networks(Closed):
    """The two networks of self-supervised training."""

    depth: AnyDepthNetwork
    """The depth network."""
    pose: AnyPoseNetwork | None = None
    """The network of the ego-motion to the context frames; none where data.context is empty."""


class Initial(Closed):
    """Checkpoints from which networks take their first weights; other networks begin with random weights."""

    depth: Path | None = None
    """Folder of the checkpoint for the depth network."""
    pose: Path | None = None
    """Folder of the checkpoint for the pose network."""


# --- training ---------------------------------------------------------------------------------------------------


class Training(Closed):
    """The training: its length, optimizer, precision and processes."""

    epochs: PositiveInt
    """Number of epochs; each ends with a validation and a checkpoint."""
    epoch_steps: PositiveInt | None = None
    """Number of steps in an epoch; one pass over the data if left out."""
    batch_size: PositiveInt = 4
    """Number of samples in a step, over all processes together."""
    depth_learning_rate: PositiveFloat = 2e-4
    """Learning rate of the depth network."""
    pose_learning_rate: PositiveFloat = 2e-4
    """Learning rate of the pose network."""
    optimizer: AnyOptimizer = AdamBlock()
    """`adam` or `muon`."""
    schedule: AnySchedule = Constant()
    """Schedule of the learning rates: `constant`, `step` or `cosine`."""
    clip_norm: PositiveFloat | None = None
    """Largest 2-norm of the gradient; longer gradients are scaled down to it. No limit if left out."""
    precision: Precision = "32"
    """bf16 computes networks in bfloat16 (autocast); weights and losses stay float32."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the initial weights, of the order of the samples and of the augmentation."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """auto uses a GPU if there is one."""
    devices: PositiveInt = 1
    """Number of processes on each machine."""
    nodes: PositiveInt = 1
    """Number of machines."""


class Run(Closed):
    """A run file, which describes a whole experiment."""

    data: Data
    camera: CameraConfig = CameraConfig()
    networks: Networks
    initial: Initial = Initial()
    objective: Annotated[list[AnyTerm], Field(min_length=1)]
    training: Training

    @field_validator("objective")
    @classmethod
    def _each_once(cls, terms: list[AnyTerm]) -> list[AnyTerm]:
        kinds = [term.kind for term in terms]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(
                    f"'{kind}' stands there {kinds.count(kind)} times; give each term once, with its weight"
                )
        return terms

    @model_validator(mode="after")
    def _context_and_ego_motion(self) -> Run:
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
    def _label_maps(self) -> Run:
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
    def _something_to_train(self) -> Run:
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
        if all(frozen):
            raise ValueError("all networks are frozen, so nothing would be trained; free one")
        return self

    @property
    def image_size(self) -> tuple[int, int]:
        """The height and width of the networks' input, in pixels."""
        return self.data.image_size


# --- networks of other projects ---------------------------------------------------------------------------------


class ImportedNetworks(Closed):
    """The networks of a checkpoint that another project trained."""

    depth: AnyDepthNetwork
    pose: Annotated[PoseBlock, ByKind(IMPORTED_POSE_NETWORKS)] | None = None
    """The pose network; none if the checkpoint has none."""


class Imported(Closed):
    """The place of a run file in a checkpoint that another project trained; it cannot be trained again."""

    imported_from: Literal["packnet-sfm", "vidar", "monodepth2"]
    image_size: ImageSize
    """Height and width of the networks' input, in pixels."""
    networks: ImportedNetworks
    notes: list[str] = []
    """Sentences about what was assumed and what was left out."""


def packages_of(run: Run) -> dict[str, str]:
    """Return the packages, beside packdepth itself, that the blocks of a run come from, by kind."""
    guidance = run.networks.depth.guidance
    blocks: list[Block | None] = [
        *(*run.data.train, *run.data.val, *run.objective, run.networks.depth, run.networks.pose),
        *(run.training.optimizer, run.training.schedule, None if guidance is None else guidance.semantics),
    ]
    packages = {block.kind: package_of(type(block)) for block in blocks if block is not None}
    return {kind: package for kind, package in packages.items() if package is not None}


# --- reading and writing ----------------------------------------------------------------------------------------


def load_run(path: Path, overrides: tuple[str, ...] = ()) -> Run:
    """Read a run file.

    Args:
        path: the run file; `configs/NAME.yaml` is packdepth's own where no such file exists.
        overrides: changes of the form `key=value`, such as `training.epochs=5` or `objective.0.weight=2`.

    Raises InputError, one sentence, for a missing file, broken YAML, an unknown key or a wrong type.
    """
    return parse_run(read_yaml(path, overrides), str(path))


def read_yaml(path: Path, overrides: tuple[str, ...] = ()) -> Any:
    """Read the content of a run file of any kind, with overrides and with environment variables filled in.

    Args:
        path: the run file; `configs/NAME.yaml` is packdepth's own where no such file exists.
        overrides: changes of the form `key=value`, such as `training.epochs=5`.

    Raises InputError, one sentence, for a missing file, broken YAML, a wrong override or a variable that is not set.
    """
    try:
        values = yaml.safe_load(find_run_file(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a run file, or one that `packdepth configs` "
            f"lists"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    for override in overrides:
        _override(values, override, path)
    return _expand(values, str(path))


def parse_run(values: Any, origin: str, context: CheckpointContext | None = None) -> Run:
    """Return the run that the content of a run file describes.

    Args:
        values: the content.
        origin: its name in errors, such as the path of the file.
        context: of the checkpoint that it belongs to, if it does: terms of unknown kinds are then kept as they are.

    Raises InputError, one sentence, for an unknown key or kind, or a wrong type.
    """
    return parse(Run, values, origin, context)


def dump_run(run: Run | Imported) -> str:
    """Return a run as YAML, which `parse_run` reads back to an equal run."""
    return yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)


def _override(values: Any, override: str, path: Path) -> None:
    """Set one `key=value` in the content of a run file."""
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"'{override}' is not an override; write key=value, such as training.epochs=5")
    *parents, last = key.split(".")
    for part in [*parents, None]:
        name = last if part is None else part
        index: Any = int(name) if isinstance(values, list) and name.lstrip("-").isdigit() else name
        if isinstance(values, list) and not (isinstance(index, int) and -len(values) <= index < len(values)):
            raise InputError(f"{path}: override {override}: '{name}' is no entry of a list of {len(values)}")
        if not isinstance(values, (dict, list)):
            raise InputError(f"{path}: override {override}: '{name}' is inside a value that has no parts")
        if part is None:
            try:
                values[index] = yaml.safe_load(text)
            except yaml.YAMLError:
                raise InputError(f"{path}: override {override}: '{text}' is not valid YAML") from None
        else:
            values = values.setdefault(index, {}) if isinstance(values, dict) else values[index]


_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def _expand(values: Any, origin: str) -> Any:
    """Fill in the environment variables `${NAME}`, `${NAME:-default}` and `${NAME:?what to do}`, in every string."""
    if isinstance(values, dict):
        return {key: _expand(value, origin) for key, value in values.items()}
    if isinstance(values, list):
        return [_expand(value, origin) for value in values]
    if not isinstance(values, str):
        return values

    def fill(match: re.Match[str]) -> str:
        name, mark, text = match.groups()
        value = os.environ.get(name) or (text if mark == "-" else None)
        if value is None:
            advice = text if mark == "?" else "set it, or write the path out"
            raise InputError(f"{origin}: the environment variable {name} is not set; {advice}")
        return value

    return _VARIABLE.sub(fill, values)
