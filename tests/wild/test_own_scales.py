"""Depth, poses and heights of another meaning: distances along rays, poses without metres, cameras that fly."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import world
import yaml
from arrays import Array
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.data.depth_kind import ALONG_RAYS, AS_IT_IS, TWICE, kind_of_depth, range_fault
from packdepth.data.targets import distance_source
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.height import plausible_height, written_height
from packdepth.geometry.lens import BrownConrady
from packdepth.inspection.findings import findings
from packdepth.inspection.import_data import import_data
from packdepth.inspection.survey import survey
from packdepth.records import Clip, Frame
from packdepth.sources.files import DepthPng
from packdepth.sources.open import open_clips
from packdepth.sources.ranges import ray_lengths, with_ranges

from .conftest import Command


def lengths(camera: Camera) -> np.ndarray:
    """Return the lengths of the rays (x, y, 1) of a pinhole camera, [H, W]."""
    v, u = np.mgrid[: camera.height, : camera.width]
    return np.sqrt(1 + ((u - camera.cx) / camera.fx) ** 2 + ((v - camera.cy) / camera.fy) ** 2)


def with_distances(clip: Path) -> Path:
    """Let the depth maps of a clip of the world hold distances along rays."""
    for index, file in enumerate(sorted((clip / "depth").iterdir())):
        distances = world.render(index)[1] * lengths(world.CAMERA)
        Image.fromarray((distances * 256).round().astype(np.uint16)).save(file)
    return clip


def found_in(clip: Clip) -> dict[str, str]:
    """Return the findings of a clip: what was found, by name."""
    return {finding.name: finding.found for finding in findings(survey(clip))}


# --- distances along rays ---------------------------------------------------------------------------------------


def test_distances_along_rays_are_found_refused_and_converted(tmp_path: Path, train: Command) -> None:
    folder = with_distances(world.write(tmp_path / "clip"))
    (wrong,), (right,) = open_clips(folder), open_clips(folder, options=["depth=range"])
    assert found_in(wrong)["measured depth"].startswith("its depth maps hold distances along the rays of pixels")
    assert "measured depth" not in found_in(right)
    for index, frame in enumerate(right.frames):
        assert frame.depth is not None
        np.testing.assert_allclose(frame.depth.read(), world.render(index)[1], atol=1 / 256)
    status, _, messages = train({"kind": "folder", "root": str(folder)}, [{"kind": "photometric"}, {"kind": "berhu"}])
    assert status == 2
    assert "say depth: range in the source of kind folder" in messages
    (imported,) = import_data(folder, tmp_path / "out", options=["depth=range"])
    values = DepthPng(imported / "depth" / "000000.png").read()
    np.testing.assert_allclose(values, world.render(0)[1], atol=2 / 256)


def test_depth_along_the_axis_is_not_to_be_converted(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    (right,), (wrong,) = open_clips(folder), open_clips(folder, options=["depth=range"])
    assert "measured depth" not in found_in(right)
    assert "converted as if they held distances" in found_in(wrong)["measured depth"]


@settings(max_examples=25, deadline=None)
@given(fov=st.floats(50, 110), height=st.floats(0.5, 3), wall=st.floats(4, 40), noise=st.sampled_from([0, 0.001]))
def test_a_ground_and_a_wall_tell_the_kind_of_depth(fov: float, height: float, wall: float, noise: float) -> None:
    camera = Camera.from_fov(fov, width=160, height=96)
    v = np.mgrid[: camera.height, : camera.width][0]
    with np.errstate(divide="ignore"):
        depth = np.minimum(np.where(v > camera.cy, height * camera.fy / (v - camera.cy), np.inf), wall)
    depth *= 1 + noise * np.random.default_rng(0).normal(size=depth.shape)
    for kind, factor in ((AS_IT_IS, 1), (ALONG_RAYS, lengths(camera)), (TWICE, 1 / lengths(camera))):
        frames = (Frame("0", 0.0, Array(np.zeros(0)), depth=Array((depth * factor).astype(np.float32))),)
        assert kind_of_depth(Clip("a", Path("a"), camera, frames))[0] == kind


def test_lidar_tells_the_kind_of_depth_where_no_plane_does(tmp_path: Path) -> None:
    camera = Camera.from_fov(90, width=160, height=96)
    depth = np.random.default_rng(0).uniform(2, 40, (96, 160))  # no surface at all
    v, u = np.mgrid[:96, :160]
    points = np.stack([(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], -1)
    scan = Array(points.reshape(-1, 3)[::7])
    for kind, factor in ((AS_IT_IS, 1), (ALONG_RAYS, lengths(camera))):
        frame = Frame("0", 0.0, Array(np.zeros(0)), depth=Array(depth * factor), lidar=scan)
        clip = Clip("a", Path("a"), camera, (frame,))
        assert kind_of_depth(clip)[0] == kind
        assert (range_fault(clip) is None) == (kind == AS_IT_IS)
        kind_alone, tried = kind_of_depth(replace(clip, frames=(replace(frame, lidar=None),)))
        assert kind_alone is None
        assert tried == "neither planes in 1 map nor LiDAR scans of the same frames tell it"


def test_distances_of_a_lens_are_along_its_own_rays() -> None:
    camera, lens = Camera.from_fov(80, width=64, height=48), BrownConrady(-0.05)
    clip = Clip("a", Path("a"), camera, (Frame("0", 0.0, Array(np.zeros(0)), depth=Array(np.ones((48, 64)))),))
    (frame,) = with_ranges(replace(clip, lens=lens)).frames
    assert frame.depth is not None
    corner = np.array([-camera.cx / camera.fx, -camera.cy / camera.fy])
    ray = corner * 1.0
    for _ in range(50):  # the inverse of the lens, by repeated substitution
        ray = corner / (1 - 0.05 * (ray @ ray))
    assert frame.depth.read()[0, 0] == pytest.approx(1 / np.sqrt(1 + ray @ ray), rel=1e-5)
    assert ray_lengths(camera.numbers, 48, 64, lens).min() == pytest.approx(1, abs=1e-3)


# --- poses without metres ---------------------------------------------------------------------------------------


def test_poses_of_colmap_give_no_metres(tmp_path: Path, train: Command) -> None:
    folder = world.write(tmp_path / "clip")
    camera = yaml.safe_load((folder / "camera.yaml").read_text())
    (folder / "camera.yaml").unlink()
    numbers = " ".join(str(camera[name]) for name in ("width", "height", "fx", "fy", "cx", "cy"))
    (folder / "cameras.txt").write_text(f"# Camera list\n1 PINHOLE {numbers}\n")
    table = re.sub(",5.0000,", ",,", (folder / "frames.csv").read_text())  # no speeds
    (folder / "frames.csv").write_text(table)
    (clip,) = open_clips(folder)
    assert distance_source(clip) is None
    assert found_in(clip)["corrected"].startswith("poses: those of 6 frames are known up to a factor, as COLMAP")
    status, _, messages = train(
        {"kind": "folder", "root": str(folder)}, [{"kind": "photometric"}, {"kind": "velocity"}]
    )
    assert status == 2
    assert "has neither speed nor poses in metres for any of its frames" in messages
    assert distance_source(open_clips(folder, options=["pose_scale=metric"])[0]) == "poses"


def test_poses_are_said_to_be_known_up_to_a_factor(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    assert distance_source(replace(open_clips(folder)[0])) == "speed"
    (clip,) = open_clips(folder, options=["pose_scale=unknown"])
    assert all(frame.pose is None for frame in clip.frames)
    assert clip.corrected == "poses: those of 6 frames are known up to a factor, as is said, and are not used"
    (folder / "images.txt").write_text("# Image list of COLMAP\n")
    assert open_clips(folder)[0].frames[0].pose is None


# --- heights of cameras that fly --------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(height=st.floats(0.001, 500))
def test_a_height_with_its_unit_is_accepted_and_written_so_that_it_is_read_again(height: float) -> None:
    assert plausible_height(f"{height:.6f} m") == pytest.approx(height, abs=1e-6)
    assert plausible_height(written_height(height)) == height


def test_a_height_with_its_unit_lasts_through_an_import(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    with (folder / "camera.yaml").open("a") as file:
        file.write("height_m: 60 m\n")
    assert open_clips(folder)[0].camera_height == 60
    (imported,) = import_data(folder, tmp_path / "out")
    assert open_clips(imported)[0].camera_height == 60
    assert open_clips(folder, options=["height_m=80 m"])[0].camera_height == 80
    with pytest.raises(InputError, match=r"\(150 cm are 1\.5 m\), or height_m: 150 m if it flies or stands on a mast"):
        open_clips(folder, options=["height_m=150"])
