from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.data.targets import target_indices
from packdepth.records import Clip
from packdepth.sources.folder import Folder
from packdepth.sources.kitti_split import kitti_entry
from packdepth.sources.split import own_entry, read_lines, select, write_split


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    return Folder(kind="folder", root=moving_clip).clips()[0]


def test_neighbors_of_targets_remain_context(moving_clip: Path, tmp_path: Path, clip: Clip) -> None:
    split = tmp_path / "split.txt"
    split.write_text(f"{clip.name} {clip.frames[2].name}\n# a remark\n\n{clip.name} {clip.frames[0].name}\n")
    (selected,) = Folder(kind="folder", root=moving_clip, split_file=split).clips()
    assert selected.targets == {clip.frames[2].name, clip.frames[0].name}
    assert len(selected.frames) == len(clip.frames)
    assert target_indices(selected, (-1, 1)) == [2]  # frame 0 has nothing before it


def test_a_clip_without_frames_is_all_of_it(clip: Clip) -> None:
    other = replace(clip, name="folder/other")
    entries = [own_entry("x", line) for line in (clip.name, f"{clip.name} {clip.frames[0].name}")]
    (selected,), absent = select([other, clip], entries)
    assert selected is clip
    assert absent == []


def test_what_is_not_there_is_an_error_or_a_warning(
    moving_clip: Path, tmp_path: Path, clip: Clip, complaint: Callable[..., None]
) -> None:
    split = tmp_path / "split.txt"
    split.write_text(f"{clip.name} {clip.frames[2].name}\n{clip.name} 77\nfolder/other\n")

    def clips(**options: Any) -> list[Clip]:
        return Folder(kind="folder", root=moving_clip, split_file=split, **options).clips()

    complaint(clips, split, "line 2", "77", "2 of the 3 entries", "partial: true")
    with pytest.warns(UserWarning, match="2 of the 3 entries"):
        (selected,) = clips(partial=True)
    assert selected.targets == {clip.frames[2].name}
    split.write_text("folder/other\n")
    complaint(lambda: clips(partial=True), "1 of the 1 entries")
    split.write_text("# nothing\n")
    complaint(clips, split, "lists nothing")
    split.write_text("a b c\n")
    complaint(clips, "line 1", "3 words")
    split.unlink()
    complaint(clips, split, "not found")


def test_a_split_that_was_changed_is_refused(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "train.txt"
    value = write_split(path, ["folder/a", "folder/b 3"], "two clips")
    assert [line for _, line in read_lines(path)] == ["folder/a", "folder/b 3"]
    assert value in path.read_text()
    path.write_text(path.read_text().replace("folder/a", "folder/c"))
    complaint(lambda: read_lines(path), path, "sha256")


DRIVE = "2011_09_26_drive_0001_sync"


@pytest.mark.parametrize(
    ("line", "clip", "frame"),
    [
        (f"2011_09_26/{DRIVE}/image_02/data/0000000010.png", f"kitti_raw/{DRIVE}/left", "0000000010"),
        (f"2011_09_26/{DRIVE}/image_03/data/0000000010.jpg x.png", f"kitti_raw/{DRIVE}/right", "0000000010"),
        (f"2011_09_26/{DRIVE} 10 l", f"kitti_raw/{DRIVE}/left", "0000000010"),
        (f"2011_09_26/{DRIVE} 0000000011 r", f"kitti_raw/{DRIVE}/right", "0000000011"),
        (f"kitti_raw/{DRIVE}/right", f"kitti_raw/{DRIVE}/right", None),
        (f"kitti_raw/{DRIVE}/left 0000000012", f"kitti_raw/{DRIVE}/left", "0000000012"),
    ],
)
def test_notations_of_kitti(line: str, clip: str, frame: str) -> None:
    assert kitti_entry("x", line, color=True) == (clip, frame, "x")


def test_a_split_of_other_cameras_is_refused(complaint: Callable[..., None]) -> None:
    line = f"2011_09_26/{DRIVE}/image_01/data/0000000010.png"
    assert kitti_entry("x", line, color=False).clip.endswith("/right")
    complaint(lambda: kitti_entry("s.txt: line 3", line, color=True), "s.txt: line 3", "image_01", "color: false")
    complaint(lambda: kitti_entry("x", line.replace("01/d", "02/d"), color=False), "image_02", "color: true")


@given(text=st.text(alphabet=st.sampled_from("ab/_ 0\n#\r\t") | st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_split_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], text: str
) -> None:
    path: Path = tmp_path_factory.mktemp("split") / "split.txt"
    path.write_text(text, encoding="utf-8")
    for read in (own_entry, lambda where, line: kitti_entry(where, line, True)):
        entries = read_or_refused(lambda read=read: [read(*line) for line in read_lines(path)], path)
        assert entries is None or all(entry.clip and entry.frame != "" for entry in entries)
