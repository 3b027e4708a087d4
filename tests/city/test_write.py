"""`packdepth city`: folders that read like a user's own data."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from present import present

from packdepth import cli
from packdepth.city.clip import city_clip
from packdepth.city.drive import Recipe
from packdepth.city.lidar import Scanner
from packdepth.city.write import write_city
from packdepth.data.targets import gaps
from packdepth.sources.folder import Folder

OPTIONS = ["--drives", "2", "--frames", "3", "--size", "32x96", "--seed", "4", "--split", "val", "--azimuth-step", "2"]
RECIPE = Recipe(split="val", seed=4, frames=3, height=32, width=96, scanner=Scanner(azimuth_step=2.0))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives, written by two processes of another process."""
    output = tmp_path_factory.mktemp("city") / "val"
    subprocess.run([sys.executable, "-m", "packdepth.cli", "city", str(output), *OPTIONS], check=True)
    return output


def test_stretches_of_a_drive_are_the_frames_of_the_whole(tmp_path: Path) -> None:
    whole, parts = replace(RECIPE, frames=7), replace(RECIPE, frames=7, record=(2, 5))
    assert parts.recorded == (0, 1, 5, 6)
    write_city(tmp_path, parts, 1, processes=1)
    (clip,) = Folder(kind="folder", root=tmp_path).clips()
    full = city_clip(whole)
    assert [frame.name for frame in clip.frames] == [f"{number:06d}" for number in parts.recorded]
    for frame, number in zip(clip.frames, parts.recorded, strict=True):
        assert np.array_equal(frame.image.read(), full.frames[number].image.read())
        assert frame.time == full.frames[number].time
    assert gaps(clip).tolist() == [False, True, False]


def test_the_same_seed_gives_the_same_bytes(city: Path, tmp_path: Path) -> None:
    assert cli.main(["city", str(tmp_path / "again"), *OPTIONS, "--processes", "1"]) == 0
    assert content(city) == content(tmp_path / "again")


def test_the_folders_are_clips(city: Path) -> None:
    clips = Folder(kind="folder", root=city).clips()
    assert [clip.drive for clip in clips] == [clip.path.name[:8] for clip in clips]  # such as val-0001
    assert [clip.name for clip in clips] == ["folder/val-0000", "folder/val-0001"]
    rendered = city_clip(RECIPE, 1)
    for on_disk, in_memory in zip(clips[1].frames, rendered.frames, strict=True):
        for what in ("image", "right", "semantic", "instance", "moving", "lidar"):
            np.testing.assert_array_equal(getattr(on_disk, what).read(), getattr(in_memory, what).read(), err_msg=what)
        np.testing.assert_allclose(on_disk.depth.read(), in_memory.depth.read(), atol=0.003)  # type: ignore[union-attr]
        np.testing.assert_allclose(present(on_disk.pose), present(in_memory.pose), atol=1e-7)
        assert on_disk.time == pytest.approx(in_memory.time)
        assert on_disk.speed == pytest.approx(in_memory.speed, abs=1e-5)
    assert clips[1].camera == rendered.camera or vars(clips[1].camera) == vars(rendered.camera)
    assert clips[1].baseline == rendered.baseline == 0.54
    assert Image.open(city / "contact_sheet.jpg").size == (2 * 3 * 96, 3 * 32)


def test_a_run_that_was_stopped_goes_on(city: Path, tmp_path: Path) -> None:
    output = tmp_path / "city"
    assert cli.main(["city", str(output), *OPTIONS, "--processes", "1"]) == 0
    whole = content(output)
    clip = output / "val-0001"
    (clip / "rows").mkdir()
    lines = (clip / "frames.csv").read_text().splitlines()
    (clip / "rows" / "000000.csv").write_text(lines[1] + "\n")  # as if it had been stopped after the first frame
    (clip / "frames.csv").unlink()
    (clip / "frames" / "000001.png").unlink()
    kept = (clip / "frames" / "000000.png").stat().st_mtime_ns
    assert cli.main(["city", str(output), *OPTIONS, "--processes", "1"]) == 0
    assert content(output) == whole
    assert (clip / "frames" / "000000.png").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "96"], "--size: is '96'; give HEIGHTxWIDTH"),
        (["--size", "8x96"], "--size: is '8x96'"),
        (["--drives", "0"], "--drives: is 0; it must be at least 1"),
        (["--lead-share", "1.5"], "--lead-share: is 1.5; a share lies between 0 and 1"),
        (["--record", "5", "3"], "--record: is 5 3; the first is at least 1"),
        (["--speeds", "9", "3"], "--speeds: are 9.0 3.0"),
    ],
)
def test_bad_options(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["city", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_recipe_in_the_same_folder(city: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(city)
    assert cli.main(["city", str(city), *OPTIONS, "--seed", "5"]) == 2
    assert "holds a city of another recipe" in capsys.readouterr().err
    assert content(city) == before


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["city", str(tmp_path / "out")]) == 2
    assert "pip install 'packdepth[city]'" in capsys.readouterr().err
