"""Uncertainty of a depth network: the scale of its errors at each pixel, predicted beside depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from packdepth.networks.layers.head import LogitConv2d

WIDTH = 16  # channels of the head; chosen to be cheap, other widths were not tried
MIN_SCALE, MAX_SCALE = 0.005, 4.0  # range of the predicted scale of log depth: from half a percent to a factor of 55
INITIAL_SCALE = 0.15  # scale that an untrained head predicts: a usual relative error of depth


class Estimate(NamedTuple):
    """The result of a depth network with uncertainty."""

    inv_depths: list[Tensor]  # [B, 1, H / 2^s, W / 2^s], inverse depth in 1/metres, finest first
    log_scale: Tensor  # [B, 1, H, W], natural logarithm of the scale b of the errors, see `LogScaleHead`


class LogScaleHead(nn.Module):
    """A head that predicts log b, the natural logarithm of the scale of a Laplace distribution of errors.

    Its input are the features from which the network computes inverse depth at its scales. They are constants: training
    the head changes neither the network's other weights nor its depth.

    Source: log-likelihood maximization, Poggi et al., CVPR 2020, section 3.3; there the whole network is trained by it.

    Args:
        channels: number of channels of the features, by their stride.

    >>> head = LogScaleHead({1: 8, 2: 4})
    >>> features = {1: torch.rand(1, 8, 6, 8), 2: torch.rand(1, 4, 3, 4)}
    >>> round(float(head(features, 5, 7).exp().mean()), 4)
    0.15
    """

    def __init__(self, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict({str(stride): nn.Conv2d(count, WIDTH, 1) for stride, count in channels.items()})
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="replicate")
        self.logit = LogitConv2d(WIDTH, 1, 3, padding=1, padding_mode="replicate")
        self.low, self.high = math.log(MIN_SCALE), math.log(MAX_SCALE)
        share = (math.log(INITIAL_SCALE) - self.low) / (self.high - self.low)
        assert self.logit.bias is not None
        nn.init.zeros_(self.logit.weight)
        nn.init.constant_(self.logit.bias, math.log(share / (1 - share)))

    def forward(self, features: Mapping[int, Tensor], height: int, width: int) -> Tensor:
        """Return log b, [B, 1, H, W], between the logarithms of `MIN_SCALE` and `MAX_SCALE`.

        Args:
            features: features by stride, [B, C_s, H' / s, W' / s], of an image that was padded at its right and bottom.
            height: the height H of the image before it was padded, in pixels.
            width: its width W, in pixels.
        """
        finest = min(features)
        size = features[finest].shape[-2:]
        joined = torch.stack(
            [
                F.interpolate(self.inputs[str(stride)](x.detach()).float(), size, mode="bilinear", align_corners=False)
                for stride, x in features.items()
            ]
        ).sum(0)
        logits = self.logit(F.elu(self.conv(F.elu(joined).to(features[finest].dtype))))
        if finest > 1:
            logits = F.interpolate(logits, scale_factor=finest, mode="bilinear", align_corners=False)
        scaled: Tensor = self.low + (self.high - self.low) * logits[..., :height, :width].sigmoid()
        return scaled


@runtime_checkable
class UncertainDepthNetwork(Protocol):
    """A depth network that can predict the uncertainty of its depth.

    Attributes:
        feature_channels: number of channels of the features from which inverse depth is computed, by their stride.
        log_scale: the head that predicts the uncertainty from them; None without it.
    """

    feature_channels: Mapping[int, int]
    log_scale: LogScaleHead | None

    def __call__(
        self, image: Tensor, guide_input: Tensor | None = None, with_log_scale: bool = False
    ) -> list[Tensor] | Estimate:
        """Return the inverse depths of an image, as specified by `DepthNetwork`, or an `Estimate`.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
            guide_input: input of the guidance, as in `GuidedDepthNetwork`.
            with_log_scale: return an `Estimate`: the network must have the head `log_scale`.
        """


def add_log_scale(network: UncertainDepthNetwork) -> None:
    """Give a depth network a head with random weights. Random numbers that are drawn later stay as without it.

    Args:
        network: the depth network.

    >>> from packdepth.networks.packnet import PackNet
    >>> network = PackNet("tiny")
    >>> add_log_scale(network)
    >>> network(torch.rand(1, 3, 32, 64), with_log_scale=True).log_scale.shape
    torch.Size([1, 1, 32, 64])
    """
    with torch.random.fork_rng(devices=[]):
        network.log_scale = LogScaleHead(network.feature_channels)


def is_log_scale(name: str) -> bool:
    """Return whether a weight of a depth network belongs to its log-scale output.

    Args:
        name: the name of the weight in the state dict of the network, with or without a flip layer.

    >>> is_log_scale("network.log_scale.conv.weight"), is_log_scale("conv1.weight")
    (True, False)
    """
    return "log_scale" in name.split(".")


def estimated(
    inv_depths: list[Tensor], head: LogScaleHead | None, features: Mapping[int, Tensor], with_log_scale: bool
) -> list[Tensor] | Estimate:
    """Return what a depth network returns: its inverse depths, or an `Estimate` if it is asked for.

    Args:
        inv_depths: the inverse depths [B, 1, H / 2^s, W / 2^s], finest first.
        head: the head of the network.
        features: the input of the head, as in `LogScaleHead`.
        with_log_scale: whether an `Estimate` is asked for.

    Raises ValueError if an `Estimate` is asked for but there is no head.

    >>> estimated([torch.ones(1, 1, 2, 2)], None, {}, with_log_scale=False)[0].shape
    torch.Size([1, 1, 2, 2])
    """
    if not with_log_scale:
        return inv_depths
    if head is None:
        raise ValueError("the network has no log-scale output; build it with uncertainty: true")
    height, width = inv_depths[0].shape[-2:]
    return Estimate(inv_depths, head(features, height, width))


def confidence_of(log_scale: Tensor) -> Tensor:
    """Return confidence in [0, 1]: the probability that depth is within 25 % of its true value, as in the metric a1.

    Errors of log depth are taken for Laplace-distributed with the scale b: P(|e| < log 1.25) = 1 - exp(-log(1.25) / b).

    Args:
        log_scale: log b, any shape.

    >>> confidence_of(torch.tensor([0.02, 0.2, 2.0]).log())
    tensor([1.0000, 0.6723, 0.1056])
    """
    return -torch.expm1(-math.log(1.25) / log_scale.exp())
