from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from present import present

from packdepth.classes import Label
from packdepth.sources.cityscapes import TRAIN_IDS, CameraJson, Cityscapes, DisparityPng, VehicleJson
from packdepth.sources.json_file import read_json

CAMERA = {"extrinsic": {"baseline": 0.2, "pitch": 0.04}, "intrinsic": {"fx": 30.0, "fy": 31.0, "u0": 19.5, "v0": 5.5}}
KEYS = ["intrinsic", "extrinsic", "fx", "fy", "u0", "v0", "baseline", "speed"]


def source(root: Path, **changes: Any) -> Cityscapes:
    return Cityscapes(kind="cityscapes", root=root, **changes)


def place(root: Path, folder: str, moment: str, what: str) -> Path:
    path = root / folder / "train/aachen" / f"aachen_{moment}_{what}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """Two snippets that follow each other in one sequence, and a third; the first has speed, right images, classes."""
    for sequence, frames in (("000000", (17, 18, 19, 20, 32, 33)), ("000001", (18, 19))):
        for frame in frames:
            write_image(place(tmp_path, "leftImg8bit_sequence", f"{sequence}_{frame:06d}", "leftImg8bit.png"))
    for frame in (17, 18, 19, 20):
        write_image(place(tmp_path, "rightImg8bit_sequence", f"000000_{frame:06d}", "rightImg8bit.png"))
        vehicle = place(tmp_path, "vehicle_sequence", f"000000_{frame:06d}", "vehicle.json")
        vehicle.write_text(json.dumps({"speed": frame / 2, "yawRate": 0.1}))
    for moment, fx in (("000000_000019", 30), ("000000_000049", 40), ("000001_000019", 50)):
        values = CAMERA | {"intrinsic": CAMERA["intrinsic"] | {"fx": fx}}
        place(tmp_path, "camera", moment, "camera.json").write_text(json.dumps(values))
    labels = (np.arange(480) % 40).astype(np.uint8).reshape(12, 40)
    Image.fromarray(labels).save(place(tmp_path, "gtFine", "000000_000019", "gtFine_labelIds.png"))
    disparity = (np.arange(480) * 64).astype(np.uint16).reshape(12, 40)
    Image.fromarray(disparity).save(place(tmp_path, "disparity", "000000_000019", "disparity.png"))
    return tmp_path


def test_snippets(root: Path) -> None:
    assert Cityscapes.recognizes(root)
    clips = source(root).clips()
    names = ["000000_000017", "000000_000032", "000001_000018"]
    assert [clip.name for clip in clips] == [f"cityscapes/aachen/{name}" for name in names]
    assert [clip.camera.fx for clip in clips] == [30, 40, 50]
    assert {clip.drive for clip in clips} == {"aachen"}
    first, second, _ = clips
    assert (first.camera.fy, first.camera.cx, first.camera.width, first.baseline) == (31, 19.5, 40, 0.2)
    assert np.diff([frame.time for frame in first.frames]) == pytest.approx(1 / 17)
    assert [frame.speed for frame in first.frames] == [8.5, 9, 9.5, 10]
    assert [frame.right is None for frame in (*first.frames, *second.frames)] == [False] * 4 + [True] * 2
    assert [frame.semantic is None for frame in first.frames] == [True, True, False, True]


def test_classes_are_train_ids(root: Path) -> None:
    values = present(source(root).clips()[0].frames[2].semantic).read()
    assert values[0, 7] == Label.ROAD
    assert values[0, 26] == Label.CAR
    assert values[0, 33] == Label.BICYCLE
    assert (values[0, 0], values[0, 29]) == (255, 255)
    assert sorted(set(TRAIN_IDS.tolist())) == [*range(19), 255]


def test_disparity_is_depth(root: Path) -> None:
    frames = source(root).clips()[0].frames
    assert [frame.depth is None for frame in frames] == [True, True, False, True]
    depth = present(frames[2].depth).read()
    assert (depth.dtype, depth[0, 0]) == (np.float32, 0)
    assert depth[0, 4] == pytest.approx(30 * 0.2 / (255 / 256))
    assert depth[0, 8] == pytest.approx(30 * 0.2 / (511 / 256))
    np.testing.assert_array_equal(DisparityPng(present(frames[2].depth).path, 12).read(), 2 * depth)
    Image.fromarray(np.ones((12, 40), dtype=np.uint16)).save(present(frames[2].depth).path)
    assert not present(frames[2].depth).read().any()


def test_errors(root: Path, complaint: Callable[..., None], write_image: Callable[..., Path]) -> None:
    complaint(source(root, cities=["aachem"]).clips, "'aachem'", "'aachen'")
    complaint(source(root, split="val").clips, "leftImg8bit_sequence/val", "not found")
    vehicle = place(root, "vehicle_sequence", "000000_000018", "vehicle.json")
    for content, part in (
        ('{"speed": NaN}', "speed"),
        ('{"speed": -1}', "speed"),
        ("{}", "missing"),
        ("[", "no valid JSON"),
    ):
        vehicle.write_text(content)
        complaint(source(root).clips, vehicle, part)
    vehicle.unlink()
    assert source(root).clips()[0].frames[1].speed is None
    camera = place(root, "camera", "000000_000019", "camera.json")
    camera.write_text(json.dumps(CAMERA | {"intrinsic": CAMERA["intrinsic"] | {"u0": 1096}}))
    complaint(source(root).clips, camera, "(1096, 6)", "40x12")
    camera.unlink()
    complaint(source(root).clips, "aachen_000000_000017_leftImg8bit.png", "camera_trainvaltest.zip")
    camera.write_text(json.dumps(CAMERA))
    image = place(root, "leftImg8bit_sequence", "000000_000020", "leftImg8bit.png")
    image.write_bytes(image.read_bytes()[:-20])
    complaint(source(root).clips, image, "truncated")
    write_image(image, 6, 20)
    complaint(source(root).clips, image, "20x6")
    image.rename(image.with_name("aachen_20_leftImg8bit.png"))
    complaint(source(root).clips, "aachen_20_leftImg8bit.png", "named like")


@given(values=st.recursive(st.none() | st.floats(), lambda inner: st.dictionaries(st.sampled_from(KEYS), inner)))
def test_any_json_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], values: object
) -> None:
    path = tmp_path_factory.mktemp("json") / "camera.json"
    path.write_text(json.dumps(values))
    for model in (CameraJson, VehicleJson):
        read = read_or_refused(lambda model=model: read_json(path, model, "a camera"), path)
        assert read is None or isinstance(read, model)
