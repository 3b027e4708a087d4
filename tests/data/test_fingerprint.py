"""What a change of data does to its fingerprint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from packdepth.data.fingerprint import difference, fingerprint
from packdepth.sources import Folder


def lines_of(clip: Path) -> list[str]:
    return (clip / "frames.csv").read_text().splitlines(keepends=True)


def remove(clip: Path) -> None:
    (clip / "frames.csv").write_text("".join(lines_of(clip)[:-1]))
    for path in clip.glob("*/000005.png"):
        path.unlink()


def rename(clip: Path) -> None:
    (clip / "frames.csv").write_text("".join(lines_of(clip)).replace("000004", "000009"))
    (clip / "frames" / "000004.png").rename(clip / "frames" / "000009.png")
    (clip / "depth" / "000004.png").rename(clip / "depth" / "000009.png")


def correct_a_speed(clip: Path) -> None:
    header, *rows = lines_of(clip)
    cells = dict(zip(header.strip().split(","), rows[2].strip().split(","), strict=True)) | {"speed_mps": "7.25"}
    (clip / "frames.csv").write_text(header + "".join(rows[:2]) + ",".join(cells.values()) + "\n" + "".join(rows[3:]))


def calibrate(clip: Path) -> None:
    values = yaml.safe_load((clip / "camera.yaml").read_text())
    (clip / "camera.yaml").write_text(yaml.safe_dump(values | {"fx": values["fx"] + 0.5}))


def repaint(clip: Path) -> None:
    Image.new("RGB", (96, 48)).save(clip / "frames" / "000003.png")


CHANGES: dict[Callable[[Path], None], str] = {
    remove: "clip folder/clip had 6 frames, and has 5 now",
    rename: "the frames of clip folder/clip have other names",
    correct_a_speed: "the times, speeds, poses or the calibration of clip folder/clip are others",
    calibrate: "the times, speeds, poses or the calibration of clip folder/clip are others",
    repaint: "the images or the measured depth of clip folder/clip are files of other sizes",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told_in_words(change: Callable[[Path], None], moving_clip: Path, tmp_path: Path) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    before = [fingerprint(each) for each in Folder(root=clip).clips()]
    change(clip)
    assert difference(before, [fingerprint(each) for each in Folder(root=clip).clips()]) == CHANGES[change]


def test_data_may_move_and_be_copied(moving_clip: Path, tmp_path: Path) -> None:
    prints = []
    for place in ("here", "there"):
        clip = shutil.copytree(moving_clip, tmp_path / place / "clip")
        (clip / "frames" / "000001.png").touch()
        prints.append([fingerprint(each) for each in Folder(root=clip).clips()])
    assert difference(*prints) is None


def test_a_clip_more_or_less_is_a_change(moving_clip: Path) -> None:
    (clip,) = [fingerprint(each) for each in Folder(root=moving_clip).clips()]
    assert difference([clip], [clip, clip]) == "the number of clips was 1, and is 2 now"
    other = clip | {"clip": "folder/other"}
    assert difference([clip], [other]) == "clip folder/other stands where folder/moving_clip was"
