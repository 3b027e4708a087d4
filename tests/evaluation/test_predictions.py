"""Saved depth: which files of a folder are read, and in which unit they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paper_data
import pytest
import world
import yaml
from PIL import Image

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.evaluation import Protocol, evaluate, find_protocol
from packdepth.evaluation.predictions import NetworkPredictions, open_predictions
from packdepth.inference.run import predict
from packdepth.records import Prediction

CITY = find_protocol("city")
CAMERA = {name: getattr(world.CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}


@pytest.fixture
def clips(moving_clip: Path, tmp_path: Path) -> Path:
    """A folder of three clips."""
    for name in ("a", "b", "c"):
        shutil.copytree(moving_clip, tmp_path / "clips" / name)
    return tmp_path / "clips"


@pytest.fixture
def of_one_camera(trained: Path, tmp_path: Path) -> Path:
    """A metric checkpoint that was trained on the camera of the rendered clips."""
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    meta = checkpoint.read(folder).meta
    camera = checkpoint.TrainedCamera(**CAMERA)
    checkpoint.rewrite_meta(folder, meta.model_copy(update={"trained_cameras": [camera]}))
    return folder


@pytest.mark.parametrize("foreign", ["", "a", "b", "c", "ac", "abc"])
def test_saved_depth_is_in_metres_where_that_of_its_checkpoint_is(
    clips: Path, of_one_camera: Path, tmp_path: Path, foreign: str
) -> None:
    """Depth is not metric for the clips whose focal length is twice that of the training."""
    for name in foreign:
        (clips / name / "camera.yaml").write_text(yaml.safe_dump(CAMERA | {"fx": 120.0, "fy": 116.0}))
    predict(of_one_camera, clips, tmp_path / "saved", save="depth")
    saved, expected = evaluate([tmp_path / "saved", of_one_camera], CITY, clips)
    assert saved.metric is expected.metric is (not foreign)
    assert saved.row == expected.row
    assert saved.scores == pytest.approx(expected.scores, rel=1e-3)
    if foreign:
        count = world.FRAMES * len(foreign)
        first = tmp_path / "saved" / foreign[0] / "depth/000000.npz"
        assert saved.scale == (
            f"not metric: {count} of {3 * world.FRAMES} files say so, such as {first} (their network is not metric, or "
            f"their camera is too unlike that of its training)"
        )
    else:
        assert saved.scale == "metric, from velocity (poses)"


def test_depth_that_nothing_gives_a_scale_is_called_so(moving_clip: Path, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    meta = checkpoint.read(folder).meta
    checkpoint.rewrite_meta(folder, meta.model_copy(update={"metric": False, "scale_source": "none"}))
    predict(folder, moving_clip, tmp_path / "saved", save="depth")
    saved, expected = evaluate([tmp_path / "saved", folder], CITY, moving_clip)
    assert saved.scale == expected.scale == "up to a factor: nothing gives it a scale"


def two_folders(root: Path) -> None:
    for name in ("monday", "tuesday"):
        world.write(root / name)


def two_drives(root: Path) -> None:
    paper_data.kitti_raw(root)
    date = root / paper_data.DRIVE[:10]
    shutil.copytree(date / paper_data.DRIVE, date / paper_data.DRIVE.replace("0001", "0002"))


def two_sequences(root: Path) -> None:
    paper_data.odometry(root)
    for sequence in ("06", "07"):
        depths = root / "sequences" / sequence / "depth_2"
        depths.mkdir()
        for index in range(3):
            depth = (world.render(index)[1] * 256).astype(np.uint16)
            Image.fromarray(depth).save(depths / f"{index:06d}.png")


def two_scenes(root: Path) -> None:
    paper_data.ddad(root)
    shutil.copytree(root / "000000", root / "000001")
    both = {"filenames": ["000000/scene_0.json", "000001/scene_0.json"]}
    (root / "ddad.json").write_text(json.dumps({"metadata": {}, "scene_splits": {"0": both}}))


@pytest.mark.parametrize(
    ("source", "write"),
    [
        ({"kind": "folder"}, two_folders),
        ({"kind": "kitti_raw"}, two_drives),
        ({"kind": "kitti_odometry", "sequences": ["06", "07"], "color": True}, two_sequences),
        ({"kind": "ddad"}, two_scenes),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_what_predict_writes_of_several_clips_is_found(
    trained: Path, tmp_path: Path, source: dict[str, Any], write: Callable[[Path], None]
) -> None:
    root = tmp_path / "data"
    write(root)
    protocol = Protocol(name="two", about="two clips", source=source | {"root": "data"}, truth="any")
    predict(trained, root, tmp_path / "saved", save="depth")
    saved, expected = evaluate([tmp_path / "saved", trained], protocol, tmp_path)
    assert len({image.clip for image in saved.images}) == 2
    assert saved.scores == pytest.approx(expected.scores, rel=1e-3)


def changed(file: Path, value: float) -> None:
    """Write another depth into one pixel of a file of saved depth."""
    with np.load(file) as content:
        arrays = dict(content)
    arrays["depth"][3, 4] = value
    np.savez(file, **arrays)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_saved_depth_with_holes_is_refused(moving_clip: Path, trained: Path, tmp_path: Path, value: float) -> None:
    predict(trained, moving_clip, tmp_path / "saved", save="depth")
    (before,) = evaluate(tmp_path / "saved", CITY, moving_clip)
    file = tmp_path / "saved/depth/000002.npz"
    changed(file, np.inf)  # such as the sky's: that is far, and no hole
    (far,) = evaluate(tmp_path / "saved", CITY, moving_clip)
    assert far["a1"] == pytest.approx(before["a1"], abs=1e-3)
    changed(file, value)
    with pytest.raises(InputError, match=r"000002\.npz: has no depth in 1 of 4608 pixels, .*; save all pixels"):
        evaluate(tmp_path / "saved", CITY, moving_clip)


def test_depth_that_was_cut_when_it_was_saved_is_refused(moving_clip: Path, tmp_path: Path) -> None:
    for file in sorted((moving_clip / "frames").iterdir()):
        image = np.asarray(Image.open(file))
        depth = world.render(int(file.stem))[1].astype(np.float32)
        prediction = Prediction(depth, 1 / depth, True, "velocity (speed)", image)
        prediction.save(tmp_path / "whole/depth" / f"{file.stem}.npz")
        prediction.save(tmp_path / "cut/depth" / f"{file.stem}.npz", max_depth=5)
    (whole,) = evaluate(tmp_path / "whole", CITY, moving_clip)
    assert whole["a1"] == 1
    with pytest.raises(InputError, match=r"000000\.npz: has no depth in \d+ of 4608 pixels, .*; save all pixels"):
        evaluate(tmp_path / "cut", CITY, moving_clip)


def test_predictions_inside_a_checkpoint_do_not_hide_it(moving_clip: Path, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    (before,) = evaluate(folder, CITY, moving_clip)
    predict(folder, moving_clip, folder / "pred", save="depth")
    predict(folder, moving_clip, folder, save="depth")
    assert isinstance(open_predictions(folder), NetworkPredictions)
    after, saved = evaluate([folder, folder / "pred"], CITY, moving_clip)
    assert after.rows == before.rows
    assert list(saved.rows) == ["plain", "scaled"]


@pytest.mark.parametrize("name", ["meta.json", "encoder.pth", "config.json"])
def test_a_damaged_checkpoint_is_not_taken_for_the_depth_in_it(
    moving_clip: Path, trained: Path, tmp_path: Path, name: str
) -> None:
    """The file marks the checkpoint of packdepth, of monodepth2 or of transformers."""
    predict(trained, moving_clip, tmp_path / "mine/pred", save="depth")
    (tmp_path / "mine" / name).write_text("{}")
    with pytest.raises(InputError) as refusal:
        open_predictions(tmp_path / "mine")
    assert ".npz" not in str(refusal.value)
