"""What `packdepth view` shows and writes, by what is named; nothing here starts a server."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import ply
import pytest
import trimesh
import world
from PIL import Image

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.geometry.poses import from_first
from packdepth.inference.options import POINTS, ViewOptions
from packdepth.inference.run import predict
from packdepth.viewer.command import open_footage
from packdepth.viewer.footage import KEPT, CloudFootage, MeasuredFootage, PredictedFootage, SavedFootage
from packdepth.viewer.scene import Shot, cloud_of, colorings

TRUE_POSES = from_first(np.stack([world.pose(index) for index in range(world.FRAMES)]))


def points(shot: Shot) -> np.ndarray:
    return cloud_of(shot, "depth", (0, 1e9), (0.1, 1.0)).points


def test_a_checkpoint_shows_what_it_predicts_for_a_clip(checkpoint_folder: Path, moving_clip: Path) -> None:
    footage = open_footage([str(checkpoint_folder), str(moving_clip), "frames=[0, 3]"])
    assert isinstance(footage, PredictedFootage)
    assert footage.names == ("000000", "000001", "000002")
    assert footage.metric
    assert colorings(footage.shot(1)) == ("image", "depth", "error")
    assert np.allclose(list(footage.poses()), TRUE_POSES[:3])
    assert footage.shot(1) is footage.shot(1)


def test_saved_predictions_are_those_of_the_checkpoint(checkpoint_folder: Path, moving_clip: Path, saved: Path) -> None:
    predicted = open_footage([str(checkpoint_folder), str(moving_clip)])
    alone, beside = open_footage([str(saved)]), open_footage([str(saved), str(moving_clip)])
    assert isinstance(alone, SavedFootage)
    assert alone.names == predicted.names
    assert alone.scale == "metric, from velocity (speed)"
    assert np.allclose(points(beside.shot(2)), points(predicted.shot(2)), rtol=1e-5)
    assert colorings(alone.shot(2)) == ("depth",)
    assert colorings(beside.shot(2)) == ("image", "depth", "error")


@pytest.mark.parametrize("with_clip", [True, False])
def test_saved_frames_are_in_the_order_of_their_clip(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, with_clip: bool
) -> None:
    images, names = tmp_path / "images", [f"f_{index}" for index in (0, 1, 2, 9, 10, 11)]
    images.mkdir()
    for index, name in enumerate(names):
        shutil.copy(moving_clip / "frames" / f"{index:06d}.png", images / f"{name}.png")
    shutil.copy(moving_clip / "camera.yaml", images / "camera.yaml")
    predict(checkpoint_folder, images, tmp_path / "out", "depth,cloud")
    footage = open_footage([str(tmp_path / "out"), *([str(images)] if with_clip else [])])
    assert footage.names == tuple(names)
    for name, index in (("f_2", 2), ("f_10", 4)):
        with np.load(tmp_path / "out" / "depth" / f"{name}.npz") as content:
            np.testing.assert_array_equal(footage.material(index).depth, content["depth"])
    shutil.rmtree(tmp_path / "out" / "depth")
    assert open_footage([str(tmp_path / "out")]).names == tuple(names)


def test_times_order_saved_frames_where_names_do_not(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path
) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    table = (clip / "frames.csv").read_text()
    for old, new in (("000000", "z"), ("000001", "y"), ("000002", "x")):
        (clip / "frames" / f"{old}.png").rename(clip / "frames" / f"{new}.png")
        (clip / "depth" / f"{old}.png").rename(clip / "depth" / f"{new}.png")
        table = table.replace(f"\n{old},", f"\n{new},")
    (clip / "frames.csv").write_text(table)
    predict(checkpoint_folder, clip, tmp_path / "out", "depth")
    footage = open_footage([str(tmp_path / "out"), str(clip)])
    assert footage.names == ("z", "y", "x", "000003", "000004", "000005")
    assert np.allclose(list(footage.poses()), TRUE_POSES)


def test_depth_of_other_images_of_the_same_names_is_refused(moving_clip: Path, saved: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(moving_clip, tmp_path / "other"))
    for path in (other / "frames").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    message = rf"depth/000000\.npz: was predicted from another image than {other}/frames/000000\.png; name the clip"
    with pytest.raises(InputError, match=message):
        open_footage([str(saved), str(other)]).shot(0)
    for path in (other / "frames").iterdir():  # compressed again, it is the same scene
        Image.open(moving_clip / "frames" / path.name).save(path.with_suffix(".jpg"), quality=60)
        path.unlink()
    assert open_footage([str(saved), str(other)]).shot(0).name == "000000"


def test_clouds_alone_are_shown(saved: Path, tmp_path: Path) -> None:
    for name in ("cloud", "map.ply"):
        (shutil.copytree if name == "cloud" else shutil.copy)(saved / name, tmp_path / name)
    footage = open_footage([str(tmp_path)])
    assert isinstance(footage, CloudFootage)
    vertices = ply.read(saved / "cloud" / "000004.ply")
    assert np.allclose(points(footage.shot(4))[:, 2], vertices["z"])
    *_, fused = footage.mapping()
    assert fused is not None
    assert len(fused.cloud.points) == len(ply.read(saved / "map.ply"))


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_map_that_was_saved_is_shown_again(
    checkpoint_folder: Path, moving_clip: Path, saved: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"street{suffix}"
    assert main(["view", str(checkpoint_folder), str(moving_clip), "--save", str(path)]) == 0
    footage = open_footage([str(path)])
    assert footage.names == ("street",)
    assert footage.scale == "metric, from velocity (speed)"
    vertices = ply.read(saved / "map.ply")
    assert np.allclose(points(footage.shot(0)), np.stack([vertices[axis] for axis in "xyz"], axis=1))
    *_, fused = footage.mapping()
    assert fused is not None
    assert np.array_equal(fused.cloud.colors, np.stack([vertices[c] for c in ("red", "green", "blue")], axis=1))


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_map_of_another_tool_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"other{suffix}"
    trimesh.creation.box().export(path)
    with pytest.raises(InputError, match=r"other\.(ply|glb): is no point cloud that packdepth wrote"):
        open_footage([str(path)])


def test_measured_depth_alone_makes_a_map_of_the_world(moving_clip: Path, tmp_path: Path) -> None:
    assert isinstance(open_footage([str(moving_clip)]), MeasuredFootage)
    assert main(["view", str(moving_clip), "--save", str(tmp_path / "map.ply"), "--max-depth", "8"]) == 0
    vertices = ply.read(tmp_path / "map.ply")
    wall = world.WALL - world.START[0]
    off = np.minimum(np.abs(vertices["y"] - 1.5), np.abs(vertices["z"] - wall))
    assert len(vertices) > 1000
    assert np.median(off) < 0.01  # depth maps have steps of 4 mm, and voxels at the wall's foot hold both planes


def test_the_map_of_a_checkpoint_is_that_of_predict_in_both_formats(
    checkpoint_folder: Path, moving_clip: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("map.ply", "map.glb"):
        assert main(["view", str(checkpoint_folder), str(moving_clip), "--save", str(tmp_path / name)]) == 0
        assert f"map {world.FRAMES}/{world.FRAMES}" in capsys.readouterr().err
    assert (tmp_path / "map.ply").read_bytes() == (saved / "map.ply").read_bytes()
    (cloud,) = trimesh.load_scene(tmp_path / "map.glb").geometry.values()
    vertices = ply.read(saved / "map.ply")
    expected = np.stack([vertices["x"], -vertices["y"], -vertices["z"]], axis=-1)
    assert np.allclose(cloud.vertices, expected)


def test_the_axes_that_a_saved_map_names_are_those_of_its_points(saved: Path, tmp_path: Path) -> None:
    assert main(["view", str(saved / "map.ply"), "--save", str(tmp_path / "map.glb")]) == 0
    assert main(["view", str(tmp_path / "map.glb"), "--save", str(tmp_path / "map.ply")]) == 0
    content = (tmp_path / "map.glb").read_bytes()
    assert b'"frame": "the first camera, x right, y up, z backward"' in content
    assert b"y down" not in content
    assert b"comment frame: the first camera, x right, y down, z forward" in (tmp_path / "map.ply").read_bytes()


def test_what_is_not_clear_is_one_sentence(
    checkpoint_folder: Path, moving_clip: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    wrong = {
        (str(checkpoint_folder),): "name what of: packdepth view",
        (): "give CHECKPOINT SRC",
        (str(saved.parent),): "out",
    }
    for named, words in wrong.items():
        with pytest.raises(InputError, match=words):
            open_footage(named)
    shutil.copytree(moving_clip / "frames", tmp_path / "frames")
    with pytest.raises(InputError, match="no camera is known"):
        open_footage([str(checkpoint_folder), str(tmp_path / "frames")])
    bare = open_footage([str(saved)])
    shutil.copytree(saved / "depth", tmp_path / "only" / "depth")
    assert bare.poses_origin is None
    with pytest.raises(InputError, match="predict with --save map"):
        open_footage([str(tmp_path / "only")]).check_map()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["view", str(moving_clip)]) == 2
    assert "pip install 'packdepth[viewer]'" in capsys.readouterr().err
    assert main(["view", str(moving_clip), "--save", "map.obj"]) == 2
    assert "written as .glb or .ply" in capsys.readouterr().err


def test_only_the_last_frames_are_kept(moving_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packdepth.viewer.footage.KEPT", 2)
    footage = open_footage([str(moving_clip)], POINTS, ViewOptions())
    first = footage.shot(0)
    for index in (1, 0, 2):
        footage.shot(index)
    assert footage.shot(0) is first  # used again before the third one came
    footage.shot(1)
    footage.shot(2)
    assert footage.shot(0) is not first
    assert KEPT > 2
