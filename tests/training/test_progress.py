"""Progress of a training whose output is no terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from packdepth.config import Run
from packdepth.training import progress as module
from packdepth.training.progress import RunProgress


def test_lines_tell_a_hang_from_load(
    run_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log: Any = SimpleNamespace(rows=[{}] * 4, mean_loss=lambda: 0.25)
    progress = RunProgress(Run.model_validate(run_values), log)
    trainer: Any = SimpleNamespace(
        is_global_zero=True, global_step=0, current_epoch=0, estimated_stepping_batches=40, callback_metrics={}
    )
    nothing: Any = None
    progress.on_train_start(trainer, nothing)
    progress.on_train_epoch_start(trainer, nothing)
    trainer.global_step = 4
    progress.on_train_batch_end(trainer, nothing, nothing, nothing, 3)
    assert capsys.readouterr().out == ""  # too soon
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    progress.on_train_batch_end(trainer, nothing, nothing, nothing, 3)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epoch 1/")
    assert "step 4/40  loss 0.2500" in line
    assert line.endswith(" left")
