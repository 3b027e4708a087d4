"""The commands of the README and the tutorial for one's own video, as they stand there, on a rendered drive."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import world
import yaml

from packdepth.checkpoint import read_description
from packdepth.cli import main
from packdepth.geometry.camera import Camera
from packdepth.inference.writers.video import video_writer
from packdepth.sources.open import open_clips

ROOT = Path(__file__).parents[2]
CAMERA = Camera(fx=180.0, fy=180.0, cx=159.5, cy=40.0, width=320, height=96)
FRAMES, RATE, OFFSET = 36, 10.0, 1.7


def commands() -> list[str]:
    """The commands below the heading, and the one that measures depth."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- run by: tests/pages/test_own_video.py -->\n```bash\n(.*?)```", text, re.DOTALL)
    assert block is not None
    measured = "packdepth evaluate runs/mine/best --protocol folder --data mine --json out.json"
    return [*block[1].strip().splitlines(), measured]


def speed_at(time: np.ndarray) -> np.ndarray:
    """Metres per second: the car drives off, and slows down again."""
    return np.asarray(1.0 + 3.0 * np.sin(np.pi * time / 3.6) ** 2)


def driven() -> tuple[np.ndarray, np.ndarray]:
    """Time of each frame in seconds, and metres driven until then."""
    times, fine = np.arange(FRAMES) / RATE, np.arange(0, FRAMES / RATE, 0.001)
    return times, np.interp(times, fine, np.cumsum(speed_at(fine)) * 0.001)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with drive.mp4, its calibration, and the log of a logger whose clock is off, in km/h at 5 Hz."""
    monkeypatch.chdir(tmp_path)
    times, path = driven()
    with video_writer(tmp_path / "drive.mp4", RATE) as append:
        for metres in path:
            append((world.render(metres / world.STEP, CAMERA)[0] * 255).round().astype(np.uint8))
    numbers = {name: getattr(CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    (tmp_path / "drive.yaml").write_text(yaml.safe_dump(numbers))
    logged = np.arange(0, times[-1] + 0.2, 0.2)
    rows = [f"{time + OFFSET:.2f};{speed * 3.6:.2f}" for time, speed in zip(logged, speed_at(logged), strict=True)]
    (tmp_path / "log.csv").write_text("Zeit [s];Geschwindigkeit [km/h]\n" + "\n".join(rows).replace(".", ",") + "\n")
    return tmp_path


def test_from_a_video_and_a_log_to_a_judged_network(stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands():
        program, *arguments = shlex.split(command)
        assert program == "packdepth"
        if arguments[0] == "init":
            arguments[arguments.index("--minutes") + 1] = "0.1"
        if arguments[0] == "train":
            arguments[2:2] = ["training.devices=1", "data.image_size=[32,96]", "training.epoch_steps=2"]
        if arguments[0] == "evaluate" and "folder" in arguments:
            add_depth(stranger / "mine" / "drive")
        assert main(arguments) == 0, f"{command}\n{capsys.readouterr().err}"
        printed = capsys.readouterr().out
        if arguments[:2] == ["data", "import"]:
            found = re.search(r"offset ([\d.]+) s \(found from the images, standard deviation ([\d.]+) s", printed)
            assert found is not None, printed
            assert float(found[1]) == pytest.approx(OFFSET, abs=0.25)
            (clip,) = open_clips(stranger / "mine")
            known = [(frame.time, frame.speed) for frame in clip.frames if frame.speed is not None]
            assert len(known) >= FRAMES - 4
            times, speeds = np.array(known).T
            np.testing.assert_allclose(speeds, speed_at(times), atol=0.9)
        if arguments[0] == "train":
            assert "not metric yet" in printed  # after a few steps
    meta = read_description(stranger / "runs/mine/best")[1]
    assert not meta.metric
    assert meta.scale_checks[0].held_out
    assert json.loads((stranger / "out.json").read_text())["images"] == FRAMES
    assert "Not judged" in (stranger / "own.html").read_text() or "%" in (stranger / "own.html").read_text()


def add_depth(clip: Path) -> None:
    """Add exact depth to an imported clip, which only the evaluation reads."""
    from packdepth.depth_files import write_depth_png

    for number, metres in enumerate(driven()[1]):
        depth = world.render(metres / world.STEP, CAMERA)[1].astype(np.float32)
        write_depth_png(clip / "depth" / f"{number:06d}.png", np.minimum(depth, 200))
