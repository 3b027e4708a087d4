"""Whatever stands in a text file: it is read, or refused in one sentence that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.sources.camera_file import read_camera
from packdepth.sources.files import ImageFile
from packdepth.sources.folder import read_frames
from packdepth.sources.kitti import read_matrices
from packdepth.sources.kitti_odometry import read_table
from packdepth.sources.kitti_raw import read_oxts, read_times

READERS: dict[str, Callable[[Path], Any]] = {
    "frames.csv": read_frames,
    "camera.yaml": read_camera,
    "calib.txt": lambda path: read_matrices(path, {"R": (2,)})["R"],
    "0000000000.txt": read_oxts,
    "times.txt": lambda path: read_table(path, 1),
    "timestamps.txt": lambda path: list(read_times(path, {"0": ImageFile(Path("0.png"))}).values()),
}
FRAGMENTS = [
    "frame,time_s\n",
    "a,0\n",
    "R:",
    "width: ",
    "2011-09-26 13:02:25.5",
    "1",
    " ",
    "\n",
    "nan",
    "inf",
    '"',
    "-",
    "é",
]


@pytest.mark.parametrize("name", READERS)
@given(parts=st.lists(st.sampled_from(FRAGMENTS) | st.characters(codec="utf-8"), max_size=40))
def test_any_text(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], name: str, parts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("text") / name
    path.write_text("".join(parts), encoding="utf-8")
    values = read_or_refused(lambda: READERS[name](path), path)
    if name == "times.txt" and values is not None:
        assert values[:, 0].tolist() == [float(word) for word in path.read_text(encoding="utf-8-sig").split()]
    elif name == "timestamps.txt" and values is not None:
        assert values == [0.0]  # of the first image


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, complaint: Callable[..., None], value: str) -> None:
    for name, text in {"calib.txt": f"R: 1 {value}\n", "times.txt": f"1\n{value}\n"}.items():
        path = tmp_path / name
        path.write_text(text)
        complaint(lambda name=name, path=path: READERS[name](path), path)
    packet = tmp_path / "0000000000.txt"
    packet.write_text(" ".join([*["1"] * 29, value]))
    complaint(lambda: read_oxts(packet), packet, "30 numbers")


@pytest.mark.parametrize("name", READERS)
@given(content=st.binary(max_size=60))
def test_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], name: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    read_or_refused(lambda: READERS[name](path), path)
