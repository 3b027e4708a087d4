"""Distorted clips become clips of pinhole images, as OpenCV would make them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from arrays import Array
from PIL import Image

from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import BrownConrady, KannalaBrandt, Lens, source_pixels
from packdepth.records import Clip, Frame
from packdepth.sources.folder import Folder
from packdepth.sources.open import open_clips
from packdepth.sources.undistort import undistorted

RAW = Camera(150.0, 152.0, 161.0, 93.0, width=320, height=192)
LENSES: dict[str, Lens] = {
    "brown_conrady": BrownConrady(-0.3, 0.09, 0.001, -0.002, -0.01),
    "kannala_brandt": KannalaBrandt(-0.02, 0.004),
}


@pytest.fixture(params=LENSES)
def lens(request: pytest.FixtureRequest) -> Lens:
    return LENSES[request.param]


def scene(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth image, a depth map and labels, as functions of pinhole coordinates [H, W, 2]."""
    a, b = x[..., 0], x[..., 1]
    image = np.stack([np.sin(5 * a) * np.cos(4 * b), np.cos(7 * a + b), np.sin(6 * b)], -1)
    depth = 10 + 2 * a - 3 * b
    return (127.5 + 120 * image).round().astype(np.uint8), depth.astype(np.float32), (a > 0.1).astype(np.uint8)


def coordinates(camera: Camera, lens: Lens | None) -> np.ndarray:
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    x = np.stack([(u - float(camera.cx)) / float(camera.fx), (v - float(camera.cy)) / float(camera.fy)], -1)
    return x if lens is None else lens.undistort(torch.from_numpy(x))[0].nan_to_num(0.0).numpy()


def distorted_clip(lens: Lens) -> Clip:
    image, depth, labels = scene(coordinates(RAW, lens))
    frame = Frame("0", 0.0, Array(image), depth=Array(depth), semantic=Array(labels), moving=Array(labels > 0))
    return Clip("images/x", Path("x"), RAW, (frame,), lens=lens)


def test_the_clip_is_that_of_a_pinhole_camera(lens: Lens) -> None:
    (frame,) = (clip := undistorted(distorted_clip(lens))).frames
    assert clip.lens is None
    assert clip.camera.fx != RAW.fx
    image, depth, labels = scene(coordinates(clip.camera, None))
    assert np.abs(frame.image.read().astype(int) - image).max() <= 3  # of 255: interpolation
    assert frame.depth is not None
    assert frame.semantic is not None
    assert frame.moving is not None
    J = lens.jacobian(torch.from_numpy(coordinates(clip.camera, None)))
    farthest = np.sqrt(0.5) / 150 / float(torch.linalg.svdvals(J).min())  # the nearest pixel, in pinhole coordinates
    assert np.abs(frame.depth.read() - depth).max() < np.hypot(2, 3) * farthest
    assert frame.depth.read().dtype == np.float32
    assert (frame.semantic.read() != labels).mean() < 0.005  # on the border between labels
    assert (frame.moving.read() == (frame.semantic.read() > 0)).all()


def test_images_are_remapped_as_opencv_does(lens: Lens) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (192, 320, 3), dtype=np.uint8)
    clip = undistorted(replace(distorted_clip(lens), frames=(Frame("0", 0.0, Array(pixels)),)))
    K, P = RAW.matrix().numpy(), clip.camera.matrix().numpy()
    D = np.array([float(value) for value in lens.coefficients])
    init = cv2.fisheye.initUndistortRectifyMap if isinstance(lens, KannalaBrandt) else cv2.initUndistortRectifyMap
    u, v = init(K, D, np.eye(3), P, (320, 192), cv2.CV_32FC1)
    expected = cv2.remap(pixels.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = clip.frames[0].image.read()
    assert np.abs(found - expected).mean() < 0.6  # rounding, and OpenCV's steps of 1/32 pixel
    smooth = cv2.GaussianBlur(pixels, (0, 0), 2.0)
    expected = cv2.remap(smooth, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    (frame,) = undistorted(replace(distorted_clip(lens), frames=(Frame("0", 0.0, Array(smooth)),))).frames
    found = frame.image.read()
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_every_pixel_of_the_pinhole_image_is_known(lens: Lens) -> None:
    clip = undistorted(distorted_clip(lens))
    v, u = np.mgrid[:192, :320]
    _, valid = source_pixels(RAW, lens, clip.camera, torch.from_numpy(np.stack([u, v], -1).astype(np.float64)))
    assert valid.all()


def test_the_clip_says_what_is_left_of_its_field_of_view() -> None:
    clip = undistorted(distorted_clip(LENSES["brown_conrady"]))
    across = f"{clip.camera.fov():.0f} of {LENSES['brown_conrady'].field_of_view(RAW)[0]:.0f}"
    assert clip.corrected == f"lens: brown_conrady undistorted; {across} degrees across are left"
    again = undistorted(replace(distorted_clip(LENSES["brown_conrady"]), corrected="time stamps are divided by ten"))
    assert again.corrected == f"time stamps are divided by ten; {clip.corrected}"


def test_a_pinhole_clip_is_returned_unchanged() -> None:
    clip = Clip("images/x", Path("x"), RAW, ())
    assert undistorted(clip) is clip


def test_clips_travel_to_workers(lens: Lens) -> None:
    clip = undistorted(distorted_clip(lens))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clip)).frames[0].image.read(), clip.frames[0].image.read())


def test_what_cannot_be_undistorted(complaint: Callable[..., None]) -> None:
    lens = LENSES["brown_conrady"]
    clip = distorted_clip(lens)
    stereo = replace(clip, frames=(replace(clip.frames[0], right=clip.frames[0].image),))
    complaint(lambda: undistorted(stereo), "right images", "brown_conrady", "rectify")
    complaint(lambda: undistorted(replace(clip, lens=BrownConrady(-1e6))), "x: the lens", "-1e+06")
    small = undistorted(replace(clip, frames=(Frame("0", 0.0, Array(np.zeros((96, 160, 3), np.uint8))),)))
    complaint(small.frames[0].image.read, "160x96", "320x192")


def test_a_large_image_is_undistorted_fast() -> None:
    raw = Camera(700.0, 700.0, 703.5, 187.5, width=1408, height=376)
    frame = Frame("0", 0.0, Array(np.zeros((376, 1408, 3), np.uint8)))
    (frame,) = undistorted(Clip("images/x", Path("x"), raw, (frame,), lens=LENSES["brown_conrady"])).frames
    frame.image.read()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        frame.image.read()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1  # seconds: 0.015 on a free core


# --- through the sources ------------------------------------------------------------------------------------------


def write_clip(folder: Path, lens: Lens) -> Path:
    image, depth, _ = scene(coordinates(RAW, lens))
    for name in ("frames", "depth"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(image).save(folder / "frames/a.png")
    Image.fromarray((depth * 256).astype(np.uint16)).save(folder / "depth/a.png")
    (folder / "frames.csv").write_text("frame,time_s\na,0\n")
    values = "width: 320\nheight: 192\nfx: 150\nfy: 152\ncx: 161\ncy: 93\n"
    numbers = ", ".join(str(value) for value in lens.coefficients)
    (folder / "camera.yaml").write_text(f"{values}lens: {{kind: {lens.name}, coefficients: [{numbers}]}}\n")
    return folder


def test_a_clips_folder_with_a_lens(tmp_path: Path, lens: Lens) -> None:
    (clip,) = Folder(kind="folder", root=write_clip(tmp_path / "clip", lens)).clips()
    image, _, _ = scene(coordinates(clip.camera, None))
    assert np.abs(clip.frames[0].image.read().astype(int) - image).max() <= 3
    assert clip.corrected is not None
    assert lens.name in clip.corrected


def test_a_named_camera_takes_the_place_of_the_clips_own_lens(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", LENSES["brown_conrady"])
    (tmp_path / "straight.yaml").write_text("width: 320\nheight: 192\nfx: 150\nfy: 152\ncx: 161\ncy: 93\n")
    (clip,) = open_clips(folder, camera=tmp_path / "straight.yaml")
    assert (clip.camera.fx, clip.corrected) == (150, None)
    other = write_clip(tmp_path / "other", LENSES["kannala_brandt"])
    (clip,) = open_clips(folder, camera=other / "camera.yaml")
    assert clip.corrected is not None
    assert clip.corrected.startswith("lens: kannala_brandt")


def test_a_folder_of_images_with_a_lens(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", LENSES["brown_conrady"])
    (folder / "frames.csv").unlink()
    (clip,) = open_clips(folder)
    image, _, _ = scene(coordinates(clip.camera, None))
    assert np.abs(clip.frames[0].image.read().astype(int) - image).max() <= 3
    (single,) = open_clips(folder / "frames/a.png", camera=folder / "camera.yaml")
    np.testing.assert_array_equal(single.frames[0].image.read(), clip.frames[0].image.read())
