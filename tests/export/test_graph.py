"""Networks for export: the graphs are clean, and compute what the networks compute."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import foundation
import numpy as np
import pytest
import segmenter
import torch
from torch import nn

from packdepth.export.formats.onnx import OPSET, onnx_model
from packdepth.export.graph import depth_graph, folded
from packdepth.inference.exported import CONFIDENCE, IMAGE, INV_DEPTH, LABELS
from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.networks.contract import SCALES
from packdepth.networks.decoders.monodepth2 import DepthDecoder
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.encoder_decoder import EncoderDecoderBlock
from packdepth.networks.layers.head import LogitConv2d
from packdepth.networks.packnet import PRESETS, PackNetBlock
from packdepth.networks.superdepth import SuperDepthBlock
from packdepth.networks.transformers_depth import TransformersDepthBlock
from packdepth.networks.uncertainty import confidence_of

from .conftest import move

onnxruntime = pytest.importorskip(
    "onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'"
)
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'packdepth[export]'")

PLAIN = {  # node types of networks without guidance, all of which runtimes and TensorRT compute quickly
    "Add", "Clip", "Concat", "Conv", "DepthToSpace", "Div", "Elu", "GroupNormalization", "MaxPool", "Mul", "Pad",
    "Reciprocal", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Squeeze", "Split", "Sub", "Transpose",
}  # fmt: skip
GUIDED = {"AveragePool", "Cast", "Equal", "Exp", "Expand", "Pow", "ReduceL2", "ReduceSum", "Shape"}
PACKED_NODES = 372  # most nodes of PackNet `tiny`: it has 360, ten a correction; naively 999, 72 of them ScatterND
CLASSES = 5
NARROW_1B = replace(PRESETS["tiny"], add_skips=True, refines=False)  # in place of 124 million weights
LIGHT = {"kind": "efficientnet_lite", "weights": None}


def guided_by_network(folder: Path) -> DepthNetworkBlock:
    semantics = {"kind": "fpn", "checkpoint": segmenter.write(folder / "semantics")}
    guidance = {"semantics": semantics, "strides": [4]}
    return DepthResNetBlock.model_validate({"layers": 18, "guidance": guidance, "flip": True})


def guided_by_labels(folder: Path) -> DepthNetworkBlock:
    semantics = {"kind": "labels", "classes": CLASSES}
    return PackNetBlock.model_validate({"preset": "1B", "guidance": {"semantics": semantics, "strides": [8]}})


def depth_anything(folder: Path) -> DepthNetworkBlock:
    model = foundation.save(foundation.depth_anything(), folder / "model")
    return TransformersDepthBlock.model_validate({"model": str(model), "lora": {"rank": 2}}).completed()


NETWORKS: dict[str, Any] = {
    "packnet": lambda folder: PackNetBlock(preset="tiny", flip=True, scale=2.0),
    "depth_resnet": lambda folder: DepthResNetBlock(layers=18),
    "superdepth": lambda folder: SuperDepthBlock(layers=18, flip=True),
    "depth_resnet guided by a network": guided_by_network,
    "packnet with added skips guided by label maps": guided_by_labels,
    "encoder_decoder, coarse_to_fine": lambda folder: EncoderDecoderBlock.model_validate(
        {"encoder": LIGHT, "decoder": {"kind": "coarse_to_fine"}}
    ),
    "encoder_decoder, packnet": lambda folder: EncoderDecoderBlock.model_validate(
        {"encoder": {"kind": "resnet"}, "decoder": {"kind": "packnet"}}
    ),
    "transformers": depth_anything,
}


def predictor_of(block: DepthNetworkBlock) -> Any:
    """What `depth_graph` needs of a predictor, with random weights and moved biases."""
    torch.manual_seed(0)
    network = block.assemble().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
    move(network)
    return SimpleNamespace(depth=network, label_classes=block.label_classes, has_confidence=block.uncertainty)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_a_clean_graph_that_computes_the_same_for_any_number_of_images(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "1B", NARROW_1B)
    predictor = predictor_of(NETWORKS[name](tmp_path))
    graph = depth_graph(predictor, (64, 96), batch=None)
    model = onnx_model(graph)
    types = Counter(node.op_type for node in model.graph.node)
    constants = {tensor.name for tensor in model.graph.initializer}
    arithmetic = [node.op_type for node in model.graph.node if all(not i or i in constants for i in node.input)]
    assert arithmetic == []
    if name != "transformers":
        assert set(types) <= PLAIN | (GUIDED if "guided" in name else set())
    # Some layers of a segmentation network do not guide, and are left out.
    least, most = (
        sum(isinstance(layer, nn.GroupNorm) for layer in each.modules()) for each in (predictor.depth, graph.module)
    )
    assert least <= types["GroupNormalization"] <= most
    assert "ScatterND" not in types
    if name == "packnet":  # packing takes one normalization at each of the resolutions; weights are composed before
        assert (types["Pad"], types["GroupNormalization"]) == (5 * 8 + 3, 29)  # of borders, and to upsample logits
        assert len(model.graph.node) < PACKED_NODES
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)

    inputs = {IMAGE: torch.rand(3, 3, 64, 96)}
    if predictor.label_classes is not None:
        inputs[LABELS] = torch.randint(0, CLASSES, (3, 1, 64, 96), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run([INV_DEPTH], {key: value.numpy() for key, value in inputs.items()})
    with torch.no_grad():
        expected = predictor.depth(*inputs.values())[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_confidence_is_computed_from_the_features_of_the_finest_level() -> None:
    predictor = predictor_of(DepthResNetBlock(layers=18, uncertainty=True))
    nn.init.normal_(predictor.depth.log_scale.logit.weight)  # it starts at 0, with the same confidence everywhere
    graph = depth_graph(predictor, (64, 96), batch=1)
    image = torch.rand(1, 3, 64, 96)
    session = onnxruntime.InferenceSession(onnx_model(graph).SerializeToString())
    inv_depth, confidence = session.run([INV_DEPTH, CONFIDENCE], {IMAGE: image.numpy()})
    with torch.no_grad():
        expected = predictor.depth(image, with_log_scale=True)
    np.testing.assert_allclose(inv_depth, expected.inv_depths[0].numpy(), rtol=2e-4)
    np.testing.assert_allclose(confidence, confidence_of(expected.log_scale).numpy(), atol=1e-3)
    assert confidence.std() > 0.02


class ZeroPadding(DepthDecoder):
    """A decoder of another project, whose logits see zeros at the border."""

    def __init__(self) -> None:
        super().__init__([8] * 5, [8] * 5)
        self.disparity = nn.ModuleList(LogitConv2d(8, 1, 3, padding=1) for _ in range(SCALES))


def test_a_decoder_derived_from_ours_is_folded_as_far_as_it_is_alike_and_only_once() -> None:
    for decoder in (ZeroPadding().eval(), DepthDecoder([8] * 5, [8] * 5).eval()):
        features = [torch.randn(1, 8, 64 // stride, 96 // stride) for stride in (2, 4, 8, 16, 32)]
        once = folded(decoder)
        with torch.no_grad():
            expected = decoder(features)
            for copy in (once, folded(once)):
                for found, wanted in zip(copy(features).logits, expected.logits, strict=True):
                    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_folded_network_leaves_the_network_as_it_is() -> None:
    network = PackNetBlock(preset="tiny").assemble().train()
    before = [name for name, _ in network.named_modules()]
    image = torch.rand(1, 3, 32, 64)
    copy = folded(network)
    assert [name for name, _ in network.named_modules()] == before
    assert network.training
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    with torch.no_grad():
        torch.testing.assert_close(copy(image)[0], network.eval()(image)[0], rtol=1e-4, atol=1e-6)
