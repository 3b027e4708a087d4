"""Calibration of a checkpoint that predicts depth 1.7 times too near: the factor is found, written and used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import world
import yaml
from PIL import Image
from scale.conftest import DEPTH_FACTOR, MOTION_FACTOR

import packdepth
from packdepth import checkpoint
from packdepth.checkpoint import Meta
from packdepth.cli import main
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.networks.blocks import DepthNetworkBlock
from packdepth.scale.calibrate import By
from packdepth.scale.measure import measure


@pytest.mark.parametrize(("by", "tolerance"), [("depth", 2e-3), ("speed", 0.03), ("height", 0.03)])
def test_the_new_checkpoint_predicts_metres(
    folder: Path, drive: Path, tmp_path: Path, by: By, tolerance: float
) -> None:
    report = packdepth.calibrate(folder, drive, tmp_path / "metric", by)
    assert report.chosen.factor == pytest.approx(DEPTH_FACTOR, rel=tolerance)
    assert report.motion_factor == pytest.approx(MOTION_FACTOR, rel=0.03)
    predictor = load(tmp_path / "metric", "cpu")
    assert predictor.meta.metric
    assert predictor.meta.scale_source == f"{'camera height' if by == 'height' else by}, calibrated"
    prediction = predictor.predict(drive / "frames" / "000003.png")
    assert np.median(prediction.depth / world.render(3)[1]) == pytest.approx(1, rel=tolerance)
    motion = predictor.ego_motion([drive / "frames" / f"{i:06d}.png" for i in range(3)])
    assert motion[:, 2, 3] == pytest.approx([-world.STEP] * 2, rel=0.03)


def test_the_description_holds_factor_spread_and_checks(folder: Path, drive: Path, tmp_path: Path) -> None:
    report = packdepth.calibrate(folder, drive, tmp_path / "metric")
    meta = checkpoint.read_description(tmp_path / "metric")[1]
    assert meta.calibration is not None
    assert meta.calibration.source == "depth"
    assert meta.calibration.factor == report.chosen.factor
    assert meta.calibration.frames == 12
    first, *others = meta.scale_checks
    assert (first.source, first.held_out) == ("depth", True)
    assert first.ratio == pytest.approx(1, abs=2e-3)
    assert {each.source for each in others} == {"speed", "poses", "camera height"}
    assert [each.ratio for each in others] == pytest.approx([1, 1, 1], abs=0.03)
    assert meta.scores == {"val/abs_rel_scaled": 0.1, "train/loss": 0.05}


def test_calibrating_twice_multiplies_the_factors(folder: Path, drive: Path, tmp_path: Path) -> None:
    packdepth.calibrate(folder, drive, tmp_path / "once", "depth")
    packdepth.calibrate(tmp_path / "once", drive, tmp_path / "twice", "height", height=3.0)
    run = checkpoint.read_description(tmp_path / "twice")[0]
    assert run.networks.depth.scale == pytest.approx(2 * DEPTH_FACTOR, rel=0.03)


def with_camera(drive: Path, folder: Path, **changes: float) -> Path:
    """Return a copy of the clip with other values in its camera.yaml."""
    copy = shutil.copytree(drive, folder)
    (copy / "camera.yaml").write_text(yaml.safe_dump(yaml.safe_load((copy / "camera.yaml").read_text()) | changes))
    return copy


def trained_on(folder: Path, copy: Path, **changes: object) -> Path:
    """Return a copy of the checkpoint, trained on the camera of the world, with other values in its description."""
    shutil.copytree(folder, copy)
    meta = checkpoint.read_description(copy)[1]
    checkpoint.rewrite_meta(copy, Meta.model_validate(meta.model_dump() | {"trained_cameras": [NUMBERS]} | changes))
    return copy


def smaller(drive: Path, folder: Path) -> Path:
    """Return the clip with images and depth maps of half the size, and without a camera."""
    copy = shutil.copytree(drive, folder)
    (copy / "camera.yaml").unlink()
    for path in (*(copy / "frames").iterdir(), *(copy / "depth").iterdir()):
        with Image.open(path) as image:
            image.resize((48, 24), Image.Resampling.NEAREST).save(path)
    return copy


NUMBERS = {name: getattr(world.CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (None, "its camera is not known, and its images are 48x24 pixels where the networks were trained on 96x48"),
        ({"fx": 2 * NUMBERS["fx"], "fy": 2 * NUMBERS["fy"]}, "its focal length is 2.00 times that of the training"),
        ({"fx": 2 * NUMBERS["fx"]}, "its images are stretched by 2.00 at the network's size"),
        ({"cy": NUMBERS["cy"] + 6}, "its principal point is 12% of the image's height lower than that of the training"),
    ],
)
def test_clips_where_depth_is_not_metric_calibrate_nothing(
    folder: Path, drive: Path, tmp_path: Path, changes: dict[str, float] | None, why: str
) -> None:
    trained = trained_on(folder, tmp_path / "trained")
    other = smaller(drive, tmp_path / "other") if changes is None else with_camera(drive, tmp_path / "other", **changes)
    with pytest.raises(InputError, match=f"{other}: cannot calibrate by folder/other: {why}"):
        packdepth.calibrate(trained, other, tmp_path / "metric", "depth")
    assert not (tmp_path / "metric").exists()


def test_the_factor_is_that_of_the_trained_camera(folder: Path, drive: Path, tmp_path: Path) -> None:
    trained = trained_on(folder, tmp_path / "trained")
    longer = with_camera(drive, tmp_path / "longer", fx=1.2 * NUMBERS["fx"], fy=1.2 * NUMBERS["fy"])
    report = packdepth.calibrate(trained, longer, tmp_path / "metric", "depth")
    assert report.chosen.factor == pytest.approx(DEPTH_FACTOR / 1.2, rel=2e-3)


@pytest.mark.parametrize(
    ("by", "camera", "metric"),
    [
        ("height", {"focal_deviation": 0.4}, False),
        ("height", {"focal_deviation": 0.01}, True),
        ("height", {"focal_deviation": 0.4, "assumed": True}, True),
        ("depth", {"focal_deviation": 0.4}, True),
    ],
)
def test_a_height_calibrates_no_metres_for_a_guessed_focal_length(
    folder: Path, drive: Path, tmp_path: Path, by: By, camera: dict[str, float], metric: bool
) -> None:
    learned = trained_on(folder, tmp_path / "learned", trained_cameras=[], cameras=[NUMBERS | camera])
    report = packdepth.calibrate(learned, drive, tmp_path / "metric", by)
    assert report.chosen.factor == pytest.approx(DEPTH_FACTOR, rel=0.03)
    assert ("metric, its scale comes from" in report.text()) is metric
    assert ("not metric: metres come from the height of the camera" in report.text()) is not metric
    predictor = load(tmp_path / "metric", "cpu")
    assert predictor.meta.metric is metric
    assert [prediction.metric for prediction in predictor.predict_clip(packdepth.open(drive)[0])] == [metric] * 12


def test_sources_that_disagree_are_refused_unless_one_is_chosen(folder: Path, drive: Path, tmp_path: Path) -> None:
    wrong = with_camera(drive, tmp_path / "wrong", height_m=2.0)
    with pytest.raises(InputError, match=r"depth says depth times 1.7, but camera height 2.3, beyond their spreads"):
        packdepth.calibrate(folder, wrong, tmp_path / "metric")
    assert not (tmp_path / "metric").exists()
    report = packdepth.calibrate(folder, wrong, tmp_path / "metric", "speed")
    assert [warning.split(",")[0] for warning in report.warnings] == ["speed says depth times 1.69"]


def test_speeds_of_another_time_than_the_images_are_refused(
    folder: Path, drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packdepth.scale.calibrate.of_another_time", lambda clip: "its speeds are late")
    with pytest.raises(InputError, match=r"its speeds are late; offset=auto .* another source \(--from\)"):
        packdepth.calibrate(folder, drive, tmp_path / "metric", "speed")
    assert not (tmp_path / "metric").exists()
    packdepth.calibrate(folder, drive, tmp_path / "metric", "depth")


def test_too_few_frames_are_refused(folder: Path, drive: Path, tmp_path: Path) -> None:
    short = shutil.copytree(drive, tmp_path / "short")
    rows = (short / "frames.csv").read_text().splitlines()
    (short / "frames.csv").write_text("\n".join(rows[:4]) + "\n")
    for index in range(3, 12):
        (short / "frames" / f"{index:06d}.png").unlink()
        (short / "depth" / f"{index:06d}.png").unlink()
    with pytest.raises(InputError, match=r"does not determine the scale: depth: only 3 of 3 are frames with a depth m"):
        packdepth.calibrate(folder, short, tmp_path / "metric")


def test_a_source_that_is_not_offered_is_refused(folder: Path, drive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"offers no lidar to calibrate by; it offers depth, speed, poses, camera h"):
        packdepth.calibrate(folder, drive, tmp_path / "metric", "lidar")


def test_without_ground_the_height_is_refused(folder: Path, drive: Path, tmp_path: Path) -> None:
    content = checkpoint.read(folder)
    flat = {**content.weights, "depth.inv_depths": 0 * content.weights["depth.inv_depths"] + 0.1}
    checkpoint.write(tmp_path / "flat", checkpoint.Checkpoint(content.run, content.meta, flat))
    with pytest.raises(InputError, match="camera height: only 0 of 11 are frames with a visible road"):
        packdepth.calibrate(tmp_path / "flat", drive, tmp_path / "metric", "height")


def test_an_output_in_use_is_kept(folder: Path, drive: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already; name a new folder"):
        packdepth.calibrate(folder, drive, tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_the_command_prints_every_source(
    folder: Path, drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "metric"
    assert main(["calibrate", str(folder), str(drive), "-o", str(output), "--from", "height", "--height", "1.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == ["depth", "speed", "poses", "camera height"]
    assert lines[-2].startswith("depth times 1.7")
    assert lines[-1] == f"{output}: metric, its scale comes from camera height, calibrated"
    assert json.loads((output / "meta.json").read_text())["metric"] is True


def test_old_checkpoints_have_the_scale_one(folder: Path, tmp_path: Path) -> None:
    old = shutil.copytree(folder, tmp_path / "old")
    run = yaml.safe_load((old / "run.yaml").read_text())
    for name in ("depth", "pose"):
        assert run["networks"][name].pop("scale") == 1.0
    (old / "run.yaml").write_text(yaml.safe_dump(run))
    read, meta = checkpoint.read_description(old)
    assert isinstance(read, Run)
    assert isinstance(meta, Meta)
    assert isinstance(read.networks.depth, DepthNetworkBlock)
    assert (read.networks.depth.scale, meta.calibration, meta.scale_checks) == (1.0, None, [])


def test_a_calibrated_checkpoint_measures_one(folder: Path, drive: Path, tmp_path: Path) -> None:
    packdepth.calibrate(folder, drive, tmp_path / "metric", "depth")
    predictor = load(tmp_path / "metric", "cpu")
    found = {each.source: each.factor for each in measure(predictor, packdepth.open(drive))}
    assert found == pytest.approx(dict.fromkeys(("depth", "speed", "poses", "camera height"), 1.0), rel=0.03)
