"""Layers for export compute what the layers compute, with nothing left to compute of their parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from packdepth.networks.layers.folding import fold
from packdepth.networks.layers.fused import FIRST, LAST, FoldedPacking, beyond, compose
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.layers.low_rank import LowRankLinear
from packdepth.networks.layers.packing import Conv2D, PackLayerConv3d, UnpackLayerConv3d
from packdepth.networks.layers.pixel_adaptive import PixelAdaptiveConv2d


def moved(layer: nn.Module) -> nn.Module:
    """The layer in float64, with random numbers for all parameters."""
    torch.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.double().eval()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kernel", "features"), [(3, 2), (5, 2), (3, 8), (7, 1)])
@pytest.mark.parametrize("size", [(2, 2), (2, 10), (6, 4), (12, 16)])
def test_packing_is_exact_also_at_the_border(kernel: int, features: int, size: tuple[int, int]) -> None:
    layer = moved(PackLayerConv3d(8, kernel, features, groups=4))
    assert isinstance(layer, PackLayerConv3d)
    x = random(2, 8, *size)
    inner = layer.conv3d(torch.pixel_unshuffle(x, 2)[:, None]).flatten(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(layer.folded()(x), layer.conv(inner), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (7, 9)])
def test_two_convolutions_with_biases_are_one(size: tuple[int, int]) -> None:
    conv3d, conv = moved(nn.Conv3d(1, 2, 3, padding=1)), moved(nn.Conv2d(2 * 3, 5, 5, padding=2))
    assert isinstance(conv3d, nn.Conv3d)
    assert isinstance(conv, nn.Conv2d)
    x = random(1, 3, *size)
    with torch.no_grad():
        expected = conv(conv3d(x[:, None]).flatten(1, 2))
        torch.testing.assert_close(FoldedPacking(compose(conv3d, conv))(x), expected, rtol=1e-10, atol=1e-10)


def test_taps_beyond_an_end_are_counted_for_each_pixel() -> None:
    taps = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    padded = torch.tensor([0.0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    missing = taps.sum() - padded.unfold(0, 5, 1) @ taps
    torch.testing.assert_close(missing[:2], beyond(taps, FIRST, 0, radius=2))
    torch.testing.assert_close(missing[-2:], beyond(taps, LAST, 0, radius=2))


@pytest.mark.parametrize("channels", [8, 160])
def test_unpacking_is_exact(channels: int) -> None:
    layer, x = moved(UnpackLayerConv3d(4, channels, 3, features=2, groups=4)), random(2, 4, 3, 5)
    assert isinstance(layer, UnpackLayerConv3d)
    with torch.no_grad():
        torch.testing.assert_close(layer.folded()(x), layer(x), rtol=1e-9, atol=1e-9)


def test_a_convolution_of_several_maps_is_exact() -> None:
    layer, maps = moved(Conv2D(6, 8, 3, groups=4)), (random(1, 3, 5, 4), random(1, 1, 5, 4), random(1, 2, 5, 4))
    assert isinstance(layer, Conv2D)
    with torch.no_grad():
        torch.testing.assert_close(layer.folded()(*maps), layer(*maps), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": (0, 1)}, {"dilation": 2}])
def test_pixel_adaptive_convolution_is_exact(options: dict[str, int]) -> None:
    layer = moved(PixelAdaptiveConv2d(3, 4, kernel=3, **options))  # type: ignore[arg-type]
    assert isinstance(layer, PixelAdaptiveConv2d)
    x, guide = random(2, 3, 7, 8), random(2, 5, 7, 8)
    with torch.no_grad():
        torch.testing.assert_close(layer.folded()(x, guide), layer(x, guide), rtol=1e-10, atol=1e-10)


def test_a_low_rank_update_becomes_part_of_the_weight() -> None:
    layer, x = moved(LowRankLinear(nn.Linear(5, 7), rank=2)), random(3, 5)
    assert isinstance(layer, LowRankLinear)
    with torch.no_grad():
        torch.testing.assert_close(layer.folded()(x), layer(x), rtol=1e-10, atol=1e-10)
    assert set(layer.folded().state_dict()) == {"weight", "bias"}


class Doubled(LogitConv2d):
    """A layer of another project, which computes something else than ours."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Renamed(LogitConv2d):
    """A layer of another project, which computes the same as ours."""


@pytest.mark.parametrize(("kind", "name"), [(Doubled, "Doubled"), (Renamed, "FoldedLogitConv2d")])
def test_a_derived_layer_is_folded_if_it_computes_what_ours_does(kind: type[LogitConv2d], name: str) -> None:
    layer, x = moved(kind(3, 1, 3, padding=1)), random(1, 3, 8, 12)
    expected = layer(x)
    found = fold(layer)
    assert type(found).__name__ == name
    torch.testing.assert_close(found(x), expected, rtol=1e-10, atol=1e-10)
