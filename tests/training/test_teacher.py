"""Runs with a teacher: each source trains and resumes, a cache changes nothing, and what cannot teach is named."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import foundation
import numpy as np
import pytest
import torch
from batches import make_batch
from PIL import Image

from packdepth import checkpoint
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.inference.info import describe
from packdepth.inference.predictor import load
from packdepth.inference.run import predict
from packdepth.training.run import train
from packdepth.training.teacher import teacher_network

BASE = [{"kind": "photometric"}, {"kind": "velocity", "weight": 0.1}]


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory, moving_clip: Path) -> Path:
    """A checkpoint that teaches, of another image size than the students."""
    source = {"kind": "folder", "root": str(moving_clip)}
    values = {
        "data": {"train": [source], "image_size": [48, 96], "workers": 0},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        "objective": [{"kind": "photometric"}],
        "training": {"epochs": 1, "epoch_steps": 2, "batch_size": 1, "accelerator": "cpu", "seed": 7},
    }
    return train(values, tmp_path_factory.mktemp("teacher") / "run")


def values_with(run_values: dict[str, Any], *terms: dict[str, Any]) -> dict[str, Any]:
    values = run_values | {"objective": [*BASE, *terms]}
    values["training"] = run_values["training"] | {"epochs": 2, "epoch_steps": 2}
    return values


def losses(output: Path) -> list[dict[str, str]]:
    with (output / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = (checkpoint.read(folder / "last").weights for folder in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_network_teaches_and_is_named_but_not_held(
    run_values: dict[str, Any], checkpoint_folder: Path, tmp_path: Path
) -> None:
    term = {"kind": "teacher", "network": str(checkpoint_folder)}
    train(values_with(run_values, term), tmp_path / "run")
    rows = losses(tmp_path / "run")
    for row in rows:
        total = float(row["photometric"]) + 0.1 * float(row["velocity"]) + 0.5 * float(row["teacher"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)
        assert float(row["teacher"]) > 0.1
    content = checkpoint.read(tmp_path / "run" / "last")
    assert content.meta.teacher is not None
    assert content.meta.teacher.startswith(f"{checkpoint_folder} (")
    assert content.meta.scale_source == "velocity (speed)"
    assert all(name.startswith(("depth.", "pose.")) for name in content.weights)
    assert content.meta.teacher in describe(tmp_path / "run" / "last")
    shutil.copytree(tmp_path / "run" / "last", tmp_path / "moved")
    load(tmp_path / "moved")  # needs no teacher


def test_a_cached_teacher_is_that_without_a_cache_bit_for_bit(
    run_values: dict[str, Any], checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    term = {"kind": "teacher", "network": str(checkpoint_folder)}
    train(values_with(run_values, term), tmp_path / "plain")
    cached = values_with(run_values, term | {"cache": str(tmp_path / "cache")})
    for name in ("first", "second"):
        capsys.readouterr()
        train(cached, tmp_path / name)
        assert losses(tmp_path / name) == losses(tmp_path / "plain")
        assert_equal_weights(tmp_path / name, tmp_path / "plain")
    assert capsys.readouterr().out.startswith("teacher    of 8 images, mirrored and not: up to 0.1 MB in ")
    assert 4 <= len(list((tmp_path / "cache").glob("*/*"))) <= 8


def test_a_resumed_run_has_the_same_teacher_and_ends_alike_and_a_weight_fades(
    run_values: dict[str, Any], checkpoint_folder: Path, tmp_path: Path
) -> None:
    run_values["data"]["val"] = []
    teacher = tmp_path / "teacher"
    shutil.copytree(checkpoint_folder, teacher)
    term = {"kind": "teacher", "network": str(teacher)}
    train(values_with(run_values, term | {"fade": [0.25, 0.75]}), tmp_path / "faded")
    values = values_with(run_values, term)
    short = values | {"training": values["training"] | {"epochs": 1, "schedule": {"kind": "constant"}}}
    longer = short | {"training": short["training"] | {"epochs": 2}}
    train(longer, tmp_path / "straight")
    train(short, tmp_path / "resumed")
    content = checkpoint.read(teacher)
    changed = {name: 1.01 * weight for name, weight in content.weights.items()}
    checkpoint.write(teacher, replace(content, weights=changed))
    with pytest.raises(InputError, match=r"was taught by .*teacher .* but the weights there are now others"):
        train(longer, tmp_path / "resumed", resume=True)
    checkpoint.write(teacher, content)
    train(longer, tmp_path / "resumed", resume=True)
    assert losses(tmp_path / "resumed") == losses(tmp_path / "straight")
    assert_equal_weights(tmp_path / "resumed", tmp_path / "straight")
    rows, weights = losses(tmp_path / "faded"), (0.5, 0.5, 0.25, 0.0)
    for row, weight in zip(rows, weights, strict=True):
        total = float(row["photometric"]) + 0.1 * float(row["velocity"]) + weight * float(row["teacher"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)


def test_saved_predictions_of_a_network_teach_like_the_network(
    run_values: dict[str, Any], checkpoint_folder: Path, moving_clip: Path, tmp_path: Path
) -> None:
    """At the images' own size; resizing the image and resizing the depth are not the same at another one."""
    predict(checkpoint_folder, moving_clip, tmp_path / "maps", save="depth")
    run_values["data"] |= {"image_size": [48, 96], "augmentation": {"flip": 0.0, "jitter": None}}
    train(values_with(run_values, {"kind": "teacher", "maps": str(tmp_path / "maps")}), tmp_path / "maps_run")
    train(values_with(run_values, {"kind": "teacher", "network": str(checkpoint_folder)}), tmp_path / "network_run")
    for one, other in zip(losses(tmp_path / "maps_run"), losses(tmp_path / "network_run"), strict=True):
        assert float(one["teacher"]) == pytest.approx(float(other["teacher"]), rel=1e-3)
    assert checkpoint.read_description(tmp_path / "maps_run" / "last")[1].teacher is None


def test_metric_maps_give_the_scale_and_a_missing_one_is_named_before_anything_is_written(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    shutil.copytree(moving_clip / "depth", maps)
    values = values_with(run_values, {"kind": "teacher", "maps": str(maps), "metric": True})
    values["objective"] = [{"kind": "photometric"}, values["objective"][-1]]
    train(values, tmp_path / "run")
    assert checkpoint.read_description(tmp_path / "run" / "last")[1].scale_source == "teacher"
    (maps / "000003.png").unlink()
    with pytest.raises(InputError, match="has no map for frame 000003 of clip folder/moving_clip"):
        train(values, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_sky_is_known_by_the_teacher_or_by_labels(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    clip = tmp_path / "clip"
    shutil.copytree(moving_clip, clip)
    (clip / "semantic").mkdir()
    for path in (clip / "depth").glob("*.png"):
        inverse, labels = np.full((48, 96), 0.2), np.zeros((48, 96), dtype=np.uint8)
        inverse[:12], labels[:12] = 0.0, 10
        np.savez(maps / f"{path.stem}.npz", inv_depth=inverse)
        Image.fromarray(labels).save(clip / "semantic" / path.name)
    run_values["data"] |= {"train": [{"kind": "folder", "root": str(clip)}], "val": [], "image_size": [48, 96]}
    teacher = {"kind": "teacher", "maps": str(maps), "inverse": True, "weight": 0.0}
    train(values_with(run_values, teacher, {"kind": "sky", "by": "teacher"}), tmp_path / "teacher")
    train(values_with(run_values, {"kind": "sky", "by": "labels"}), tmp_path / "labels")
    for one, other in zip(losses(tmp_path / "teacher"), losses(tmp_path / "labels"), strict=True):
        assert float(one["sky"]) == pytest.approx(float(other["sky"]), rel=1e-4)
        assert float(one["sky"]) > 0.05


def test_what_cannot_teach_is_refused(
    run_values: dict[str, Any], checkpoint_folder: Path, moving_clip: Path, tmp_path: Path
) -> None:
    def refused(sentence: str, *terms: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=sentence):
            train(values_with(run_values, *terms), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused("'sky' needs a teacher; add the term 'teacher'", {"kind": "sky", "by": "teacher"})
    refused("nowhere", {"kind": "teacher", "network": str(tmp_path / "nowhere")})
    network = {"kind": "teacher", "network": str(checkpoint_folder)}
    refused("is known up to a factor; name a metric network", network | {"metric": True})
    refused("with no label map|no label map for each", {"kind": "sky"})


def test_a_metric_network_is_corrected_for_the_focal_length(
    run_values: dict[str, Any], checkpoint_folder: Path, tmp_path: Path
) -> None:
    content = checkpoint.read(checkpoint_folder)
    metric = tmp_path / "metric"
    checkpoint.write(
        metric, replace(content, meta=content.meta.model_copy(update={"metric": True, "scale_source": "lidar"}))
    )
    values = values_with(run_values, {"kind": "teacher", "network": str(metric), "metric": True})
    teacher = teacher_network(parse_run(values, "run"))
    assert teacher is not None
    batch = make_batch(height=48, width=96)
    trained = content.meta.trained_cameras[0].camera
    plain = teacher(replace(batch, camera=replace(batch.camera, fx=batch.camera.fx * 3, fy=batch.camera.fy * 3)))
    factor = ((60 / trained.fx) * (60 / trained.fy)) ** 0.5
    (uncorrected,) = teacher.computed(batch.image)
    torch.testing.assert_close(plain, uncorrected / factor)
    with pytest.raises(InputError, match=r"which camera\.learn learns"):
        teacher_network(parse_run(values | {"camera": {"learn": True}}, "run"))


@pytest.mark.parametrize("family", ["depth_anything", "glpn"])
def test_a_model_of_transformers_teaches(family: str, run_values: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    model = foundation.save(foundation.FAMILIES[family][0](), tmp_path / "model")
    term = {"kind": "teacher", "network": str(model), "image_size": [56, 112]}
    train(values_with(run_values, term), tmp_path / "run")
    assert all(0.01 < float(row["teacher"]) < 10 for row in losses(tmp_path / "run"))
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    assert meta.teacher is not None
    assert meta.teacher.startswith(str(model))
    if family == "depth_anything":
        with pytest.raises(InputError, match="is known up to a factor; name a metric network"):
            train(values_with(run_values, term | {"metric": True}), tmp_path / "none")
    else:
        teacher = teacher_network(parse_run(values_with(run_values, term | {"metric": True}), "run"))
        assert teacher is not None
        assert 1 / 20 < float(teacher(make_batch(height=32, width=64)).median()) < 1  # 1 to 20 m


def test_the_zero_of_a_relative_model_stays_zero(run_values: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    config = foundation.depth_anything()
    model = foundation.model(config)
    with torch.no_grad():
        last = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)][-1]
        last.get_parameter("bias").fill_(-100.0)  # everything is sky
    folder = foundation.save(config, tmp_path / "model")
    model.save_pretrained(folder)
    values = values_with(run_values, {"kind": "teacher", "network": str(folder)})
    teacher = teacher_network(parse_run(values, "run"))
    assert teacher is not None
    assert teacher(make_batch(height=28, width=56)).abs().max() == 0


def test_images_are_computed_alone(run_values: dict[str, Any], checkpoint_folder: Path) -> None:
    values = values_with(run_values, {"kind": "teacher", "network": str(checkpoint_folder)})
    teacher = teacher_network(parse_run(values, "run"))
    assert teacher is not None
    images = torch.rand(3, 3, 32, 64)
    together, alone = teacher.computed(images)[0], torch.cat([teacher.computed(image[None])[0] for image in images])
    assert torch.equal(together, alone)
    assert not together.requires_grad
    assert teacher.network.training is False
