"""Progress of long loops."""

from __future__ import annotations

import pytest

from packdepth import progress as module
from packdepth.progress import progress


def test_without_a_terminal_lines_tell_a_hang_from_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress("abc", "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == "letters 3/3\n"
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    assert list(progress("abc", "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == "letters 1/3\nletters 2/3\nletters 3/3\n"
