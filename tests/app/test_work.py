"""What the widgets of the app do, without gradio."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import av
import numpy as np
import ply
import pytest
import world
from PIL import Image

from packdepth.app.work import Workshop, distance_at
from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.inference.options import AppOptions
from packdepth.inference.run import predict
from packdepth.records import Prediction


def test_a_frame_has_the_depth_that_predict_writes(workshop: Workshop, image: Path, tmp_path: Path) -> None:
    (name,) = workshop.names
    dropped = workshop.open(image, fov=77.0)
    prediction = workshop.depth(name, dropped, 0)
    predict(Path(name), image, tmp_path / "out", "depth", fov=77.0)
    with np.load(tmp_path / "out" / "depth" / "a street.npz") as saved:
        assert np.array_equal(prediction.depth, saved["depth"])
    answer = workshop.answer(name, dropped, 0, prediction)
    assert [path.name for path in answer.downloads] == ["a street.npz", "a street.png", "a street.ply"]
    assert all(workshop.folder in path.parents for path in answer.downloads)
    assert len(ply.read(answer.downloads[2])) <= prediction.depth.size
    assert answer.words == "Depth is metric, from velocity (speed)."
    old = answer.downloads[0].parent
    os.utime(old, (0, 0))
    workshop.answer(name, dropped, 0, prediction)
    assert not old.exists()
    assert answer.picture.shape[0] == world.CAMERA.height
    assert answer.cloud is not None
    assert re.search(r"srcdoc=\".*&lt;canvas class=&quot;cloud&quot;", answer.cloud, re.DOTALL)


def test_without_a_camera_there_is_depth_but_no_points(workshop: Workshop, image: Path) -> None:
    (name,) = workshop.names
    dropped = workshop.open(image)
    answer = workshop.answer(name, dropped, 0, workshop.depth(name, dropped, 0))
    assert answer.cloud is None
    assert "state its field of view" in answer.words
    assert [path.suffix for path in answer.downloads] == [".npz", ".png"]


def test_fusion_with_the_mirrored_image_is_described_as_predict_does(
    checkpoint_folder: Path,
    unmirrored: Path,
    image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workshop = Workshop([checkpoint_folder, unmirrored], tmp_path, AppOptions())
    assert workshop.about_flip(str(checkpoint_folder)) == "better at the borders"
    predict(unmirrored, image, tmp_path / "out", "depth", flip=True)
    assert f"flip: {workshop.about_flip(str(unmirrored))}" in capsys.readouterr().err.splitlines()


def test_the_page_names_no_option_of_the_command_line(
    checkpoint_folder: Path, unmirrored: Path, tmp_path: Path
) -> None:
    workshop = Workshop([checkpoint_folder, unmirrored], tmp_path, AppOptions())
    for size, words in (
        (world.CAMERA, "the camera is taken for that of the training (state its field of view if it is another)."),
        (world.CAMERA.resized(90, 192), "where the networks were trained on 96x48; state its field of view."),
    ):
        path = tmp_path / f"{size.height}.png"
        Image.fromarray(np.zeros((size.height, size.width, 3), np.uint8)).save(path)
        dropped = workshop.open(path)
        answer = workshop.answer(str(unmirrored), dropped, 0, workshop.depth(str(unmirrored), dropped, 0))
        assert words in answer.words
        assert "--" not in answer.words


def test_a_video_is_cut_to_the_limit_and_written_with_its_depth(workshop: Workshop, video: Path) -> None:
    (name,) = workshop.names
    dropped = workshop.open(video)
    assert len(dropped.clip.frames) == 4 < world.FRAMES
    assert dropped.note == "These are the first 4 of 6 frames (--max-frames)."
    assert workshop.depth(name, dropped, 2).time == pytest.approx(2 / world.RATE)
    with av.open(str(workshop.video(name, video))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4


def test_distances_are_along_the_axis_and_in_a_straight_line() -> None:
    depth = world.render(0)[1].astype(np.float32)
    prediction = Prediction(depth, 1 / depth, True, "test", world.picture(0), world.CAMERA)
    point = world.scan(0).reshape(*depth.shape, 3)[40, 10]
    expected = f"{point[2]:.2f} m ahead, {np.linalg.norm(point):.2f} m from the camera in a straight line."
    assert distance_at(prediction, 10, 40) == f"Pixel (10, 40): {expected}"
    relative = Prediction(depth, 1 / depth, False, "none", world.picture(0))
    assert distance_at(relative, 10, 40).endswith("(in an unknown unit: depth is up to a factor).")


def test_what_cannot_be_used_is_one_sentence(workshop: Workshop, image: Path, tmp_path: Path) -> None:
    (tmp_path / "big.mp4").write_bytes(bytes(1_200_000))
    with pytest.raises(InputError, match=r"^big.mp4: has 1 MB, more than the 1 MB"):
        workshop.open(tmp_path / "big.mp4")
    (tmp_path / "notes.png").write_text("hello")
    with pytest.raises(InputError) as error:
        workshop.open(tmp_path / "notes.png")
    assert str(tmp_path) not in str(error.value)  # of the server
    with pytest.raises(InputError, match="is no checkpoint of this app"):
        workshop.depth("/etc", workshop.open(image), 0)


def test_without_gradio_the_extra_is_named(
    checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["app", str(checkpoint_folder)]) == 2
    assert capsys.readouterr().err == "packdepth: the app needs gradio: pip install 'packdepth[app]'\n"
