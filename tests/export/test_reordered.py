"""Depth-to-space in another order of channels: the model computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.export.reordered import order_by_pixel

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'packdepth[export]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'"
)

SHAPE = (1, 4, 3, 5)


def depth_to_space(channels: int, block: int, group: int = 1, bias: bool = True, between: str | None = None) -> Any:
    """A model of two convolutions that share their kernels, each followed by depth-to-space."""
    make, rng = onnx.helper.make_node, np.random.default_rng(0)
    kernels = rng.normal(size=(channels * block**2, SHAPE[1] // group, 3, 3)).astype(np.float32)
    constants = [onnx.numpy_helper.from_array(kernels, "kernels")]
    if bias:
        constants.append(onnx.numpy_helper.from_array(rng.normal(size=len(kernels)).astype(np.float32), "bias"))
    names = [constant.name for constant in constants]
    nodes = []
    for index in "01":
        nodes.append(make("Conv", [f"x{index}", *names], [f"maps{index}"], group=group, pads=[1, 1, 1, 1]))
        if between is not None:
            nodes.append(make(between, [f"maps{index}"], [f"between{index}"]))
        before = nodes[-1].output[0]
        nodes.append(make("DepthToSpace", [before], [f"y{index}"], blocksize=block, mode="CRD"))
    kind = onnx.TensorProto.FLOAT
    inputs = [onnx.helper.make_tensor_value_info(f"x{index}", kind, SHAPE) for index in "01"]
    outputs = [onnx.helper.make_tensor_value_info(f"y{index}", kind, None) for index in "01"]
    graph = onnx.helper.make_graph(nodes, "test", inputs, outputs, constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def computed(model: Any) -> list[np.ndarray]:
    x = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return list(session.run(None, {"x0": x[0], "x1": x[1]}))


def modes(model: Any) -> set[bytes]:
    return {
        onnx.helper.get_attribute_value(attribute)
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "mode"
    }


@given(channels=st.integers(1, 4), block=st.integers(1, 3), bias=st.booleans())
def test_the_order_of_channels_changes_nothing(channels: int, block: int, bias: bool) -> None:
    model = depth_to_space(channels, block, bias=bias)
    expected = computed(model)
    order_by_pixel(model)
    assert modes(model) == {b"DCR"}
    assert len(model.graph.initializer) == 1 + bias  # reordered once for both
    for found, wanted in zip(computed(model), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("change", [{"group": 2}, {"between": "Elu"}])
def test_other_channels_keep_their_order(change: dict[str, Any]) -> None:
    model = depth_to_space(3, 2, **change)
    before = model.SerializeToString()
    order_by_pixel(model)
    assert model.SerializeToString() == before


def test_maps_that_something_else_takes_keep_their_order() -> None:
    model = depth_to_space(3, 2)
    model.graph.output.append(onnx.helper.make_tensor_value_info("maps0", onnx.TensorProto.FLOAT, None))
    expected = computed(model)
    order_by_pixel(model)
    assert modes(model) == {b"CRD", b"DCR"}
    for found, wanted in zip(computed(model), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_model_with_branches_stays_as_it_is() -> None:
    model = depth_to_space(3, 2)
    make, kind = onnx.helper.make_node, onnx.TensorProto.FLOAT
    output = onnx.helper.make_tensor_value_info("branch", kind, None)
    branch = onnx.helper.make_graph([make("Identity", ["kernels"], ["branch"])], "branch", [], [output])
    model.graph.node.append(make("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch))
    before = model.SerializeToString()
    order_by_pixel(model)
    assert model.SerializeToString() == before
