"""What training says about its data, and what it does not take."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import world
from PIL import Image

from .conftest import Command

VELOCITY = [{"kind": "photometric"}, {"kind": "velocity"}]
Row = dict[str, str]


def rewritten(clip: Path, change: Callable[[int, Row], Row | None]) -> dict[str, object]:
    """Change the rows of a clip's frames.csv, or remove them with their files; return the clip as a source."""
    with (clip / "frames.csv").open(newline="") as file:
        rows = [(row, change(index, row)) for index, row in enumerate(csv.DictReader(file))]
    with (clip / "frames.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0][0].keys())
        table.writeheader()
        for row, new in rows:
            if new is not None:
                table.writerow(new)
            else:
                (clip / "frames" / f"{row['frame']}.png").unlink()
                (clip / "depth" / f"{row['frame']}.png").unlink()
    return {"kind": "folder", "root": str(clip)}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """The world, to be spoilt."""
    return world.write(tmp_path / "clip")


def test_the_first_line_says_what_is_trained_on(clip: Path, train: Command) -> None:
    source = rewritten(clip, lambda i, row: row | {"speed_mps": "" if i == 5 else row["speed_mps"], "x": "", "y": ""})
    source = rewritten(clip, lambda i, row: row | dict.fromkeys(("z", "qx", "qy", "qz", "qw"), ""))
    status, output, messages = train(source, VELOCITY)
    assert status == 0, messages
    assert output.splitlines()[0] == (
        f"data       folder {clip}: 5 frames of 6 (1 left out), 96x48 pixels; speeds of 5, depth maps of 5; "
        f"metres from velocity (speed)"
    )


def test_nothing_that_measures_is_said_too(clip: Path, train: Command) -> None:
    (clip / "frames.csv").write_text("frame,time_s\n" + "".join(f"{i:06d},{i / 10}\n" for i in range(world.FRAMES)))
    for file in (clip / "depth").iterdir():
        file.unlink()
    status, output, messages = train({"kind": "folder", "root": str(clip)}, [{"kind": "photometric"}])
    assert status == 0, messages
    assert output.splitlines()[0].endswith("96x48 pixels; nothing measured; no metres: nothing gives depth a scale")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda i, row: row | {"time_s": str(100 * i)}, "as milliseconds, its stamps would give 10"),
        (lambda i, row: row | {"time_s": str(100_000 * i)}, "as microseconds, its stamps would give 10"),
        (lambda i, row: row | {"time_s": str((17 * 10**9 + i) * 10**8)}, "as nanoseconds, its stamps would give 10"),
        (lambda i, row: row | {"speed_mps": "0", "x": "7"}, "the speed is 0 in 100% of the frames in which the image"),
        (lambda i, row: row | {"speed_mps": "118.4"}, "its speeds reach 118.4 m/s"),
        (lambda i, row: row | {"speed_mps": "18.0"}, "speed times time makes 9.0 m, the poses lie 2.5 m apart"),
    ],
    ids=["milliseconds", "microseconds", "nanoseconds", "zero", "impossible", "km/h"],
)
def test_what_the_check_calls_an_error_is_not_trained_on(
    clip: Path, train: Command, command: Command, change: Callable[[int, Row], Row], told: str
) -> None:
    source = rewritten(clip, change)
    status, _, messages = train(source, VELOCITY)
    assert status == 2
    assert told in messages
    assert told in " ".join(command("data", "check", clip)[1].split())
    status, output, messages = train(source, [{"kind": "photometric"}])  # speeds are not used
    assert status == 0, messages
    assert "check      error of folder/clip: " in output or "118.4" in told


def test_a_focal_length_of_other_images_is_not_trained_on_unless_the_camera_is_learned(
    clip: Path, train: Command
) -> None:
    (clip / "camera.yaml").write_text("{width: 96, height: 48, fx: 120, fy: 120, cx: 95.5, cy: 47.5}")
    source: dict[str, object] = {"kind": "folder", "root": str(clip)}
    status, _, messages = train(source, [{"kind": "photometric"}])
    assert status == 2
    assert "a principal point (96, 48) far from the middle of the image, for 96x48 pixels" in messages
    assert "they suit images of about 192x96" in messages
    status, output, messages = train(source, [{"kind": "photometric"}], camera={"learn": True})
    assert status == 0, messages
    assert "intrinsics" not in output


def test_warnings_of_the_check_are_said_before_training(clip: Path, train: Command) -> None:
    status, output, messages = train(rewritten(clip, lambda i, row: row), VELOCITY)
    assert status == 0, messages
    assert "check      warning of folder/clip: blur: its images hold little detail" in output


def test_a_photometric_loss_of_images_that_never_differ_is_an_error(clip: Path, train: Command, tmp_path: Path) -> None:
    for file in (clip / "frames").iterdir():
        Image.fromarray(world.picture(0)).save(file)
    status, _, messages = train({"kind": "folder", "root": str(clip)}, [{"kind": "photometric"}])
    assert status == 2
    assert "100% of the frames show a camera that stands" in messages
    for file in (clip / "frames").iterdir():
        Image.new("RGB", (96, 48)).save(file)
    status, _, messages = train({"kind": "folder", "root": str(clip)}, [{"kind": "photometric"}])
    assert status == 2
    assert "5 of 5 images that were looked at show nothing, as they are black, white or of one color" in messages
    assert not (tmp_path / "run/best").exists()


def test_depth_maps_that_measure_nothing_are_an_error(clip: Path, train: Command, tmp_path: Path) -> None:
    for file in (clip / "depth").iterdir():
        Image.fromarray(np.zeros((48, 96), np.uint16)).save(file)
    objective: list[dict[str, object]] = [{"kind": "photometric"}, {"kind": "berhu"}]
    status, _, messages = train({"kind": "folder", "root": str(clip)}, objective)
    assert status == 2
    assert "the term berhu was 0 in all 2 steps of an epoch" in messages
    assert "its depth maps and LiDAR scans measure no pixel of its images" in messages
    assert not (tmp_path / "run/best").exists()


def test_one_blank_speed_is_named_and_what_it_costs(clip: Path, train: Command, command: Command) -> None:
    source = rewritten(
        clip,
        lambda i, row: (
            row | dict.fromkeys(("x", "y", "z", "qx", "qy", "qz", "qw"), "") | {"speed_mps": "" if i == 3 else "5"}
        ),
    )
    found = " ".join(command("data", "check", clip)[1].split())
    assert "1 of 6 frames have no speed and are context only: 000003" in found
    assert "1 of 4 targets are left" in found
    status, output, messages = train(source, VELOCITY)
    assert status == 0, messages
    assert "3 without a known distance (no speed or pose) are context only" in output
    assert output.splitlines()[0].startswith(f"data       folder {clip}: 3 frames of 6 (3 left out)")


def test_a_blank_speed_beside_poses_takes_the_poses_and_says_so(clip: Path, train: Command, command: Command) -> None:
    source = rewritten(clip, lambda i, row: row | {"speed_mps": "" if i == 3 else "5"})
    found = " ".join(command("data", "check", clip)[1].split())
    assert "note missing speeds 1 of 6 frames have no speed, so that distances come from the poses" in found
    assert "metres from velocity (poses)" in train(source, VELOCITY)[1].splitlines()[0]


def test_gaps_are_counted_once_by_the_summary(clip: Path, train: Command) -> None:
    rows = (clip / "frames.csv").read_text()
    (clip / "frames.csv").write_text(rows.replace("000005,0.5000", "000005,0.9000"))
    status, output, messages = train({"kind": "folder", "root": str(clip)}, [{"kind": "photometric"}])
    assert status == 0, messages
    assert output.count(" gap") == 1
    assert "1 gap in time, not crossed" in output
