"""Weights that two processes share: the same training as with whole ones."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from machines import free_port, train_together
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.optimization.guard import GradientGuard
from packdepth.reading import read_weights_file
from packdepth.training.run import as_run, train
from packdepth.training.sharding import shard, whole

OPTIONS = ("training.nodes=2", "training.epoch_steps=1", "networks.depth.dropout=0.0")


def losses(output: Path) -> list[dict[str, float]]:
    with (output / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_sharded_weights_train_like_whole_ones_and_any_strategy_resumes_them(
    run_values: dict[str, Any], tmp_path: Path
) -> None:
    run_values["training"]["schedule"] = {"kind": "constant"}  # the same in a training that is prolonged
    run_file, sharded, replicated = tmp_path / "run.yaml", tmp_path / "sharded", tmp_path / "replicated"
    run_file.write_text(yaml.safe_dump(run_values))
    fsdp = [str(run_file), *OPTIONS, "training.strategy=fsdp"]
    first, _ = train_together([*fsdp, "training.epochs=1", "--output", str(sharded)], tmp_path)
    assert "processes  2, each with a share of the weights, which train like one" in first
    train_together([*fsdp, "training.epochs=2", "--output", str(sharded), "--resume"], tmp_path)
    train_together([str(run_file), *OPTIONS, "training.epochs=2", "--output", str(replicated)], tmp_path)
    for one, two in zip(losses(replicated), losses(sharded), strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-6), one["step"]
    expected, found = (read_weights_file(output / "last" / checkpoint.WEIGHTS) for output in (replicated, sharded))
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-5, msg=name)  # a step of Adam is 2e-4
    scores = [checkpoint.read_description(output / "last")[1].scores for output in (replicated, sharded)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-3, abs=1e-3)
    train(run_file, sharded, resume=True, overrides=("networks.depth.dropout=0.0", "training.epoch_steps=1"))
    assert [row["step"] for row in losses(sharded)] == [1, 2, 3]  # one process goes on with whole weights


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    """A group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{free_port()}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_trained_weights_are_sharded_frozen_ones_are_not_and_the_guard_reads_them(mesh: DeviceMesh) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    shard(network, mesh)
    is_shared = {name: isinstance(value, DTensor) for name, value in network.state_dict().items()}
    assert is_shared == {"0.weight": False, "0.bias": False, "1.weight": True, "1.bias": True}
    for name, value in network.state_dict().items():
        torch.testing.assert_close(whole(value), before[name], rtol=0, atol=0)
    optimizer = torch.optim.Adam(network[1].parameters(), lr=0.1)
    network(torch.tensor([[1.0, float("nan")]])).sum().backward()
    assert not GradientGuard(max_norm=1.0).check(optimizer)
    optimizer.step()
    torch.testing.assert_close(whole(network.state_dict()["1.weight"]), before["1.weight"], rtol=0, atol=0)
    network(torch.tensor([[100.0, 100.0]])).sum().backward()
    assert GradientGuard(max_norm=1.0).check(optimizer)
    gradients = [whole(weight.grad) for weight in network[1].parameters() if weight.grad is not None]
    assert float(torch.cat([each.flatten() for each in gradients]).norm()) == pytest.approx(1.0, abs=1e-4)


def test_what_needs_whole_weights_is_refused(run_values: dict[str, Any]) -> None:
    run_values["training"] |= {"strategy": "fsdp", "optimizer": {"kind": "muon"}}
    with pytest.raises(InputError, match="strategy: fsdp works with the optimizer adam, as 'muon' may need whole"):
        as_run(run_values)
    run_values["training"]["optimizer"] = {"kind": "adam"}
    run_values["networks"]["depth"] = {"kind": "transformers", "model": "some/model"}
    with pytest.raises(InputError, match=r"networks\.depth: 'transformers' may leave some unused"):
        as_run(run_values)
