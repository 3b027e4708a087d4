"""Tests of the detection of trainings that have collapsed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import world
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

import packdepth
from packdepth.checkpoint import RUN, WEIGHTS
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.records import Clip, Frame
from packdepth.training import checkpoints
from packdepth.training import run as training
from packdepth.training.collapse import MIN_STEPS, Flat, flat_depth, has_risen
from packdepth.training.run import train

FALLING = np.linspace(0.1, 0.02, MIN_STEPS)
RISING = np.r_[np.linspace(0.1, 0.02, MIN_STEPS // 2), np.full(MIN_STEPS // 2, 0.08)]
BOUNDED = {"kind": "muon", "weight_decay": 0.5}


def test_flat_depth_is_a_collapse_if_the_loss_rose_or_depth_left_its_start(
    run_values: dict[str, Any], tmp_path: Path
) -> None:
    output, clips = flattened(run_values, tmp_path / "run")

    def found(initial_depth: float, *kinds: str, optimizer: dict[str, Any] | None = None) -> str | None:
        depth = run_values["networks"]["depth"] | {"initial_depth": initial_depth}
        values = run_values | {"networks": run_values["networks"] | {"depth": depth}}
        values["objective"] = [{"kind": kind} for kind in ("photometric", *kinds)]
        if optimizer is not None:
            values["training"] = run_values["training"] | {"optimizer": optimizer}
        flat = flat_depth(output / "best", Run.model_validate(values), clips, "cpu")
        assert flat is None or flat.collapsed
        return None if flat is None else flat.sentence

    write_losses(output, FALLING)
    assert found(1.0) is None
    far = found(10.0)
    assert far is not None
    assert f"{output / 'best'}: the training collapsed: it started at 10 m, and depth is " in far
    depth = float(re.findall("depth is (.+) m everywhere", far)[0])
    assert found(depth) is None
    write_losses(output, RISING)
    for kinds, other_term in (((), False), (("reprojected",), True), (("reprojected", "velocity"), False)):
        sentence = found(depth, *kinds)
        assert sentence is not None
        assert sentence.startswith(f"{output / 'best'}: the training collapsed: the loss rose, and depth is ")
        assert "weight_decay: 0.5" in sentence
        assert ("`abs_rel` in place of `reprojected`" in sentence) is other_term
    assert (found(depth, optimizer=BOUNDED) or "").endswith(
        "train again with lower learning rates; a camera that is carried or turns fast needs measured poses (term "
        "`poses`), or smaller steps between frames"
    )
    assert "weight_decay: 0.5" in (found(depth, optimizer=BOUNDED | {"weight_decay": 0.1}) or "")
    assert (found(depth, "poses") or "").endswith("turns fast needs smaller steps between frames")


HEIGHT = 20.0  # metres of a drone above the ground
FLIGHT = 1.5  # metres that it flies to the right from frame to frame


def from_above(folder: Path, frames: int = 12) -> Path:
    """Write a clip of a camera that looks straight down on flat ground, with speeds, in the folder contract."""
    (folder / "frames").mkdir(parents=True)
    numbers = {name: getattr(world.CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    (folder / "camera.yaml").write_text(yaml.safe_dump(numbers))
    v, u = np.meshgrid(np.arange(world.CAMERA.height), np.arange(world.CAMERA.width), indexing="ij")
    x, y = HEIGHT * (u - world.CAMERA.cx) / world.CAMERA.fx, HEIGHT * (v - world.CAMERA.cy) / world.CAMERA.fy  # metres
    rows = ["frame,time_s,speed_mps"]
    for index in range(frames):
        ground = x + FLIGHT * index
        waves = [np.sin(a * ground + b * y + a) for a, b in ((0.5, 0.2), (-0.3, 0.6), (0.8, 0.9), (0.2, -0.7))]
        image = np.stack([0.5 + 0.4 * (wave + waves[0]) / 2 for wave in waves[1:]], -1)
        Image.fromarray((image * 255).round().astype(np.uint8)).save(folder / "frames" / f"{index:06d}.png")
        rows.append(f"{index:06d},{index / world.RATE:.4f},{FLIGHT * world.RATE:.4f}")
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")
    return folder


def unmeasured(frame: Frame) -> Frame:
    return replace(frame, speed=None, pose=None, depth=None)


@pytest.mark.parametrize(
    ("depth", "losses", "scene", "cause"),
    [
        (HEIGHT, FALLING, "ground", None),
        (HEIGHT, FALLING, "ground without speeds", None),
        (3 * HEIGHT, FALLING, "ground", "it started at 5 m"),  # measured lengths deny it
        (HEIGHT, RISING, "ground", "the loss rose"),
        (100.0, FALLING, "street", "it started at 5 m"),
        (12.0, FALLING, "street without speeds", "it started at 5 m"),  # the camera moves toward it
    ],
)
def test_flat_depth_is_no_collapse_where_the_scene_may_be_flat(
    depth: float, losses: np.ndarray, scene: str, cause: str | None, run_values: dict[str, Any], tmp_path: Path
) -> None:
    output, _ = flattened(run_values, tmp_path / "run", depth)
    write_losses(output, losses)
    ground = scene.startswith("ground")
    clips = packdepth.open((from_above if ground else world.write)(tmp_path / "clip", frames=12))
    if scene.endswith("speeds"):
        clips = [replace(clip, frames=tuple(map(unmeasured, clip.frames))) for clip in clips]
    run = Run.model_validate(run_values)
    flat = flat_depth(output / "best", run, clips, "cpu")
    assert flat is not None
    assert flat.collapsed is (cause is not None)
    sentence = "depth is 20 m everywhere: that is right for a flat scene"
    if cause is not None:
        sentence = f"the training collapsed: {cause}, and depth is "
    assert flat.sentence.startswith(f"{output / 'best'}: {sentence}")


def test_a_handful_of_steps_tells_no_collapse(run_values: dict[str, Any], tmp_path: Path) -> None:
    output, clips = flattened(run_values, tmp_path / "run")
    run = Run.model_validate(run_values)
    for losses, few in ((RISING, False), (RISING[: MIN_STEPS - 1], True), (np.array([0.02, 0.08]), True)):
        write_losses(output, losses)
        flat = flat_depth(output / "best", run, clips, "cpu")
        assert flat is not None
        assert flat.collapsed is not few
        assert (f" m everywhere, but {len(losses)} steps are too few to tell whether " in flat.sentence) is few


def test_a_run_of_a_few_steps_ends_well_and_says_that_they_tell_nothing(
    run_values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    depth = {"kind": "encoder_decoder", "encoder": {"kind": "efficientnet_lite", "weights": None}, "initial_depth": 5}
    networks = run_values["networks"] | {"depth": depth}
    few = run_values["training"] | {"epochs": 1, "depth_learning_rate": 1e-12}  # depth stays at its start
    assert train(run_values | {"networks": networks, "training": few}, tmp_path / "run").name == "best"
    assert "m everywhere, but 3 steps are too few to tell whether the training collapses" in capsys.readouterr().out


def test_a_training_that_collapsed_is_an_error(
    run_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "flat_depth", lambda *_: Flat("collapsed", collapsed=True))
    with pytest.raises(InputError, match="collapsed"):
        train(run_values, tmp_path / "run")


def test_a_collapse_is_told_after_the_epoch_in_which_it_shows(
    run_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "MIN_STEPS", 0)
    monkeypatch.setattr(checkpoints, "flat_depth", lambda folder, *_: Flat(f"{folder.name} collapsed", collapsed=True))
    train(run_values | {"training": run_values["training"] | {"epochs": 3}}, tmp_path / "run")
    assert capsys.readouterr().out.count("warning: last collapsed") == 2  # the end is an error of its own


@given(st.integers(1, 300), st.floats(0.001, 1), st.floats(0, 0.15), st.integers(0, 99))
def test_a_loss_that_falls_with_noise_has_not_risen(steps: int, start: float, noise: float, seed: int) -> None:
    falling = start * np.linspace(1, 0.3, steps)
    assert not has_risen(falling * (1 + noise * np.random.default_rng(seed).uniform(-0.5, 0.5, steps)))


def flattened(run_values: dict[str, Any], output: Path, depth: float | None = None) -> tuple[Path, list[Clip]]:
    """A run whose networks predict the same depth everywhere, `depth` metres if it is given, and its training clips."""
    train(run_values, output)
    weights = load_file(output / "best" / WEIGHTS)
    zeros = {name: torch.zeros_like(value) for name, value in weights.items() if name.startswith("depth.")}
    save_file(weights | zeros, output / "best" / WEIGHTS)
    if depth is not None:
        predicted = load(output / "best", "cpu").predict(world.picture(0)).depth
        values = yaml.safe_load((output / "best" / RUN).read_text())
        values["networks"]["depth"]["scale"] = float(depth / predicted.mean())
        (output / "best" / RUN).write_text(yaml.safe_dump(values))
    return output, [clip for source in Run.model_validate(run_values).data.train for clip in source.clips()]


def write_losses(output: Path, losses: np.ndarray) -> None:
    rows = "\n".join(f"{step},0,{loss}" for step, loss in enumerate(losses, start=1))
    (output / "metrics.csv").write_text(f"step,epoch,loss\n{rows}\n")
