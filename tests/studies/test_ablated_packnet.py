"""PackNet with other layers in place of packing and unpacking."""

from __future__ import annotations

import pytest
import torch

from packdepth.networks.layers.packing import PackLayerConv3d, UnpackLayerConv3d
from packdepth.networks.packnet import PackNet
from packdepth.studies.ablated_packnet import AblatedPackNetBlock, StridedConv, UpsampledConv, down_layer, up_layer
from packdepth.studies.cost import multiply_adds, parameters
from packdepth.studies.packing import VARIANTS


def block(**options: object) -> AblatedPackNetBlock:
    return AblatedPackNetBlock.model_validate({"width": 8, "blocks": 1} | options)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_each_choice_of_layers_is_a_depth_network(variant: object) -> None:
    torch.manual_seed(0)
    options = {name: getattr(variant, name) for name in ("down", "up", "features")}
    network = block(initial_depth=8.0, **options).build().eval()
    with torch.inference_mode():
        levels = network(torch.rand(1, 3, 32, 64))
    assert [tuple(level.shape[2:]) for level in levels] == [(32, 64), (16, 32), (8, 16), (4, 8)]
    assert 1 / levels[0].median().item() == pytest.approx(8, rel=0.3)


def test_the_tiny_preset_is_one_of_them() -> None:
    found = block(features=2).build()
    expected = PackNet("tiny")
    own, other = (sum(p.numel() for p in network.parameters()) for network in (found, expected))
    widths = [found.pack1.conv.conv_base.out_channels, found.pack5.conv.conv_base.out_channels]
    assert widths == [8, 64]
    assert own < other  # its last level has 128 channels, and PackNet 1A's widths have eight times the first


def test_a_strided_convolution_has_the_2d_convolution_of_packing_but_for_its_input() -> None:
    strided, packed = down_layer("strided", 8, 5, 0, 4), down_layer("packing", 8, 5, 2, 4)
    assert isinstance(strided, StridedConv)
    assert isinstance(packed, PackLayerConv3d)
    kernels = strided.conv.weight.shape, packed.conv.conv_base.weight.shape
    assert kernels == ((8, 8, 5, 5), (8, 4 * 2 * 8, 5, 5))


def test_without_3d_convolution_packing_is_space_to_depth_and_a_convolution() -> None:
    torch.manual_seed(0)
    plain, packed = down_layer("packing", 4, 3, 0, 2), down_layer("packing", 4, 3, 1, 2)
    assert isinstance(packed, PackLayerConv3d)
    with torch.no_grad():  # a 3D convolution that changes nothing
        packed.conv3d.weight.zero_()
        packed.conv3d.bias.zero_()  # type: ignore[union-attr]
        packed.conv3d.weight[0, 0, 1, 1, 1] = 1
        packed.conv.load_state_dict(plain[1].state_dict())  # type: ignore[index]
    x = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(plain(x), packed(x), rtol=1e-4, atol=1e-5)


def test_without_3d_convolution_unpacking_is_a_convolution_and_depth_to_space() -> None:
    torch.manual_seed(0)
    plain, unpacked = up_layer("unpacking", 4, 2, 0, 2), up_layer("unpacking", 4, 2, 1, 2)
    assert isinstance(unpacked, UnpackLayerConv3d)
    with torch.no_grad():
        unpacked.conv3d.weight.zero_()
        unpacked.conv3d.bias.zero_()  # type: ignore[union-attr]
        unpacked.conv3d.weight[0, 0, 1, 1, 1] = 1
        unpacked.conv.load_state_dict(plain[0].state_dict())  # type: ignore[index]
    x = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(plain(x), unpacked(x), rtol=1e-4, atol=1e-5)


def test_upsampling_repeats_pixels_or_blends_them() -> None:
    x = torch.zeros(1, 4, 4, 4)
    x[..., 2:] = 1
    nearest, bilinear = (up_layer(mode, 4, 4, 0, 2) for mode in ("nearest", "bilinear"))
    assert isinstance(bilinear, UpsampledConv)
    bilinear.load_state_dict(nearest.state_dict())
    torch.testing.assert_close(nearest(torch.ones_like(x)), bilinear(torch.ones_like(x)))
    assert not torch.allclose(nearest(x), bilinear(x))


def test_multiply_adds_are_those_of_the_published_form() -> None:
    """PackNet 1A has 205.2 G multiply-adds at 640x192 and 128.29 M parameters (papers: counted on the reference)."""
    with torch.device("meta"):
        network = PackNet("1A")
    assert multiply_adds(network, (192, 640)) == pytest.approx(205.2e9, rel=2e-3)
    assert parameters(network) == pytest.approx(128.29e6, rel=1e-4)
