"""8-bit integers: what the activation behind a convolution cuts off takes no share of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from packdepth.export.quantize import ELU_FLOOR, quantized, with_elu_floor

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'packdepth[export]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'"
)

CHANNELS = 8
BOUNDS = {"Relu": [], "Clip": ["zero", "six"], "Elu": []}  # inputs of an activation behind the first


def network(activation: str) -> Any:
    """A product of channels whose results are mostly cut off, the activation, a second product, and the logits."""
    rng = np.random.default_rng(0)
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    weights = {name: rng.normal(size=(CHANNELS, CHANNELS, 1, 1)).astype(np.float32) for name in ("w0", "w1", "w2")}
    biases = {"b0": np.full(CHANNELS, -20, np.float32)}
    values = weights | biases | {"zero": np.float32(0), "six": np.float32(6)}
    nodes = [
        helper.make_node("Conv", ["image", "w0", "b0"], ["a"], name="conv0"),
        helper.make_node(activation, ["a", *BOUNDS[activation]], ["b"], name="activation"),
        helper.make_node("Conv", ["b", "w1"], ["c"], name="conv1"),
        helper.make_node("Conv", ["c", "w2"], ["depth"], name="logits"),
    ]
    shape = [1, CHANNELS, 16, 16]
    ends = [[helper.make_tensor_value_info(name, 1, shape)] for name in ("image", "depth")]
    graph = helper.make_graph(nodes, "network", *ends, initializer=[array(v, n) for n, v in values.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def run(model: Any, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(["depth"], {"image": image})
    return np.asarray(result)


def integers_behind(model: Any, name: str) -> tuple[float, int]:
    """The step and the zero point of the integers that hold the result of a node."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (output,) = next(node.output for node in model.graph.node if node.name == name)
    (following,) = (node for node in model.graph.node if output in node.input)
    assert following.op_type == "QuantizeLinear"
    return float(values[following.input[1]]), int(values[following.input[2]])


def test_values_that_the_activation_cuts_off_take_no_integers() -> None:
    """Without the activation, the integers of the first map reach from about -150 to 110: steps of 1."""
    rng = np.random.default_rng(1)
    samples = [{"image": 8 * rng.normal(size=(1, CHANNELS, 16, 16)).astype(np.float32)} for _ in range(3)]
    _, zero = integers_behind(quantized(network("Relu"), samples), "conv0")
    assert zero == 0
    step, zero = integers_behind(quantized(network("Clip"), samples), "conv0")
    assert (step, zero) == (pytest.approx(6 / 255, rel=1e-3), 0)
    step, zero = integers_behind(quantized(network("Elu"), samples), "conv0")
    assert -zero * step == pytest.approx(ELU_FLOOR, abs=step)


def test_a_map_is_cut_off_where_elu_no_longer_changes() -> None:
    model = network("Elu")
    image = 8 * np.random.default_rng(2).normal(size=(1, CHANNELS, 16, 16)).astype(np.float32)
    limited = with_elu_floor(model)
    assert [node.op_type for node in limited.graph.node] == ["Conv", "Clip", "Elu", "Conv", "Conv"]
    assert len(model.graph.node) == 4
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    bound = np.exp(ELU_FLOOR) * np.abs(np.abs(weights["w2"][..., 0, 0]) @ np.abs(weights["w1"][..., 0, 0])).sum(1).max()
    assert np.abs(run(limited, image) - run(model, image)).max() <= bound + 1e-3
