"""Guided depth networks: where they start, what guides them, and that the segmentation network stays fixed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
import torch
from present import present
from torch import nn

from packdepth.errors import InputError
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.flip import FlipFused
from packdepth.networks.guidance import LabelGuidance, NetworkGuidance
from packdepth.networks.layers.pixel_adaptive import PixelAdaptiveConv2d
from packdepth.networks.packnet import PRESETS, PackNet
from packdepth.networks.superdepth import SuperDepth
from packdepth.segmentation.fpn import FPN

Network = PackNet | DepthResNet | SuperDepth


@pytest.fixture(params=["packnet", "packnet that adds skips", "resnet", "superdepth"])
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Network:
    torch.manual_seed(0)
    if request.param == "packnet that adds skips":
        monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], add_skips=True))
    networks: dict[str, Callable[[], Network]] = {"resnet": DepthResNet, "superdepth": SuperDepth}
    return networks.get(request.param, lambda: PackNet("tiny"))()


def guide_of(network: Network) -> NetworkGuidance:
    assert isinstance(network.guidance, NetworkGuidance)
    return network.guidance


def filters_of(network: Network) -> list[PixelAdaptiveConv2d]:
    layers = list(present(network.guidance).layers.values())
    assert all(isinstance(layer, PixelAdaptiveConv2d) for layer in layers)
    return cast("list[PixelAdaptiveConv2d]", layers)


def guided(network: Network) -> Network:
    network = copy.deepcopy(network)
    strides = (16, 8, 4, 2)
    torch.manual_seed(1)
    semantics = FPN(("road", "sky"), layers=18, width=8)
    network.guidance = NetworkGuidance(semantics, {s: network.decoder_channels[s] for s in strides})
    return network


def test_starts_out_as_the_unguided_network(network: Network) -> None:
    image = torch.rand(1, 3, 50, 70)
    with torch.no_grad():
        expected = network.eval()(image)
        for one, other in zip(guided(network).eval()(image), expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("by_labels", [False, True])
def test_bfloat16_moves_inverse_depth_by_about_a_percent(network: Network, by_labels: bool) -> None:
    network = guided(network).eval()
    if by_labels:
        network.guidance = LabelGuidance(2, {s: network.decoder_channels[s] for s in (16, 8, 4, 2)})
    image = torch.rand(1, 3, 64, 96)
    shown = (torch.randint(0, 2, (1, 1, 64, 96), dtype=torch.uint8),) if by_labels else ()
    with torch.no_grad():
        expected = network(image, *shown)[0]
        found = network.bfloat16()(image.bfloat16(), *shown)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)
    assert (found / expected - 1).abs().median() < 0.01


@pytest.fixture
def small() -> PackNet:
    torch.manual_seed(0)
    network = guided(PackNet("tiny"))
    assert isinstance(network, PackNet)
    return network


def test_all_that_is_added_learns_and_the_segmentation_network_does_not(small: PackNet) -> None:
    before = copy.deepcopy(guide_of(small).semantics.state_dict())
    optimizer = torch.optim.SGD(small.train().parameters(), lr=1e-2)
    for _ in range(2):  # bandwidths have no gradient before taps off the center have weights
        optimizer.zero_grad()
        sum(inv_depth.mean() for inv_depth in small(torch.rand(1, 3, 64, 64))).backward()
        optimizer.step()
    for layer in filters_of(small):
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
    assert not guide_of(small).semantics.training
    for name, value in guide_of(small).semantics.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_segmentation_network_is_not_part_of_the_weights(small: PackNet) -> None:
    added = set(small.state_dict()) - set(PackNet("tiny").state_dict())
    names = ("weight", "bias", "log_bandwidth")
    assert added == {f"guidance.layers.{s}.{name}" for s in (16, 8, 4, 2) for name in names}


def test_moves_with_the_network(small: PackNet) -> None:
    assert {p.dtype for p in guide_of(small.double()).semantics.parameters()} == {torch.float64}


def test_a_stage_is_guided_by_the_features_of_the_nearest_stride(small: PackNet) -> None:
    image = torch.rand(1, 3, 64, 64)
    features = guide_of(small).semantics(image).features
    seen: dict[int, torch.Tensor] = {}

    def keep(stride: str) -> Callable[[nn.Module, tuple[torch.Tensor, torch.Tensor]], None]:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
            seen[int(stride)] = inputs[1]

        return hook

    for stride, layer in guide_of(small).layers.items():
        layer.register_forward_pre_hook(keep(stride))
    small(image)
    assert {stride: guide.shape[-1] for stride, guide in seen.items()} == {16: 4, 8: 8, 4: 16, 2: 32}
    for nearest, feature in zip((4, 8, 16), features, strict=False):
        torch.testing.assert_close(seen[nearest], nn.functional.normalize(feature, dim=1))
    for guide in seen.values():
        assert guide.norm(dim=1).max() < 1 + 1e-5


# --- label maps -------------------------------------------------------------------------------------------------


def by_labels(network: Network) -> Network:
    network = copy.deepcopy(network)
    network.guidance = LabelGuidance(4, {s: network.decoder_channels[s] for s in (16, 8, 4, 2)})
    return network


def test_label_maps_guide_by_the_share_of_each_class() -> None:
    guidance = LabelGuidance(3, {2: 4})
    ids = torch.tensor([[0, 0, 1, 2], [0, 1, 255, 255]]).float()[None, None]
    shares = guidance.features(ids)(2, (1, 2))[0, :, 0]
    torch.testing.assert_close(shares, torch.tensor([[0.75, 0.0], [0.25, 0.25], [0.0, 0.25]]))


def test_the_embedding_of_classes_learns() -> None:
    torch.manual_seed(0)
    network = by_labels(PackNet("tiny")).train()
    assert isinstance(network.guidance, LabelGuidance)
    ids = torch.randint(0, 5, (1, 1, 60, 64), dtype=torch.uint8)
    ids[ids == 4] = 255
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2)
    for _ in range(2):  # it has no gradient before taps off the center have weights
        optimizer.zero_grad()
        sum(inv_depth.mean() for inv_depth in network(torch.rand(1, 3, 60, 64), ids)).backward()
        optimizer.step()
    gradient = present(network.guidance.embedding.weight.grad)
    assert (gradient.abs().amax((0, 2, 3)) > 0).all()  # each class


def test_the_mirror_image_is_guided_by_the_mirrored_label_map() -> None:
    torch.manual_seed(0)
    plain = by_labels(PackNet("tiny")).eval()
    for layer in filters_of(plain):
        nn.init.normal_(layer.weight, std=0.3)
    image, ids = torch.rand(1, 3, 64, 96), torch.randint(0, 4, (1, 1, 64, 96), dtype=torch.uint8)
    network = FlipFused(plain)
    with torch.no_grad():
        one, other = network(image, ids)[0], network(image.flip(-1), ids.flip(-1))[0]
        assert not torch.allclose(one, network(image, ids.flip(-1))[0], atol=1e-4)
    torch.testing.assert_close(one, other.flip(-1))


def test_without_its_label_map_an_image_is_refused() -> None:
    with pytest.raises(InputError, match="give the label map of each image"):
        by_labels(PackNet("tiny"))(torch.rand(1, 3, 32, 32))


def test_what_is_shown_guides_in_place_of_the_image(small: PackNet) -> None:
    for layer in filters_of(small):
        nn.init.normal_(layer.weight, std=0.3)
    image, other = torch.rand(2, 1, 3, 50, 64)
    with torch.no_grad():
        plain = small.eval()(image)[0]
        torch.testing.assert_close(small(image, image)[0], plain)
        assert not torch.allclose(small(image, other)[0], plain, atol=1e-4)
