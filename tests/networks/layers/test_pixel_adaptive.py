"""Pixel-adaptive convolution against a loop over pixels, an ordinary convolution, and numerical gradients."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from graph import kept_for_the_gradient
from hypothesis import given
from hypothesis import strategies as st
from present import present
from torch import Tensor

from packdepth.networks.layers.pixel_adaptive import PixelAdaptiveConv2d, pixel_adaptive_conv2d


def naive(
    x: Tensor, guide: Tensor, weight: Tensor, bandwidth: Tensor, bias: Tensor, stride: int, padding: int, dilation: int
) -> Tensor:
    """The formula, pixel by pixel and tap by tap."""
    x, f = F.pad(x, (padding,) * 4), F.pad(guide, (padding,) * 4)
    filters, _, rows, columns = weight.shape
    height, width = (
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel in zip(x.shape[-2:], (rows, columns), strict=True)
    )
    result = bias[:, None, None].repeat(len(x), 1, height, width)
    for b in range(len(x)):
        for o in range(filters):
            for u in range(height):
                for v in range(width):
                    center = f[b, :, u * stride + dilation * (rows // 2), v * stride + dilation * (columns // 2)]
                    for r in range(rows):
                        for c in range(columns):
                            place = b, slice(None), u * stride + r * dilation, v * stride + c * dilation
                            kernel = torch.exp(-((f[place] - center) ** 2).sum() / (2 * bandwidth[o] ** 2))
                            result[b, o, u, v] += kernel * (weight[o, :, r, c] @ x[place])
    return result


def example(rows: int, columns: int, size: tuple[int, int] = (6, 7)) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "x": torch.randn(2, 3, *size, dtype=torch.float64),
        "guide": torch.randn(2, 2, *size, dtype=torch.float64),
        "weight": torch.randn(2, 3, rows, columns, dtype=torch.float64),
        "bandwidth": torch.rand(2, dtype=torch.float64) + 0.5,
        "bias": torch.randn(2, dtype=torch.float64),
    }


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
)
def test_equals_the_formula(kernel: tuple[int, int], stride: int, padding: int, dilation: int) -> None:
    inputs = example(*kernel, size=(7, 8))
    ours = pixel_adaptive_conv2d(**inputs, stride=stride, padding=(padding, padding), dilation=dilation)
    theirs = naive(**inputs, stride=stride, padding=padding, dilation=dilation)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [0, 2])
def test_is_an_ordinary_convolution_under_a_guide_that_says_nothing(channels: int) -> None:
    inputs = example(3, 5)
    inputs["guide"] = torch.full((2, channels, 6, 7), 0.3, dtype=torch.float64)
    ours = pixel_adaptive_conv2d(**inputs, padding=(0, 0), stride=2)
    torch.testing.assert_close(ours, F.conv2d(inputs["x"], inputs["weight"], inputs["bias"], stride=2))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 2), (4, 1, 1)])
def test_gradients(kernel: int, stride: int, dilation: int) -> None:
    inputs = [tensor.requires_grad_() for tensor in example(kernel, kernel).values()]
    torch.autograd.gradcheck(
        lambda x, guide, weight, bandwidth, bias: pixel_adaptive_conv2d(
            x, guide, weight, bandwidth, bias, stride=stride, dilation=dilation
        ),
        inputs,
        fast_mode=False,
    )


@pytest.mark.parametrize("wanted", ["x", "guide", "weight", "bandwidth"])
def test_a_gradient_on_its_own_is_the_same_as_among_others(wanted: str) -> None:
    def gradient(names: set[str]) -> Tensor:
        inputs = {name: tensor.requires_grad_(name in names) for name, tensor in example(3, 3).items()}
        return torch.autograd.grad(pixel_adaptive_conv2d(**inputs).square().sum(), inputs[wanted])[0]

    torch.testing.assert_close(gradient({wanted}), gradient({"x", "guide", "weight", "bandwidth", "bias"}))


def test_a_filter_with_a_narrow_bandwidth_does_not_see_across_an_edge_of_the_guide() -> None:
    torch.manual_seed(0)
    layer = PixelAdaptiveConv2d(3, 2, 3, bandwidth=1e-2)
    x, guide = torch.randn(1, 3, 5, 8), torch.zeros(1, 1, 5, 8)
    guide[..., 4:] = 1
    changed = x.clone()
    changed[..., 4:] += 1
    torch.testing.assert_close(layer(changed, guide)[..., :4], layer(x, guide)[..., :4])
    assert (layer(changed, 0 * guide)[..., 3] - layer(x, 0 * guide)[..., 3]).abs().min() > 1e-3


def test_the_graph_keeps_no_more_than_inputs_and_result() -> None:
    torch.manual_seed(0)
    layer = PixelAdaptiveConv2d(16, 16, 3)
    x, guide = torch.randn(1, 16, 24, 24, requires_grad=True), torch.randn(1, 16, 24, 24)
    _, kept = kept_for_the_gradient(lambda: layer(x, guide))
    parameters = sum(parameter.nbytes for parameter in layer.parameters())
    assert sum(kept.values()) <= x.nbytes + guide.nbytes + 2 * parameters


def test_trains_under_autocast() -> None:
    torch.manual_seed(0)
    layer = PixelAdaptiveConv2d(8, 8, 3)
    x, guide = torch.randn(1, 8, 12, 12), torch.randn(1, 4, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        loss = layer(x.bfloat16(), guide).float().square().mean()
    loss.backward()
    rounded = [present(parameter.grad).clone() for parameter in layer.parameters()]
    layer.zero_grad()
    layer(x, guide).square().mean().backward()
    for low, parameter in zip(rounded, layer.parameters(), strict=True):
        gradient = present(parameter.grad)
        assert (low - gradient).norm() < 0.03 * gradient.norm()


@pytest.mark.parametrize("guide_type", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer_type", [torch.float32, torch.bfloat16])
def test_guide_and_layer_may_differ_in_type(guide_type: torch.dtype, layer_type: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = PixelAdaptiveConv2d(4, 4, 3).to(layer_type)
    x, guide = torch.randn(1, 4, 6, 8, dtype=layer_type), torch.randn(1, 3, 6, 8, dtype=guide_type, requires_grad=True)
    layer(x, guide).float().square().mean().backward()
    rounded = [present(tensor.grad).double() for tensor in (*layer.parameters(), guide)]
    precise, exact_guide = copy.deepcopy(layer).double(), guide.detach().double().requires_grad_()
    precise.zero_grad()
    precise(x.double(), exact_guide).square().mean().backward()
    for low, tensor in zip(rounded, (*precise.parameters(), exact_guide), strict=True):
        exact = present(tensor.grad)
        assert (low - exact).norm() < 0.03 * exact.norm()


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra `export` is not installed",
)
def test_exports_to_onnx(tmp_path: Path) -> None:
    import onnxruntime

    torch.manual_seed(0)
    layer = PixelAdaptiveConv2d(4, 6, 3, dilation=2).eval()
    x, guide = torch.randn(2, 4, 10, 12), torch.randn(2, 3, 10, 12)
    path = tmp_path / "layer.onnx"
    torch.onnx.export(layer, (x, guide), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(
        None, dict(zip((i.name for i in session.get_inputs()), (x.numpy(), guide.numpy()), strict=True))
    )
    np.testing.assert_allclose(theirs, layer(x, guide).detach().numpy(), rtol=1e-4, atol=1e-5)
