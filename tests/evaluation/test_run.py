"""Evaluation from end to end: miniature data, networks that read the truth off the image, a checkpoint on disk."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch

from packdepth import checkpoint
from packdepth.classes import Label
from packdepth.data.beams import beam_depth
from packdepth.errors import InputError
from packdepth.evaluation.ego_motion import EgoMotionErrors
from packdepth.evaluation.metrics import valid_truth
from packdepth.evaluation.predictions import FromCheckpoint
from packdepth.evaluation.protocols import Protocol, find_protocol
from packdepth.evaluation.report import text
from packdepth.evaluation.run import evaluate, evaluate_all, frame_truth, full_depth, judge, judged_truth
from packdepth.evaluation.scores import Scores, scores_by_part
from packdepth.geometry.camera import Camera
from packdepth.inference.predictor import Predictor, image_tensor, load
from packdepth.inference.run import predict
from packdepth.records import Clip, Frame
from packdepth.sources.files import ImageFile

from .conftest import CX, CY, FOCAL, HEIGHT, WIDTH, depth, red

METRICS = ["abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"]
ODOMETRY = find_protocol("kitti-odometry-clip")
RAW = find_protocol("kitti-raw-clip")
CITY = find_protocol("city")

Seer = Callable[..., Predictor]


def judged(predictor: Predictor, protocol: Protocol, data: Path) -> tuple[dict[str, Scores], EgoMotionErrors | None]:
    """The means by row, and the errors of ego-motion."""
    report = judge(FromCheckpoint("seer", predictor), protocol, protocol.clips(data), {})
    return report.metrics, report.ego_motion


@dataclass(frozen=True, eq=False)
class Memory:
    values: np.ndarray
    path: Path = Path("memory")

    def read(self) -> np.ndarray:
        return self.values


def labeled(count: int) -> list[Clip]:
    """A clip of unrelated images in memory: road below, a moving car in it, sky without depth above."""
    semantic = np.full((HEIGHT, WIDTH), Label.ROAD, dtype=np.uint8)
    semantic[:10], semantic[20:30, 10:30] = Label.SKY, Label.CAR
    frames = tuple(
        Frame(
            name=str(i),
            time=0.0,
            image=Memory(np.stack([red(i)] * 3, axis=-1)),
            depth=Memory(np.where(semantic == Label.SKY, 0, depth(i)).astype(np.float32)),
            semantic=Memory(semantic),
            moving=Memory(semantic == Label.CAR),
            instance=Memory((semantic == Label.CAR).astype(np.int32)),
        )
        for i in range(count)
    )
    camera = Camera(FOCAL, FOCAL, CX, CY, width=WIDTH, height=HEIGHT)
    return [Clip("memory", Path("memory"), camera, frames, independent=True)]


@pytest.fixture
def trained(tmp_path: Path, seer: Seer) -> Path:
    """A checkpoint of networks with random weights."""
    run, meta = seer().run, seer().meta
    torch.manual_seed(0)
    networks = torch.nn.ModuleDict({"depth": run.networks.depth.assemble(), "pose": run.networks.pose.assemble()})
    folder = tmp_path / "checkpoint"
    checkpoint.write(folder, checkpoint.Checkpoint(run, meta, networks.state_dict()))
    return folder


def test_a_network_that_sees_all(odometry: Path, seer: Seer) -> None:
    scores, ego_motion = judged(seer(), ODOMETRY, odometry)
    assert list(scores) == ["plain", "scaled", "flip", "flip_scaled"]
    for row in scores.values():
        assert list(row) == METRICS
        assert row["abs_rel"] < 1e-3  # depth maps hold 1/256 m
        assert row["a1"] == 1
    assert ego_motion is not None
    assert (ego_motion.motions, ego_motion.distance) == pytest.approx((50, 40.0))
    assert (ego_motion.translation, ego_motion.length_ratio) == pytest.approx((0, 1), abs=1e-6)


def test_a_network_with_another_unit(raw: Path, seer: Seer) -> None:
    scores, ego_motion = judged(seer(factor=0.5), RAW, raw)
    assert scores["plain"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert scores["flip"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert scores["scaled"]["abs_rel"] < 1e-5
    assert scores["flip_scaled"]["abs_rel"] < 1e-5
    assert ego_motion is None  # no poses


def test_what_training_has_seen_of_a_scan_is_not_judged(raw: Path) -> None:
    """The returns of the kept beams do not count; with the others they are the whole scan."""
    protocol = replace(RAW, crop="none", left_out=8)
    (clip,) = protocol.clips(raw)
    frame = clip.frames[12]
    whole, judged = (frame_truth(p, clip, frame)[0].nan_to_num() for p in (replace(protocol, left_out=None), protocol))
    trained = beam_depth(clip, frame, 8)
    assert (trained > 0).any()
    assert (judged > 0).any()
    assert not ((trained > 0) & (judged > 0)).any()
    torch.testing.assert_close(trained + judged, whole)


def test_flip_fusion_heals_the_border(odometry: Path, seer: Seer) -> None:
    scores, _ = judged(seer(blind=3), ODOMETRY, odometry)
    assert scores["plain"]["abs_rel"] > 0.03
    assert scores["flip"]["abs_rel"] < 1e-3


def test_images_are_decoded_once_and_inferred_once_in_each_orientation(
    odometry: Path, seer: Seer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip,) = ODOMETRY.clips(odometry)
    predictor, decoded = seer(), []

    def read(image: ImageFile) -> np.ndarray:
        decoded.append(image.path)
        return np.zeros((40, 60, 3), dtype=np.uint8)

    monkeypatch.setattr(ImageFile, "read", read)
    judge(FromCheckpoint("seer", predictor), ODOMETRY, [clip], {})
    assert len(decoded) == len(set(decoded)) == 51
    assert predictor.depth.calls == 2 * 50  # one image has no truth


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
    monkeypatch.setattr("packdepth.evaluation.predictions.load", lambda checkpoint: predictor)
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
    (clip,) = RAW.clips(raw)
    for frame in clip.frames:
        if frame.lidar and frame.name != "0000000012":
            object.__setattr__(frame.lidar, "T_camera_velodyne", np.diag([-1.0, -1.0, -1.0, 1.0]))
    with pytest.raises(InputError, match="hardly any measured depth counts under kitti-raw-clip"):
        judged_truth(RAW, [clip])


def test_ego_motion_over_a_gap_in_time_is_not_judged(odometry: Path, seer: Seer) -> None:
    (clip,) = ODOMETRY.clips(odometry)
    frames = tuple(replace(frame, time=frame.time + 9 * (i > 20)) for i, frame in enumerate(clip.frames))
    report = judge(FromCheckpoint("seer", seer()), ODOMETRY, [replace(clip, frames=frames)], {})
    assert report.ego_motion is not None
    assert (report.ego_motion.motions, report.ego_motion.distance) == pytest.approx((49, 39.2))


def test_several_checkpoints_on_one_page(odometry: Path, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    file, page = tmp_path / "report.json", tmp_path / "report.html"
    reports = evaluate_all([trained, other], "kitti-odometry-clip", odometry, file, page)
    content = json.loads(file.read_text())
    assert content["protocol"] == "kitti-odometry-clip"
    assert [report["checkpoint"]["path"] for report in content["reports"]] == [str(trained), str(other)]
    assert content["reports"][0]["metrics"] == content["reports"][1]["metrics"]
    shown = text(reports)
    assert shown.count("protocol  ") == 1
    assert shown.count(f"  {other}") == 4  # a line in each row's table
    html = page.read_text()
    assert "$" not in html
    assert not re.search(r"(src|href)=['\"]https?:", html)  # one file that needs nothing else
    assert html.count("<img ") == 2 * 3 * 4
    assert f"{reports[0].metrics['plain']['abs_rel']:.3f}" in html
    for setting in reports[0].protocol.settings().values():
        assert escape(setting) in html


def test_parts_are_told(odometry: Path, seer: Seer) -> None:
    report = judge(FromCheckpoint("seer", seer(factor=0.5)), ODOMETRY, ODOMETRY.clips(odometry), {})
    content = report.to_json()
    assert list(content["parts"]) == ["0 to 10 m", "edges"]  # depths are from 2 to 9 metres
    assert content["part_images"]["0 to 10 m"] == 50
    assert content["parts"]["0 to 10 m"]["plain"]["abs_rel"] == pytest.approx(1, rel=1e-4)
    assert content["images_without_truth"] == 1
    assert "1 more have no truth that counts" in report.table()
    assert content["intervals"] is None  # one clip


def test_labels_and_unrelated_images(seer: Seer) -> None:
    """A clip in memory: classes, their mean, intervals over images."""
    (clip,) = labeled(4)
    report = judge(FromCheckpoint("seer", seer(factor=0.8)), CITY, [clip], {})
    assert list(report.parts) == ["0 to 10 m", "edges", "moving", "lead car", "rest", "road", "car"]
    assert report.class_means is not None
    assert report.class_means["plain"]["abs_rel"] == pytest.approx(0.25, rel=1e-3)
    assert report.units == 4
    low, high = report.to_json()["intervals"]["plain"]["abs_rel"]
    assert low <= report.metrics["plain"]["abs_rel"] <= high
    assert "mean of classes" in report.table()
    assert "95 % intervals" in report.table()


def test_what_moves_is_told_to_be_too_far(seer: Seer) -> None:
    (clip,) = labeled(2)
    report = judge(FromCheckpoint("seer", seer(factor=0.5)), CITY, [clip], {})
    for part in ("moving", "lead car", "rest"):
        assert report.parts[part]["plain"]["too_far"] == 1
        assert report.parts[part]["scaled"]["too_far"] == 0
    assert "too_far" not in report.parts["car"]["plain"]
    lines = report.table().splitlines()
    header = next(i for i, line in enumerate(lines) if "1.5 times too far" in line) + 2
    assert lines[header + 2].split() == ["lead", "car", "1.0000", "0.0000", "1.0000", "0.0000"]


def test_boundaries_are_told_where_truth_is_dense(seer: Seer) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, : WIDTH // 2, 0], image[:, WIDTH // 2 :, 0] = 200, 100
    truth = np.roll(255 / (0.5 * image[..., 0].astype(np.float32)), 3, axis=1)  # three pixels to the right
    frame = Frame(name="a", time=0.0, image=Memory(image), depth=Memory(truth))
    camera = Camera(FOCAL, FOCAL, CX, CY, width=WIDTH, height=HEIGHT)
    clips = [Clip("memory", Path("memory"), camera, (frame,))]
    report = judge(FromCheckpoint("seer", seer()), CITY, clips, {})
    expected = pytest.approx({"dbe_acc": 3, "dbe_comp": 3})
    assert report.to_json()["boundaries"] == {"plain": expected, "flip": expected}
    assert "dbe_comp" in report.findings()
    assert judge(FromCheckpoint("seer", seer()), replace(CITY, boundaries=False), clips, {}).boundaries is None


def test_ties_to_the_reference_of_resizing() -> None:
    """Depth, not its inverse, where the protocol says so: at the corners exactly, between them the mean of depths."""
    inv_depth = torch.tensor([[1.0, 0.25]])[None, None]
    truth = torch.zeros(1, 1, 1, 3)
    assert full_depth(inv_depth, truth, "depth")[0, 0, 0].tolist() == pytest.approx([1, 2.5, 4])
    assert full_depth(inv_depth, truth, "inverse_depth")[0, 0, 0, 1].item() == pytest.approx(1.6)
    assert set(full_depth(inv_depth, truth, "depth_nearest")[0, 0, 0].tolist()) == {1.0, 4.0}


def test_scans_as_monodepth2_projects_them(raw: Path) -> None:
    """The same map, a pixel left and up."""
    (clip,) = RAW.clips(raw)
    own, theirs = (
        frame_truth(replace(RAW, crop="none", projection=projection), clip, clip.frames[12])[0, 0].nan_to_num()
        for projection in ("nearest", "monodepth2")
    )
    assert (own > 0).sum() > 100
    assert torch.equal(theirs[:-1, :-1], own[1:, 1:])


def test_eigen_s_images_among_their_neighbors(raw: Path, seer: Seer) -> None:
    """Of drives in memory only the targets are judged, and drives are what intervals are drawn from."""
    protocol = replace(find_protocol("kitti-eigen-original"), images=None)
    (clip,) = RAW.clips(raw)
    clips = [
        replace(clip, name=f"kitti_raw/{drive}/left", drive=drive, targets=frozenset(["0000000000", "0000000024"]))
        for drive in ("a", "b", "c")
    ]
    judged_clips = [replace(c, frames=tuple(f for i, f in enumerate(c.frames) if protocol.judges(c, i))) for c in clips]
    report = judge(FromCheckpoint("seer", seer()), protocol, judged_clips, {})
    assert (report.images, report.units) == (6, 3)
    assert report.intervals is not None
    assert report.ego_motion is None


def test_saved_predictions_score_as_their_checkpoint(odometry: Path, trained: Path, tmp_path: Path) -> None:
    images = odometry / "kitti_odometry/dataset/sequences/06/image_0"
    predict(trained, images, tmp_path / "saved", save="depth")
    report = evaluate(tmp_path / "saved", "kitti-odometry-clip", odometry)
    assert report.rows == ["plain", "scaled"]
    assert (report.metric, report.scale_source) == (True, "velocity (poses)")
    expected = evaluate(trained, "kitti-odometry-clip", odometry).metrics
    for row in report.rows:
        assert report.metrics[row] == pytest.approx(expected[row], rel=1e-4)
    assert report.ego_motion is None
    (tmp_path / "saved/depth/000003.npz").unlink()
    with pytest.raises(InputError, match=r"000003\.npz: not found; predict all frames"):
        evaluate(tmp_path / "saved", "kitti-odometry-clip", odometry)


def test_several_processes_give_the_same_numbers(raw: Path, trained: Path) -> None:
    alone, both = (evaluate_all([trained], "kitti-raw-clip", raw, processes=n)[0].to_json() for n in (1, 2))
    assert alone == both


def test_no_checkpoint_is_named(odometry: Path) -> None:
    with pytest.raises(InputError, match="name at least one"):
        evaluate_all([], "kitti-odometry-clip", odometry)


def test_the_prediction_of_the_reference(data: Path) -> None:
    """The depth that TRI's PackNet predicted for a frame of DDAD, against the LiDAR up to 200 m: abs_rel 0.154."""
    with np.load(data / "ddad_format/golden_scene_02_camera_01.npz") as content:
        depth, truth = (torch.from_numpy(content[name])[None, None] for name in ("depth", "gt_depth"))
    protocol = find_protocol("ddad-val")
    counts = valid_truth(truth, protocol.min_depth, protocol.cap, protocol.crop)
    known = torch.where(counts, truth, torch.nan)
    for resizing, tolerance in (("inverse_depth", 5e-4), (protocol.resizing, 1e-3)):
        full = full_depth(1 / depth, known, resizing)
        found = scores_by_part(protocol, full[0, 0], known[0, 0], {}, scaled=False)["all"]
        assert found[0] == pytest.approx(0.154, abs=tolerance)
