"""Muon against its definition, and its other half against torch's Adam."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import nn

from packdepth.config import parse_run
from packdepth.demo.steps import RUN_FILE
from packdepth.networks.posenet import PoseNet
from packdepth.optimization.muon import MOMENTUM, Muon, orthogonalized
from packdepth.training.module import optimizer_and_schedule


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (9, 9)])
def test_orthogonalized_matrices_keep_their_directions_and_lose_their_sizes(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalized(matrix) @ v.T
    values = inner.diagonal()
    assert values.min() > 0.65
    assert values.max() < 1.25
    torch.testing.assert_close(inner, values.diag(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_step_is_the_orthogonalized_momentum_of_a_shrunken_weight(decay: float) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 3, 3, 3, dtype=torch.float64))
    optimizer = Muon([{"params": [weight], "lr": 0.1, "orthogonal": True, "decay": decay}])
    expected, momentum = weight.detach().clone(), torch.zeros(8, 27, dtype=torch.float64)
    for _ in range(3):
        weight.grad = torch.randn_like(weight)
        gradient = weight.grad.flatten(1)
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        direction = (1 - MOMENTUM) * gradient + MOMENTUM * momentum
        expected = (1 - 0.1 * decay) * expected - 0.1 * orthogonalized(direction).view_as(weight)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), expected)


def test_everything_else_is_adam() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 12).double()) for _ in range(2))
    optimizers = Muon([{"params": [ours], "lr": 1e-2}]), torch.optim.Adam([theirs], lr=1e-2)
    for _ in range(20):
        gradient = torch.randn(12, dtype=torch.float64)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_its_state_survives_a_checkpoint() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 9), torch.randn(6, 4, 9)

    def run(parameter: nn.Parameter, optimizer: Muon, steps: range) -> None:
        for step in steps:
            parameter.grad = gradients[step]
            optimizer.step()

    whole = nn.Parameter(start.clone())
    run(whole, Muon([{"params": [whole], "lr": 0.1, "orthogonal": True}]), range(6))
    half = nn.Parameter(start.clone())
    first = Muon([{"params": [half], "lr": 0.1, "orthogonal": True}])
    run(half, first, range(3))
    second = Muon([{"params": [half], "lr": 0.1, "orthogonal": True}])
    second.load_state_dict(first.state_dict())
    run(half, second, range(3, 6))
    torch.testing.assert_close(half, whole, rtol=0, atol=0)


@pytest.mark.parametrize("pose_learning_rate", [None, 0.02])
def test_convolutions_of_the_networks_that_it_is_asked_for_are_stepped_as_matrices(
    pose_learning_rate: float | None,
) -> None:
    values = yaml.safe_load(RUN_FILE.read_text())
    values["training"]["optimizer"] |= {"pose_learning_rate": pose_learning_rate, "weight_decay": 0.1}
    values["networks"]["depth"] = {"kind": "packnet", "preset": "tiny"}
    run = parse_run(values, "test")
    networks = {"depth": run.networks.depth.assemble(), "pose": PoseNet()}
    optimizer, _ = optimizer_and_schedule(run.training, networks, steps=300)
    stepped = {id(p): group["orthogonal"] for group in optimizer.param_groups for p in group["params"]}
    assert all(group["decay"] == (0.1 if group["orthogonal"] else 0) for group in optimizer.param_groups)
    assert len(stepped) == sum(len(list(network.parameters())) for network in networks.values())
    for name, weight in networks["depth"].named_parameters():
        convolution = weight.ndim == 4 and not name.startswith("disp")
        assert stepped[id(weight)] == convolution, name
    for name, weight in networks["pose"].named_parameters():
        convolution = weight.ndim == 4 and not name.startswith("pose_pred")
        assert stepped[id(weight)] == (convolution and pose_learning_rate is not None), name
