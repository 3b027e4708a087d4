"""Calibration files of other projects, as they are written, read as packdepth's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens
from packdepth.sources.camera_file import CameraFile, camera_facts, read_camera

K = np.array([[500.5, 0, 319.5], [0, 501.5, 239.5], [0, 0, 1]])
D5, D4 = (-0.3, 0.1, 1e-05, -0.002, 0.01), (-0.02, 0.004, -0.002, 1e-05)
BROWN, FISHEYE = BrownConrady(*D5), KannalaBrandt(*D4)

CAMERA_INFO = """\
header:
  seq: 12
  stamp:
    secs: 1700000000
    nsecs:  50000000
  frame_id: "camera"
height: 480
width: 640
distortion_model: "plumb_bob"
D: [-0.3, 0.1, 1e-05, -0.002, 0.01]
K: [500.5, 0.0, 319.5, 0.0, 501.5, 239.5, 0.0, 0.0, 1.0]
R: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
P: [450.0, 0.0, 310.0, 0.0, 0.0, 455.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: False
---
"""
CAMERA_INFO_2 = """\
height: 480
width: 640
distortion_model: equidistant
d:
- -0.02
- 0.004
- -0.002
- 1.0e-05
k:
- 500.5
- 0.0
- 319.5
- 0.0
- 501.5
- 239.5
- 0.0
- 0.0
- 1.0
"""
CALIBRATOR = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0, 319.5, 0, 501.5, 239.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.00001, -0.002, 0.01]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
"""
CHAIN = """\
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.02, 0.004, -0.002, 1.0e-05]
  distortion_model: equidistant
  intrinsics: [500.5, 501.5, 319.5, 239.5]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
"""
SECOND = """\
cam1:
  camera_model: pinhole
  distortion_coeffs: [-0.3, 0.1, 1.0e-05, -0.002]
  distortion_model: radtan
  intrinsics: [500.5, 501.5, 319.5, 239.5]
  resolution: [640, 480]
"""
COLMAP = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
OWN = "width: 640\nheight: 480\nfx: 500.5\nfy: 501.5\ncx: 319.5\ncy: 239.5\n"
PART = (  # of a sensor of 1400x1000 pixels: 1280x960 of them, four of which are one pixel
    CAMERA_INFO.replace("height: 480\nwidth: 640", "height: 1000\nwidth: 1400")
    .replace("K: [500.5, 0.0, 319.5, 0.0, 501.5, 239.5", "K: [1001.0, 0.0, 699.5, 0.0, 1003.0, 499.5")
    .replace("binning_x: 0\nbinning_y: 0", "binning_x: 2\nbinning_y: 2")
    .replace(
        "x_offset: 0\n  y_offset: 0\n  height: 0\n  width: 0",
        "x_offset: 60\n  y_offset: 20\n  height: 960\n  width: 1280",
    )
)


def read(tmp_path: Path, text: str, name: str = "camera.yaml") -> CameraFile:
    (tmp_path / name).write_text(text)
    return read_camera(tmp_path / name)


def storage(path: Path, fisheye: bool = False, lists: bool = False) -> Path:
    """Write a calibration as OpenCV does: YAML or XML, according to the suffix."""
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    if lists:
        file.startWriteStruct("image_size", cv2.FileNode_SEQ | cv2.FileNode_FLOW)
        file.write("", 640)
        file.write("", 480)
        file.endWriteStruct()
    else:
        file.write("image_width", 640)
        file.write("image_height", 480)
    file.write("cameraMatrix" if lists else "camera_matrix", K)
    if fisheye:
        file.write("distortion_model", "fisheye")
    file.write("dist_coeffs" if lists else "distortion_coefficients", np.array([D4 if fisheye else D5]))
    file.write("avg_reprojection_error", 0.25)
    file.release()
    return path


def check(file: CameraFile, lens: Lens | None) -> None:
    facts = camera_facts(file, Path("camera.yaml"))
    camera = facts["camera"]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.5, 501.5, 319.5, 239.5)
    assert (camera.width, camera.height) == (640, 480)
    assert facts["lens"] == lens


@pytest.mark.parametrize(
    ("text", "lens"),
    [
        (CAMERA_INFO, BROWN),
        (CAMERA_INFO + CAMERA_INFO.replace("seq: 12", "seq: 13"), BROWN),
        (CAMERA_INFO.replace("D: [-0.3, 0.1, 1e-05, -0.002, 0.01]", "D: []"), None),
        (CAMERA_INFO.replace("[-0.3, 0.1, 1e-05, -0.002, 0.01]", "[0.0, 0.0, 0.0, 0.0, 0.0]"), None),
        (
            CAMERA_INFO.replace("plumb_bob", "rational_polynomial").replace("-0.002, 0.01]", "-0.002, 0.01, 1, 2, 3]"),
            BrownConrady(*D5, 1, 2, 3),
        ),
        (CAMERA_INFO.replace("height: 0\n  width: 0", "height: 480\n  width: 640"), BROWN),
        (CAMERA_INFO.replace("binning_x: 0\nbinning_y: 0", "binning_x: 1\nbinning_y: 1"), BROWN),
        (PART, BROWN),
        (CAMERA_INFO_2, FISHEYE),
        (CALIBRATOR, BROWN),
        (CALIBRATOR.replace("distortion_model: plumb_bob\n", ""), BROWN),
        (CHAIN, FISHEYE),
        (CHAIN.replace("equidistant", "none"), None),
        (SECOND.replace("cam1", "cam0"), BrownConrady(*D5[:4])),
        (COLMAP + "1 PINHOLE 640 480 500.5 501.5 320 240\n", None),
        (COLMAP + "1 OPENCV 640 480 500.5 501.5 320 240 -0.3 0.1 1e-05 -0.002\n", BrownConrady(*D5[:4])),
        (
            COLMAP + "3 FULL_OPENCV 640 480 500.5 501.5 320 240 -0.3 0.1 1e-05 -0.002 0.01 1 2 3\n",
            BrownConrady(*D5, 1, 2, 3),
        ),
        (COLMAP + "1 OPENCV_FISHEYE 640 480 500.5 501.5 320 240 -0.02 0.004 -0.002 1e-05\n", FISHEYE),
        (OWN, None),
        (OWN + "lens: {kind: brown_conrady, coefficients: [-0.3, 0.1, 1.0e-5, -0.002, 0.01]}\n", BROWN),
        (OWN + "lens: {kind: brown_conrady, coefficients: [0, 0, 0, 0]}\n", None),
        (OWN + "lens: {kind: kannala_brandt, coefficients: [-0.02, 0.004, -0.002, 1.0e-5]}\n", FISHEYE),
        (OWN + "lens: {kind: kannala_brandt, coefficients: [0, 0, 0, 0]}\n", KannalaBrandt()),
    ],
)
def test_the_content_tells_the_format(tmp_path: Path, text: str, lens: Lens | None) -> None:
    check(read(tmp_path, text), lens)


@pytest.mark.parametrize("suffix", [".yml", ".xml"])
@pytest.mark.parametrize("fisheye", [False, True])
@pytest.mark.parametrize("lists", [False, True])
def test_files_that_opencv_writes(tmp_path: Path, suffix: str, fisheye: bool, lists: bool) -> None:
    check(read_camera(storage(tmp_path / f"camera{suffix}", fisheye, lists)), FISHEYE if fisheye else BROWN)


def test_the_header_of_earlier_versions_of_opencv(tmp_path: Path) -> None:
    text = storage(tmp_path / "camera.yml").read_text()
    check(read(tmp_path, text.replace(text.splitlines()[0], "%YAML:1.0")), BROWN)


@pytest.mark.parametrize(
    ("line", "lens"),
    [
        ("1 SIMPLE_PINHOLE 640 480 500 320 240", None),
        ("1 SIMPLE_RADIAL 640 480 500 320 240 -0.1", BrownConrady(-0.1)),
        ("1 SIMPLE_RADIAL 640 480 500 320 240 0", None),
        ("1 RADIAL 640 480 500 320 240 -0.1 0.02", BrownConrady(-0.1, 0.02)),
        ("1 SIMPLE_RADIAL_FISHEYE 640 480 500 320 240 0", KannalaBrandt()),
        ("1 RADIAL_FISHEYE 640 480 500 320 240 -0.1 0.02", KannalaBrandt(-0.1, 0.02)),
    ],
)
def test_colmaps_models_of_one_focal_length(tmp_path: Path, line: str, lens: Lens | None) -> None:
    file = read(tmp_path, COLMAP + line, "cameras.txt")
    assert (file.fx, file.fy, file.cx, file.cy) == (500, 500, 319.5, 239.5)
    assert camera_facts(file, Path("camera.yaml"))["lens"] == lens


def test_one_of_several_cameras_is_named(tmp_path: Path, complaint: Callable[..., None]) -> None:
    path = tmp_path / "camchain.yaml"
    path.write_text(CHAIN + SECOND)
    complaint(lambda: read_camera(path), path, "2 cameras", "cam0, cam1", f"{path}#cam0")
    check(read_camera(tmp_path / "camchain.yaml#cam1"), BrownConrady(*D5[:4]))
    complaint(lambda: read_camera(tmp_path / "camchain.yaml#cam2"), path, "'cam2'", "cam0, cam1")
    cameras = tmp_path / "cameras.txt"
    cameras.write_text(COLMAP + "1 PINHOLE 640 480 9 9 320 240\n7 PINHOLE 640 480 500.5 501.5 320 240\n")
    complaint(lambda: read_camera(cameras), cameras, "2 cameras", "1, 7")
    check(read_camera(tmp_path / "cameras.txt#7"), None)
    (tmp_path / "own.yaml").write_text(OWN)
    complaint(lambda: read_camera(tmp_path / "own.yaml#left"), "own.yaml", "one camera", "'left'")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (CAMERA_INFO.replace("plumb_bob", "thin_prism"), ["thin_prism", "plumb_bob"]),
        (CAMERA_INFO.replace("width: 640", "wide: 640"), ["image_width"]),
        (CAMERA_INFO.replace("width: 640", "width: 0"), ["image_width"]),
        (CAMERA_INFO.replace("binning_x: 0", "binning_x: -2"), ["roi and binning", "whole numbers"]),
        (CAMERA_INFO.replace("binning_x: 0", "binning_x: two"), ["roi and binning", "two"]),
        (CAMERA_INFO.replace("x_offset: 0", "x_offset: 64"), ["roi 0x0 at 64, 0", "not inside its 640x480", "set roi"]),
        (CAMERA_INFO.replace("500.5, 0.0, 319.5", "500.5, 0.3, 319.5"), ["skew"]),
        (CAMERA_INFO.replace("500.5", "0.0"), ["focal lengths"]),
        (CAMERA_INFO.replace("500.5, 0.0, ", "500.5, "), ["camera matrix", "9 numbers"]),
        (CAMERA_INFO.replace("D:", "# D:"), ["no distortion_coefficients"]),
        (CAMERA_INFO + CAMERA_INFO.replace("500.5", "600"), ["different calibrations"]),
        (CALIBRATOR.replace("0.01]", "0.01, 0, 0, 0, 0.1]"), ["9", "4 or 5 or 8"]),
        (CALIBRATOR.replace("plumb_bob", "equidistant"), ["kannala_brandt", "4 coefficients"]),
        (CALIBRATOR.replace("distortion_model: plumb_bob\n", "").replace(", 0.01]", "]"), ["4 coefficients", "add"]),
        (CHAIN.replace("pinhole", "omni"), ["cam0", "'omni'", "pinhole-radtan"]),
        (CHAIN.replace("equidistant", "fov"), ["cam0", "'fov'", "radtan"]),
        (CHAIN.replace("[640, 480]", "[640]"), ["cam0: resolution", "2 numbers"]),
        (COLMAP + "1 FOV 640 480 500 500 320 240 0.9\n", ["camera 1", "FOV", "OPENCV"]),
        (COLMAP + "1 PINHOLE 640 480 500 320 240\n", ["camera 1", "4 numbers"]),
        (OWN + "lens: {kind: fisheye, coefficients: [0, 0, 0, 0]}\n", ["lens.kind", "fisheye"]),
        (OWN + "lens: {kind: kannala_brandt, coefficients: [0, 0]}\n", ["lens", "4 coefficients (found 2)"]),
        (OWN + "lense: 1\n", ["lense", "did you mean 'lens'"]),
        ("<opencv_storage><camera_matrix></opencv_storage>", ["XML"]),
        ("<html></html>", ["camera matrix"]),
        ("%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix 5\n", ["YAML"]),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, complaint: Callable[..., None], text: str, parts: list[str]) -> None:
    complaint(lambda: read(tmp_path, text), tmp_path / "camera.yaml", *parts)


def test_the_cameras_height_may_be_added_to_another_programs_calibration(tmp_path: Path) -> None:
    text = """image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500.5, 0, 319.5, 0, 501.5, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}
height_m: 1.65
"""
    assert read(tmp_path, text, "camera_info.yaml").height_m == 1.65
