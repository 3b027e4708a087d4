"""The multiplier of the learning rate over a training."""

from __future__ import annotations

import pytest

from packdepth.optimization.schedules import Constant, Cosine, Step


def test_constant() -> None:
    assert {Constant().multiplier(step, 100, epochs=5) for step in range(100)} == {1.0}


def test_step_halves_as_published() -> None:
    assert [Step().multiplier(7 * epoch, 700, epochs=100) for epoch in (0, 39, 40, 79, 80)] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_warms_up_and_falls() -> None:
    multipliers = [Cosine(warmup=10, final=0.1).multiplier(step, 110, epochs=5) for step in range(111)]
    assert multipliers[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert multipliers[60] == pytest.approx(0.55)
    assert multipliers[110] == pytest.approx(0.1)
    assert multipliers[10:] == sorted(multipliers[10:], reverse=True)


def test_cosine_holds_before_it_falls() -> None:
    multipliers = [Cosine(warmup=10, hold=0.5).multiplier(step, 110, epochs=5) for step in (10, 59, 60, 85, 110)]
    assert multipliers == pytest.approx([1, 1, 1, 0.5, 0])
