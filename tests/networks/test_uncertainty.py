"""The log-scale output of depth networks: sizes, flips, scale, what it leaves as it is."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import nn

from packdepth.errors import InputError
from packdepth.networks.blocks import DEPTH_NETWORKS, DepthNetworkBlock
from packdepth.networks.decoders.decoder import DECODERS
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.encoder_decoder import EncoderDecoderBlock
from packdepth.networks.flip import fuse_flipped
from packdepth.networks.packnet import PackNetBlock
from packdepth.networks.superdepth import SuperDepthBlock
from packdepth.networks.uncertainty import (
    MAX_SCALE,
    MIN_SCALE,
    LogScaleHead,
    UncertainDepthNetwork,
    confidence_of,
    is_log_scale,
)

BLOCKS: list[DepthNetworkBlock] = [PackNetBlock(preset="tiny"), DepthResNetBlock(), SuperDepthBlock()] + [
    EncoderDecoderBlock.model_validate({"encoder": {"kind": "packnet", "preset": "tiny"}, "decoder": {"kind": kind}})
    for kind in sorted(DECODERS.own())
]
ALL = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.describe())


def assembled(block: DepthNetworkBlock, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return block.model_copy(update={"uncertainty": True, **options}).assemble().eval()


def randomized(network: nn.Module) -> nn.Module:
    """The network, whose log-scale is not the same everywhere any more."""
    for module in network.modules():
        if isinstance(module, LogScaleHead):
            nn.init.normal_(module.logit.weight)
    return network


@ALL
@pytest.mark.parametrize("size", [(33, 70), (64, 96)])
def test_the_log_scale_has_the_size_of_the_image_and_is_bounded(
    block: DepthNetworkBlock, size: tuple[int, int]
) -> None:
    estimate = randomized(assembled(block))(torch.rand(2, 3, *size), with_log_scale=True)
    assert estimate.log_scale.shape == (2, 1, *size) == estimate.inv_depths[0].shape
    assert estimate.log_scale.std() > 0
    assert estimate.log_scale.min() >= math.log(MIN_SCALE)
    assert estimate.log_scale.max() <= math.log(MAX_SCALE)


@ALL
def test_depth_and_other_weights_are_those_of_the_network_without_it(block: DepthNetworkBlock) -> None:
    image = torch.rand(1, 3, 32, 64)
    uncertain = assembled(block)
    after = torch.rand(3)  # random numbers that are drawn later, too
    torch.manual_seed(0)
    plain = block.assemble().eval()
    torch.testing.assert_close(torch.rand(3), after, rtol=0, atol=0)
    names = {name for name in uncertain.state_dict() if not is_log_scale(name)}
    assert names == set(plain.state_dict())
    assert len(uncertain.state_dict()) > len(names)
    for ours, theirs in zip(uncertain(image), plain(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    for ours, theirs in zip(uncertain(image, with_log_scale=True).inv_depths, plain(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@ALL
def test_only_the_head_gets_a_gradient(block: DepthNetworkBlock) -> None:
    network = randomized(assembled(block))
    network(torch.rand(1, 3, 32, 64), with_log_scale=True).log_scale.sum().backward()
    with_gradient = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert with_gradient == {name for name, _ in network.named_parameters() if is_log_scale(name)}


def test_the_flip_layer_fuses_the_log_scale_as_it_fuses_depth() -> None:
    network, image = randomized(assembled(BLOCKS[0], flip=True)), torch.rand(1, 3, 32, 64)
    inner = network.get_submodule("network")
    fused = network(image, with_log_scale=True)
    plain, mirrored = (inner(each, with_log_scale=True) for each in (image, image.flip(-1)))
    torch.testing.assert_close(fused.log_scale, fuse_flipped(plain.log_scale, mirrored.log_scale), atol=1e-3, rtol=0)
    for ours, theirs in zip(fused.inv_depths, network(image), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("flip", [False, True])
def test_a_calibrated_scale_changes_depth_and_not_the_log_scale(flip: bool) -> None:
    image = torch.rand(1, 3, 32, 64)
    plain, scaled = (assembled(BLOCKS[0], flip=flip, scale=scale)(image, with_log_scale=True) for scale in (1.0, 2.0))
    torch.testing.assert_close(scaled.inv_depths[0], plain.inv_depths[0] / 2)
    torch.testing.assert_close(scaled.log_scale, plain.log_scale)


def test_bfloat16_gives_a_log_scale_in_float32() -> None:
    network = randomized(assembled(BLOCKS[0])).to(torch.bfloat16)
    estimate = network(torch.rand(1, 3, 32, 64, dtype=torch.bfloat16), with_log_scale=True)
    assert estimate.log_scale.dtype == torch.float32


def test_confidence_falls_with_the_scale_and_is_the_probability_of_25_percent() -> None:
    scale = torch.linspace(MIN_SCALE, MAX_SCALE, 200, dtype=torch.float64)
    confidence = confidence_of(scale.log())
    assert (confidence.diff() <= 0).all()
    assert 0 <= confidence.min() < confidence.max() <= 1
    for b, probability in zip(scale[::40], confidence[::40], strict=True):
        laplace = torch.distributions.Laplace(torch.zeros((), dtype=torch.float64), b)
        inside = laplace.cdf(torch.tensor(math.log(1.25))) - laplace.cdf(torch.tensor(-math.log(1.25)))
        torch.testing.assert_close(probability, inside, check_dtype=False)


def test_all_own_networks_offer_it_or_say_that_they_cannot() -> None:
    for block in DEPTH_NETWORKS.own().values():
        assert "uncertainty" in block.model_fields


class Plain(DepthNetworkBlock):
    """A network of somebody else, which returns the green channel."""

    kind: Literal["plain"] = "plain"

    def build(self) -> nn.Module:
        """Return the network."""
        return nn.Identity()


def test_a_network_that_cannot_predict_it_says_so_in_one_sentence() -> None:
    assert not isinstance(nn.Identity(), UncertainDepthNetwork)
    with pytest.raises(InputError, match=r"the network 'plain' cannot predict uncertainty .* leave it out, or use"):
        Plain(uncertainty=True).assemble()


def test_a_network_without_the_output_cannot_be_asked_for_it() -> None:
    with pytest.raises(ValueError, match="no log-scale output"):
        BLOCKS[0].assemble()(torch.rand(1, 3, 32, 64), with_log_scale=True)
