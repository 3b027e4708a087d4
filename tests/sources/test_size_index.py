"""The index of image sizes: it is used, and never believed about a file that has changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from packdepth.errors import InputError
from packdepth.sources import size_index
from packdepth.sources.size_index import image_sizes, index_path
from packdepth.sources.stills import image_size


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Four images, which are many here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(size_index, "INDEXED", 3)
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        Image.new("RGB", (8 + index, 4)).save(path)
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files whose headers were read."""
    names: list[str] = []

    def noted(path: Path) -> tuple[int, int]:
        names.append(path.name)
        return image_size(path)

    monkeypatch.setattr(size_index, "image_size", noted)
    yield names
    names.clear()


def test_the_second_look_reads_no_header(paths: list[Path], read: list[str]) -> None:
    expected = [(4, 8), (4, 9), (4, 10), (4, 11)]
    assert image_sizes(paths) == expected
    assert len(read) == 4
    assert image_sizes(paths) == expected
    assert image_sizes(paths[::-1]) == expected[::-1]
    assert len(read) == 4


def test_what_changed_came_or_went_is_noticed(paths: list[Path], read: list[str]) -> None:
    image_sizes(paths)
    read.clear()
    Image.new("RGB", (20, 30)).save(paths[1])  # in place: the folder's own time of change stays
    paths[3].unlink()
    new = paths[0].with_name("9.png")
    Image.new("RGB", (5, 6)).save(new)
    assert image_sizes([paths[0], paths[1], paths[2], new]) == [(4, 8), (30, 20), (4, 10), (6, 5)]
    assert read == ["1.png", "9.png"]
    with pytest.raises(InputError, match=r"3\.png: not found"):
        image_sizes(paths)


def test_a_damaged_index_and_one_that_cannot_be_written_do_no_harm(paths: list[Path], read: list[str]) -> None:
    image_sizes(paths)
    index = index_path(paths[0].parent)
    index.write_bytes(index.read_bytes()[:100])
    assert image_sizes(paths)[3] == (4, 11)
    assert len(read) == 8
    index.unlink()
    index.parent.rmdir()
    index.parent.write_text("a file where the folder should be")
    assert image_sizes(paths)[3] == (4, 11)


def test_few_files_have_no_index(paths: list[Path]) -> None:
    image_sizes(paths[:2])
    assert not index_path(paths[0].parent).exists()
    assert not any(Path(os.environ["XDG_CACHE_HOME"]).glob("**/*.npz"))
