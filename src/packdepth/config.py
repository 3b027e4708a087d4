"""What a run file may say, in full. The docstring of a field is its reference."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from packdepth.blocks import Closed, parse
from packdepth.errors import InputError
from packdepth.segmentation.blocks import FpnSemantics, TransformersSemantics
from packdepth.sources import AnySource

Unit = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Precision = Literal["32", "bf16"]


# --- data -------------------------------------------------------------------------------------------------------


class Jitter(Closed):
    """Color jitter of what networks see: each factor is drawn from [1 - x, 1 + x], the hue shift from [-x, x]."""

    brightness: Unit = 0.2
    contrast: Unit = 0.2
    saturation: Unit = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05


ImageSize = tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]


class Augmentation(Closed):
    """Random changes of a sample, drawn once and shared by its frames."""

    flip: Unit = 0.5
    """Probability of mirroring a sample left to right."""
    jitter: Jitter | None = Jitter()


class DropStatic(Closed):
    """Frames to leave out: those in which the camera stands (`packdepth.data.filters` says what that means)."""

    by: Literal["image", "speed"]
    """image: mean optical flow to the next frame below 1/416 of the width; speed: measured speed, or poses."""
    slowest: PositiveFloat = 0.5
    """Metres a second, by speed alone: what is slower stands."""


class Data(Closed):
    """Where samples come from and what they look like."""

    train: Annotated[list[AnySource], Field(min_length=1)]
    val: list[AnySource] = []
    """Clips to validate on: metrics where a clip has depth, the loss everywhere."""
    image_size: ImageSize
    """Height and width of what networks see, in pixels."""
    context: tuple[int, ...] = (-1, 1)
    """The context frames, by their offset from the target frame: no zero, none twice.

    Empty for training without ego-motion, by stereo pairs or measured depth: targets then need no neighbors.
    """
    beams: Literal[1, 4, 8, 16, 32, 64] | None = None
    """Train on this many beams of LiDAR scans, and on no other measured depth.

    Validation is by depth maps, or else by the returns of the beams that are left out.
    """
    drop_static: DropStatic | None = None
    """Leave out frames of the training clips in which the camera stands; the run's summary says how many."""
    augmentation: Augmentation = Augmentation()
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that load samples; 0 loads them in the training process."""
    cache: bool = False
    """Keep resized images in memory; for clips that fit there."""

    @field_validator("context")
    @classmethod
    def _context_frames(cls, offsets: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in offsets or len(set(offsets)) < len(offsets):
            raise ValueError(f"offsets are whole numbers other than 0, each once; found {list(offsets)}")
        return offsets


class CameraConfig(Closed):
    """What is known of the cameras."""

    learn: bool = False
    """Learn focal lengths and principal point with depth and ego-motion, and leave calibrations unread.

    Clips of images of one size and of the same calibration, or all without one, are taken for one camera.
    """
    fov: Annotated[float, Field(ge=10, le=150)] = 60.0
    """Degrees from the left to the right border that learning begins with."""


# --- networks ---------------------------------------------------------------------------------------------------


class NetworkConfig(Closed):
    """What all networks can be told."""

    kind: str
    frozen: bool = False
    """Keep the weights that `initial` loads as they are: metric depth teaches metric ego-motion."""


TRAINING_OPTIONS: Mapping[str, Any] = dict.fromkeys(
    ("dropout", "initial_depth", "initial_forward", "frozen", "sparsity", "depth_gradient"), True
) | {"guidance": {"cache": True}}
"""Options of networks that tell how they are trained, and nothing to who uses their weights (as pydantic's exclude)."""


class LabelMaps(Closed):
    """Label maps on disk, the `semantic/` of clips: each image needs its own, in prediction too."""

    kind: Literal["labels"]
    classes: Annotated[int, Field(ge=1, le=255)] = 19
    """How many: ids from 0 on, by default Cityscapes' train ids. 255 is unlabeled."""


class GuidanceConfig(Closed):
    """Features of a fixed segmentation network, or label maps, guide the decoder (ICLR 2020): docs/semantics.md."""

    semantics: Annotated[FpnSemantics | TransformersSemantics | LabelMaps, Field(discriminator="kind")]
    strides: Annotated[tuple[Literal[2, 4, 8, 16], ...], Field(min_length=1)] = (16, 8, 4, 2)
    """The decoder stages that are guided, each by the features of the nearest stride."""
    kernel: Literal[3, 5] = 3
    """Of the pixel-adaptive convolutions."""
    cache: Path | None = None
    """A folder in which training keeps the features of its images, computed once; they are not kept if left out."""

    @model_validator(mode="after")
    def _cache_of_features(self) -> GuidanceConfig:
        if self.cache is not None and isinstance(self.semantics, LabelMaps):
            raise ValueError("cache keeps features of a segmentation network, but label maps guide; remove it")
        return self


class DepthNetworkConfig(NetworkConfig):
    """What all depth networks can be told."""

    flip: bool = False
    """Predict the mirror image too and fuse both, in training and after (SuperDepth, ICRA 2019): twice the work."""
    guidance: GuidanceConfig | None = None

    @property
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the network; None where none do."""
        semantics = None if self.guidance is None else self.guidance.semantics
        return semantics.classes if isinstance(semantics, LabelMaps) else None


class PackNetConfig(DepthNetworkConfig):
    """PackNet (CVPR 2020): packing and unpacking blocks with 3D convolutions."""

    kind: Literal["packnet"]
    preset: Literal["1A", "1B", "slim-1A", "small", "tiny"] = "1A"
    """1A, 1B, slim-1A as published; small and tiny are narrow enough to train on a CPU."""
    dropout: Unit = 0.0
    initial_depth: Annotated[float, Field(gt=0.5)] = 12.0
    """Metres that an untrained network predicts, beyond the least of 0.5. A typical depth lets short runs learn."""


class ResNetDepthConfig(DepthNetworkConfig):
    """What depth networks with a ResNet encoder have."""

    layers: Literal[18, 34, 50] = 18
    min_depth: PositiveFloat = 0.1
    """Metres."""
    max_depth: PositiveFloat = 100.0
    """Metres."""
    initial_depth: PositiveFloat = 12.0
    """Metres that an untrained network predicts, between the two."""

    @model_validator(mode="after")
    def _ordered(self) -> ResNetDepthConfig:
        if not self.min_depth < self.initial_depth < self.max_depth:
            raise ValueError(
                f"initial_depth {self.initial_depth:g} must lie between min_depth {self.min_depth:g} "
                f"and max_depth {self.max_depth:g}"
            )
        return self


class DepthResNetConfig(ResNetDepthConfig):
    """ResNet encoder and monodepth2's decoder."""

    kind: Literal["depth_resnet"]


class SuperDepthConfig(ResNetDepthConfig):
    """ResNet encoder and a decoder of sub-pixel convolutions (SuperDepth, ICRA 2019)."""

    kind: Literal["superdepth"]


DepthConfig = Annotated[PackNetConfig | DepthResNetConfig | SuperDepthConfig, Field(discriminator="kind")]


Pattern = Literal["random", "grid", "blocks"]


class Sparsity(Closed):
    """Pixels that the ego-motion network loses in training (docs/odometry.md).

    Each pair of frames loses a share of its pixels that is drawn anew between 0 and a limit, which goes from `start` to
    `end` in the course of the training.
    """

    pattern: Pattern = "random"
    """Pixels by themselves; all but the crossings of a grid of lines; squares of 16 pixels."""
    start: Unit = 0.8
    end: Unit = 0.0
    same: bool = False
    """Both frames of a pair lose the same pixels, or else each its own."""


class PairPoseConfig(NetworkConfig):
    """What all ego-motion networks that look at pairs can be told."""

    initial_forward: float = 0.0
    """Metres per frame along the optical axis that an untrained network predicts."""
    sparsity: Sparsity | None = None
    """Pixels that it loses in training; none if left out."""


class PoseNetConfig(PairPoseConfig):
    """PoseNet (Zhou et al. 2017, without the explainability mask), on pairs in temporal order."""

    kind: Literal["posenet"]


class PoseResNetConfig(PairPoseConfig):
    """ResNet encoder and monodepth2's pose decoder, on pairs in temporal order."""

    kind: Literal["pose_resnet"]
    layers: Literal[18, 34, 50] = 18


Fusion = Literal["early", "middle", "late"]
DepthEncoding = Literal["log", "inverse"]
LengthUnit = Literal["depth", "metre"]


class TwoStreamConfig(PairPoseConfig):
    """Ego-motion from a pair of images and the depth inferred for both (after Ambrus et al., CoRL 2019).

    `initial_forward` is that of a scene whose harmonic mean depth is 10 metres.
    """

    kind: Literal["two_stream"]
    fusion: Fusion = "middle"
    """Where the streams of color and depth meet: at the input, after four of seven layers, or after all of them."""
    encoding: DepthEncoding = "log"
    """How the depth stream sees depth: the logarithm of inverse depth over its mean, or that ratio itself."""
    unit: LengthUnit = "depth"
    """Of the translation that layers predict: the mean depth, so that it has the scale of the depth, or a metre."""
    depth_gradient: bool = False
    """Let the ego-motion's gradient into the depth network."""


PoseConfig = Annotated[PoseNetConfig | PoseResNetConfig | TwoStreamConfig, Field(discriminator="kind")]


class Networks(Closed):
    """The two networks of self-supervised training."""

    depth: DepthConfig
    pose: PoseConfig | None = None
    """Ego-motion to the context frames; none where data.context is empty."""


class Initial(Closed):
    """Checkpoints that networks take their first weights from; the others begin at random."""

    depth: Path | None = None
    pose: Path | None = None


# --- objective --------------------------------------------------------------------------------------------------


Scales = Literal["full", "own"]
"""Each scale at full resolution, upsampled, or at its own."""
Comparison = Literal["full", "own", "pyramid"]
"""Of images: as `Scales`, or each scale at its own resolution and the coarsest once more at half of that."""
Convention = Literal["packdepth", "reference"]
"""packdepth's own conventions, or those of packnet-sfm, whose values the term then reproduces (docs/training.md)."""


class PhotometricConfig(Closed):
    """How unlike the target is to its synthesis from the context: SSIM and L1 (PackNet eq. 2 to 4)."""

    kind: Literal["photometric"]
    weight: NonNegative = 1.0
    ssim: Unit = 0.85
    """Share of the SSIM term; the rest is L1."""
    minimum: bool = True
    """Take the best of the context frames at each pixel, not their mean."""
    automask: bool = True
    """Ignore pixels that the unmoved context explains better (standing camera, cars at our speed)."""
    scales: Comparison = "full"
    """Compare each scale at full resolution, upsampled (as published), or at its own (cheaper, wider basin).

    pyramid: at its own, and the coarsest once more at half of that (widest basin).
    """
    convention: Convention = "packdepth"
    """reference: pixels that no context frame sees count too, and scales are resized as in packnet-sfm."""
    padding: Literal["zeros", "border"] = "zeros"
    """Of the reference alone: pixels out of view are black (as published), or show the border of the frame."""
    clip: NonNegative = 0.0
    """Of the reference alone: cut off errors this many standard deviations above their mean; 0 does not."""

    @model_validator(mode="after")
    def _of_the_reference(self) -> PhotometricConfig:
        if self.convention != "reference" and (self.padding != "zeros" or self.clip):
            raise ValueError("padding and clip belong to convention: reference; add it, or remove them")
        if self.convention == "reference" and self.scales == "pyramid":
            raise ValueError("scales: pyramid is unknown to convention: reference; take own, or remove convention")
        return self


class SmoothnessConfig(Closed):
    """Edge-aware smoothness of mean-normalized inverse depth (PackNet eq. 5)."""

    kind: Literal["smoothness"]
    weight: NonNegative = 1e-3
    scales: Scales = "own"
    """Smooth each scale at its own resolution, or upsampled at full resolution (as packnet-sfm does)."""
    convention: Convention = "packdepth"
    """reference: scales are resized as in packnet-sfm."""


class VelocityConfig(Closed):
    """Metric scale: the length of the ego-motion against the distance traveled (PackNet eq. 6)."""

    kind: Literal["velocity"]
    weight: NonNegative = 0.05
    impose: bool = False
    """Show the other terms the ego-motion at the measured length: they then teach its direction and rotation only."""


class StereoConfig(Closed):
    """How unlike each image of a stereo pair is to its synthesis from the other (Godard et al. 2017): metric scale."""

    kind: Literal["stereo"]
    weight: NonNegative = 1.0
    ssim: Unit = 0.85
    """Share of the SSIM term; the rest is L1."""
    both: bool = True
    """Predict the depth of the right view too, and synthesize it from the left image: twice the work."""
    scales: Comparison = "full"
    """As of `photometric`."""


class HintsConfig(Closed):
    """Stereo: where a search over depth explains the pair far better than the prediction, follow it (Watson et al.)."""

    kind: Literal["hints"]
    weight: NonNegative = 0.5


class OcclusionConfig(Closed):
    """Occlusion regularization: the mean inverse depth, so that what one image hides is taken for background."""

    kind: Literal["occlusion"]
    weight: NonNegative = 0.01


class ReprojectedConfig(Closed):
    """Measured depth: how far apart measured and predicted points lie in the context frames (CoRL 2019)."""

    kind: Literal["reprojected"]
    weight: NonNegative = 0.1
    """Of pixels; packdepth's own, the published one is not known."""


class DepthConsistencyConfig(Closed):
    """Depth of the target, carried into each context frame, against the depth predicted there (Bian et al. 2019)."""

    kind: Literal["depth_consistency"]
    weight: NonNegative = 0.1


class PoseConsistencyConfig(Closed):
    """Ego-motion seen with frames in the order of time against ego-motion seen with them in reverse order."""

    kind: Literal["pose_consistency"]
    weight: NonNegative = 0.1
    lever: PositiveFloat = 10.0
    """Metres that a radian counts as: how far ahead the points are whose displacement is to be small."""


SupervisedKind = Literal["sparse_l1", "mse", "berhu", "silog", "abs_rel"]


class SupervisedConfig(Closed):
    """Measured depth (depth maps or LiDAR) against predicted, as inverse depth: one of five losses.

    Source: Guizilini et al., CoRL 2019. Frames without a measurement count as zero.
    """

    kind: SupervisedKind
    """Mean |e|; mean e^2; reverse Huber; scale-invariant log; mean |e| over the measured inverse depth."""
    weight: NonNegative = 1.0
    """packnet-sfm weighs this 0.9 and the self-supervised terms 0.1 of their weights."""
    convention: Convention = "packdepth"
    """reference: berhu and abs_rel are what packnet-sfm calls so, and measurements are resized to each scale."""


TermConfig = Annotated[
    PhotometricConfig
    | SmoothnessConfig
    | VelocityConfig
    | ReprojectedConfig
    | StereoConfig
    | HintsConfig
    | OcclusionConfig
    | DepthConsistencyConfig
    | PoseConsistencyConfig
    | SupervisedConfig,
    Field(discriminator="kind"),
]
OF_CONTEXT = (
    PhotometricConfig,
    VelocityConfig,
    ReprojectedConfig,
    DepthConsistencyConfig,
    PoseConsistencyConfig,
)
"""Terms that say nothing without context frames."""


# --- training ---------------------------------------------------------------------------------------------------


class Constant(Closed):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class Step(Closed):
    """The learning rate is multiplied by `factor` every `epochs` epochs (as published: 0.5 every 40)."""

    kind: Literal["step"]
    epochs: PositiveInt = 40
    factor: PositiveFloat = 0.5


class Cosine(Closed):
    """The learning rate rises linearly for `warmup` steps, stays, and falls along a cosine to `final` of itself."""

    kind: Literal["cosine"]
    warmup: Annotated[int, Field(ge=0)] = 0
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps after the warm-up before it begins to fall."""
    final: Unit = 0.0


class Adam(Closed):
    """Adam, as published."""

    kind: Literal["adam"] = "adam"


class Muon(Closed):
    """Muon for convolutions but those before the outputs, Adam for everything else: short trainings learn faster."""

    kind: Literal["muon"]
    learning_rate: PositiveFloat = 0.02
    """Of the depth network's convolutions, in singular values; the schedule applies to it too."""
    pose_learning_rate: PositiveFloat | None = None
    """The same of the ego-motion network's; left out, Adam trains all of it."""
    weight_decay: NonNegative = 0.0
    """Each step shrinks those convolutions by the learning rate times this: for streets that were not seen."""


class Training(Closed):
    """How the networks are trained."""

    epochs: PositiveInt
    epoch_steps: PositiveInt | None = None
    """Steps between validations and checkpoints; one pass over the data if left out."""
    batch_size: PositiveInt = 4
    """Samples a step, over all processes together."""
    depth_learning_rate: PositiveFloat = 2e-4
    pose_learning_rate: PositiveFloat = 2e-4
    optimizer: Annotated[Adam | Muon, Field(discriminator="kind")] = Adam()
    schedule: Annotated[Constant | Step | Cosine, Field(discriminator="kind")] = Constant()
    clip_norm: PositiveFloat | None = None
    """Longest gradient, in its 2-norm."""
    precision: Precision = "32"
    """bf16 computes networks in bfloat16 (autocast); weights and losses stay float32."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt = 1
    """Processes on each machine."""
    nodes: PositiveInt = 1
    """Machines."""


class Run(Closed):
    """A run file: the whole experiment."""

    data: Data
    camera: CameraConfig = CameraConfig()
    networks: Networks
    initial: Initial = Initial()
    objective: Annotated[list[TermConfig], Field(min_length=1)]
    training: Training

    @field_validator("objective")
    @classmethod
    def _each_once(cls, terms: list[TermConfig]) -> list[TermConfig]:
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
            if isinstance(term, OF_CONTEXT):
                raise ValueError(f"objective: '{term.kind}' needs context frames, but data.context is empty; add some")
        return self

    @model_validator(mode="after")
    def _label_maps(self) -> Run:
        if self.networks.depth.label_classes is None:
            return self
        if isinstance(self.networks.pose, TwoStreamConfig):
            raise ValueError(
                "networks.pose: two_stream looks at the depth of any image, but label maps guide networks.depth and "
                "belong to clips; use another pose network, or guide by a segmentation network"
            )
        for term in self.objective:
            if isinstance(term, StereoConfig) and term.both:
                raise ValueError(
                    "objective: 'stereo' predicts the depth of right images, which have no label maps to guide "
                    "networks.depth; set both: false, or guide by a segmentation network"
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
        """Height and width of what the networks see, in pixels."""
        return self.data.image_size


# --- networks of other projects ---------------------------------------------------------------------------------


class PacknetSfmPoseNetConfig(Closed):
    """packnet-sfm's PoseNet: a frame with the one before and the one after at once, rotation in Euler angles."""

    kind: Literal["packnet_sfm_posenet"]


class PacknetSfmPoseResNetConfig(Closed):
    """packnet-sfm's PoseResNet: pairs of target and context in no order of time, rotation in Euler angles."""

    kind: Literal["packnet_sfm_pose_resnet"]
    layers: Literal[18, 34, 50] = 18


ImportedPoseConfig = Annotated[
    PoseNetConfig | PoseResNetConfig | TwoStreamConfig | PacknetSfmPoseNetConfig | PacknetSfmPoseResNetConfig,
    Field(discriminator="kind"),
]


class ImportedNetworks(Closed):
    """The networks of a checkpoint that another project trained."""

    depth: DepthConfig
    pose: ImportedPoseConfig | None = None
    """None if the checkpoint tells no ego-motion."""


class Imported(Closed):
    """What stands in place of a run file in a checkpoint that another project trained: it cannot be trained again."""

    imported_from: Literal["packnet-sfm", "vidar", "monodepth2"]
    image_size: ImageSize
    """Height and width of what the networks see, in pixels."""
    networks: ImportedNetworks
    notes: list[str] = []
    """What was assumed and what was left out."""


# --- reading and writing ----------------------------------------------------------------------------------------


def load_run(path: Path, overrides: tuple[str, ...] = ()) -> Run:
    """The run file at `path` with `key=value` overrides, such as `training.epochs=5` or `objective.0.weight=2`.

    Raises InputError, one sentence, for a missing file, broken YAML, an unknown key or a wrong type.
    """
    return parse_run(read_yaml(path, overrides), str(path))


def read_yaml(path: Path, overrides: tuple[str, ...] = ()) -> Any:
    """The content of a run file of any kind, with overrides and with variables filled in. Raises InputError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a run file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    for override in overrides:
        _override(values, override, path)
    return _expand(values, str(path))


def parse_run(values: Any, origin: str) -> Run:
    """The run that the content of a run file describes; `origin` names it in errors."""
    return parse(Run, values, origin)


def dump_run(run: Run | Imported) -> str:
    """The run as YAML that `parse_run` reads back to an equal run."""
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


_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def _expand(values: Any, origin: str) -> Any:
    """Fill in `${NAME}` and `${NAME:-default}` from the environment, in every string."""
    if isinstance(values, dict):
        return {key: _expand(value, origin) for key, value in values.items()}
    if isinstance(values, list):
        return [_expand(value, origin) for value in values]
    if not isinstance(values, str):
        return values

    def fill(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = os.environ.get(name) or default
        if value is None:
            raise InputError(f"{origin}: the environment variable {name} is not set; set it, or write the path out")
        return value

    return _VARIABLE.sub(fill, values)
