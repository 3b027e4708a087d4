"""Whole runs, small: what they write, how they go on, how they share work."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
import yaml
from PIL import Image

from packdepth import checkpoint
from packdepth.blocks import CheckpointContext
from packdepth.cli import main
from packdepth.config import Run, load_run, parse_run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.objectives import Objective
from packdepth.training.checkpoints import Checkpoints
from packdepth.training.run import scale_source, train


def losses(output: Path) -> list[dict[str, str]]:
    with (output / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read(folder).weights


def start(*arguments: object) -> subprocess.Popen[str]:
    """`packdepth train` in a process of its own, one thread each so that sums have one order."""
    command = [sys.executable, "-m", "packdepth.cli", "train", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """What a shell starts in the background ignores interrupts, and so would all that it starts itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    return text


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; made by the first test that needs it."""
    return tmp_path_factory.mktemp("runs") / "finished"


@pytest.fixture
def whole(finished: Path, run_file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if not finished.exists():
        assert main(["train", str(run_file), "--output", str(finished)]) == 0
        text = capsys.readouterr().out
        assert "clips      1 (folder/moving_clip)" in text
        assert "frames     6, 4 of them targets" in text
        assert "M parameters" in text
        assert "scale      from velocity (speed), measured after training" in text
        assert "scale: not metric yet: " in text
        assert "epoch 3/3  loss" in text
        assert "images/s" in text
    return finished


def test_a_run_writes_checkpoints_and_logs(whole: Path) -> None:
    run, meta = checkpoint.read_description(whole / "last")
    assert (meta.epoch, meta.step, meta.metric, meta.scale_source) == (3, 9, False, "velocity (speed)")
    assert {check.source for check in meta.scale_checks} == {"depth", "speed", "poses"}
    assert meta.clips == ["folder/moving_clip"]
    assert meta.frame_interval == pytest.approx(0.1)  # seconds
    assert {"train/loss", "val/loss", "val/abs_rel", "val/a1_scaled"} <= meta.scores.keys()
    assert isinstance(run, Run)
    assert run.training.seed == 3
    rows = losses(whole)
    assert [int(row["step"]) for row in rows] == list(range(1, 10))
    assert [int(row["epoch"]) for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for row in rows:
        terms = float(row["photometric"]) + 1e-3 * float(row["smoothness"]) + 0.1 * float(row["velocity"])
        assert float(row["loss"]) == pytest.approx(terms, rel=1e-5)
    assert list((whole / "tensorboard").glob("events.*"))
    assert sorted(path.name for path in whole.iterdir()) == ["best", "last", "metrics.csv", "tensorboard"]


def test_the_best_checkpoint_has_the_lowest_error(whole: Path) -> None:
    best, last = (checkpoint.read_description(whole / name)[1] for name in ("best", "last"))
    assert best.scores["val/abs_rel"] <= last.scores["val/abs_rel"]


def test_a_checkpoint_predicts_depth_and_names_the_source_of_its_scale(whole: Path, moving_clip: Path) -> None:
    prediction = load(whole / "best").predict(moving_clip / "frames" / "000002.png")
    assert prediction.depth.shape == (48, 96)
    assert prediction.scale_source == "velocity (speed)"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_and_resumed_run_ends_like_one_that_was_not(
    workers: int, whole: Path, run_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    process = start(run_file, f"data.workers={workers}", "--output", output)
    deadline = time.monotonic() + 60
    while not (output / "last").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # somewhere in the second epoch
    process.communicate()
    assert checkpoint.read_description(output / "last")[1].epoch < 3
    train(run_file, output, resume=True, overrides=(f"data.workers={workers}",))
    assert losses(output) == losses(whole)
    expected = weights(whole / "last")
    for name, value in weights(output / "last").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)
    assert weights(output / "best").keys() == expected.keys()


def test_two_processes_train_like_one_with_the_same_batch(whole: Path, run_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "two"
    options = ("training.devices=2", "networks.depth.dropout=0.0")
    finish(start(run_file, *options, "--output", output))
    train(run_file, tmp_path / "one", overrides=("networks.depth.dropout=0.0",))
    for one, two in zip(losses(tmp_path / "one"), losses(output), strict=True):
        # The first step is the same sum in another order. Adam's first updates are the signs of gradients, so where a
        # gradient is nearly zero rounding decides, on every machine in its own way, and the runs drift apart a little.
        drift = 1e-5 if one["step"] == "1" else 1e-2
        for name in one:
            assert float(two[name]) == pytest.approx(float(one[name]), rel=drift, abs=1e-6), (one["step"], name)
    scores = [checkpoint.read_description(folder / "last")[1].scores for folder in (tmp_path / "one", output)]
    assert scores[0].keys() == scores[1].keys()
    for name, value in scores[0].items():
        # Shares of pixels (a1, a2, a3) move by whole pixels on rounding.
        assert scores[1][name] == pytest.approx(value, rel=1e-2, abs=1e-2 if "/a" in name else 1e-5), name


def test_ctrl_c_leaves_a_usable_checkpoint(run_file: Path, moving_clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "interrupted"
    process = start(run_file, "training.epoch_steps=10000", "--output", output)
    deadline = time.monotonic() + 60
    while not (output / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # a few steps
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in text
    assert "interrupted in the first epoch" in text
    assert checkpoint.read_description(output / "last")[1].step > 0
    assert load(output / "last").predict(moving_clip / "frames" / "000002.png").depth.shape == (48, 96)
    train(run_file, output, overrides=("training.epochs=1",))  # there is nothing to resume, so it may start anew


def test_a_loss_that_is_no_number_ends_the_run(
    run_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("training.depth_learning_rate=1e30", "training.clip_norm=null")
    assert main(["train", str(run_file), *options, "--output", str(tmp_path / "run")]) == 2
    text = "".join(capfd.readouterr())
    sentence = r"the loss of step \d+ is nan \(not finite: [a-z, ]+\); lower the learning rates"
    assert re.search(sentence, text.replace("\n", " "))
    assert "Traceback" not in text


def test_validation_needs_a_frame_for_each_process_and_what_the_terms_need(
    run_file: Path, moving_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="4 frames are too few for 5 processes"):
        train(run_file, tmp_path / "run", overrides=("training.devices=5", "training.batch_size=5"))


def test_bfloat16_trains(run_file: Path, tmp_path: Path) -> None:
    # oneDNN reads memory it has not written in the bf16 gradient of a strided convolution of a single pixel, which is
    # what PoseNet comes to in images of 64 pixels and less. A CPU emulates bf16: few and small steps.
    small = ("training.epochs=1", "training.epoch_steps=2", "training.batch_size=1", "data.val.0.frames=[0,3]")
    options = ("training.precision=bf16", "data.image_size=[64, 128]", *small)
    train(run_file, tmp_path / "run", overrides=options)
    assert all(value.dtype == torch.float32 for value in weights(tmp_path / "run" / "last").values())
    assert all(float(row["loss"]) < 1 for row in losses(tmp_path / "run"))


def test_other_networks_and_loading_workers_train(run_file: Path, tmp_path: Path) -> None:
    options = ("networks={depth: {kind: depth_resnet}, pose: {kind: pose_resnet}}", "data.workers=1", "data.val=[]")
    train(run_file, tmp_path / "run", overrides=(*options, "training.epochs=1", "training.epoch_steps=1"))
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.scores.keys() == {"train/loss"}


@pytest.mark.parametrize("depth", ["{kind: packnet, preset: tiny}", "{kind: depth_resnet}"])
def test_two_streams_and_all_terms_combine(depth: str, run_file: Path, tmp_path: Path) -> None:
    pose = "{kind: two_stream, fusion: late, depth_gradient: true, sparsity: {pattern: grid, same: true}}"
    kinds = ["photometric", "smoothness", "velocity", "depth_consistency", "pose_consistency", "sparse_l1"]
    terms = ", ".join(f"{{kind: {kind}}}" for kind in kinds)
    options = (f"networks={{depth: {depth}, pose: {pose}}}", f"objective=[{terms}]", "training.epochs=1")
    train(run_file, tmp_path / "run", overrides=(*options, "training.epoch_steps=1"))
    (row,) = losses(tmp_path / "run")
    assert row.keys() == {"step", "epoch", "loss", *kinds}
    assert all(0 < float(row[kind]) < 10 for kind in kinds)
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.scale_source == "velocity (speed), depth (maps)"


def test_without_velocity_the_scale_is_unknown(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(
        run_file,
        tmp_path / "run",
        overrides=("objective=[{kind: photometric}]", "training.epochs=1", "data.cache=true"),
    )
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    assert (meta.metric, meta.scale_source) == (False, "none")
    assert "unknown: depth up to a factor" in capsys.readouterr().out


def test_measured_depth_gives_depth_its_scale(
    run_file: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = "objective=[{kind: photometric, weight: 0.1, scales: own}, {kind: sparse_l1}, {kind: silog, weight: 0.01}]"
    train(run_file, tmp_path / "run", overrides=(terms, "training.epochs=1"))
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    assert meta.scale_source == "depth (maps)"
    rows = losses(tmp_path / "run")
    assert all(float(row["sparse_l1"]) > 0 and float(row["silog"]) > 0 for row in rows)
    output = capsys.readouterr().out
    assert "4 of them targets with context [-1, 1]; 4 targets with measured depth" in output
    assert "; 6 to validate on, 4 of them targets; those that are no targets are context only" in output
    assert f"checkpoints: {tmp_path / 'run' / 'best'} (epoch 1 of 1) and {tmp_path / 'run' / 'last'}" in output
    assert "from depth (maps), measured after training" in output


def test_two_sources_of_scale_are_both_named(run_file: Path) -> None:
    run = load_run(run_file, ("objective=[{kind: photometric}, {kind: berhu}, {kind: velocity}]",))
    clips = run.data.train[0].clips()
    assert scale_source(run, Objective(run.objective), clips) == "velocity (speed), depth (maps)"
    unused = load_run(run_file, ("objective=[{kind: photometric}, {kind: berhu, weight: 0}]",))
    assert scale_source(unused, Objective(unused.objective), clips) == "none"


def test_supervision_without_measured_depth_stops_before_the_first_step(
    run_file: Path, moving_clip: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("frames", "frames.csv", "camera.yaml"):
        (clip / name).symlink_to(moving_clip / name)
    with pytest.raises(InputError, match=r"'sparse_l1' needs measured depth, but clip .* has neither a depth map nor"):
        train(run_file, tmp_path / "run", overrides=("objective=[{kind: sparse_l1}]", f"data.train.0.root={clip}"))
    assert not (tmp_path / "run").exists()


def test_measured_depth_of_two_sizes_trains(run_file: Path, moving_clip: Path, tmp_path: Path) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "half")
    for path in [*clip.glob("frames/*.png"), *clip.glob("depth/*.png")]:
        image = Image.open(path)
        image.resize((48, 24), Image.Resampling.NEAREST).save(path)
    numbers = {"width": 48, "height": 24, "fx": 30.0, "fy": 29.0, "cx": 22.75, "cy": 11.0}
    (clip / "camera.yaml").write_text(yaml.safe_dump(numbers))
    sources = f"data.train=[{{kind: folder, root: {moving_clip}}}, {{kind: folder, root: {clip}}}]"
    options = (sources, "objective=[{kind: photometric}, {kind: sparse_l1}]", "training.epochs=1")
    train(run_file, tmp_path / "run", overrides=options)
    assert all(float(row["sparse_l1"]) > 0 for row in losses(tmp_path / "run"))


def test_velocity_without_speed_stops_before_the_first_step(run_file: Path, moving_clip: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    (clip / "frames").symlink_to(moving_clip / "frames")
    (clip / "camera.yaml").write_text((moving_clip / "camera.yaml").read_text())
    lines = (moving_clip / "frames.csv").read_text().splitlines()
    (clip / "frames.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in lines) + "\n")
    with pytest.raises(InputError, match=r"'velocity' needs the distance traveled between frames, but clip .*clip"):
        train(run_file, tmp_path / "run", overrides=(f"data.train.0.root={clip}",))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_not_overwritten(whole: Path, run_file: Path) -> None:
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        train(run_file, whole)


def test_resuming_needs_the_same_run(whole: Path, run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run to go on with"):
        train(run_file, tmp_path / "nothing", resume=True)
    with pytest.raises(InputError, match=r"other values of training\.batch_size, training\.seed;"):
        train(run_file, whole, overrides=("training.batch_size=4", "training.seed=5"), resume=True)


def test_a_run_with_a_term_that_was_not_installed_is_no_run_to_train(run_file: Path, tmp_path: Path) -> None:
    values = load_run(run_file).model_dump(mode="json")
    values["objective"].append({"kind": "glare", "weight": 0.1})
    run = parse_run(values, "run", CheckpointContext(is_checkpoint=True))
    with pytest.raises(InputError, match="run: the class of kind 'glare' was not installed when this run was read"):
        train(run, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resuming_without_a_package_of_the_run_names_it(whole: Path, run_file: Path, tmp_path: Path) -> None:
    output = shutil.copytree(whole, tmp_path / "run")
    meta = json.loads((output / "last" / "meta.json").read_text())
    (output / "last" / "meta.json").write_text(json.dumps(meta | {"packages": {"glare": "astronomy 1.2"}}))
    glare = ("objective.0.kind=glare",)
    with pytest.raises(InputError, match=r"unknown kind 'glare', which comes from astronomy 1\.2 and is not installed"):
        train(run_file, output, resume=True, overrides=glare)
    (output / "last" / "meta.json").write_text("{")
    with pytest.raises(InputError, match="last: its description cannot be read"):
        train(run_file, output, resume=True)


def test_a_batch_that_processes_cannot_share_is_an_error(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 samples cannot be shared evenly by 3 processes"):
        train(run_file, tmp_path / "run", overrides=("training.devices=3",))


def test_early_checkpoints_are_best_only_until_later_ones_come(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "run", overrides=("training.epochs=3", "training.best_after=0.7"))
    best = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert best.epoch == 3  # the only one after 70 % of the epochs, whatever its score


def test_a_run_that_states_the_old_default_of_the_field_of_view_is_resumed(
    whole: Path, run_file: Path, tmp_path: Path
) -> None:
    output = shutil.copytree(whole, tmp_path / "old")
    kept = output / "last" / "run.yaml"
    values = yaml.safe_load(kept.read_text())
    kept.write_text(yaml.safe_dump(values | {"camera": {"learn": False, "fov": 60.0}}))
    train(run_file, output, resume=True, overrides=("training.epochs=4",))
    assert checkpoint.read_description(output / "last")[1].epoch == 4


@pytest.mark.parametrize(("by", "expected"), [("depth", "val/abs_rel"), ("loss", "val/loss")])
def test_measured_depth_that_is_kept_for_evaluation_does_not_choose_the_best_checkpoint(
    run_file: Path, tmp_path: Path, by: str, expected: str
) -> None:
    run = load_run(run_file, (f"training.best_by={by}",))
    scores = {"val/abs_rel": 0.1, "val/loss": 0.2, "train/loss": 0.3}
    checkpoints = Checkpoints(tmp_path, run, [], "velocity", Mock())
    assert checkpoints.monitored(scores) == expected
