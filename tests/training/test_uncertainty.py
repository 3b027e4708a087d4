"""Runs with a log-scale output: what they learn, how they go on, what their checkpoints predict and write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from packdepth import checkpoint
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.evaluation import evaluate
from packdepth.inference.options import PictureOptions, PointOptions
from packdepth.inference.predictor import load
from packdepth.inference.run import predict
from packdepth.networks.uncertainty import confidence_of, is_log_scale
from packdepth.records import Prediction
from packdepth.training.run import train


@pytest.fixture
def values(run_values: dict[str, Any]) -> dict[str, Any]:
    """A run of one epoch of two steps, with uncertainty."""
    run_values["networks"]["depth"]["uncertainty"] = True
    run_values["objective"].append({"kind": "uncertainty"})
    run_values["training"] |= {"epochs": 1, "epoch_steps": 2}
    return run_values


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory, moving_clip: Path) -> Path:
    """A checkpoint that was trained with uncertainty for two steps. Not to be written to."""
    source = {"kind": "folder", "root": str(moving_clip)}
    run = {
        "data": {"train": [source], "image_size": [32, 64], "workers": 0},
        "networks": {
            "depth": {"kind": "packnet", "preset": "tiny", "initial_depth": 5.0, "uncertainty": True},
            "pose": {"kind": "posenet", "initial_forward": 0.4},
        },
        "objective": [{"kind": "photometric"}, {"kind": "velocity"}, {"kind": "uncertainty", "residual": "truth"}],
        "training": {"epochs": 1, "epoch_steps": 3, "batch_size": 2, "accelerator": "cpu", "depth_learning_rate": 5e-3},
    }
    folder = tmp_path_factory.mktemp("sure")
    trained = checkpoint.read(train(run, folder / "run"))
    meta = trained.meta.model_copy(update={"metric": True, "scale_checks": []})  # for files that hold metres
    checkpoint.write(folder / "checkpoint", checkpoint.Checkpoint(trained.run, meta, trained.weights))
    return folder / "checkpoint"


def confidence(prediction: Prediction) -> np.ndarray:
    """The confidence of a prediction that has one."""
    assert prediction.confidence is not None
    return prediction.confidence


def test_depth_is_trained_as_without_uncertainty(values: dict[str, Any], tmp_path: Path) -> None:
    values["training"]["clip_norm"] = None
    values["training"]["epoch_steps"] = 1
    uncertain = checkpoint.read(train(values, tmp_path / "one")).weights
    values["networks"]["depth"].pop("uncertainty")
    values["objective"].pop()
    plain = checkpoint.read(train(values, tmp_path / "other")).weights
    assert set(plain) == {name for name in uncertain if not is_log_scale(name)}
    for name, weight in plain.items():
        torch.testing.assert_close(uncertain[name], weight, rtol=1e-4, atol=1e-6)


def test_the_mirrored_prediction_leaves_running_statistics_as_they_are(values: dict[str, Any], tmp_path: Path) -> None:
    values["networks"]["depth"] = {"kind": "depth_resnet", "uncertainty": True}
    values["training"] |= {"epoch_steps": 1, "clip_norm": None}
    uncertain = checkpoint.read(train(values, tmp_path / "one")).weights
    values["networks"]["depth"].pop("uncertainty")
    values["objective"].pop()
    plain = checkpoint.read(train(values, tmp_path / "other")).weights
    statistics = [name for name in plain if "running_" in name or "num_batches" in name]
    assert statistics
    for name in statistics:
        torch.testing.assert_close(uncertain[name], plain[name])


def test_a_resumed_run_keeps_training_the_output(values: dict[str, Any], tmp_path: Path) -> None:
    train(values, tmp_path / "parts")
    before = checkpoint.read(tmp_path / "parts" / "last").weights
    values["training"]["epochs"] = 2
    train(values, tmp_path / "parts", resume=True)
    parts = checkpoint.read(tmp_path / "parts" / "last").weights
    heads = [name for name in parts if is_log_scale(name)]
    assert heads
    assert any(not torch.equal(parts[name], before[name]) for name in heads)


def test_a_run_starts_from_a_checkpoint_without_it_and_the_other_way_round(
    values: dict[str, Any], sure: Path, tmp_path: Path
) -> None:
    values["data"].pop("val")
    values["training"]["depth_learning_rate"] = 1e-12
    plain = values | {
        "networks": values["networks"]
        | {"depth": {k: v for k, v in values["networks"]["depth"].items() if k != "uncertainty"}},
        "objective": values["objective"][:-1],
        "initial": {"depth": str(sure)},
    }
    first = train(plain, tmp_path / "plain")
    theirs, ours = checkpoint.read(sure).weights, checkpoint.read(first).weights
    name = "depth.conv1.conv_base.weight"
    assert not any(is_log_scale(each) for each in ours)
    torch.testing.assert_close(ours[name], theirs[name])
    values["initial"] = {"depth": str(first)}
    second = train(values, tmp_path / "again")
    again = checkpoint.read(second).weights
    torch.testing.assert_close(again[name], theirs[name])
    assert any(is_log_scale(each) for each in again)
    values["networks"]["depth"]["frozen"] = True
    with pytest.raises(InputError, match=r"predicts no uncertainty, and networks.depth is frozen"):
        train(values, tmp_path / "frozen")


def test_self_teaching_learns_from_a_checkpoint(values: dict[str, Any], sure: Path, tmp_path: Path) -> None:
    values["objective"][-1]["residual"] = "teacher"
    with pytest.raises(InputError, match="'uncertainty' needs a teacher"):
        parse_run(values, "run.yaml")
    values["objective"].append({"kind": "teacher", "network": str(sure), "weight": 0.1})
    student = train(values, tmp_path / "student")
    assert (tmp_path / "student" / "metrics.csv").read_text().splitlines()[0].count("uncertainty")
    confidence = load(student, "cpu").predict(np.zeros((32, 64, 3), np.uint8)).confidence
    assert confidence is not None


def test_uncertainty_without_its_term_or_the_term_without_it_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"no term of the objective trains it; add \{kind: uncertainty\}"):
        parse_run(values | {"objective": values["objective"][:-1]}, "run.yaml")
    flipped = {"networks": values["networks"] | {"depth": values["networks"]["depth"] | {"flip": True}}}
    with pytest.raises(InputError, match=r"networks.depth.flip makes the prediction of the mirrored image the same"):
        parse_run(values | flipped, "run.yaml")
    values["objective"][-1]["residual"] = "photometric"
    assert parse_run(values | flipped, "run.yaml").networks.depth.flip
    values["networks"]["depth"]["uncertainty"] = False
    with pytest.raises(InputError, match=r"add networks.depth.uncertainty: true"):
        parse_run(values, "run.yaml")


def test_confidence_has_the_size_of_the_image_and_mirrors_with_it(sure: Path, moving_clip: Path) -> None:
    predictor = load(sure, "cpu")
    image = np.asarray(Image.open(moving_clip / "frames" / "000001.png"))
    for picture in (image, image[:37, :51]):
        plain, flipped = predictor.predict(picture), predictor.predict(picture, flip=True)
        for found in (plain, flipped):
            assert found.confidence is not None
            assert found.confidence.shape == picture.shape[:2] == found.depth.shape
            assert found.confidence.dtype == np.float32
            assert 0 <= found.confidence.min() < found.confidence.max() <= 1
        mirrored = predictor.predict(picture[:, ::-1].copy(), flip=True)
        np.testing.assert_allclose(confidence(mirrored)[:, ::-1], confidence(flipped), atol=1e-3)
    (batched, _) = predictor.predict_batch([image, image[:37, :51]])
    np.testing.assert_allclose(confidence(batched), confidence(predictor.predict(image)), atol=1e-4)
    maps = predictor.maps(torch.rand(1, 3, 48, 96))
    assert maps.log_scale is not None
    torch.testing.assert_close(maps.confidence, confidence_of(maps.log_scale))


def test_every_writer_writes_confidence(sure: Path, moving_clip: Path, tmp_path: Path) -> None:
    predict(sure, moving_clip, tmp_path, save="depth,exr,tiff,png16,color,video,cloud,map")
    name, predictor = "000001", load(sure, "cpu")
    expected = predictor.predict(moving_clip / "frames" / f"{name}.png").confidence
    assert expected is not None
    np.testing.assert_allclose(np.load(tmp_path / f"depth/{name}.npz")["confidence"], expected, atol=1e-5)
    with Image.open(tmp_path / f"tiff/{name}.tiff") as pages:
        assert pages.n_frames == 2  # type: ignore[attr-defined]
        pages.seek(1)
        np.testing.assert_allclose(np.asarray(pages), expected, atol=1e-5)
    gray = np.asarray(Image.open(tmp_path / f"confidence/{name}.png"))
    np.testing.assert_allclose(gray / 255, expected, atol=0.003)
    assert b"confidence\0" in (tmp_path / f"exr/{name}.exr").read_bytes()[:400]
    picture = np.asarray(Image.open(tmp_path / f"color/{name}.png"))
    height, width = expected.shape
    assert picture.shape[0] == 2 * height
    np.testing.assert_array_equal(picture[height:, :width, 0], gray)
    for cloud in (tmp_path / f"cloud/{name}.ply", tmp_path / "map.ply"):
        assert b"property float confidence" in cloud.read_bytes()[:900]


def test_unsure_points_are_cut(sure: Path, moving_clip: Path) -> None:
    predictor = load(sure, "cpu")
    (prediction, *_) = predictor.video(moving_clip)
    assert prediction.confidence is not None
    middle = float(np.median(prediction.confidence))
    cloud = prediction.cloud(min_confidence=middle)
    assert cloud.confidence is not None
    assert cloud.confidence.min() >= middle
    assert 0.4 < len(cloud.points) / prediction.depth.size < 0.6
    np.testing.assert_array_equal(prediction.kept(min_confidence=middle), prediction.confidence >= middle)
    thin = prediction.cloud(thin=1.0)
    assert thin.confidence is not None
    assert len(thin.confidence) == len(thin.points) < prediction.depth.size


def test_a_cut_by_confidence_needs_a_network_that_predicts_it(
    values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    values["networks"]["depth"].pop("uncertainty")
    values["objective"].pop()
    plain = train(values, tmp_path / "run")
    image = moving_clip / "frames" / "000001.png"
    with pytest.raises(InputError, match=r"--min-confidence 0.5: .* predicts no confidence"):
        predict(plain, image, tmp_path / "out", points=PointOptions(min_confidence=0.5))
    assert not (tmp_path / "out").exists()
    prediction = load(plain, "cpu").predict(image)
    assert prediction.confidence is None
    with pytest.raises(InputError, match="this prediction has none"):
        prediction.kept(min_confidence=0.5)
    with pytest.raises(InputError, match=r"--min-confidence 1.5: is no confidence"):
        PointOptions(min_confidence=1.5).check()
    predict(plain, image, tmp_path / "out", "depth,color,tiff")
    assert "confidence" not in np.load(tmp_path / "out/depth/000001.npz")
    assert not (tmp_path / "out/confidence").exists()


def test_plain_pictures_show_depth_alone(sure: Path, moving_clip: Path, tmp_path: Path) -> None:
    image = moving_clip / "frames" / "000001.png"
    predict(sure, image, tmp_path, "color", pictures=PictureOptions(plain=True))
    assert Image.open(tmp_path / "color/000001.png").size == Image.open(image).size


def test_the_report_judges_confidence_beside_the_flip_difference(sure: Path, moving_clip: Path, tmp_path: Path) -> None:
    (report,) = evaluate(sure, "folder", moving_clip, json=tmp_path / "a.json", html=tmp_path / "a.html")
    assert report.sparsification is not None
    assert list(report.sparsification.curves) == ["confidence", "flip difference"]
    assert report.sparsification.all_pixels[0] == pytest.approx(report["abs_rel"])
    assert report.sparsification.all_pixels[2] == pytest.approx(1 - report["a1"])
    assert "of surest" in report.text()
    assert (
        report.to_json()["sparsification"]["flip difference"]["aurg"]["rmse"]
        == report.sparsification.aurg["flip difference"][1].item()
    )
    assert "Confidence" in (tmp_path / "a.html").read_text()
    predict(sure, moving_clip, tmp_path / "saved", "depth")
    (saved,) = evaluate(tmp_path / "saved", "folder", moving_clip)
    assert saved.sparsification is not None
    assert saved.sparsification.aurg["confidence"] == pytest.approx(report.sparsification.aurg["confidence"], rel=0.1)
