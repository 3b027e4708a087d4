"""Files of predictions: what is written reads back, and a new kind is one new file."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import ply
import pytest

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference import writers
from packdepth.inference.options import PICTURES, POINTS
from packdepth.inference.run import predict
from packdepth.inference.writers.video import timed_video_writer, video_writer
from packdepth.records import Prediction


@pytest.mark.parametrize(("fps", "rate"), [(10.0, Fraction(10)), (29.97002997002997, Fraction(30000, 1001))])
def test_video(tmp_path: Path, image: np.ndarray, fps: float, rate: Fraction) -> None:
    path = tmp_path / "a.mp4"
    images = [np.roll(image, 4 * shift, axis=1) for shift in range(7)]
    with video_writer(path, fps) as append:
        for picture in images:
            append(picture)
        assert not path.exists()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", rate)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 7
    for found, expected in zip(decoded, images, strict=True):
        assert found.shape == (44, 82, 3)
        assert np.abs(found.astype(float) - expected[:44, :82]).mean() < 6
    assert list(tmp_path.iterdir()) == [path]


def test_each_frame_of_a_timed_video_has_its_own_time(tmp_path: Path, image: np.ndarray) -> None:
    times = [100.0, 100.1, 100.75, 101.0]
    with timed_video_writer(tmp_path / "a.mp4", 10, "veryfast") as append:
        for time in times:
            append(image, time)
    with av.open(str(tmp_path / "a.mp4")) as container:
        found = [frame.time for frame in container.decode(video=0)]
        assert container.duration == pytest.approx(1.1e6, abs=2e3)  # microseconds: the last frame lasts a tenth
    assert found == pytest.approx([time - 100 for time in times], abs=1e-3)


@pytest.mark.parametrize("before", [0, 3])
def test_a_video_that_fails_leaves_nothing(tmp_path: Path, image: np.ndarray, before: int) -> None:
    def fail() -> None:
        with video_writer(tmp_path / "a.mp4", 10.0) as append:
            for _ in range(before):
                append(image)
            raise ValueError("no more frames")

    with pytest.raises(ValueError, match="no more frames"):
        fail()
    assert list(tmp_path.iterdir()) == []


NEAREST = """
from packdepth.inference.writers import Writer

class NearestWriter(Writer):
    kind = "nearest"
    content = "nearest depths"

    def append(self, name, prediction):
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / f"{name}.txt").write_text(str(prediction.depth.min()))
"""


def test_a_kind_of_file_is_one_module_of_the_package(
    checkpoint_folder: Path,
    moving_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "nearest.py").write_text(NEAREST)
    monkeypatch.setattr(writers, "__path__", [*writers.__path__, str(tmp_path / "more")])
    image = moving_clip / "frames" / "000001.png"
    predict(checkpoint_folder, image, tmp_path / "out", "nearest,depth")
    depth = np.load(tmp_path / "out/depth/000001.npz")["depth"]
    assert float((tmp_path / "out/nearest/000001.txt").read_text()) == pytest.approx(depth.min())
    assert f"nearest depths of 1 frame: {tmp_path / 'out/nearest'}" in capsys.readouterr().out
    with pytest.raises(InputError, match="cannot save 'nearst': did you mean 'nearest'"):
        predict(checkpoint_folder, image, tmp_path / "out", "nearst")
    monkeypatch.undo()
    sys.modules.pop("packdepth.inference.writers.nearest")
    assert list(writers.all_writers()) == ["depth", "exr", "tiff", "png16", "color", "video", "cloud", "map"]


def test_files_of_an_earlier_prediction_that_a_new_one_has_not_do_not_stay(tmp_path: Path) -> None:
    kinds = writers.all_writers()
    depth, half = np.full((4, 6), 10.0, np.float32), np.full((4, 6), 0.5, np.float32)
    image = np.zeros((4, 6, 3), np.uint8)
    metric = Prediction(depth, 1 / depth, metric=True, scale_source="stereo", image=image, confidence=half)
    for prediction in (metric, replace(metric, metric=False)):
        kinds["depth"](tmp_path / "depth", writers.ClipFacts(10.0), POINTS, PICTURES).append("a", prediction)
        assert (tmp_path / "depth" / "a.png").exists() is prediction.metric
    for prediction in (metric, replace(metric, confidence=None)):
        kinds["png16"](tmp_path / "png16", writers.ClipFacts(10.0), POINTS, PICTURES).append("a", prediction)
        assert (tmp_path / "confidence" / "a.png").exists() is (prediction.confidence is not None)
    assert (tmp_path / "depth" / "a.npz").exists()
    assert (tmp_path / "png16" / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "ranges", "words"),
    [
        ({}, (1, 1), ""),
        ({"max_depth": 5.0}, (1, 9), " (1 without a point; raise --max-depth or give --all-points to keep more)"),
        ({"max_depth": 5.0, "all_points": True}, (9, 9), " (all without a point; raise --max-depth to keep more)"),
        (
            {"min_confidence": 0.9, "all_points": True, "thin": 0.1},
            (1, 9),
            " (all without a point; lower --min-confidence to",
        ),
        ({"all_points": True}, (np.nan, 9), " (1 without a point)"),
    ],
)
def test_clouds_without_a_point_are_counted(
    tmp_path: Path, options: dict[str, Any], ranges: tuple[float, float], words: str
) -> None:
    camera, image, half = Camera.from_fov(60, 6, 4), np.zeros((4, 6, 3), np.uint8), np.full((4, 6), 0.5, np.float32)
    writer = writers.all_writers()["cloud"](tmp_path, writers.ClipFacts(10.0), replace(POINTS, **options), PICTURES)
    for name, value in zip("ab", ranges, strict=True):
        depth = np.full((4, 6), value, np.float32)
        writer.append(name, Prediction(depth, 1 / depth, True, "speed", image, camera=camera, confidence=half))
    empty = [not len(ply.read(tmp_path / f"{name}.ply")) for name in "ab"]
    said = writer.summary(2).removeprefix(f"point clouds of 2 frames: {tmp_path}")
    assert said.startswith(words)
    assert any(empty) == ("without a point" in said)
    assert all(empty) == ("all without a point" in said)
