"""Evaluation from end to end: miniature data, networks that read the truth off the image, a checkpoint on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.evaluation.ego_motion import measured_motion
from packdepth.evaluation.protocols import find_protocol
from packdepth.evaluation.run import evaluate, full_depth, judged_truth, network_scores
from packdepth.inference.predictor import Predictor, image_tensor, load
from packdepth.networks.build import depth_network, pose_network
from packdepth.sources.files import ImageFile

METRICS = ["abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"]
ODOMETRY = find_protocol("kitti-odometry-clip")
RAW = find_protocol("kitti-raw-clip")

Seer = Callable[..., Predictor]


@pytest.fixture
def trained(tmp_path: Path, seer: Seer) -> Path:
    """A checkpoint of networks with random weights."""
    run, meta = seer().run, seer().meta
    torch.manual_seed(0)
    networks = torch.nn.ModuleDict(
        {"depth": depth_network(run.networks.depth), "pose": pose_network(run.networks.pose)}
    )
    folder = tmp_path / "checkpoint"
    checkpoint.write(folder, checkpoint.Checkpoint(run, meta, networks.state_dict()))
    return folder


def test_a_network_that_sees_all(odometry: Path, seer: Seer) -> None:
    clip = ODOMETRY.clip(odometry)
    scores, ego_motion = network_scores(seer(), ODOMETRY, clip, judged_truth(ODOMETRY, clip), measured_motion(clip))
    assert list(scores) == ["plain", "scaled", "flip", "flip_scaled"]
    for row in scores.values():
        assert list(row) == METRICS
        assert row["abs_rel"] < 1e-3  # depth maps hold 1/256 m
        assert row["a1"] == 1
    assert ego_motion is not None
    assert (ego_motion.motions, ego_motion.distance) == pytest.approx((50, 40.0))
    assert (ego_motion.translation, ego_motion.length_ratio) == pytest.approx((0, 1), abs=1e-6)


def test_a_network_with_another_unit(raw: Path, seer: Seer) -> None:
    clip = RAW.clip(raw)
    scores, ego_motion = network_scores(seer(factor=0.5), RAW, clip, judged_truth(RAW, clip), measured_motion(clip))
    assert scores["plain"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert scores["flip"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert scores["scaled"]["abs_rel"] < 1e-5
    assert scores["flip_scaled"]["abs_rel"] < 1e-5
    assert ego_motion is None  # no poses


def test_flip_fusion_heals_the_border(odometry: Path, seer: Seer) -> None:
    clip = ODOMETRY.clip(odometry)
    scores, _ = network_scores(seer(blind=3), ODOMETRY, clip, judged_truth(ODOMETRY, clip), measured_motion(clip))
    assert scores["plain"]["abs_rel"] > 0.03
    assert scores["flip"]["abs_rel"] < 1e-3


def test_images_are_decoded_once_and_inferred_once_in_each_orientation(
    odometry: Path, seer: Seer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = ODOMETRY.clip(odometry)
    truth = judged_truth(ODOMETRY, clip)
    predictor, decoded = seer(), []

    def read(image: ImageFile) -> np.ndarray:
        decoded.append(image.path)
        return np.zeros((40, 60, 3), dtype=np.uint8)

    monkeypatch.setattr(ImageFile, "read", read)
    network_scores(predictor, ODOMETRY, clip, truth, measured_motion(clip))
    assert len(decoded) == len(set(decoded)) == 51
    assert predictor.depth.calls == 2 * 51


def test_what_is_judged_is_what_the_predictor_predicts(odometry: Path, trained: Path) -> None:
    predictor = load(trained)
    pixels = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))  # not the network's size
    image = pixels[0].permute(1, 2, 0).numpy()
    found = full_depth(predictor.inv_depth(image_tensor(image)), torch.zeros(1, 1, 70, 90))
    np.testing.assert_array_equal(found[0, 0], predictor.predict(image).depth)


def test_a_report(odometry: Path, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "odometry.json"
    report = evaluate(trained, "kitti-odometry-clip", odometry, file)
    content = json.loads(file.read_text())
    assert content == report.to_json()
    assert content["protocol"] == "kitti-odometry-clip"
    assert content["images"] == 50  # one of 51 has no truth
    assert list(content["metrics"]) == ["plain", "scaled", "flip", "flip_scaled"]
    for row in [*content["metrics"].values(), content["baseline"], content["baseline_scaled"]]:
        assert list(row) == METRICS
        assert all(np.isfinite(list(row.values())))
    assert content["ego_motion"]["motions"] == 50
    assert content["ego_motion_baseline"]["translation"] == pytest.approx(0, abs=1e-9)  # straight, at one speed
    assert content["checkpoint"] == {"path": str(trained), "metric": True, "scale_source": "velocity (poses)"}
    assert [path.name for path in file.parent.iterdir()] == ["odometry.json"]

    lines = report.table().splitlines()
    assert lines[0] == "protocol  kitti-odometry-clip"
    (header,) = [line for line in lines if line.split() == METRICS]
    for name in ("plain", "scaled", "flip", "flip_scaled", "baseline", "baseline_scaled"):
        (row,) = [line for line in lines if line.split()[:1] == [name] and len(line.split()) == 8]
        assert len(row) == len(header)
    assert lines[-1].startswith("rotation ")


def test_a_checkpoint_without_a_pose_network(
    odometry: Path, seer: Seer, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = seer()
    monkeypatch.setattr(predictor, "pose", None)
    monkeypatch.setattr("packdepth.evaluation.run.load", lambda checkpoint: predictor)
    report = evaluate(trained, "kitti-odometry-clip", odometry)
    assert report.metrics["plain"]["abs_rel"] < 1e-3
    assert report.to_json()["ego_motion"] is None
    assert report.to_json()["ego_motion_baseline"] is None
    assert "rotation" not in report.table()


def test_a_report_on_sparse_truth(raw: Path, trained: Path) -> None:
    report = evaluate(trained, "kitti-raw-clip", raw)
    content = report.to_json()
    assert content["images"] == 7
    assert content["ego_motion"] is content["ego_motion_baseline"] is None
    assert "ego-motion" not in report.table()
    # Each pixel has a value in two or three of seven scans: the median over all of them saw the answer.
    assert content["pixel_median"]["abs_rel"] < content["baseline"]["abs_rel"]
    assert "pixel_median_scaled" in content


@pytest.mark.parametrize(
    ("protocol", "data", "message"),
    [
        ("kitti-odometri-clip", "", "did you mean 'kitti-odometry-clip'"),
        ("kitti-odometry-clip", "nowhere", "nowhere: not found"),
        ("kitti-raw-clip", "", "finds neither"),
    ],
)
def test_mistakes_come_before_the_checkpoint(
    odometry: Path, tmp_path: Path, protocol: str, data: str, message: str
) -> None:
    file = tmp_path / "reports" / "report.json"
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path / "no checkpoint", protocol, odometry / data, file)
    assert not file.parent.exists()


def test_no_checkpoint_and_no_place_for_the_report(odometry: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no checkpoint"):
        evaluate(tmp_path / "nothing", "kitti-odometry-clip", odometry)
    with pytest.raises(InputError, match="is a folder; name a file"):
        evaluate(trained, "kitti-odometry-clip", odometry, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a folder"):
        evaluate(trained, "kitti-odometry-clip", odometry, tmp_path / "file" / "report.json")


def test_a_failure_on_the_way_leaves_the_old_report(
    odometry: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(image: ImageFile) -> np.ndarray:
        raise KeyboardInterrupt

    file = tmp_path / "report.json"
    file.write_text("old")
    monkeypatch.setattr(ImageFile, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(trained, "kitti-odometry-clip", odometry, file)
    assert file.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "report.json"]


def test_truth_that_hardly_counts(raw: Path) -> None:
    clip = RAW.clip(raw)
    for frame in clip.frames:
        if frame.lidar and frame.name != "0000000012":
            object.__setattr__(frame.lidar, "T_camera_velodyne", np.diag([-1.0, -1.0, -1.0, 1.0]))
    with pytest.raises(InputError, match="hardly any measured depth counts under kitti-raw-clip"):
        judged_truth(RAW, clip)
