"""Groups of parameters: factors of the learning rate, frozen parameters, and Muon beside pretrained parts."""

from __future__ import annotations

import pytest
from torch import nn

from packdepth.optimization.groups import parameter_groups
from packdepth.optimization.muon import MuonBlock


def network() -> nn.Sequential:
    whole = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1)))
    whole[1].learning_rate_factor = 0.5  # type: ignore[assignment]
    whole[1][1].learning_rate_factor = 0.1  # type: ignore[index]
    return whole


def test_factors_of_nested_parts_multiply() -> None:
    groups = parameter_groups("depth", network(), 0.01)
    assert [group["name"] for group in groups] == ["depth", "depth, pretrained x 0.5", "depth, pretrained x 0.05"]
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.005, 0.0005])
    assert [len(group["params"]) for group in groups] == [2, 2, 2]


def test_frozen_parameters_are_in_no_group() -> None:
    whole = network()
    whole[1].requires_grad_(False)
    (group,) = parameter_groups("depth", whole, 0.01)
    assert group["params"] == list(whole[0].parameters())


def test_muon_leaves_pretrained_convolutions_to_adam() -> None:
    optimizer = MuonBlock().build(parameter_groups("depth", network(), 0.01), fused=False)
    by_muon = {group["name"]: group["orthogonal"] for group in optimizer.param_groups}
    assert by_muon == {
        "depth": False,
        "depth, convolutions": True,
        "depth, pretrained x 0.5": False,
        "depth, pretrained x 0.05": False,
    }
