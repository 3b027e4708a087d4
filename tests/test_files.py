"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from packdepth import files
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: cannot be made a folder \(.*\); name another output"):
        make_folder(tmp_path / "file")


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (45, 83, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    files.write_image(path, image)
    save = Image.Image.save

    def failing(self: Image.Image, target: Path) -> None:
        save(self, target)
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", failing)
    with pytest.raises(OSError, match="no space left"):
        files.write_image(path, 255 - image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    assert list(tmp_path.iterdir()) == [path]
