"""Terms with state: it is trained, saved, restored and new at the start, and no part of a checkpoint's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import packdepth
from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.objectives import Objective, StatefulTerm
from packdepth.reading import read_state, read_weights_file
from packdepth.records import Batch, Outputs
from packdepth.training.data import RunData
from packdepth.training.module import DepthModule
from packdepth.training.run import as_run, check_contracts, run_clips, train


class Balanced(StatefulTerm):
    """Inverse depth relative to its running mean, with a learned weight."""

    kind: Literal["balanced_of_a_test"] = "balanced_of_a_test"
    uses_scale: bool = True

    def build(self) -> nn.Module:
        return BalancedLoss(self.uses_scale)


class BalancedLoss(nn.Module):
    mean: Tensor
    calls: Tensor
    fails_in = 0  # call of training

    def __init__(self, uses_scale: bool) -> None:
        super().__init__()
        self.uses_scale = uses_scale
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("mean", torch.ones(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        mean = outputs.inv_depths[0].mean()
        if self.training:
            self.mean = self.mean.lerp(mean.detach(), 0.1)
            self.calls += 1
            if self.calls == self.fails_in:
                raise ConnectionResetError
        loss = (mean / self.mean - 0.5) ** 2
        return torch.exp(-self.log_scale) * loss + self.log_scale if self.uses_scale else loss


@pytest.fixture
def values(run_values: dict[str, Any]) -> dict[str, Any]:
    run_values["objective"][1:] = [{"kind": "balanced_of_a_test", "weight": 0.1}]
    run_values["training"] |= {"epochs": 2, "epoch_steps": 2, "depth_learning_rate": 1e-3}
    return run_values


def state_of(output: Path) -> dict[str, Any]:
    return dict(read_state(output / "last" / checkpoint.TRAINER_STATE))


def test_a_killed_and_resumed_run_ends_with_the_state_of_one_that_was_not(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(values, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(BalancedLoss, "fails_in", 4)
        with pytest.raises(ConnectionResetError):
            train(values, tmp_path / "killed")
    assert int(state_of(tmp_path / "killed")["state_dict"]["terms.0.calls"]) == 2
    train(values, tmp_path / "killed", resume=True)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "killed")]
    assert rows[0] == rows[1]
    whole, killed = (state_of(tmp_path / name) for name in ("whole", "killed"))
    for name, value in whole["state_dict"].items():
        torch.testing.assert_close(killed["state_dict"][name], value, rtol=0, atol=0, msg=name)
    # a parameter is trained with the depth network's rate, and neither the checks nor the validation count as calls
    assert 1e-4 < abs(float(whole["state_dict"]["terms.0.log_scale"])) < 4e-3
    assert float(whole["state_dict"]["terms.0.mean"]) < 1
    assert int(whole["state_dict"]["terms.0.calls"]) == 4
    groups = whole["optimizer_states"][0]["param_groups"]
    assert [group["name"] for group in groups] == ["depth", "pose", "terms"]
    weights = read_weights_file(tmp_path / "whole" / "best" / checkpoint.WEIGHTS)
    assert {name.split(".")[0] for name in weights} == {"depth", "pose"}


def module_of(run: packdepth.Run) -> tuple[DepthModule, RunData]:
    objective = Objective(run.objective)
    return DepthModule(run, objective, steps=4), RunData(run, objective, run_clips(run, objective).clips)


def test_the_checks_before_the_first_step_leave_the_state_as_new(values: dict[str, Any]) -> None:
    module, data = module_of(as_run(values))
    new = {name: value.clone() for name, value in module.state_dict().items()}
    check_contracts(module, data)
    assert {name for name in new if name.startswith("terms.")} == {"terms.0.log_scale", "terms.0.mean", "terms.0.calls"}
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, new[name], rtol=0, atol=0, msg=name)
    assert all(part.training for part in module.terms)


def test_a_parameter_that_the_term_does_not_use_is_refused(values: dict[str, Any]) -> None:
    values["objective"][1]["uses_scale"] = False
    with pytest.raises(
        InputError, match=r"^objective term 'balanced_of_a_test': log_scale of its module gets no gradi"
    ):
        check_contracts(*module_of(as_run(values)))


def test_without_such_terms_nothing_is_added(run_values: dict[str, Any]) -> None:
    module, _ = module_of(as_run(run_values))
    assert not [name for name in module.state_dict() if name.startswith("terms")]
    optimizer, _ = module.optimizer_and_schedule()
    assert [group["name"] for group in optimizer.param_groups] == ["depth", "pose"]


def test_processes_that_share_weights_cannot_share_the_state(values: dict[str, Any]) -> None:
    values["training"]["strategy"] = "fsdp"
    with pytest.raises(
        InputError, match="fsdp shares the weights of networks, but not the state of the objective term"
    ):
        as_run(values)
