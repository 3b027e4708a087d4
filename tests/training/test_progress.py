"""Progress of a training whose output is no terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from packdepth import progress as pacing
from packdepth.config import Run
from packdepth.training.progress import RunProgress


def test_lines_say_how_long_all_takes_long_before_the_first_epoch_ends(
    run_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: now))
    log: Any = SimpleNamespace(rows=[{}] * 4, mean_loss=lambda: 0.25)
    progress = RunProgress(Run.model_validate(run_values), log)
    trainer: Any = SimpleNamespace(
        is_global_zero=True,
        global_step=0,
        current_epoch=0,
        estimated_stepping_batches=40,
        callback_metrics={},
        num_val_batches=[9],
    )
    nothing: Any = None
    progress.on_train_start(trainer, nothing)
    progress.on_train_epoch_start(trainer, nothing)
    said = {}
    for step in range(1, 21):
        trainer.global_step, now = step, now + 2
        progress.on_train_batch_end(trainer, nothing, nothing, nothing, step)
        if line := capsys.readouterr().out:
            said[step] = line
    assert list(said) == [3, 18]  # after 5 seconds, and 30 seconds later
    assert said[3].startswith("epoch 1/")
    assert "step 3/40  loss 0.2500" in said[3]
    assert "images/s" in said[3]
    assert said[3].endswith("1:14 left\n")
    assert said[18].endswith("0:44 left\n")
    now += 30
    progress.on_validation_batch_end(trainer, nothing, nothing, nothing, 4)
    assert "step 20/40  validation 5/9  loss 0.2500" in capsys.readouterr().out
