"""Judgement without ground truth, from end to end: networks that know the depth, and such that do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import world
from described import described
from markupsafe import escape

import packdepth
from packdepth import cli
from packdepth.data.held_out import without_tail
from packdepth.errors import InputError
from packdepth.evaluation.odometry_command import odometry
from packdepth.evaluation.own.held_out import held_out
from packdepth.evaluation.own.report import OwnReport
from packdepth.evaluation.own.run import judge
from packdepth.evaluation.own.verdict import LEAST
from packdepth.evaluation.protocols import our_protocols
from packdepth.html.page import Verdict
from packdepth.inference.predictor import Predictor
from packdepth.records import Clip
from packdepth.scale.measure import measure
from packdepth.sources.open import open_clips
from packdepth.training.scale_check import scale_checks

from .conftest import Change, inv_depth, knowing


def judged(drive: Path, change: Change = lambda p: p, step: float = 1.0) -> OwnReport:
    """The report on a network that knows the depth, after a change of it."""
    (report,) = packdepth.evaluate(knowing(change, step), "own", drive)
    return report


def test_a_network_that_knows_the_depth(drive: Path) -> None:
    report = judged(drive)
    assert len(report.pairs) == world.FRAMES - 1
    assert report.verdict.grade == "Fair"  # its measures are better than any of the calibration
    assert report["parallax"] < 0.05
    assert report["neighbor"] < 1e-3
    assert report["mirror"] == 0  # the mirrored prediction agrees everywhere
    assert report["error"] < 0.5 * report.measures["error"].reference
    assert report["height"] == pytest.approx(1.5, rel=0.02)
    assert report["scale"] == pytest.approx(1, abs=0.01)
    assert "Depth is in metres: lengths agree with the measured ones within 1 %" in report.headline


def test_a_better_network_gets_a_better_verdict(drive: Path) -> None:
    """Errors that vary over the image, of growing size."""
    waves = torch.sin(torch.arange(world.CAMERA.width) * 0.15) + torch.cos(torch.arange(48)[:, None] * 0.2)

    def report_of(size: float) -> OwnReport:
        return judged(drive, lambda p: p * torch.exp(size * waves))

    reports = [report_of(size) for size in (0.0, 0.05, 0.1)]
    parallax = [report["parallax"] for report in reports]
    assert parallax == sorted(set(parallax))
    errors = [report.verdict.error or 0.0 for report in reports]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(LEAST)


def test_a_depth_of_another_unit_is_not_called_metric(drive: Path) -> None:
    report = judged(drive, lambda p: 2 * p)
    assert report["scale"] == pytest.approx(0.5, abs=0.02)
    assert report["motion"] == pytest.approx(1, abs=1e-3)
    assert (
        "Depth is not in metres: lengths are 50 % of the measured ones, although the checkpoint says metric"
        in report.headline
    )


def trained_on(predictor: Predictor, zoom: float) -> Predictor:
    """The predictor, as if it was trained on a camera whose focal length is shorter than the world's by a factor."""
    camera = world.CAMERA
    numbers = {name: getattr(camera, name) for name in ("width", "height", "cx", "cy")}
    predictor.meta = described(trained_cameras=[numbers | {"fx": camera.fx / zoom, "fy": camera.fy / zoom}])
    return predictor


@pytest.mark.parametrize("zoom", [0.82, 1.22])
def test_lengths_are_those_of_prediction_on_a_camera_of_another_focal_length(drive: Path, zoom: float) -> None:
    """The network takes for near what a longer lens enlarges, and is right about its own camera."""
    predictor, clips = trained_on(knowing(lambda p: zoom * p, step=1 / zoom), zoom), open_clips(drive)
    report, pictures = judge(predictor, clips, "mine", "drive", pictured=True)
    assert report.metric
    assert "Depth is in metres: lengths agree with the measured ones within 1 %" in report.headline
    assert report["height"] == pytest.approx(1.5, rel=0.02)
    (path,) = odometry(predictor, drive)
    assert path.measured is not None
    assert report["motion"] == pytest.approx(path.distance / path.measured, rel=1e-3)
    (measured,) = measure(predictor, clips, ["speed"])
    assert report["scale"] == pytest.approx(1 / np.median(measured.factors), rel=1e-3)
    for picture in pictures:
        truth = inv_depth(int(picture.measures.frame))[0, 0]
        torch.testing.assert_close(picture.maps.inv_depth, truth)


def test_a_depth_that_is_right_before_its_correction_is_not_called_metric(drive: Path) -> None:
    (report,) = packdepth.evaluate(trained_on(knowing(), 1.22), "own", drive)
    assert report["motion"] == pytest.approx(1.22, rel=1e-3)
    assert "Depth is not in metres: lengths are 12" in report.headline


def test_a_wall_in_place_of_the_world_is_useless(drive: Path) -> None:
    report = judged(drive, lambda p: torch.full_like(p, 0.1))
    assert report.verdict.grade == "Useless"
    assert report.verdict.error is None


def test_without_a_camera_the_report_says_what_is_missing(drive: Path, tmp_path: Path) -> None:
    shutil.copytree(drive / "frames", tmp_path / "images")
    (report,) = packdepth.evaluate(knowing(), "own", tmp_path / "images")
    assert report.headline == (
        "Not judged: the camera is not known, and without it depth cannot be compared with the next frame"
    )
    assert report.unmeasured[0].startswith("images/images: its camera is neither given (")
    assert "neither speeds nor poses are known" in report.unmeasured[1]
    assert report["mirror"] == 0
    assert report["parallax"] != report["parallax"]


def slowed(folder: Path, first: int, speed_mps: float = 0.5) -> Path:
    """A clip whose camera moves slowly, by default 0.05 m a frame, from a frame on, as its speeds say."""
    head, *rows = (folder / "frames.csv").read_text().splitlines()
    times = [row.split(",")[:3] for row in rows]
    slow = [
        [frame, time, speed if index < first else str(speed_mps)] for index, (frame, time, speed) in enumerate(times)
    ]
    table = [",".join(head.split(",")[:3]), *(",".join(row) for row in slow)]
    (folder / "frames.csv").write_text("\n".join(table) + "\n")
    return folder


def test_training_frames_are_called_so(drive: Path) -> None:
    clips = open_clips(drive)
    (meta, run) = (knowing(clips=("video/my_drive",)).meta, knowing().run)
    found = held_out(clips, run, meta)
    assert found.seen
    assert len(found.clips[0].frames) == world.FRAMES
    assert found.words.startswith("these 6 frames are training frames, ")
    assert found.words.endswith(", or hold out the end of each by data.val_tail")
    (report,) = packdepth.evaluate(knowing(clips=("folder/my_drive",)), "own", drive)
    assert report.headline.endswith("(measured on training frames)")


def test_the_tail_of_a_training_clip_is_held_out(drive: Path) -> None:
    predictor = knowing(clips=("folder/my_drive",), tail=0.5)
    long = open_clips(drive)[0]
    found = held_out([long], predictor.run, predictor.meta)
    assert found.seen  # six frames are too few for a tail
    assert found.words.startswith("these 6 frames count as training frames, as no held-out end of them is known: ")
    assert "data.val_tail" not in found.words  # the run file has it
    longer = type(long)(**{**long.__dict__, "frames": long.frames * 4})
    assert held_out([longer], predictor.run, predictor.meta).seen  # six frames were trained on, not twelve
    predictor = knowing(clips=("folder/my_drive",), tail=0.5, frames=12)
    found = held_out([longer], predictor.run, predictor.meta)
    assert not found.seen
    assert len(found.clips[0].frames) == 2 * world.FRAMES
    assert "(the last 50 % of 1 training clip)" in found.words


def test_a_new_clip_is_judged_and_a_training_clip_beside_it_left_out(drive: Path, tmp_path: Path) -> None:
    for name in ("new", "old"):
        shutil.copytree(drive, tmp_path / name)
    predictor = knowing(clips=("folder/old",))
    found = held_out(open_clips(tmp_path), predictor.run, predictor.meta)
    assert [clip.name for clip in found.clips] == ["folder/new"]
    assert found.words == "6 frames that were not trained on; 6 training frames are left out"


def test_training_frames_judge_where_the_camera_of_the_others_stands(drive: Path, tmp_path: Path) -> None:
    for name in ("new", "old"):
        shutil.copytree(drive, tmp_path / name)
    table = tmp_path / "new" / "frames.csv"
    times = [line.split(",")[:2] for line in table.read_text().splitlines()[1:]]
    table.write_text("\n".join(["frame,time_s,speed_mps", *(f"{frame},{time},0" for frame, time in times)]) + "\n")
    (report,) = packdepth.evaluate(knowing(clips=("folder/old",)), "own", tmp_path)
    assert report.seen
    assert {pair.clip for pair in report.pairs} == {"folder/old"}
    assert report.frames.startswith(
        "the 6 frames that were not trained on hold 5 pairs of consecutive frames, but between none of them the camera "
        "moves by the 0.1 m that are needed (at most by 0 m, as speeds or poses say), so that training frames "
    )


def test_training_frames_judge_where_the_camera_is_slow_in_the_held_out_tail(tmp_path: Path) -> None:
    folder = slowed(world.write(tmp_path / "my_drive", frames=16), first=8)
    predictor = knowing(clips=("folder/my_drive",), tail=0.5, frames=8)
    (report,) = packdepth.evaluate(predictor, "own", folder)
    assert report.seen
    assert {pair.frame for pair in report.pairs} == {f"{index:06d}" for index in range(8)}
    assert report.frames.startswith("the 8 frames that were not trained on hold 7 pairs of consecutive frames, but ")
    assert "(at most by 0.05 m, as speeds or poses say), so that training frames are judged" in report.frames
    assert report.frames.endswith("judge by another drive, or hold out more of each by data.val_tail")


def test_a_scale_on_training_frames_says_how_few_held_out_ones_could_be_measured(tmp_path: Path) -> None:
    clips = open_clips(slowed(world.write(tmp_path / "my_drive", frames=16), first=8, speed_mps=0.05))
    kept, tails = without_tail(clips, 0.5, offsets=(-1, 1))
    predictor = knowing(clips=("folder/my_drive",), tail=0.5, frames=8)

    def too_few(held_out: list[Clip]) -> dict[str, int | None]:
        checks = [check for check in scale_checks(predictor, kept, held_out) if not check.held_out]
        return {check.source: check.too_few for check in checks}

    assert too_few(tails) == {"depth": None, "speed": 0}  # the depth of the held-out frames is measured
    assert too_few([]) == {"depth": None, "speed": None}


def test_what_the_command_writes(
    drive: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / "out" / f"own.{name}" for name in ("json", "html")}
    arguments = ["evaluate", str(trained), "--protocol", "own", "--data", str(drive)]
    assert cli.main([*arguments, "--json", str(files["json"]), "--html", str(files["html"])]) == 0
    text = capsys.readouterr().out
    content, page = json.loads(files["json"].read_text()), files["html"].read_text()
    assert text.splitlines()[0] == content["verdict"]["words"]
    body = page[page.index("<body>") :]
    assert '<th scope="col">the network</th><th scope="col">to compare with</th>' in body
    assert body.index(str(escape(Verdict(content["verdict"]["words"]).parts[0]))) < body.index("<img")
    assert body.index("<img") < body.index("<table")
    assert body.index("<table") < body.index("The protocol own")
    assert content["protocol"] == "own"
    assert len(content["pairs"]) == world.FRAMES - 1
    by_error = sorted(content["pairs"], key=lambda pair: pair["error"])
    for title, pair in (("best", by_error[0]), ("median", by_error[len(by_error) // 2]), ("worst", by_error[-1])):
        assert f"{title}: {pair['clip']} {pair['frame']}, photometric error {pair['error']:.3f}, " in body
    assert set(content["measures"]) >= {"parallax", "neighbor", "mirror", "sure", "scale", "height"}


def test_several_checkpoints_are_judged_side_by_side(drive: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    reports = packdepth.evaluate([knowing(), knowing(lambda p: 2 * p)], "own", drive, json=file)
    assert [report["scale"] > 0.9 for report in reports] == [True, False]
    assert len(json.loads(file.read_text())["reports"]) == 2


def test_images_without_motion_between_them_are_refused(drive: Path, tmp_path: Path) -> None:
    shutil.copytree(drive, tmp_path / "one")
    camera = tmp_path / "one" / "camera.yaml"
    camera.write_text(camera.read_text() + "independent: true\n")
    with pytest.raises(InputError, match="one: holds no two consecutive frames; --protocol own judges depth by the "):
        packdepth.evaluate(knowing(), "own", tmp_path / "one")


def test_a_camera_that_moves_too_little_is_refused_with_the_metres_that_are_needed(tmp_path: Path) -> None:
    folder = slowed(world.write(tmp_path / "slow"), first=0)
    words = (
        r"slow: holds 5 pairs of consecutive frames, but between none of them the camera moves by the 0\.1 m that are "
        r"needed \(at most by 0\.05 m, as speeds or poses say\); "
    )
    with pytest.raises(InputError, match=words):
        packdepth.evaluate(knowing(), "own", folder)


def test_the_help_names_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    words = capsys.readouterr().out.replace("│", " ").split()
    named = {word.strip(".,;:`") for word in words}
    assert set(our_protocols()) | {"own"} <= named
    assert {"--protocol", "drive.mp4"} <= named
