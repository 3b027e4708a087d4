"""Checkpoints of which the weights were not copied with the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from packdepth.checkpoint import WEIGHTS, read
from packdepth.errors import InputError

DISGUISES = [
    (b"", r"is empty \(0 bytes\); copy it again"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer of Git LFS"),
    (b"<!DOCTYPE html><html></html>", "is a web page, as a download that failed leaves it"),
]


@pytest.mark.parametrize(("content", "text"), DISGUISES)
def test_weights_that_were_not_copied_are_called_so(
    tmp_path: Path, checkpoint_folder: Path, content: bytes, text: str
) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "best")
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=rf"{WEIGHTS}: cannot be read \(it {text}"):
        read(folder)
