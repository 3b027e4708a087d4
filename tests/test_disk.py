"""What is on disk is old or new, leftovers of dead processes go, and a full disk is named by what was to be written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packdepth import disk
from packdepth.disk import MARK, OLD, recover, replaced, replaced_together, sweep, unfinished
from packdepth.errors import InputError
from packdepth.files import replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from packdepth.disk import unfinished
with unfinished(Path({str(tmp_path / "a.txt")!r})):
    print("ready", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = names(tmp_path)
        assert len(before) == 1
        assert before[0].startswith(f".a{MARK}")
        sweep(tmp_path)
        assert names(tmp_path) == before
        process.kill()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_the_first_file_that_a_process_writes_in_a_folder_removes_what_another_left(tmp_path: Path) -> None:
    (tmp_path / f".b{MARK}0.png").write_text("half")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("can", [True, False])
def test_a_folder_is_replaced_with_and_without_an_exchange(
    can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can:
        monkeypatch.setattr(disk, "exchanged", lambda one, other: False)
    for text in ("old", "new"):
        with replaced(tmp_path / "best") as temporary:
            (temporary / "file").write_text(text)
    assert (tmp_path / "best" / "file").read_text() == "new"
    assert names(tmp_path) == ["best"]


@pytest.mark.skipif(sys.platform != "linux", reason="exchanges are of Linux")
def test_an_exchange_leaves_both(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not disk.exchanged(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this disk cannot exchange")
    assert names(tmp_path / "one") == ["other"]
    assert names(tmp_path / "other") == ["one"]


def test_a_kill_between_two_renames_is_undone(tmp_path: Path) -> None:
    (tmp_path / f".last{MARK}{OLD}0").mkdir()
    (tmp_path / f".last{MARK}{OLD}0" / "file").write_text("old")
    (tmp_path / f".last{MARK}1").mkdir()
    recover(tmp_path / "last")
    assert (tmp_path / "last" / "file").read_text() == "old"
    assert names(tmp_path) == ["last"]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "best").write_text("mine")
    with (
        pytest.raises(InputError, match="best: is a file, where a folder is to be written"),
        replaced(tmp_path / "best"),
    ):
        pass
    assert (tmp_path / "best").read_text() == "mine"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_rights_are_those_of_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with replaced(tmp_path / "folder") as temporary, replacing(temporary / "a.txt") as file:
            file.write_text("a")
        assert disk.rights() == 0o666 & ~mask
    finally:
        os.umask(before)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~mask
    assert (tmp_path / "folder" / "a.txt").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_by_the_output_with_what_it_needs_and_has(tmp_path: Path, error: Exception) -> None:
    def write() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_bytes(bytes(2_000_000))
            raise error

    with pytest.raises(InputError) as raised:
        write()
    assert str(raised.value).startswith(f"{tmp_path / 'a.txt'}: cannot be written: its disk is full (")
    assert "free, more than 2.0 MB needed); free some space" in str(raised.value)
    assert MARK not in str(raised.value)
    assert names(tmp_path) == []


def test_a_leftover_that_cannot_be_removed_hides_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(text: str) -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text(text)
            if not text:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "remove", refuse)
    write("done")
    assert (tmp_path / "a.txt").read_text() == "done"
    with pytest.raises(InputError, match=r"a\.txt: cannot be written: its disk is full"):
        write("")


def test_a_signal_while_a_leftover_is_removed_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, remove = [0], disk.remove

    def interrupted_once(path: Path) -> None:
        calls[0] += 1
        if calls[0] == 1:
            raise KeyboardInterrupt
        remove(path)

    def write() -> None:
        with disk.unfinished_folder(tmp_path / "a") as folder:
            (folder / "b").write_text("b")

    monkeypatch.setattr(disk, "remove", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == []


def test_files_that_belong_together_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("old")
    seen = []

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            result = change(*arguments, **options)
            seen.append({path.read_text() for path in (tmp_path / "a", tmp_path / "b") if path.exists()})
            return result

        return changed

    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, watched(getattr(Path, name)))
    with replaced_together(tmp_path) as temporary:
        for name in ("a", "b"):
            (temporary / name).write_text("new")
    assert seen == [{"old"}, {"new"}, {"new"}]
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {"a": "new", "b": "new", "c": "old"}


def test_an_error_in_a_set_of_files_names_its_folder_and_keeps_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write() -> None:
        with replaced_together(tmp_path) as temporary, replacing(temporary / "a"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError) as raised:
        write()
    assert str(raised.value).startswith(f"{tmp_path / 'a'}: cannot be written")
    assert (names(tmp_path), (tmp_path / "a").read_text()) == (["a"], "old")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"), unfinished(tmp_path / "a.txt"):
        (tmp_path / "nothing").read_text()


def test_many_files_take_one_look_at_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    scandir = os.scandir

    def counting(path: Path) -> object:
        looks.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    for index in range(20):
        with replacing(tmp_path / f"{index}.txt") as temporary:
            temporary.write_text("a")
    assert len(looks) == 1


def test_a_reader_without_rights_sweeps_nothing(tmp_path: Path) -> None:
    sweep(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
