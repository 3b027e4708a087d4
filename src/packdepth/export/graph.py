"""The networks of a checkpoint as modules for export: weights folded, normalization and head inside."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.resize import resize_inv_depth
from packdepth.inference.exported import CONFIDENCE, CONTEXT, DEPTH, IMAGE, INV_DEPTH, LABELS, MOTION, TARGET
from packdepth.inference.predictor import Predictor
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.networks.layers.folding import fold
from packdepth.networks.uncertainty import Estimate, confidence_of


def folded(network: nn.Module) -> nn.Module:
    """Return a network for export: a copy in evaluation mode, in which each `Foldable` layer is folded.

    Args:
        network: the network.

    >>> from packdepth.networks.layers.packing import PackLayerConv3d
    >>> type(folded(PackLayerConv3d(16, kernel=3, features=2))).__name__
    'FoldedConv2D'
    """
    copied = fold(copy.deepcopy(network).eval().requires_grad_(False))
    for module in list(copied.modules()):
        if isinstance(module, NetworkGuidance):
            module.add_module("semantics_for_export", module.semantics)  # its weights must be found among the parts
    for parameter in copied.parameters():
        parameter.data = parameter.data.contiguous()  # on a CPU predictors have channels last, which ExecuTorch refuses
    return copied


@dataclass(frozen=True)
class Graph:
    """A module for export, and its interface."""

    module: nn.Module  # positional inputs to a tuple of outputs
    inputs: dict[str, Tensor]  # an example of each input, by name
    outputs: tuple[str, ...]  # names of the outputs
    size: tuple[int, int]  # height and width at which the network computes, in pixels
    batch: int | None  # number of images in a call; None for any


class Resizing(nn.Module):
    """The resizing of images as `packdepth.geometry.resize_image` does it, as two products with constant matrices.

    Runtimes differ in their resizing with antialiasing: OpenVINO 2026.4 ignores it.

    Args:
        given: height and width of the images, in pixels.
        size: height and width of the result, in pixels.

    >>> Resizing((4, 8), (2, 4))(torch.ones(1, 3, 4, 8)).shape
    torch.Size([1, 3, 2, 4])
    """

    def __init__(self, given: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__()
        self.given = given
        rows, columns = (_matrix(*sides) for sides in zip(given, size, strict=True))
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def forward(self, image: Tensor) -> Tensor:
        """Return images [B, 3, h, w] of images [B, 3, H, W]."""
        return self.get_buffer("rows") @ image @ self.get_buffer("columns")


def _matrix(before: int, after: int) -> Tensor:
    """Return the matrix [after, before] that resizes one axis of an image."""
    each = torch.eye(before)[None, None]
    return F.interpolate(each, (after, before), mode="bilinear", align_corners=False, antialias=True)[0, 0]


class DepthGraph(nn.Module):
    """A depth network from images to depth, inverse depth and, if the network predicts it, confidence.

    Args:
        network: the depth network, folded.
        dtype: dtype of the network.
        uint8: whether images are uint8 from 0 to 255, not floats in [0, 1].
        confidence: whether the network predicts confidence.
        resizing: what resizes images to the size of the network, and maps back to that of the images; None if images
            have the network's size.
    """

    def __init__(
        self,
        network: nn.Module,
        dtype: torch.dtype,
        uint8: bool,
        confidence: bool,
        resizing: Resizing | None = None,
    ) -> None:
        super().__init__()
        self.network, self.dtype, self.uint8, self.confidence = network.to(dtype), dtype, uint8, confidence
        self.resizing = resizing

    def forward(self, image: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return depth, inverse depth and, on request, confidence, [B, 1, H, W] float32, of images [B, 3, H, W]."""
        if self.uint8:
            image = image.float() / 255
        if self.resizing is not None:
            image = self.resizing(image)
        inputs = [image.to(self.dtype)] if labels is None else [image.to(self.dtype), labels]
        if not self.confidence:
            (inv_depth, *_) = self.network(*inputs)
            return self._both(inv_depth)
        estimate: Estimate = self.network(*inputs, with_log_scale=True)
        return *self._both(estimate.inv_depths[0]), self._back(confidence_of(estimate.log_scale.float()))

    def _both(self, inv_depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return depth and inverse depth, clamped so that depth is finite."""
        inv_depth = self._back(inv_depth.float()).clamp(min=MIN_INV_DEPTH)
        return 1 / inv_depth, inv_depth

    def _back(self, maps: Tensor) -> Tensor:
        """Return maps at the size of the images."""
        return maps if self.resizing is None else resize_inv_depth(maps, *self.resizing.given)


class PoseGraph(nn.Module):
    """An ego-motion network from a target view and its context views to motions.

    Args:
        network: the ego-motion network, folded.
        offsets: offsets of the context frames, in frames from the target.
    """

    def __init__(self, network: nn.Module, offsets: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.offsets = network, offsets

    def forward(self, target: Tensor, context: Tensor) -> tuple[Tensor]:
        """Return T_context_target [B, N, 4, 4] of views [B, C, H, W] and [B, N, C, H, W]."""
        return (self.network(target, context, self.offsets),)


def depth_graph(
    predictor: Predictor,
    size: tuple[int, int],
    batch: int | None,
    dtype: torch.dtype = torch.float32,
    kind: Literal["float", "uint8"] = "float",
    given: tuple[int, int] | None = None,
) -> Graph:
    """Return the depth network of a checkpoint for export.

    Args:
        predictor: the networks, in float32 on the CPU.
        size: height and width at which the network computes, in pixels.
        batch: number of images in a call; None for any.
        dtype: dtype of the network. Its logits, and all that follows, are float32 anyway.
        kind: values of the images: floats in [0, 1], or uint8.
        given: height and width of the images, in pixels, which are resized; None if they have the network's size.
    """
    count = 2 if batch is None else batch  # torch takes a batch of 1 for a constant
    image = torch.rand(count, 3, *(given or size), generator=torch.Generator().manual_seed(0))
    inputs = {IMAGE: (image * 255).byte() if kind == "uint8" else image}
    if predictor.label_classes is not None:
        inputs[LABELS] = torch.zeros(count, 1, *size, dtype=torch.uint8)
    outputs = (DEPTH, INV_DEPTH, *([CONFIDENCE] if predictor.has_confidence else []))
    resizing = None if given is None else Resizing(given, size)
    module = DepthGraph(folded(predictor.depth), dtype, kind == "uint8", predictor.has_confidence, resizing)
    return Graph(module.eval(), inputs, outputs, size, batch)


def pose_graph(network: PairPoseNetwork, size: tuple[int, int], batch: int | None) -> Graph:
    """Return an ego-motion network for export.

    Args:
        network: the network, in float32 on the CPU.
        size: height and width of the views, in pixels.
        batch: number of views in a call; None for any.
    """
    count, channels, offsets = 2 if batch is None else batch, 3 + network.uses_depth, network.context_offsets
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(count, channels, *size, generator=generator)
    context = torch.rand(count, len(offsets), channels, *size, generator=generator)
    module = PoseGraph(folded(network), offsets)
    return Graph(module.eval(), {TARGET: target, CONTEXT: context}, (MOTION,), size, batch)


def class_names(network: nn.Module) -> list[str]:
    """Return the names of the classes of the segmentation network that guides a depth network; none without one.

    Args:
        network: the depth network.
    """
    guidance = guidance_of(network)
    return list(guidance.semantics.classes) if isinstance(guidance, NetworkGuidance) else []
