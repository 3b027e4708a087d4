"""Reads the PLY files that we write, by what their header says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TYPES = {"float": "<f4", "uchar": "u1", "ushort": "<u2"}


def read(path: Path) -> np.ndarray:
    """The vertices, with a field for each property."""
    header, body = path.read_bytes().split(b"end_header\n", 1)
    lines = [line.split() for line in header.decode("ascii").splitlines() if not line.startswith("comment ")]
    assert lines[:2] == [["ply"], ["format", "binary_little_endian", "1.0"]]
    assert lines[2][:2] == ["element", "vertex"]
    layout = np.dtype([(line[2], TYPES[line[1]]) for line in lines[3:]])
    vertices = np.frombuffer(body, dtype=layout)
    assert len(vertices) == int(lines[2][2])
    return vertices


def comments(path: Path) -> dict[str, str]:
    """The comments of the header, `comment KEYWORD: TEXT`."""
    header = path.read_bytes().split(b"end_header\n", 1)[0].decode("ascii")
    lines = [line.removeprefix("comment ") for line in header.splitlines() if line.startswith("comment ")]
    return dict(line.split(": ", 1) for line in lines)
