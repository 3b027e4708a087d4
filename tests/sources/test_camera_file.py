from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from packdepth.sources.camera_file import read_camera

TEXT = "width: 40\nheight: 12\nfx: 30.5\nfy: 30\ncx: 19.5\ncy: 5.5\n"


def test_camera(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(TEXT)
    read = read_camera(path)
    camera = read.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (30.5, 30.0, 19.5, 5.5)
    assert (camera.width, camera.height) == (40, 12)
    assert (read.baseline_m, read.independent) == (None, False)
    path.write_text(TEXT + "baseline_m: 0.5\nindependent: true\n")
    read = read_camera(path)
    assert (read.baseline_m, read.independent) == (0.5, True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (TEXT + "baselin_m: 0.5\n", ["baselin_m", "did you mean 'baseline_m'"]),
        (TEXT.replace("fx: 30.5\n", ""), ["fx"]),
        (TEXT.replace("30.5", "wide"), ["fx", "wide"]),
        (TEXT.replace("30.5", "-30.5"), ["fx", "-30.5"]),
        (TEXT.replace("30.5", ".inf"), ["fx"]),
        (TEXT + "baseline_m: 0\n", ["baseline_m"]),
        (TEXT + "baseline_m: -386.1\n", ["baseline_m: is -386.1", "positive", "(P2[0, 3] - P3[0, 3]) / fx"]),
        (TEXT.replace("cx: 19.5", "cx: -200"), ["cx", "-200", "40x12"]),
        (TEXT.replace("cy: 5.5", "cy: 1.0e+300"), ["cy", "1e+300"]),
        ("just words", []),
        ("", []),
        ("width: [1", ["YAML"]),
    ],
)
def test_errors(tmp_path: Path, complaint: Callable[..., None], text: str, parts: list[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    complaint(lambda: read_camera(path), path, *parts)


def test_missing_file(tmp_path: Path, complaint: Callable[..., None]) -> None:
    complaint(lambda: read_camera(tmp_path / "camera.yaml"), tmp_path / "camera.yaml", "not found", "fx")
