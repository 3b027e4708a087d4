"""Flip fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import segmenter
import torch

from packdepth.networks.blocks import GuidanceBlock
from packdepth.networks.flip import FlipFused, fuse_flipped
from packdepth.networks.guidance import guidance_of
from packdepth.networks.packnet import PackNet, PackNetBlock
from packdepth.networks.superdepth import SuperDepthBlock
from packdepth.segmentation.fpn import FpnSemantics


def test_the_reference(golden: Path) -> None:
    content = {name: torch.from_numpy(array) for name, array in np.load(golden / "metrics.npz").items()}
    fused = fuse_flipped(1 / content["pred"], content["post_process_flipped_input"])
    torch.testing.assert_close(fused, content["post_process"], atol=1e-6, rtol=1e-6)


def test_the_roles_of_the_two_predictions_are_symmetric() -> None:
    plain, mirrored = torch.rand(2, 2, 1, 5, 37, dtype=torch.float64)
    torch.testing.assert_close(fuse_flipped(plain, mirrored).flip(-1), fuse_flipped(mirrored, plain))


def test_closed_form() -> None:
    plain, mirrored = torch.full((1, 1, 1, 101), 1.0), torch.full((1, 1, 1, 101), 3.0)
    fused = fuse_flipped(plain, mirrored)[0, 0, 0]
    assert (fused[:5] == 3).all()  # the left border from the mirrored image
    assert (fused[-5:] == 1).all()
    torch.testing.assert_close(fused[11:90], torch.full((79,), 2.0))
    assert 2 < fused[7] < 3


def test_equal_predictions_stay() -> None:
    plain = torch.rand(1, 1, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(fuse_flipped(plain, plain.flip(-1)), plain)


def test_fusion_is_differentiable() -> None:
    pair = torch.rand(2, 1, 1, 2, 24, dtype=torch.float64).unbind(0)
    assert torch.autograd.gradcheck(fuse_flipped, [x.requires_grad_() for x in pair])


def test_the_layer_fuses_every_scale_and_mirrors_with_its_image() -> None:
    torch.manual_seed(0)
    network = PackNet("tiny")
    layer, image = FlipFused(network), torch.rand(2, 3, 32, 64)
    fused = layer(image)
    for ours, plain, mirrored in zip(fused, network(image), network(image.flip(-1)), strict=True):
        torch.testing.assert_close(ours, fuse_flipped(plain, mirrored))
    for ours, mirrored in zip(fused, layer(image.flip(-1)), strict=True):
        torch.testing.assert_close(mirrored, ours.flip(-1))
    sum(scale.mean() for scale in fused).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_any_depth_network_may_have_the_layer() -> None:
    for config in (PackNetBlock(kind="packnet", preset="tiny"), SuperDepthBlock(kind="superdepth")):
        assert not isinstance(config.assemble(), FlipFused)
        assert isinstance(config.model_copy(update={"flip": True}).assemble(), FlipFused)


def test_a_guided_network_may_have_the_layer(tmp_path: Path) -> None:
    semantics = FpnSemantics(kind="fpn", checkpoint=segmenter.write(tmp_path / "semantics"))
    guidance = GuidanceBlock(semantics=semantics, strides=(8,))
    for flip in (False, True):
        config = PackNetBlock(kind="packnet", preset="tiny", flip=flip, guidance=guidance)
        network = config.assemble()
        found = guidance_of(network)
        assert found is not None
        assert list(found.layers) == ["8"]
        assert network(torch.rand(1, 3, 32, 64))[0].shape == (1, 1, 32, 64)
    assert guidance_of(PackNetBlock(kind="packnet", preset="tiny").assemble()) is None
