"""Depth networks: sizes, ranges, the start, and the published parameter counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from graph import kept_for_the_gradient
from present import present
from torch import nn

from packdepth.networks.decoders.sub_pixel import SubPixelConv
from packdepth.networks.depth_resnet import DepthResNet
from packdepth.networks.layers.fused import compose, packed
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.layers.packing import (
    NARROW,
    Conv2D,
    PackLayerConv3d,
    UnpackLayerConv3d,
    banded,
    channelwise_conv3d,
)
from packdepth.networks.packnet import PRESETS, PackNet, Preset
from packdepth.networks.superdepth import SuperDepth


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("preset", "count"),
    [("1A", 128_294_020), ("1B", 124_164_580), ("slim-1A", 76_997_796)],
)
def test_packnet_has_the_published_number_of_parameters(preset: str, count: int) -> None:
    with torch.device("meta"):
        assert parameters(PackNet(preset)) == count  # type: ignore[arg-type]


@pytest.mark.parametrize(("layers", "count"), [(18, 14_329_236), (34, 24_437_396), (50, 32_522_132)])
def test_depth_resnet_has_the_published_number_of_parameters_less_the_classifier(layers: int, count: int) -> None:
    with torch.device("meta"):
        assert parameters(DepthResNet(layers)) == count


def test_resnet_parameters_have_torchvisions_names() -> None:
    with torch.device("meta"):
        names = set(DepthResNet(18).encoder.state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.bias",
        "layer4.1.bn2.num_batches_tracked",
    } <= names
    assert len(names) == 120  # torchvision's resnet18 has 122, two of which are the classifier's


@pytest.fixture(scope="module", params=["packnet", "resnet", "superdepth"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    if request.param == "superdepth":
        return SuperDepth(18)
    return PackNet("tiny") if request.param == "packnet" else DepthResNet(18)


@pytest.mark.parametrize("size", [(32, 64), (33, 70), (20, 45)])
def test_any_size_gives_four_scales_finest_first_in_training_and_evaluation(
    network: nn.Module, size: tuple[int, int]
) -> None:
    height, width = size
    for mode in (True, False):
        network.train(mode)
        scales = network(torch.rand(2, 3, height, width))
        assert [tuple(scale.shape) for scale in scales] == [
            (2, 1, -(-height // 2**s), -(-width // 2**s)) for s in range(4)
        ]


def test_padding_does_not_change_what_is_no_padding(network: nn.Module) -> None:
    network.eval()
    image = torch.rand(1, 3, 40, 64)
    padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 24, -1)], dim=2)
    with torch.no_grad():
        for small, large in zip(network(image), network(padded), strict=True):
            torch.testing.assert_close(small, large[..., : small.shape[-2], :])


@pytest.mark.parametrize("depth", [3.0, 12.0, 40.0])
def test_an_untrained_network_predicts_about_the_depth_it_is_told_to_start_at(depth: float) -> None:
    torch.manual_seed(0)
    resnets = [kind(18, initial_depth=depth).eval() for kind in (DepthResNet, SuperDepth)]
    for network in (PackNet("tiny", initial_depth=depth), *resnets):
        with torch.no_grad():
            medians = [1 / inv_depth.median() for inv_depth in network(torch.rand(1, 3, 64, 96))]
        for median in medians:
            assert median == pytest.approx(depth, rel=0.1)


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_narrow_networks_refine_the_inverse_depth_of_the_coarser_level(preset: Preset) -> None:
    torch.manual_seed(0)
    network = PackNet(preset, initial_depth=6.0).eval()
    nn.init.normal_(network.disp4_layer.conv1.weight, std=0.1)
    for layer in (network.disp3_layer, network.disp2_layer, network.disp1_layer):
        nn.init.zeros_(layer.conv1.weight)
    with torch.no_grad():
        scales = network(torch.rand(1, 3, 64, 96))
    for fine, coarse in pairwise(scales):
        upsampled = F.interpolate((coarse / 2).logit(), scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(fine, 2 * upsampled.sigmoid())


def test_a_start_outside_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the head's range"):
        PackNet("tiny", initial_depth=0.4)


@pytest.mark.parametrize("kind", [lambda: PackNet("tiny", dropout=0.1), lambda: SuperDepth(18)])
def test_every_parameter_is_trained(kind: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = kind()
    sum(scale.mean() for scale in network(torch.rand(1, 3, 64, 64))).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_presets_are_one_class_with_one_topology() -> None:
    with torch.device("meta"):
        names = {preset: sorted(PackNet(preset).state_dict()) for preset in ("1A", "1B", "slim-1A")}
        assert names["1A"] == names["1B"] == names["slim-1A"]
        assert len(names["1A"]) == 216
        counts = [parameters(PackNet(preset)) for preset in ("tiny", "small", "slim-1A", "1A")]
    assert counts == sorted(counts)
    assert set(PRESETS) == {"1A", "1B", "slim-1A", "small", "tiny"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("features", [1, 2, 4])
def test_the_banded_form_equals_the_3d_convolution(dtype: torch.dtype, features: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 12, 7, 9, dtype=dtype)
    conv3d = nn.Conv3d(1, features, 3, padding=1, dtype=dtype)
    plain = conv3d(x.unsqueeze(1)).flatten(1, 2)
    torch.testing.assert_close(torch.nn.functional.conv2d(x, *banded(conv3d, 12), padding=1), plain)
    torch.testing.assert_close(channelwise_conv3d(x, conv3d), plain)


@pytest.mark.parametrize("features", [1, 2, 8])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (6, 20)])
def test_wide_maps_are_convolved_row_by_row_with_the_same_values_and_gradients(
    size: tuple[int, int], features: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, NARROW + 4, *size, dtype=torch.float64, requires_grad=True)
    conv3d = nn.Conv3d(1, features, 3, padding=1, dtype=torch.float64)
    plain, found = conv3d(x.unsqueeze(1)).flatten(1, 2), channelwise_conv3d(x, conv3d)
    torch.testing.assert_close(found, plain)
    direction, inputs = torch.randn_like(plain), (x, *conv3d.parameters())
    gradients = [torch.autograd.grad(result, inputs, direction) for result in (found, plain)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("features", [1, 2, 4, 8])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("size", [(6, 7), (3, 9), (3, 3), (5, 1), (2, 2), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_packing_is_exact_to_the_border(
    dtype: torch.dtype, size: tuple[int, int], kernel: int, features: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 12, *size, dtype=dtype, requires_grad=True)
    conv3d = nn.Conv3d(1, features, 3, padding=1, dtype=dtype)
    conv = nn.Conv2d(12 * features, 5, kernel, padding=kernel // 2, dtype=dtype)
    parameters = [x, *conv3d.parameters(), *conv.parameters()]
    plain, fused = conv(conv3d(x[:, None]).flatten(1, 2)), packed(x, compose(conv3d, conv))
    seed = torch.randn_like(plain)
    gradients = torch.autograd.grad(fused, parameters, seed), torch.autograd.grad(plain, parameters, seed)
    for ours, theirs in [(fused, plain), *zip(*gradients, strict=True)]:
        tolerance = {torch.float32: 1e-5, torch.float64: 1e-13}[dtype] * max(float(theirs.detach().abs().max()), 1)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


def test_a_packing_block_is_composed_once_until_its_weights_change() -> None:
    torch.manual_seed(0)
    pack, x = PackLayerConv3d(16, 3, 2).eval(), torch.randn(1, 16, 8, 8)
    expected = pack(x).detach()
    with torch.inference_mode():
        torch.testing.assert_close(pack(x), expected)
        kept = pack.kernels(x.dtype)
        pack(x)
        assert pack.kernels(x.dtype) is kept
    optimizer = torch.optim.SGD(pack.parameters(), lr=0.1)
    pack(x).square().mean().backward()
    optimizer.step()
    changed = pack(x).detach()
    assert not torch.allclose(changed, expected)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            torch.testing.assert_close(pack(x), changed)
    pack.double()
    with torch.no_grad():
        torch.testing.assert_close(pack(x.double()), changed.double(), rtol=1e-5, atol=1e-5)
    pack.bfloat16()
    with torch.no_grad():
        torch.testing.assert_close(pack(x.bfloat16()), changed.bfloat16(), rtol=0.1, atol=0.1)
        assert pack.kernels(torch.bfloat16).inside.dtype == torch.bfloat16  # as it is used: not converted at every call
    assert set(pack.state_dict()) == {
        *(f"conv.{part}.{name}" for part in ("conv_base", "normalize") for name in ("weight", "bias")),
        "conv3d.weight",
        "conv3d.bias",
    }


@pytest.mark.parametrize("modes", [True, False])
def test_evaluation_after_a_fused_step_uses_the_new_weights(modes: bool) -> None:
    """Fused Adam changes parameters without counting up their versions."""
    torch.manual_seed(0)
    pack, x = PackLayerConv3d(8, 3, features=2, groups=8).eval(), torch.rand(1, 8, 12, 16)
    optimizer = torch.optim.Adam(pack.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = pack(x)
    pack.train(modes)
    pack(x).square().sum().backward()
    if modes:
        with torch.no_grad():
            pack(x)  # in training mode nothing is kept
    optimizer.step()
    pack.eval()
    with torch.no_grad():
        after = pack(x)
        fresh = PackLayerConv3d(8, 3, features=2, groups=8).eval()
        fresh.load_state_dict(pack.state_dict())
        torch.testing.assert_close(after, fresh(x))
    assert not torch.allclose(before, after, atol=1e-2)


def test_the_graph_keeps_kernels_but_no_copy_of_the_weights_they_are_composed_of() -> None:
    pack, x = PackLayerConv3d(16, 3, 8), torch.randn(1, 16, 8, 8)
    result, kept = kept_for_the_gradient(lambda: pack(x))
    weights = pack.conv.conv_base.weight
    assert kept.pop(weights.untyped_storage().data_ptr()) == 16 * 64 * 8 * 9 * 4
    assert sum(kept.values()) < 16 * 64 * 8 * 9 * 4
    parameters = list(pack.parameters())
    unfused = pack.conv(channelwise_conv3d(nn.functional.pixel_unshuffle(x, 2), pack.conv3d))
    gradients = (torch.autograd.grad(y.square().sum(), parameters) for y in (result, unfused))
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3)


def test_packing_is_fused_where_that_is_faster() -> None:
    with torch.device("meta"):
        wide = PackLayerConv3d(64, 5, 8)  # the first of PackNet 1A
        one = PackLayerConv3d(64, 3, 1)
    large, small = torch.empty(1, 256, 96, 320, device="meta"), torch.empty(1, 256, 2, 4, device="meta")
    assert wide.is_faster_fused(large)
    assert not wide.is_faster_fused(small)  # not while composing is repeated for each step
    with torch.no_grad():
        assert not wide.is_faster_fused(small)  # nor in training mode: nothing is kept
        assert wide.eval().is_faster_fused(small)
        assert not one.eval().is_faster_fused(large)  # 25 taps in place of 9


def test_a_convolution_of_several_maps_is_that_of_all_their_channels() -> None:
    torch.manual_seed(0)
    conv = Conv2D(12, 16, 3).double()
    maps = [torch.randn(2, channels, 7, 9, dtype=torch.float64, requires_grad=True) for channels in (8, 3, 1)]
    joined, apart = conv(torch.cat(maps, dim=1)), conv(*maps)
    torch.testing.assert_close(apart, joined)
    direction, inputs = torch.randn_like(joined), [*maps, *conv.parameters()]
    gradients = [torch.autograd.grad(result, inputs, direction) for result in (apart, joined)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_packing_block_has_a_functional_gradient() -> None:
    torch.manual_seed(0)
    pack, x = PackLayerConv3d(16, 3, 2).double(), torch.randn(1, 16, 8, 8, dtype=torch.float64)
    expected = torch.autograd.grad(pack(x).square().sum(), list(pack.parameters()))
    weights = dict(pack.named_parameters())
    found = torch.func.grad(lambda w: torch.func.functional_call(pack, w, x).square().sum())(weights)
    for name, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(found[name], gradient)


@pytest.mark.parametrize("kind", [lambda: PackNet("tiny"), DepthResNet, SuperDepth])
def test_logits_are_float32_whatever_the_network(kind: Callable[[], nn.Module]) -> None:
    """Those of -8 to -4 lie 1/32 apart in bfloat16: depth would move in steps of 3 %."""
    torch.manual_seed(0)
    network = kind()
    heads = [module for module in network.modules() if isinstance(module, LogitConv2d)]
    assert len(heads) == 4
    for conv in heads:
        x = torch.randn(1, conv.in_channels, 20, 30).bfloat16()
        expected = conv(x.float())
        network.bfloat16()
        for autocast in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                torch.testing.assert_close(conv(x), expected)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16, torch.float32}
    assert {parameter.dtype for parameter in network.double().parameters()} == {torch.float64}


def test_packing_blocks_have_float64_gradients() -> None:
    torch.manual_seed(0)
    pack = PackLayerConv3d(16, 3, 2).double()
    unpack = UnpackLayerConv3d(16, 16, 3, 2).double()
    x = torch.randn(1, 16, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pack, x, nondet_tol=1e-12)
    assert torch.autograd.gradcheck(lambda y: unpack(y).sum((2, 3)), x, nondet_tol=1e-12)
    assert pack(x).shape == (1, 16, 2, 2)
    assert unpack(x).shape == (1, 16, 8, 8)


def test_a_sub_pixel_convolution_begins_without_a_checkerboard() -> None:
    torch.manual_seed(0)
    conv = SubPixelConv(5, 3).double()
    x = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    y = conv(x)
    assert y.shape == (2, 3, 12, 14)
    plain = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), conv.conv.weight[::4], present(conv.conv.bias)[::4]
    )
    torch.testing.assert_close(y, plain.repeat_interleave(2, -2).repeat_interleave(2, -1))
    assert len(conv.conv.weight[::4].unique()) == 3 * 5 * 9  # and features differ


def test_superdepth_computes_nothing_at_full_resolution_but_the_result() -> None:
    seen: list[int] = []
    network = SuperDepth(18).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: seen.append(output.shape[-1]))
    with torch.no_grad():
        scales = network(torch.rand(1, 3, 64, 96))
    assert max(seen) == 48
    assert scales[0].shape[-1] == 96
