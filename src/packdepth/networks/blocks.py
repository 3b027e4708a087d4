"""Base classes of the blocks of networks in a run file. Importing this module does not import torch.

The block of a network is defined in the network's own file. It derives from `DepthNetworkBlock` or `PoseNetworkBlock`,
and its `build` makes the network. To add a network, add a file; nothing else changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from packdepth.blocks import Block, ByKind, Closed, Family, blaming
from packdepth.errors import InputError
from packdepth.networks.options import MOTION_SCALE, Sparsity

if TYPE_CHECKING:
    from torch import Tensor, nn

    from packdepth.networks.ego_motion import PairPoseNetwork
    from packdepth.networks.guidance import Guidance
    from packdepth.networks.semantic_network import SemanticNetwork


# --- guidance -----------------------------------------------------------------------------------------------------


class SemanticsBlock(Block, ABC):
    """The source of guidance features for a depth network: a segmentation network, or label maps."""

    @property
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the network; None if a segmentation network guides it."""
        return None

    @property
    def held(self) -> bool:
        """Whether training copies the segmentation network that guides depth into the checkpoints."""
        return False

    @property
    def checkpoint_name(self) -> str | None:
        """The path or the address of the checkpoint of packdepth that the network comes from; None if it is none."""
        return None

    @abstractmethod
    def guidance(self, channels: Mapping[int, int], kernel: int, copy: Path | None = None) -> Guidance:
        """Return the module that filters the features of a depth decoder.

        Args:
            channels: number of channels of each guided decoder stage, by stride.
            kernel: side of the pixel-adaptive convolutions, in pixels of each stage.
            copy: folder of a checkpoint's copy of the segmentation network; None for the network that the block names.
        """

    @abstractmethod
    def describe(self, strides: str, has_copy: bool) -> str:
        """Return one line about the guidance.

        Args:
            strides: the strides of the guided stages, in words.
            has_copy: whether the checkpoint holds a copy of the segmentation network.
        """


class NetworkSemantics(SemanticsBlock):
    """A fixed segmentation network that guides a depth network."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The folder or the name that the network is loaded from."""

    @abstractmethod
    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the network, or a checkpoint's copy of it.

        Args:
            copy: folder of the checkpoint's copy; None for the network that the block names.

        Raises InputError if the network cannot be found.
        """

    def guidance(self, channels: Mapping[int, int], kernel: int, copy: Path | None = None) -> Guidance:
        """Return guidance by feature maps of the network."""
        from packdepth.networks.guidance import NetworkGuidance

        return NetworkGuidance(self.build(copy), channels, kernel)

    def describe(self, strides: str, has_copy: bool) -> str:
        """Return kind and name of the network, the strides, and the place it is loaded from."""
        held = "by value: a copy is part of this checkpoint" if has_copy else "by reference: loaded from there"
        return f"{self.kind} {self.name} at strides {strides} ({held}{'' if has_copy else ' when needed'})"


class LabelMaps(SemanticsBlock):
    """Label maps that the clips hold on disk, as `semantic/`. Each image needs its label map, also in prediction.

    >>> LabelMaps(classes=3).label_classes
    3
    """

    kind: Literal["labels"] = "labels"
    classes: Annotated[int, Field(ge=1, le=255)] = 19
    """Number of classes, with the ids 0 to `classes` - 1; 255 is unlabeled. The default fits Cityscapes' train ids."""

    @property
    def label_classes(self) -> int | None:
        """The number of classes."""
        return self.classes

    def guidance(self, channels: Mapping[int, int], kernel: int, copy: Path | None = None) -> Guidance:
        """Return guidance by a learned embedding of the classes."""
        from packdepth.networks.guidance import LabelGuidance

        return LabelGuidance(self.classes, channels, kernel)

    def describe(self, strides: str, has_copy: bool) -> str:
        """Return the number of classes, the strides, and the place of the label maps."""
        return (
            f"label maps of {self.classes} classes at strides {strides} (on disk: images are predicted "
            f"with the semantic/ of their clip, which is not part of this checkpoint)"
        )


SEMANTICS = Family(
    SemanticsBlock,  # type: ignore[type-abstract]
    "packdepth.semantics",
    ("packdepth.networks", "packdepth.segmentation"),
)


class GuidanceBlock(Closed):
    """Guidance of the decoder by a fixed segmentation network, or by label maps (ICLR 2020).

    >>> GuidanceBlock(semantics={"kind": "labels"}).strides
    (16, 8, 4, 2)
    """

    semantics: Annotated[SemanticsBlock, ByKind(SEMANTICS)]
    """The source of guidance features: `fpn`, `transformers` or `labels`."""
    strides: Annotated[tuple[Literal[2, 4, 8, 16], ...], Field(min_length=1)] = (16, 8, 4, 2)
    """Strides of the guided decoder stages. A segmentation network guides each by its feature map of nearest stride."""
    kernel: Literal[3, 5] = 3
    """Side of the pixel-adaptive convolutions, in pixels of each stage."""
    cache: Path | None = None
    """Folder that caches the guidance features of the training images. If left out, every step computes them again."""

    @model_validator(mode="after")
    def _cache_of_features(self) -> GuidanceBlock:
        if self.cache is not None and self.semantics.label_classes is not None:
            raise ValueError("cache keeps features of a segmentation network, but label maps guide; remove it")
        return self


# --- networks -----------------------------------------------------------------------------------------------------


class PartBlock(Block, ABC):
    """The block of a part of a network, such as an encoder; it is an option of the network's block."""

    def architecture(self) -> dict[str, Any]:
        """Return the options that must be equal in two parts for one to load the weights of the other."""
        return self.model_dump()

    def completed(self, before: PartBlock | None = None) -> Self:
        """Return the block with all that it needs from files; see `NetworkBlock.completed`.

        Args:
            before: the same part of the training that is resumed, completed; None otherwise.
        """
        return self


class NetworkBlock(Block, ABC):
    """Options that all networks of a run file have."""

    frozen: bool = False
    """Do not train this network: its weights stay those that `initial` names.

    A frozen depth network that is metric gives the ego-motion a metric scale.
    """

    training_options: ClassVar[frozenset[str]] = frozenset({"frozen"})
    """Names of the options that affect training only. Weights can be loaded if these options differ."""
    has_unused: ClassVar[bool] = False
    """Whether the network may have parameters that its result does not depend on."""

    described: ClassVar[frozenset[str]] = frozenset()
    """Names of the options that `describe` names."""

    @property
    def keeps_random(self) -> str | None:
        """The option that keeps random weights or statistics as they are, by its path; None if there is none."""
        return None

    def describe(self) -> str:
        """Return the kind, and what it is made of and starts from if it has parts."""
        return self.kind

    def architecture(self) -> dict[str, Any]:
        """Return the options that must be equal in two networks for one to load the weights of the other."""
        own = self.model_dump(exclude=dict.fromkeys(self.training_options, True) | {"guidance": {"cache": True}})
        return own | {name: value.architecture() for name, value in self if isinstance(value, PartBlock)}

    @property
    def advice(self) -> str:
        """Advice of one clause on how to have a better network; empty if there is none."""
        return ""

    def completed(self, before: NetworkBlock | None = None) -> NetworkBlock:
        """Return the block with all that `build` needs from files that it names, such as a model's configuration.

        Training completes the blocks of a run, and its checkpoints keep the completed ones: nothing but the checkpoint
        is needed afterwards, also to resume the training.

        Args:
            before: the completed block of the training that is resumed; None otherwise.

        Raises InputError if a file cannot be used.
        """
        former = dict(before) if before is not None and type(before) is type(self) else {}
        parts = {name: value.completed(former.get(name)) for name, value in self if isinstance(value, PartBlock)}
        return self.model_copy(update=parts)

    def start(self, network: nn.Module) -> None:
        """Load the weights that a new training starts from. They stay random unless a subclass loads pretrained ones.

        Args:
            network: what `assemble` returned, with random weights.

        Raises InputError if the weights cannot be used.
        """

    def adapt(self, network: nn.Module, image: Tensor) -> None:
        """Adapt a network to the first images of a new training; by default nothing is adapted.

        Args:
            network: what `assemble` returned, with the weights that `start` loaded.
            image: the images [B, 3, H, W], RGB in [0, 1].
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network with random weights."""


class DepthNetworkBlock(NetworkBlock):
    """The block of a depth network: its options in a run file, and the function that makes the network.

    `build` returns a module that maps an image [B, 3, H, W], RGB in [0, 1], to a list of inverse depths in 1/metres at
    strides 1, 2, 4 and 8, finest first, or to the first of these: `packdepth.networks.DepthNetwork` is the contract.
    `flip` works with every such network; `guidance` with those that fulfill `packdepth.networks.GuidedDepthNetwork`,
    and `uncertainty` with those that fulfill `packdepth.networks.UncertainDepthNetwork`.

    >>> import torch
    >>> from packdepth.networks.packnet import PackNetBlock
    >>> network = PackNetBlock(preset="tiny").assemble()
    >>> [tuple(level.shape) for level in network(torch.rand(1, 3, 64, 96))]
    [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    flip: bool = False
    """Predict the mirrored image, too, and fuse both results, in training and in prediction: twice the computation.

    Source: SuperDepth, ICRA 2019.
    """
    guidance: GuidanceBlock | None = None
    """Guidance by semantics; none if left out."""
    uncertainty: bool = False
    """Predict the scale of errors of depth, too, from which `Prediction.confidence` follows (Poggi et al., CVPR 2020).

    The objective needs the term `uncertainty`, which trains it.
    """
    scale: PositiveFloat = 1.0
    """Factor of predicted depth, in training and in prediction; `packdepth calibrate` sets it."""

    @property
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the network; None without label maps."""
        return None if self.guidance is None else self.guidance.semantics.label_classes

    def assemble(self, semantics_copy: Path | None = None) -> nn.Module:
        """Return the network with random weights, with its guidance, its flip layer and its scale.

        Args:
            semantics_copy: folder of a checkpoint's copy of the segmentation network that guides depth; None for the
                network that the block names.

        Raises InputError if the segmentation network is not there, if the network cannot be guided as asked for, and
        if somebody else's `build` fails.
        """
        from torch import nn

        from packdepth.networks.contract import GuidedDepthNetwork, TimesDepth
        from packdepth.networks.flip import FlipFused
        from packdepth.networks.uncertainty import UncertainDepthNetwork, add_log_scale

        with blaming(f"networks.depth: '{self.kind}'", type(self)):
            network = self.build()
        if not isinstance(network, nn.Module):
            raise InputError(
                f"networks.depth: build of '{self.kind}' returns a {type(network).__name__}; return a torch.nn.Module"
            )
        if self.guidance is not None:
            if not isinstance(network, GuidedDepthNetwork):
                raise InputError(
                    f"networks.depth.guidance: the network '{self.kind}' cannot be guided (it has no "
                    f"decoder_channels); remove the guidance, or use another network"
                )
            missing = [stride for stride in self.guidance.strides if stride not in network.decoder_channels]
            if missing:
                raise InputError(
                    f"networks.depth.guidance.strides: the network '{self.kind}' has no decoder stage of stride "
                    f"{missing[0]}; it has {', '.join(map(str, sorted(network.decoder_channels)))}"
                )
            channels: dict[int, int] = {s: network.decoder_channels[s] for s in self.guidance.strides}
            network.guidance = self.guidance.semantics.guidance(channels, self.guidance.kernel, semantics_copy)
        if self.uncertainty:
            if not isinstance(network, UncertainDepthNetwork):
                raise InputError(
                    f"networks.depth.uncertainty: the network '{self.kind}' cannot predict uncertainty (it has no "
                    f"feature_channels); leave it out, or use another network"
                )
            add_log_scale(network)
        network = FlipFused(network) if self.flip else network
        if self.scale != 1:
            network.register_forward_hook(TimesDepth(self.scale))  # a hook, so that names of weights stay as they are
        return network


class PoseBlock(Block, ABC):
    """The block of an ego-motion network, packdepth's or one that another project trained."""

    scale: PositiveFloat = 1.0
    """Factor of predicted translations, in training and in prediction; `packdepth calibrate` sets it."""

    def architecture(self) -> dict[str, Any]:
        """Return the options that the weights depend on."""
        return self.model_dump()

    @abstractmethod
    def build(self) -> PairPoseNetwork:
        """Return the network with random weights."""

    def assemble(self) -> PairPoseNetwork:
        """Return the network with random weights and with the options of the block that `build` does not set."""
        network = self.build()
        network.scale = self.scale
        return network


class PoseNetworkBlock(NetworkBlock, PoseBlock):
    """The block of an ego-motion network: its options in a run file, and the function that makes the network.

    `build` returns a `packdepth.networks.PairPoseNetwork`, which takes pairs of frames, the earlier one first.

    >>> from packdepth.networks.posenet import PoseNetBlock
    >>> type(PoseNetBlock().assemble()).__name__
    'PoseNet'
    """

    initial_forward: float = 0.0
    """Metres per frame along the optical axis that an untrained network predicts."""
    sparsity: Sparsity | None = None
    """Random dropping of input pixels in training. If left out, no pixel is dropped."""

    training_options: ClassVar[frozenset[str]] = NetworkBlock.training_options | {"initial_forward", "sparsity"}
    uses_depth: ClassVar[bool] = False
    """Whether the network takes the predicted depth of both frames."""

    @abstractmethod
    def build(self) -> PairPoseNetwork:
        """Return the network with random weights."""

    def assemble(self) -> PairPoseNetwork:
        """Return the network with random weights and with its `sparsity` and `scale`.

        Raises InputError if `build` of another project fails or does not return a `PairPoseNetwork`.
        """
        from packdepth.networks.ego_motion import PairPoseNetwork

        with blaming(f"networks.pose: '{self.kind}'", type(self)):
            network = self.build()
        if not isinstance(network, PairPoseNetwork):
            raise InputError(
                f"networks.pose: build of '{self.kind}' returns a {type(network).__name__}; return a network that "
                f"derives from packdepth.networks.PairPoseNetwork"
            )
        network.sparsity, network.scale = self.sparsity, self.scale
        return network


class RegressedPoseBlock(PoseNetworkBlock):
    """The block of an ego-motion network whose last convolution gives a motion in units of two factors.

    The factors decide how fast the motion of single pairs is learned: with the published 0.01, a short training learns
    the mean step of a drive and not its changes (docs/results/2026-11-26-changing-speed.md).
    """

    translation_scale: PositiveFloat = MOTION_SCALE
    """Metres of translation for each unit that the last convolution gives. About a third of the mean step suits a short
    training."""
    rotation_scale: PositiveFloat = MOTION_SCALE
    """Radians of rotation for each unit that the last convolution gives."""

    @property
    def motion_scales(self) -> tuple[float, float]:
        """Both factors, in metres and radians."""
        return self.translation_scale, self.rotation_scale


DEPTH_NETWORKS = Family(DepthNetworkBlock, "packdepth.depth_networks", ("packdepth.networks",))  # type: ignore[type-abstract]
POSE_NETWORKS = Family(PoseNetworkBlock, "packdepth.pose_networks", ("packdepth.networks",))  # type: ignore[type-abstract]
IMPORTED_POSE_NETWORKS = Family(
    PoseBlock,  # type: ignore[type-abstract]
    POSE_NETWORKS.group,
    ("packdepth.networks", "packdepth.interop"),
)
AnyDepthNetwork = Annotated[DepthNetworkBlock, ByKind(DEPTH_NETWORKS)]
AnyPoseNetwork = Annotated[PoseNetworkBlock, ByKind(POSE_NETWORKS)]
