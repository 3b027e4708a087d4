"""An output has one owner: another process is refused in one sentence, and a dead one owns nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packdepth.errors import InputError
from packdepth.ownership import LOCK, owned

HOLD = """
import sys, time
from pathlib import Path
from packdepth.ownership import owned
with owned(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(output)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        refused = pytest.raises(InputError, match=f"out: process {process.pid} on .* is writing to it; wait for")
        with refused, owned(output):
            pass
        process.kill()
    assert (output / LOCK).exists()  # left, but nobody's
    with owned(output):
        (output / "file").touch()
    assert [path.name for path in output.iterdir()] == ["file"]


def test_a_process_that_owns_an_output_may_own_it_again_and_parts_of_it(tmp_path: Path) -> None:
    with owned(tmp_path / "out"), owned(tmp_path / "out"), owned(tmp_path / "out" / "part"):
        assert (tmp_path / "out" / LOCK).exists()
        assert (tmp_path / "out" / "part" / LOCK).exists()
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_no_folder_that_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), owned(tmp_path / "a" / "b"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_folder_that_will_be_replaced_lies_beside_it(tmp_path: Path) -> None:
    with owned(tmp_path / "network", beside=True):
        assert not (tmp_path / "network").exists()
        assert [path.name for path in tmp_path.iterdir()] == [f".network{LOCK}"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(InputError, match=r"file: cannot be made a folder \(.*\); name another output")
    with refused, owned(tmp_path / "file"):
        pass


def test_processes_that_work_together_own_it_once(tmp_path: Path) -> None:
    with owned(tmp_path / "out"), owned(tmp_path / "out", first=False):
        assert os.listdir(tmp_path / "out") == [LOCK]  # noqa: PTH208
