"""Every encoder with every decoder: sizes, the initial depth, gradients, guidance, and what a checkpoint keeps."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from packdepth.networks.blocks import GuidanceBlock
from packdepth.networks.contract import check_inverse_depths
from packdepth.networks.decoders.decoder import DECODERS
from packdepth.networks.encoder_decoder import EncoderDecoder, EncoderDecoderBlock
from packdepth.networks.encoders.encoder import ENCODERS
from packdepth.networks.pose_encoder import EncoderPose, PoseEncoderBlock

OPTIONS: dict[str, dict[str, Any]] = {
    "efficientnet_lite": {"weights": None},
    "packnet": {"preset": "tiny"},
    "resnet": {},
}
PAIRS = list(itertools.product(sorted(set(ENCODERS.own()) - {"transformers"}), sorted(DECODERS.own())))


def block(encoder: str, decoder: str, **options: Any) -> EncoderDecoderBlock:
    return EncoderDecoderBlock.model_validate(
        {"encoder": {"kind": encoder, **OPTIONS[encoder]}, "decoder": {"kind": decoder}, **options}
    )


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_pair_fulfills_the_contract_and_trains_every_parameter(encoder: str, decoder: str) -> None:
    torch.manual_seed(0)
    network = block(encoder, decoder).assemble()
    image = torch.rand(2, 3, 65, 70)
    inv_depths = network(image)
    check_inverse_depths(inv_depths, image, f"{encoder} and {decoder}")
    sum(level.mean() for level in inv_depths).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@settings(max_examples=8)
@given(st.sampled_from(sorted(DECODERS.own())), st.integers(1, 70), st.integers(1, 70))
def test_any_size_gives_four_levels(decoder: str, height: int, width: int) -> None:
    network = block("packnet", decoder).assemble().eval()
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        check_inverse_depths(network(image), image, decoder)


@pytest.mark.parametrize("decoder", sorted(DECODERS.own()))
@pytest.mark.parametrize("depth", [3.0, 40.0])
def test_an_untrained_network_predicts_about_its_initial_depth(decoder: str, depth: float) -> None:
    torch.manual_seed(0)
    network = block("resnet", decoder, initial_depth=depth).assemble().eval()
    with torch.no_grad():
        for level in network(torch.rand(1, 3, 64, 96)):
            assert 1 / float(level.median()) == pytest.approx(depth, rel=0.12)


@pytest.mark.parametrize("decoder", sorted(DECODERS.own()))
def test_guidance_starts_as_the_unguided_network_and_then_acts(decoder: str) -> None:
    torch.manual_seed(0)
    guidance = GuidanceBlock.model_validate({"semantics": {"kind": "labels", "classes": 3}})
    network = block("packnet", decoder, guidance=guidance).assemble().eval()
    assert isinstance(network, EncoderDecoder)
    image, labels = torch.rand(1, 3, 64, 96), torch.randint(0, 3, (1, 1, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        guided = network(image, labels)[0]
        kept, network.guidance = network.guidance, None
        torch.testing.assert_close(network(image)[0], guided)
        network.guidance = kept
        for layer in kept.layers.values():  # type: ignore[union-attr]
            nn.init.normal_(layer.weight)  # type: ignore[arg-type]
        assert not torch.allclose(network(image, labels)[0], guided)


def test_widths_of_a_decoder_are_those_of_its_block() -> None:
    values = {"kind": "monodepth2", "channels": [16, 24, 32, 64, 128]}
    network = EncoderDecoderBlock.model_validate(
        {"encoder": {"kind": "efficientnet_lite", "weights": None}, "decoder": values}
    ).build()
    assert network.decoder_channels == {1: 16, 2: 24, 4: 32, 8: 64, 16: 128}
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(3.8e6, rel=0.01)


def test_options_of_training_are_no_architecture() -> None:
    plain = block("efficientnet_lite", "monodepth2")
    tuned = EncoderDecoderBlock.model_validate(
        {
            "encoder": {"kind": "efficientnet_lite", "learning_rate": 0.1, "frozen": 2, "normalization": "batch"},
            "decoder": {"kind": "monodepth2"},
            "initial_depth": 3.0,
            "frozen": True,
        }
    )
    assert tuned.architecture() == plain.architecture()
    grouped = EncoderDecoderBlock.model_validate(
        {"encoder": {"kind": "efficientnet_lite", "normalization": "group"}, "decoder": {"kind": "monodepth2"}}
    )
    assert grouped.architecture() != plain.architecture()
    assert block("resnet", "monodepth2").architecture() != plain.architecture()


@pytest.mark.parametrize("encoder", sorted(OPTIONS))
def test_the_pose_network_takes_the_same_encoders_at_any_size(encoder: str) -> None:
    torch.manual_seed(0)
    values = {"encoder": {"kind": encoder, **OPTIONS[encoder]}, "initial_forward": 1.0}
    network = PoseEncoderBlock.model_validate(values).assemble().eval()
    assert isinstance(network, EncoderPose)
    with torch.no_grad():
        T = network(torch.rand(1, 3, 50, 70), torch.rand(1, 2, 3, 50, 70), (-1, 1))[0]
    torch.testing.assert_close(T[:, 2, 3], torch.tensor([1.0, -1.0]), atol=0.15, rtol=0)
