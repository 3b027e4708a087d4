"""Exported networks predict as their checkpoints do, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import packdepth
from packdepth.cli import main
from packdepth.data.resized import resized_inv_depth, resized_pixels
from packdepth.errors import InputError
from packdepth.export.command import export
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.inference import exported
from packdepth.inference.base import Image
from packdepth.inference.exported import ExportedPredictor, load_exported, read_record
from packdepth.inference.predictor import Predictor
from packdepth.inference.writers.video import video_writer
from packdepth.networks import flip, uncertainty
from packdepth.sources.files import ImageFile

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'packdepth[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'packdepth[export]'")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'")

CAMERA = Camera(fx=50.0, fy=50.0, cx=41.0, cy=22.0, width=83, height=45)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, image: np.ndarray) -> Path:
    """A folder of three images that differ."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(3):
        PIL.Image.fromarray(np.roll(image, 4 * index, axis=1)).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def model(checkpoint_folder: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of the other tests as ONNX, two images at a time."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(checkpoint_folder, path, batch="2", pose=True, images=images)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_predictions_are_those_of_the_checkpoint(
    predictor: Predictor, model: Path, images: Path, runtime: str, mirrored: bool
) -> None:
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    paths = sorted(images.iterdir())
    expected = predictor.predict_batch(paths, CAMERA, flip=mirrored)
    found = packdepth.load(model, runtime=runtime).predict_batch(paths, CAMERA, flip=mirrored)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.depth, other.depth, rtol=1e-4)
        np.testing.assert_array_equal(one.image, other.image)
        assert (one.metric, one.scale_source, one.camera) == (other.metric, other.scale_source, CAMERA)
        assert (one.disagreement is None) == (not mirrored)
        if one.disagreement is not None and other.disagreement is not None:
            np.testing.assert_allclose(one.disagreement, other.disagreement, atol=1e-4)


def test_ego_motion_is_that_of_the_checkpoint(predictor: Predictor, model: Path, images: Path) -> None:
    paths = sorted(images.iterdir())
    np.testing.assert_allclose(load_exported(model).ego_motion(paths), predictor.ego_motion(paths), atol=1e-5)
    with pytest.raises(InputError, match="ego-motion is between frames: give at least 2 images"):
        load_exported(model).ego_motion(paths[:1])
    with pytest.raises(InputError, match=r"found an array \[45, 83, 3\]"):
        load_exported(model).ego_motion(ImageFile(paths[0]).read())
    with pytest.raises(InputError, match="the first one is 83x45 pixels, and a later one 40x20; give frames of one"):
        load_exported(model).ego_motion([paths[0], np.zeros((20, 40, 3))])


def test_motions_between_frames_that_are_apart_are_those_of_the_checkpoint(
    predictor: Predictor, model: Path, images: Path
) -> None:
    paths = [*sorted(images.iterdir())] * 2
    found = np.stack(list(load_exported(model).motions(paths, step=2)))
    np.testing.assert_allclose(found, np.stack(list(predictor.motions(paths, step=2))), atol=1e-5)
    np.testing.assert_allclose(found[::2], predictor.ego_motion(paths[::2]), atol=1e-5)
    with pytest.raises(InputError, match="ego-motion is between frames: give at least 3 images"):
        list(load_exported(model).motions(paths[:2], step=2))


@pytest.mark.parametrize("save", ["depth,color,cloud", "video"])
def test_predict_takes_no_torch(model: Path, images: Path, tmp_path: Path, save: str) -> None:
    arguments = ["predict", str(model), str(images), "-o", str(tmp_path / "out"), "--save", save, "--fov", "80"]
    code = f"""
import sys
from packdepth.cli import main
print(main({arguments!r}), [name for name in ("torch", "lightning", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 []"
    assert any((tmp_path / "out").iterdir())


def test_a_map_of_an_exported_file_takes_its_ego_motion_network(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["predict", str(model), str(images), "-o", str(tmp_path / "out"), "--save", "map", "--fov", "80"]
    taken: list[Camera | None] = []
    motions = ExportedPredictor.motions

    def observed(
        predictor: ExportedPredictor, frames: Iterable[Image], camera: Camera | None = None, step: int = 1
    ) -> object:
        taken.append(camera)
        return motions(predictor, frames, camera, step)

    monkeypatch.setattr(ExportedPredictor, "motions", observed)
    main([*arguments, "--all-points", "--max-depth", "1000", "--thin", "10"])
    assert taken == [None]  # its motions are not aligned with depth, which takes torch
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(model.read_bytes())
    arguments[1] = str(alone)
    capsys.readouterr()
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"packdepth: {images}: a map needs a trajectory, but the frames have no measured poses, and no ego-motion "
        f"network of packdepth lies beside this exported file; write both with packdepth export --pose, or give the "
        f"checkpoint\n"
    )


def test_live_prediction_takes_no_torch(model: Path, images: Path, tmp_path: Path) -> None:
    video = tmp_path / "drive.mp4"
    with video_writer(video, 10) as append:
        for path in sorted(images.iterdir()):
            append(ImageFile(path).read())
    arguments = ["live", str(model), str(video), "-o", str(tmp_path / "live.mp4"), "--port", "0", "--smooth"]
    code = f"""
import sys
from packdepth.cli import main
print(main({arguments!r}), [name for name in ("torch", "lightning", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 []"
    assert (tmp_path / "live.mp4").is_file()


def test_loading_takes_no_torch(model: Path) -> None:
    code = f"import sys, packdepth; print(packdepth.load({str(model)!r})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name = "ExportedPredictor(packnet 32x64, posenet, not metric yet"
    assert done.stdout.startswith(name) or done.stdout.startswith("ExportedPredictor(packnet 32x64, posenet, metric")
    assert done.stdout.endswith("False\n")


def test_info_describes_the_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["depth network"].strip() == "packnet"
    assert rows["image size"].strip() == "32 x 64 (height x width), 2 in a call, floats in [0, 1]"


def test_a_signal_after_networks_of_openvino_are_gone_does_not_end_the_process(model: Path) -> None:
    """Each core of OpenVINO has a signal stack of its own, and of two, the last puts the first one's back: gone."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    code = f"""
import signal
from packdepth.inference.exported import load_exported
first = load_exported(__import__("pathlib").Path({str(model)!r}), "openvino")
second = load_exported(__import__("pathlib").Path({str(model)!r}), "openvino")
del first
del second
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_an_output_has_its_name_whatever_openvino_fuses_with_it(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from packdepth.inference.runtimes.openvino import OpenVino

    make, kind, shape = onnx.helper.make_node, onnx.TensorProto.FLOAT, (1, 4, 4, 6)
    steps = ["DepthToSpace", *("Sigmoid", "Exp", "Reciprocal", "Exp", "Neg") * 2]
    names = ["image", *(f"a{index}" for index in range(len(steps) - 1)), "confidence"]  # "a" is before "confidence"
    nodes = [make(step, [before], [after]) for step, before, after in zip(steps, names, names[1:], strict=False)]
    nodes[0].attribute.append(onnx.helper.make_attribute("blocksize", 2))
    image = onnx.helper.make_tensor_value_info("image", kind, shape)
    confidence = onnx.helper.make_tensor_value_info("confidence", kind, (1, 1, 8, 12))
    graph = onnx.helper.make_graph(nodes, "test", [image], [confidence])
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)
    runtime = OpenVino(path, "32")
    assert (list(runtime.inputs), runtime.outputs) == (["image"], ["confidence"])
    results = runtime({"image": np.ones(shape, np.float32)})
    assert {name: result.shape for name, result in results.items()} == {"confidence": (1, 1, 8, 12)}


def test_an_exported_network_is_evaluated_beside_its_checkpoint(
    checkpoint_folder: Path, model: Path, moving_clip: Path
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    one, other = packdepth.evaluate([checkpoint_folder, model], "folder", moving_clip, runtime="openvino")
    assert one.rows.keys() == other.rows.keys() >= {"plain", "flip"}
    for row, scores in one.rows.items():
        assert other.rows[row] == pytest.approx(scores, rel=1e-3, abs=1e-6), row
    with pytest.raises(InputError, match="--runtime openvino: none of these is an exported network"):
        packdepth.evaluate(checkpoint_folder, "folder", moving_clip, runtime="openvino")


def test_odometry_takes_the_file(checkpoint_folder: Path, model: Path, moving_clip: Path) -> None:
    (one,), (other,) = (packdepth.odometry(path, moving_clip) for path in (checkpoint_folder, model))
    np.testing.assert_allclose(other.poses, one.poses, atol=1e-4)


# --- errors -----------------------------------------------------------------------------------------------------


def test_the_model_of_another_tool_is_refused(model: Path, tmp_path: Path) -> None:
    foreign = onnx.load(model)
    foreign.ClearField("metadata_props")
    onnx.save(foreign, tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"other.onnx: was not written by packdepth export .*; export a checkpoint"):
        packdepth.load(tmp_path / "other.onnx")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"text.onnx: is no ONNX file that can be read"):
        packdepth.load(tmp_path / "text.onnx")


def test_a_record_of_another_version_is_refused() -> None:
    with pytest.raises(InputError, match=r"m.onnx: its record: .*; another version of packdepth wrote it"):
        read_record(Path("m.onnx"), '{"layout": 2}')


def edited(
    model: Path, path: Path, record: dict[str, Any] | None = None, graph: Callable[[Any], None] | None = None
) -> Path:
    """Write a model with other values in its record (`meta.KEY` in its description), or with another graph."""
    content = onnx.load(model)
    (entry,) = content.metadata_props
    values = json.loads(entry.value)
    for name, value in (record or {}).items():
        place = values["meta"] if name.startswith("meta.") else values
        place[name.removeprefix("meta.")] = value
    entry.value = json.dumps(values)
    if graph is not None:
        graph(content.graph)
    onnx.save(content, path)
    return path


DENIED = {"source": "speed", "ratio": 0.3, "spread": 0.1, "frames": 40, "held_out": True}


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"metric": False}, "metric: is False, and meta.metric True"),
        ({"meta.metric": False}, "metric: is True, and meta.metric False"),
        ({"meta.scale_source": "none"}, "metric: is true, but depth is up to a factor"),
        ({"meta.scale_checks": [DENIED]}, "metric: is true, but depth is not metric yet: motion is 30 %"),
        ({"meta.trained_cameras": [{"width": 8, "height": 4, "fx": 0, "fy": 4, "cx": 4, "cy": 2}]}, "fx"),
        ({"layout": 2}, "layout: is 2, of a later version"),
        ({"batch": 0}, "batch"),
        ({"image_size": [-32, 64]}, "image_size"),
        (
            {"image_size": [10**6, 10**6]},
            "an input 'image', 2x3x1000000x1000000 of float32, but the network takes 2x3x",
        ),
        (
            {"image_size": [64, 32]},
            "an input 'image', 2x3x64x32 of float32, but the network takes 2x3x32x64 of float32",
        ),
        ({"batch": 7}, "an input 'image', 7x3x"),
        ({"batch": None}, "an input 'image', [?]x3x"),
        ({"input": "uint8"}, "of uint8, but the network takes 2x3x32x64 of float32"),
        ({"label_classes": 5}, "an input 'labels', .* has no such input"),
        ({"confidence": True}, "its network has no output 'confidence'"),
        ({"another": 1}, "unknown key 'another'"),
    ],
)
def test_an_edited_record_is_refused(
    model: Path, tmp_path: Path, runtime: str, record: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=f"edited.onnx: .*{sentence}.*export its checkpoint again"):
        packdepth.load(edited(model, tmp_path / "edited.onnx", record), runtime=runtime)


def rename(graph: Any, old: str, new: str) -> None:
    """Rename a value of a graph of ONNX."""
    for value in (*graph.input, *graph.output):
        value.name = new if value.name == old else value.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def negate(graph: Any) -> None:
    """Let a graph return inverse depth of the other sign."""
    rename(graph, "inv_depth", "before")
    next(value for value in graph.output if value.name == "before").name = "inv_depth"
    graph.node.append(onnx.helper.make_node("Neg", ["before"], ["inv_depth"]))


def shrink(graph: Any) -> None:
    """Let a graph return inverse depth at half of its size."""
    rename(graph, "inv_depth", "before")
    graph.output.remove(next(value for value in graph.output if value.name == "before"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 1, 0.5, 0.5], dtype=np.float32), "scales"))
    graph.node.append(onnx.helper.make_node("Resize", ["before", "", "scales"], ["inv_depth"], mode="nearest"))
    graph.output.append(onnx.helper.make_tensor_value_info("inv_depth", 1, ["a", "b", "c", "d"]))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (lambda graph: rename(graph, "image", "img"), "edited.onnx: .* an input 'image', .* has no such input"),
        (lambda graph: rename(graph, "inv_depth", "out"), "edited.onnx: its network has no output 'inv_depth'"),
        (negate, "the depth network predicts inverse depths that are negative or not finite"),
        (shrink, r"returns 'inv_depth' of shape \[2, 1, 16, 32\], where \[2, 1, 32, 64\] is needed"),
    ],
)
def test_an_edited_network_is_refused(
    model: Path, tmp_path: Path, image: np.ndarray, runtime: str, graph: Callable[[Any], None], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        packdepth.load(edited(model, tmp_path / "edited.onnx", graph=graph), runtime=runtime).predict_batch([image] * 2)


def test_the_pose_network_alone_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match=r"model-pose.onnx: holds an ego-motion network; give the depth network"):
        packdepth.load(model.with_name("model-pose.onnx"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"runtime": "tensorrt"}, "--runtime: 'tensorrt' is not known"),
        ({"runtime": "onnxruntime", "precision": "bf16"}, "ONNX Runtime computes no bf16 on a CPU"),
        ({"device": "cuda"}, "is an exported network, which runs on the CPU; leave the device out"),
    ],
)
def test_options_that_do_not_suit_are_one_sentence(model: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        packdepth.load(model, **options)  # type: ignore[arg-type]


def test_a_runtime_needs_an_exported_file(checkpoint_folder: Path) -> None:
    with pytest.raises(InputError, match="is no exported network, which --runtime openvino needs"):
        packdepth.load(checkpoint_folder, runtime="openvino")


# --- functions of arrays equal those of tensors -----------------------------------------------------------------

SIDES = st.integers(1, 40)


@given(height=SIDES, width=SIDES, rows=SIDES, columns=SIDES)
def test_images_are_resized_as_torch_resizes_them(height: int, width: int, rows: int, columns: int) -> None:
    pixels = np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)
    expected = resize_image(torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous(), rows, columns)[0].permute(
        1, 2, 0
    )
    np.testing.assert_allclose(resized_pixels(pixels, rows, columns), expected.numpy(), atol=1e-5)


@given(height=SIDES, width=SIDES, rows=SIDES, columns=SIDES)
def test_inverse_depth_is_resized_as_torch_resizes_it(height: int, width: int, rows: int, columns: int) -> None:
    inv_depth = np.random.default_rng(height * width).random((height, width), dtype=np.float32)
    expected = resize_inv_depth(torch.from_numpy(inv_depth)[None, None], rows, columns)[0, 0]
    np.testing.assert_allclose(resized_inv_depth(inv_depth, rows, columns), expected.numpy(), atol=2e-5)


@given(width=st.integers(2, 60))
def test_mirrored_maps_are_fused_as_torch_fuses_them(width: int) -> None:
    maps, mirrored = np.random.default_rng(width).random((2, 3, 4, width), dtype=np.float32)
    expected = flip.fuse_flipped(torch.from_numpy(maps), torch.from_numpy(mirrored)).numpy()
    np.testing.assert_allclose(exported.fused(maps, mirrored), expected, atol=2e-6)
    assert exported.BORDER == flip.BORDER


def test_confidence_is_that_of_the_network() -> None:
    log_scale = np.log(np.linspace(0.02, 4, 50, dtype=np.float32))
    expected = uncertainty.confidence_of(torch.from_numpy(log_scale)).numpy()
    np.testing.assert_allclose(exported.confidence_of(log_scale), expected, rtol=1e-5)
    np.testing.assert_allclose(exported.log_scale_of(expected), log_scale, atol=2e-3)


def test_the_files_of_images_are_those_that_sources_read(model: Path, images: Path) -> None:
    path = sorted(images.iterdir())[0]
    predictor = load_exported(model)
    by_path, by_array = predictor.predict(path), predictor.predict(ImageFile(path).read())
    np.testing.assert_array_equal(by_path.depth, by_array.depth)
