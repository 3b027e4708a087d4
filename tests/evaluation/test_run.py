"""Evaluation from end to end: miniature data, networks that read the depth off the image, a checkpoint on disk."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from described import described
from markupsafe import escape

import packdepth
from packdepth import cli
from packdepth.classes import Label
from packdepth.config import Run
from packdepth.data.beams import beam_depth
from packdepth.errors import InputError
from packdepth.evaluation import Protocol, Report, evaluate, find_protocol
from packdepth.evaluation.choices import STANDARD_METRICS, Resizing
from packdepth.evaluation.ground_truth import ground_truth
from packdepth.evaluation.metrics import valid_truth
from packdepth.evaluation.predictions import open_predictions
from packdepth.evaluation.report import reports_text
from packdepth.evaluation.run import evaluate_clips, full_depth
from packdepth.evaluation.scores import scores_by_part
from packdepth.geometry.camera import Camera
from packdepth.inference.predictor import Predictor, image_tensor, load
from packdepth.inference.run import predict
from packdepth.records import Clip, Frame

from .conftest import CX, CY, FOCAL, HEIGHT, WIDTH, Reader, depth, reader, red

METRICS = list(STANDARD_METRICS)
ODOMETRY = find_protocol("kitti-odometry-clip")
RAW = find_protocol("kitti-raw-clip")
CITY = find_protocol("city")


def evaluated(predictor: Predictor, clips: list[Clip], protocol: Protocol = CITY) -> Report:
    """The report on clips in memory."""
    return evaluate_clips(open_predictions(predictor), protocol, clips, {})


@dataclass(frozen=True, eq=False)
class Memory:
    """A file in memory, which notes when it is read."""

    values: np.ndarray
    path: Path = Path("memory")
    reads: list[int] = field(default_factory=list)

    def read(self) -> np.ndarray:
        self.reads.append(1)
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


def test_a_network_that_reads_the_depth(odometry: Path) -> None:
    (report,) = evaluate(reader(), ODOMETRY, odometry)
    assert list(report.rows) == ["plain", "scaled", "flip", "flip_scaled"]
    for row in report.rows.values():
        assert list(row) == METRICS
        assert row["abs_rel"] < 1e-3  # depth maps hold 1/256 m
        assert row["a1"] == 1
    assert report.ego_motion is not None
    assert (report.ego_motion.motions, report.ego_motion.distance) == pytest.approx((50, 40.0))
    assert (report.ego_motion.translation, report.ego_motion.length_ratio) == pytest.approx((0, 1), abs=1e-6)


def test_a_network_with_another_unit(raw: Path) -> None:
    (report,) = evaluate(reader(factor=0.5), RAW, raw)
    assert report.rows["plain"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert report.rows["flip"]["abs_rel"] == pytest.approx(1, rel=1e-5)
    assert report.rows["scaled"]["abs_rel"] < 1e-5
    assert report.rows["flip_scaled"]["abs_rel"] < 1e-5
    assert report.ego_motion is None  # no poses


def test_lengths_are_those_of_prediction_on_a_camera_of_another_focal_length(odometry: Path) -> None:
    """The network was trained on a shorter lens and takes for near what this one enlarges: it is right here."""
    zoom = 1.22
    predictor = reader(factor=zoom)
    numbers = {"width": WIDTH, "height": HEIGHT, "cx": CX, "cy": CY, "fx": FOCAL / zoom, "fy": FOCAL / zoom}
    predictor.meta = described(trained_cameras=[numbers])
    (report,) = evaluate(predictor, ODOMETRY, odometry)
    assert report.metric
    assert report.rows["plain"]["abs_rel"] < 1e-3
    (path,) = packdepth.odometry(predictor, odometry / "kitti_odometry/dataset/sequences/06")
    assert path.errors is not None
    assert report.ego_motion is not None
    assert report.ego_motion.scale == pytest.approx(path.errors.distance / path.distance)
    assert report.ego_motion.length_ratio == pytest.approx(zoom)


def test_returns_that_training_used_are_not_evaluated(raw: Path) -> None:
    """The returns of the kept beams do not count; with the others they are the whole scan."""
    protocol = replace(RAW, crop="none", left_out=8)
    (clip,) = protocol.clips(raw)
    frame = clip.frames[12]
    whole, others = (ground_truth(p, clip, frame)[0].nan_to_num() for p in (replace(protocol, left_out=None), protocol))
    used = beam_depth(clip, frame, 8)
    assert (used > 0).any()
    assert (others > 0).any()
    assert not ((used > 0) & (others > 0)).any()
    torch.testing.assert_close(used + others, whole)


def test_flip_fusion_heals_the_border(odometry: Path) -> None:
    (report,) = evaluate(reader(blind=3), ODOMETRY, odometry)
    assert report.rows["plain"]["abs_rel"] > 0.03
    assert report.rows["flip"]["abs_rel"] < 1e-3


def test_a_report_says_where_the_training_has_seen_no_mirrored_image() -> None:
    clips = labeled(1)
    predictor = reader()
    assert isinstance(predictor.run, Run)
    assert "mirrored images" not in evaluated(predictor, clips).results_text()
    data = predictor.run.data
    augmentation = data.augmentation.model_copy(update={"flip": 0.0})
    data = data.model_copy(update={"augmentation": augmentation})
    predictor.run = predictor.run.model_copy(update={"data": data})
    assert "flip: this network was trained without mirrored images" in evaluated(predictor, clips).results_text()


def test_images_are_decoded_once_and_predicted_once_in_each_orientation() -> None:
    (clip,) = labeled(3)
    predictor = reader()
    evaluated(predictor, [clip])
    assert [image.reads for frame in clip.frames if isinstance(image := frame.image, Memory)] == [[1]] * 3
    assert isinstance(predictor.depth, Reader)
    assert predictor.depth.calls == 2 * 3


def test_evaluated_depth_is_what_the_predictor_predicts(odometry: Path, trained: Path) -> None:
    predictor = load(trained)
    pixels = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))  # not the network's size
    image = pixels[0].permute(1, 2, 0).numpy()
    found = full_depth(predictor.inv_depth(image_tensor(image)), torch.zeros(1, 1, 70, 90))
    np.testing.assert_array_equal(found[0, 0], predictor.predict(image).depth)


def test_a_report(odometry: Path, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "odometry.json"
    (report,) = evaluate(trained, "kitti-odometry-clip", odometry, json=file)
    content = json.loads(file.read_text())
    assert content == report.to_json()
    assert content["protocol"] == "kitti-odometry-clip"
    assert content["images"] == report.image_count == 50  # one of 51 has no ground truth
    assert list(content["metrics"]) == ["plain", "scaled", "flip", "flip_scaled"]
    for row in [*content["metrics"].values(), content["baseline"], content["baseline_scaled"]]:
        assert list(row) == METRICS
        assert 0 <= row["a1"] <= row["a2"] <= row["a3"] <= 1
        assert row["rmse"] >= row["abs_rel"] > 0  # depths are greater than a metre
    assert content["ego_motion"]["motions"] == 50
    assert content["ego_motion_baseline"]["translation"] == pytest.approx(0, abs=1e-9)  # straight, at one speed
    assert content["checkpoint"] == {
        "path": str(trained),
        "metric": True,
        "scale_source": "velocity (poses)",
        "scale": "metric, from velocity (poses)",
    }
    assert [path.name for path in file.parent.iterdir()] == ["odometry.json"]

    lines = report.text().splitlines()
    assert lines[:3] == [report.headline, "", "protocol  kitti-odometry-clip"]
    (header,) = [line for line in lines if line.split() == METRICS]
    for name in ("plain", "scaled", "flip", "flip_scaled", "baseline", "baseline_scaled"):
        (row,) = [line for line in lines if line.split()[:1] == [name] and len(line.split()) == 8]
        assert len(row) == len(header)
    assert lines[-1].startswith("rotation ")


def test_the_numbers_of_a_report(odometry: Path, trained: Path) -> None:
    (report,) = packdepth.evaluate(trained, "kitti-odometry-clip", odometry)
    assert report.row == "plain"  # the checkpoint is metric
    assert report.scores == report.rows["plain"]
    assert report["abs_rel"] == report.scores["abs_rel"]
    unscaled = replace(report, metric=False)
    assert (unscaled.row, unscaled["a1"]) == ("scaled", report.rows["scaled"]["a1"])
    with pytest.raises(KeyError, match="there is no metric 'abs_rell'; the metrics are abs_rel, sq_rel"):
        report["abs_rell"]
    expected = f"<Report kitti-odometry-clip: {trained}, 50 images, abs_rel {report['abs_rel']:.3f} (plain)>"
    assert repr(report) == expected


def test_the_command_line_writes_the_numbers_of_the_record(
    moving_clip: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A protocol as an object and its name on the command line give the same report."""
    (report,) = packdepth.evaluate([trained], CITY, moving_clip)
    arguments = ["evaluate", str(trained), "--protocol", "city", "--data", str(moving_clip)]
    assert cli.main([*arguments, "--json", str(tmp_path / "city.json")]) == 0
    content = json.loads((tmp_path / "city.json").read_text())
    assert content == json.loads(json.dumps(report.to_json()))
    assert content["metrics"]["plain"] == report.scores
    assert capsys.readouterr().out == f"{report.text()}\n"


def test_a_protocol_of_one_s_own(moving_clip: Path, trained: Path) -> None:
    """Nearer ground truth alone: the part that the whole protocol names so."""
    own = Protocol(name="near", about="near", source={"kind": "folder", "root": moving_clip.name}, cap=10)
    whole, near = (evaluate(trained, p, moving_clip.parent)[0] for p in (replace(own, name="all", cap=80), own))
    assert near["rmse"] <= 10
    assert near.image_count == whole.part_images["0 to 10 m"] == world.FRAMES
    assert near.protocol is own
    assert near.split == whole.split


def test_a_predictor_is_evaluated_as_its_checkpoint(moving_clip: Path, trained: Path) -> None:
    by_path, by_object = evaluate([trained, load(trained)], CITY, moving_clip)
    assert by_object.rows == by_path.rows
    assert by_object.ego_motion == by_path.ego_motion
    with pytest.raises(InputError, match="a predictor cannot be sent to other processes; give the path"):
        evaluate(load(trained), CITY, moving_clip, processes=2)


def test_a_checkpoint_without_a_pose_network(odometry: Path) -> None:
    whole = reader()
    depth_alone = Predictor(whole.run, whole.meta, whole.depth, None, whole.device)
    (report,) = evaluate(depth_alone, "kitti-odometry-clip", odometry)
    assert report.rows["plain"]["abs_rel"] < 1e-3
    assert report.to_json()["ego_motion"] is None
    assert report.to_json()["ego_motion_baseline"] is None
    assert "rotation" not in report.text()


def test_a_report_on_sparse_ground_truth(raw: Path, trained: Path) -> None:
    (report,) = evaluate(trained, "kitti-raw-clip", raw)
    content = report.to_json()
    assert content["images"] == 7
    assert content["ego_motion"] is content["ego_motion_baseline"] is None
    assert "ego-motion" not in report.text()
    # Each pixel has a value in two or three of seven scans: the median over all of them contains the answer.
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
        evaluate(tmp_path / "no checkpoint", protocol, odometry / data, json=file)
    assert not file.parent.exists()


def test_no_checkpoint_and_no_place_for_the_report(odometry: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found; give a folder that training wrote"):
        evaluate(tmp_path / "nothing", "kitti-odometry-clip", odometry)
    with pytest.raises(InputError, match="is a folder; name a file"):
        evaluate(trained, "kitti-odometry-clip", odometry, json=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a folder"):
        evaluate(trained, "kitti-odometry-clip", odometry, json=tmp_path / "file" / "report.json")


def test_a_failure_on_the_way_leaves_the_old_report(odometry: Path, trained: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(odometry, tmp_path / "data"))
    image = next(data.rglob("image_0/000040.png"))
    content = bytearray(image.read_bytes())
    content[200:400] = bytes(200)
    image.write_bytes(content)
    file = tmp_path / "report.json"
    file.write_text("old")
    with pytest.raises(InputError, match=r"000040\.png"):
        evaluate(trained, "kitti-odometry-clip", data, json=file)
    assert file.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "report.json"]


def test_ground_truth_of_a_single_image(raw: Path, trained: Path, tmp_path: Path) -> None:
    """All scans but one lie behind the camera."""
    data = Path(shutil.copytree(raw, tmp_path / "data"))
    for path in data.rglob("velodyne_points/data/*.bin"):
        if path.stem != "0000000012":
            (-abs(np.fromfile(path, dtype="<f4"))).tofile(path)
    with pytest.raises(InputError, match="hardly any measured depth is valid under kitti-raw-clip"):
        evaluate(trained, RAW, data)


def test_ego_motion_over_a_gap_in_time_is_not_evaluated(odometry: Path) -> None:
    (clip,) = ODOMETRY.clips(odometry)
    frames = tuple(replace(frame, time=frame.time + 9 * (i > 20)) for i, frame in enumerate(clip.frames))
    report = evaluated(reader(), [replace(clip, frames=frames)], ODOMETRY)
    assert report.ego_motion is not None
    assert (report.ego_motion.motions, report.ego_motion.distance) == pytest.approx((49, 39.2))


def test_several_checkpoints_on_one_page(odometry: Path, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    file, page = tmp_path / "report.json", tmp_path / "report.html"
    reports = evaluate([trained, other], "kitti-odometry-clip", odometry, json=file, html=page)
    content = json.loads(file.read_text())
    assert content["protocol"] == "kitti-odometry-clip"
    assert [report["checkpoint"]["path"] for report in content["reports"]] == [str(trained), str(other)]
    assert content["reports"][0]["metrics"] == content["reports"][1]["metrics"]
    text = reports_text(reports)
    assert text.count("protocol  ") == 1
    assert text.count(f"  {other}") == 4  # a line in each row's table
    assert reports_text([reports[0], reports[0]]).count(f"  {trained}") == 8  # even twice the same
    html = page.read_text()
    assert "$" not in html
    assert not re.search(r"(src|href)=['\"]https?:", html)  # one file that needs nothing else
    assert html.count("<img ") == 2 * 3 * 4
    assert f"{reports[0]['abs_rel']:.3f}" in html
    assert reports[1].ego_motion is not None
    assert f"<td>{reports[1].ego_motion.length_ratio:.3f}</td>" in html[html.index("<h2>Ego-motion</h2>") :]
    for setting in reports[0].protocol.settings().values():
        assert str(escape(setting)) in html


def test_a_report_has_the_parts_that_occur(odometry: Path) -> None:
    (report,) = evaluate(reader(factor=0.5), ODOMETRY, odometry)
    content = report.to_json()
    assert list(content["parts"]) == ["0 to 10 m", "edges"]  # depths are from 2 to 9 metres
    assert content["part_images"]["0 to 10 m"] == 50
    assert content["parts"]["0 to 10 m"]["plain"]["abs_rel"] == pytest.approx(1, rel=1e-4)
    assert content["images_without_truth"] == 1
    assert "1 more have no valid ground truth" in report.text()
    assert content["intervals"] is None  # one clip


def test_labels_and_unrelated_images() -> None:
    """A clip in memory: classes, their mean, intervals over images."""
    report = evaluated(reader(factor=0.8), labeled(4))
    assert list(report.parts) == ["0 to 10 m", "edges", "moving", "lead car", "rest", "road", "car"]
    assert report.class_means is not None
    assert report.class_means["plain"]["abs_rel"] == pytest.approx(0.25, rel=1e-3)
    assert report.units == 4
    low, high = report.to_json()["intervals"]["plain"]["abs_rel"]
    assert low <= report.rows["plain"]["abs_rel"] <= high
    assert "mean of classes" in report.text()
    assert "95 % intervals" in report.text()


def test_dynamic_objects_have_the_share_too_far() -> None:
    report = evaluated(reader(factor=0.5), labeled(2))
    for part in ("moving", "lead car", "rest"):
        assert report.parts[part]["plain"]["too_far"] == 1
        assert report.parts[part]["scaled"]["too_far"] == 0
    assert "too_far" not in report.parts["car"]["plain"]
    lines = report.text().splitlines()
    header = next(i for i, line in enumerate(lines) if "1.5 times too far" in line) + 2
    assert lines[header + 2].split() == ["lead", "car", "1.0000", "0.0000", "1.0000", "0.0000"]


def test_boundaries_are_evaluated_where_the_protocol_says_so() -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, : WIDTH // 2, 0], image[:, WIDTH // 2 :, 0] = 200, 100
    truth = np.roll(255 / (0.5 * image[..., 0].astype(np.float32)), 3, axis=1)  # three pixels to the right
    frame = Frame(name="a", time=0.0, image=Memory(image), depth=Memory(truth))
    camera = Camera(FOCAL, FOCAL, CX, CY, width=WIDTH, height=HEIGHT)
    clips = [Clip("memory", Path("memory"), camera, (frame,))]
    report = evaluated(reader(), clips)
    expected = pytest.approx({"dbe_acc": 3, "dbe_comp": 3})
    assert report.to_json()["boundaries"] == {"plain": expected, "flip": expected}
    assert "dbe_comp" in report.text()
    assert evaluated(reader(), clips, replace(CITY, boundaries=False)).boundaries is None


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
        ground_truth(replace(RAW, crop="none", projection=projection), clip, clip.frames[12])[0, 0].nan_to_num()
        for projection in ("nearest", "monodepth2")
    )
    assert (own > 0).sum() > 100
    assert torch.equal(theirs[:-1, :-1], own[1:, 1:])


def test_eigen_s_images_among_their_neighbors(raw: Path) -> None:
    """Only the targets are evaluated, and intervals are drawn from drives."""
    protocol = replace(find_protocol("kitti-eigen-original"), images=None)
    (clip,) = RAW.clips(raw)
    clips = [
        replace(clip, name=f"kitti_raw/{drive}/left", drive=drive, targets=frozenset(["0000000000", "0000000024"]))
        for drive in ("a", "b", "c")
    ]
    clips = [replace(c, frames=tuple(f for i, f in enumerate(c.frames) if protocol.evaluates(c, i))) for c in clips]
    report = evaluated(reader(), clips, protocol)
    assert (report.image_count, report.units) == (6, 3)
    assert report.intervals is not None
    assert report.ego_motion is None


def test_saved_predictions_score_as_their_checkpoint(odometry: Path, trained: Path, tmp_path: Path) -> None:
    images = odometry / "kitti_odometry/dataset/sequences/06/image_0"
    predict(trained, images, tmp_path / "saved", save="depth")
    report, expected = evaluate([tmp_path / "saved", trained], "kitti-odometry-clip", odometry)
    assert list(report.rows) == ["plain", "scaled"]
    assert (report.metric, report.scale_source) == (True, "velocity (poses)")
    for row, scores in report.rows.items():
        assert scores == pytest.approx(expected.rows[row], rel=1e-4)
    assert report.ego_motion is None
    (tmp_path / "saved/depth/000003.npz").unlink()
    with pytest.raises(InputError, match=r"000003\.npz: not found, nor is it in .*06-left/depth; predict all frames"):
        evaluate(tmp_path / "saved", "kitti-odometry-clip", odometry)


def test_several_processes_give_the_same_numbers(raw: Path, trained: Path) -> None:
    alone, both = (evaluate(trained, "kitti-raw-clip", raw, processes=n)[0].to_json() for n in (1, 2))
    assert alone == both
    with pytest.raises(InputError, match="processes: is 0; it must be at least 1"):
        evaluate(trained, "kitti-raw-clip", raw, processes=0)


def test_batches_give_the_same_numbers_but_for_rounding(raw: Path, trained: Path) -> None:
    one, three = (evaluate(trained, "kitti-raw-clip", raw, batch=batch)[0] for batch in (1, 3))
    assert one.rows.keys() == three.rows.keys()
    for row, scores in one.rows.items():
        assert three.rows[row] == pytest.approx(scores, rel=1e-4, abs=1e-3)
    with pytest.raises(InputError, match="--batch 3: own evaluates frame by frame; leave it out"):
        evaluate(trained, "own", raw, batch=3)


def test_no_checkpoint_is_named(odometry: Path) -> None:
    with pytest.raises(InputError, match="name at least one"):
        evaluate([], "kitti-odometry-clip", odometry)


def test_the_prediction_of_the_reference(data: Path) -> None:
    """The depth that TRI's PackNet predicted for a frame of DDAD, against the LiDAR up to 200 m: abs_rel 0.154."""
    with np.load(data / "ddad_format/golden_scene_02_camera_01.npz") as content:
        depth, truth = (torch.from_numpy(content[name])[None, None] for name in ("depth", "gt_depth"))
    protocol = find_protocol("ddad-val")
    counts = valid_truth(truth, protocol.min_depth, protocol.cap, protocol.crop)
    known = torch.where(counts, truth, torch.nan)
    resizings: tuple[tuple[Resizing, float], ...] = (("inverse_depth", 5e-4), (protocol.resizing, 1e-3))
    for resizing, tolerance in resizings:
        full = full_depth(1 / depth, known, resizing)
        found = scores_by_part(protocol, full[0, 0], known[0, 0], {}, scaled=False)["all"]
        assert found[0] == pytest.approx(0.154, abs=tolerance)
