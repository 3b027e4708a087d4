"""`packdepth data splits`: no drive on two sides."""

from __future__ import annotations

from pathlib import Path

import pytest
import world
import yaml
from hypothesis import given
from hypothesis import strategies as st

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.inspection.splits import drives_per_part, make_splits
from packdepth.sources.folder import Folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five drives of two cameras each."""
    root = tmp_path_factory.mktemp("clips")
    for drive in range(5):
        for side in ("left", "right"):
            folder = world.write(root / f"{drive}-{side}")
            camera = folder / "camera.yaml"
            camera.write_text(yaml.safe_dump(yaml.safe_load(camera.read_text()) | {"drive": f"drive {drive}"}))
    return root


def drives(root: Path, split: Path) -> list[str | None]:
    return [clip.drive for clip in Folder(kind="folder", root=root, split_file=split).clips()]


def test_drives_stay_together(clips: Path, tmp_path: Path) -> None:
    hashes = make_splits(clips, tmp_path, shares=(0.6, 0.2, 0.2), seed=3)
    found = [drives(clips, path) for path in hashes]
    assert [path.name for path in hashes] == ["train.txt", "val.txt", "test.txt"]
    assert [len(names) for names in found] == [6, 2, 2]
    assert all(names.count(name) == 2 for names in found for name in names)
    assert set().union(*found) == {f"drive {drive}" for drive in range(5)}


def test_a_part_of_an_earlier_division_does_not_stay(clips: Path, tmp_path: Path) -> None:
    make_splits(clips, tmp_path, shares=(0.4, 0.2, 0.4))
    make_splits(clips, tmp_path, shares=(0.6, 0.4, 0.0), seed=3)
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == ["train.txt", "val.txt"]


def test_the_seed_decides(clips: Path, tmp_path: Path) -> None:
    one, again = (make_splits(clips, tmp_path / name, seed=1) for name in "ab")
    assert list(one.values()) == list(again.values())
    others = [list(make_splits(clips, tmp_path / str(seed), seed=seed).values()) for seed in range(2, 6)]
    assert any(hashes != list(one.values()) for hashes in others)


@given(drives=st.integers(3, 300), parts=st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(sum))
def test_every_drive_is_in_one_part(drives: int, parts: list[int]) -> None:
    counts = drives_per_part(drives, [part / sum(parts) for part in parts], Path("x"))
    assert sum(counts) == drives
    for part, count in zip(parts, counts, strict=True):
        assert (count > 0) == (part > 0)
        assert abs(count - drives * part / sum(parts)) <= 2


def test_errors(clips: Path, moving_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 1 drive, too few for 3 parts"):
        make_splits(moving_clip, tmp_path / "out")
    with pytest.raises(InputError, match="--shares"):
        make_splits(clips, tmp_path / "out", shares=(0.5, 0.5, 0.5))
    assert not (tmp_path / "out").exists()


def test_the_command(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "splits", str(clips), str(tmp_path), "--shares", "0.5", "0.5", "0", "--seed", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line.split()[0]).name for line in lines] == ["train.txt", "val.txt"]
    assert lines[0].split()[-1] in (tmp_path / "train.txt").read_text()
