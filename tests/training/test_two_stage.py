"""Two stages: the second sees what the filter kept, and an interrupted run goes on wherever it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from packdepth import checkpoint
from packdepth.checkpoint import TRAINER_STATE
from packdepth.data import filters
from packdepth.errors import InputError
from packdepth.inference import ground
from packdepth.inference.ground import filter_ground
from packdepth.records import Clip
from packdepth.training import two_stage
from packdepth.training.run import train
from packdepth.training.two_stage import train_two_stage

SHORT = ("training.epochs=2", "training.epoch_steps=1")


@pytest.fixture
def one_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter finds a hole in the second frame."""

    def count(predictor: object, clip: Clip, frame: object) -> ground.FrameCount:
        below = 99 if frame is clip.frames[1] else 0
        return ground.FrameCount(clip, frame, below)  # type: ignore[arg-type]

    monkeypatch.setattr(ground, "count", count)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupts; made by the first test that needs it."""
    return tmp_path_factory.mktemp("runs") / "whole"


@pytest.fixture
def whole(finished: Path, one_dropped: None, run_file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if not finished.exists():
        train_two_stage(run_file, finished, SHORT)
        kept = (finished / "ground" / "0" / "kept.txt").read_text()
        assert "000002" in kept
        assert "000001" not in kept
        assert "1 of 4 frames dropped" in capsys.readouterr().out
    return finished


@pytest.mark.parametrize("stop", ["train stage1", "filter", "train stage2"])
def test_resumes_wherever_it_was(
    stop: str, whole: Path, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def called(*args: object, **options: object) -> object:
            if stop == name or (name == "train" and stop == f"train {Path(str(args[1])).name}"):
                raise KeyboardInterrupt
            return function(*args, **options)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(two_stage, "train", interrupted("train", train))
        patched.setattr(two_stage, "filter_ground", interrupted("filter", filter_ground))
        with pytest.raises(KeyboardInterrupt):
            train_two_stage(run_file, tmp_path / "parts", SHORT)
    killed = tmp_path / "parts" / "ground" / "0" / ".~packdepth-01234567"  # while the filter put its files in place
    killed.mkdir(parents=True)
    train_two_stage(run_file, tmp_path / "parts", SHORT, resume=True)
    train_two_stage(run_file, tmp_path / "parts", SHORT, resume=True)  # there is nothing left to do
    assert not killed.exists()

    one, other = (checkpoint.read(folder / "stage2" / "last") for folder in (whole, tmp_path / "parts"))
    assert one.meta.epoch == other.meta.epoch == 2
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name


def test_what_is_there_already_is_not_trained_again_unasked(run_file: Path, tmp_path: Path) -> None:
    (tmp_path / "stage1" / "last").mkdir(parents=True)
    (tmp_path / "stage1" / "last" / TRAINER_STATE).touch()
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        train_two_stage(run_file, tmp_path)


@pytest.mark.usefixtures("one_dropped")
def test_a_run_of_several_processes(run_file: Path, tmp_path: Path) -> None:
    train_two_stage(run_file, tmp_path, ("training.epochs=1", "training.epoch_steps=1", "training.devices=2"))
    for stage in ("stage1", "stage2"):
        assert checkpoint.read_description(tmp_path / stage / "last")[1].epoch == 1


def test_the_filter_judges_no_frame_that_training_drops_as_static(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "static_by_image", lambda clip: np.arange(len(clip.frames)) == 0)
    judged: list[Clip] = []

    def caught(checkpoint: Path, clips: list[Clip], *args: object, **options: object) -> None:
        judged.extend(clips)
        raise KeyboardInterrupt

    monkeypatch.setattr(two_stage, "filter_ground", caught)
    with pytest.raises(KeyboardInterrupt):
        train_two_stage(run_file, tmp_path, (*SHORT, "data.drop_static={by: image}"))
    assert [frame.name for frame in judged[0].frames][:2] == ["000001", "000002"]
