"""The learning rate over a run."""

from __future__ import annotations

from typing import Any

import pytest

from packdepth.config import Run, parse_run
from packdepth.training.optimizer import learning_rate_factor


def run_with(values: dict[str, Any], schedule: dict[str, Any], epochs: int) -> Run:
    return parse_run(values | {"training": {"epochs": epochs, "schedule": schedule}}, "run")


def test_constant(run_values: dict[str, Any]) -> None:
    run = run_with(run_values, {"kind": "constant"}, 5)
    assert {learning_rate_factor(run, step, 100) for step in range(100)} == {1.0}


def test_step_halves_as_published(run_values: dict[str, Any]) -> None:
    run = run_with(run_values, {"kind": "step"}, 100)
    factors = [learning_rate_factor(run, 7 * epoch, 700) for epoch in (0, 39, 40, 79, 80)]
    assert factors == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_warms_up_and_falls(run_values: dict[str, Any]) -> None:
    run = run_with(run_values, {"kind": "cosine", "warmup": 10, "final": 0.1}, 5)
    factors = [learning_rate_factor(run, step, 110) for step in range(111)]
    assert factors[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert factors[60] == pytest.approx(0.55)
    assert factors[110] == pytest.approx(0.1)
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_cosine_holds_before_it_falls(run_values: dict[str, Any]) -> None:
    run = run_with(run_values, {"kind": "cosine", "warmup": 10, "hold": 0.5}, 5)
    factors = [learning_rate_factor(run, step, 110) for step in (10, 59, 60, 85, 110)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0])
