"""The terminal: no control characters of strangers, and one sentence for each error."""

from __future__ import annotations

import errno
import subprocess
import sys
import warnings
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from packdepth import cli
from packdepth.errors import InputError, InputWarning
from packdepth.terminal import DEBUG, FAULT, MACHINE, UNUSABLE, plain, plain_output, sentence, worded_warnings

CONTROLS = "\x1b[31m \x1b]0;t\x07 \r \x9b2J \u202e \udcff \x00 \x7f"


def test_control_characters_become_visible() -> None:
    shown = plain(f"a{CONTROLS}b\nc\td é 漢 🙂")
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert shown.endswith("b\nc\td é 漢 🙂")
    assert "\\x1b[31m" in shown


def test_all_that_is_printed_in_a_verb_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_output():
        print(CONTROLS)
        print(CONTROLS, file=sys.stderr)
    print("after \x1b[0m")
    out, err = capsys.readouterr()
    assert "\x1b" not in out.splitlines()[0]
    assert "\x1b" not in err
    assert out.splitlines()[1] == "after \x1b[0m"


def test_a_warning_is_one_sentence(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (96, 64), (60 * number, 90, 30)).save(tmp_path / f"{number:03d}.png")
    (tmp_path / "notes.docx").touch()
    command = [sys.executable, "-m", "packdepth.cli", "data", "check", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert f"packdepth: warning: {tmp_path}: packdepth reads its images; left alone: notes.docx\n" in said
    assert "InputWarning" not in said
    causes = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False).stderr
    assert "InputWarning: " in causes


def test_a_warning_of_a_library_keeps_its_place() -> None:
    with worded_warnings():
        ours = warnings.formatwarning("late \x1b[2J", InputWarning, "a.py", 7)
        others = [warnings.formatwarning("late", each, "a.py", 7) for each in (UserWarning, DeprecationWarning)]
    assert ours == "packdepth: warning: late \\x1b[2J\n"
    assert others == ["a.py:7: UserWarning: late\n", "a.py:7: DeprecationWarning: late\n"]
    assert warnings.formatwarning("late", InputWarning, "a.py", 7) == "a.py:7: InputWarning: late\n"


@pytest.mark.parametrize(
    ("error", "status", "part"),
    [
        (InputError("a.yaml: is \x1b[31m empty"), UNUSABLE, "packdepth: a.yaml: is \\x1b[31m empty"),
        (OSError(errno.ENOSPC, "No space left", "a\x1b.npz"), UNUSABLE, "a\\x1b.npz: cannot be written: its disk is"),
        (MemoryError(), MACHINE, "packdepth train run.yaml: needs more memory than there is"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), MACHINE, "needs more memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), MACHINE, "was killed from outside"),
        (
            ZeroDivisionError("division\nby zero"),
            FAULT,
            "packdepth train run.yaml: failed by a fault of packdepth (Zero",
        ),
    ],
)
def test_each_error_is_one_sentence(error: BaseException, status: int, part: str) -> None:
    text, found = sentence(error, ["train", "run.yaml"])
    assert found == status
    assert part in text
    assert text.isprintable()


def test_a_fault_is_told_and_its_traceback_is_kept_for_who_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        try:
            raise KeyError("the cause")
        except KeyError:
            raise ZeroDivisionError("never") from None

    monkeypatch.setattr("packdepth.inference.info.describe", fail)
    monkeypatch.delenv(DEBUG, raising=False)
    assert cli.main(["info", str(tmp_path)]) == FAULT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"packdepth info {tmp_path}"[:60])
    assert "--debug" in line
    monkeypatch.setenv(DEBUG, "1")
    assert cli.main(["info", str(tmp_path)]) == FAULT
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "the cause" in shown


def test_a_thread_that_fails_prints_no_traceback_and_is_told_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(path: Path) -> str:
        thread = Thread(target=lambda: (tmp_path / "missing").read_text())
        thread.start()
        thread.join()
        return "done"

    monkeypatch.setattr("packdepth.inference.info.describe", work)
    monkeypatch.delenv(DEBUG, raising=False)
    assert cli.main(["info", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == "done\n"
    (line,) = shown.err.splitlines()
    assert "a thread failed" in line
    assert "No such file" in line
    monkeypatch.setenv(DEBUG, "1")
    assert cli.main(["info", str(tmp_path)]) == 0
    assert "Traceback" in capsys.readouterr().err


def test_debug_may_stand_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEBUG, "")
    assert cli.main(["info", "--debug", str(tmp_path)]) == UNUSABLE
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("packdepth: ")
