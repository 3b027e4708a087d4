"""`packdepth export`: what it writes, what it measures, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from packdepth.checkpoint import OtherSize
from packdepth.cli import main
from packdepth.config import Run
from packdepth.errors import InputError, InputWarning
from packdepth.export import parity
from packdepth.export.command import EXAMPLES, describe_pose, export
from packdepth.inference.exported import ExportedPredictor, load_exported, read_record
from packdepth.inference.predictor import load
from packdepth.inference.runtimes.openvino import core

from .conftest import META, SIZE, write_checkpoint

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'packdepth[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'packdepth[export]'")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'packdepth[export]'")


def openvino() -> Any:
    return pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'packdepth[openvino]'")


def test_the_file_says_what_it_is(model: Path) -> None:
    values = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    record = json.loads(values["packdepth"])
    assert record["part"] == "depth"
    assert (record["image_size"], record["batch"], record["input"]) == (list(SIZE), None, "float")
    assert (record["metric"], record["scale"]) == (True, META.scale)
    assert record["meta"]["trained_cameras"][0]["fx"] == 50
    assert "terms of the data" in record["license"]
    assert len(record["run_hash"]) == 12


def test_the_outputs_are_depth_and_its_inverse(model: Path, images: Path) -> None:
    pixels = np.random.default_rng(0).random((2, 3, *SIZE), dtype=np.float32)
    outputs = load_exported(model).compute({"image": pixels})
    assert outputs["depth"].shape == outputs["inv_depth"].shape == (2, 1, *SIZE)
    np.testing.assert_allclose(outputs["depth"] * outputs["inv_depth"], 1, rtol=1e-6)


def test_parity_is_printed_and_an_older_pose_network_does_not_stay_but_an_edited_example_does(
    checkpoint_folder: Path, model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.onnx"
    older = Path(shutil.copy(model.with_name("model-pose.onnx"), tmp_path / "small-pose.onnx"))
    edited = tmp_path / "small-predict.cpp"
    edited.write_text("// the robot's own\n")
    assert main(["export", str(checkpoint_folder), str(path), "--size", "32x96", "--images", str(images)]) == 0
    out, err = capsys.readouterr()
    assert f"removed: {older}, the ego-motion network of an earlier export\n" in err
    assert f"kept: {edited}, which differs from the example of this version; remove it to get that\n" in err
    assert edited.read_text() == "// the robot's own\n"
    assert out.startswith(f"{path}: 32x96, precision 32, ")
    assert out.splitlines()[0].endswith("on 3 images")
    assert out.splitlines()[1].startswith(f"{path}: at 32x96, depth differs by abs_rel ")
    assert [line.split(": ")[0] for line in out.splitlines()[2:]] == [
        str(tmp_path / "small-predict.py"),
        str(tmp_path / "small-predict.cpp"),
    ]
    assert "predicts without torch" in out
    usage = subprocess.run([sys.executable, str(tmp_path / "small-predict.py")], capture_output=True, check=False)
    assert (
        usage.stderr.decode() == "usage: python small-predict.py MODEL.onnx IMAGE DEPTH.npy; the first two are files\n"
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small-predict.cpp", "small-predict.py", "small.onnx"]


def test_the_record_of_a_pose_network_says_over_how_many_frames_it_has_learned_motion(
    checkpoint_folder: Path, model: Path
) -> None:
    predictor, record = load(checkpoint_folder, "cpu"), load_exported(model).record
    assert isinstance(predictor.run, Run)
    predictor.run = predictor.run.model_copy(
        update={"data": predictor.run.data.model_copy(update={"context": (-3, 3)})}
    )
    described = json.loads(describe_pose(predictor, record).model_dump_json())
    assert described.pop("frame_step") == 3
    assert read_record(model, json.dumps(described)).frame_step == 1  # of a file that an older version wrote


def network_of_another_program() -> bytes:
    """An ONNX file that returns its input."""
    taken, returned = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [taken], [returned])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.mark.parametrize("kind", ["network of another program", "no network", "depth network"])
def test_a_file_that_only_has_the_name_of_a_pose_network_stays_and_is_not_read_as_one(
    checkpoint_folder: Path, model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    contents = {"no network": b"mine", "depth network": model.read_bytes()}
    content = contents.get(kind) or network_of_another_program()
    own = tmp_path / "body-pose.onnx"
    own.write_bytes(content)
    export(checkpoint_folder, tmp_path / "body.onnx", images=images)
    assert own.read_bytes() == content
    assert "body-pose" not in capsys.readouterr().err
    exported = load_exported(tmp_path / "body.onnx")
    image = np.asarray(Image.open(images / "0.png"))
    np.testing.assert_allclose(exported.predict(image).depth, load_exported(model).predict(image).depth, rtol=1e-4)
    assert exported.pose_network is None
    with pytest.raises(InputError, match="holds a depth network alone; export the checkpoint with --pose"):
        exported.ego_motion([image, image])


@pytest.mark.parametrize(
    ("name", "precision", "bound"),
    [("a.onnx", "16", 0.01), ("a.onnx", "int8", 0.05), ("a.xml", "32", 1e-4)],
)
def test_other_precisions_and_formats_are_as_near_as_they_promise(
    checkpoint_folder: Path, images: Path, tmp_path: Path, name: str, precision: Any, bound: float
) -> None:
    if name.endswith(".xml"):
        openvino()
    calibrate = images if precision == "int8" else None
    (written,) = export(
        checkpoint_folder, tmp_path / name, precision=precision, calibrate=calibrate, images=images, input="uint8"
    )
    assert written.parity.abs_rel < bound
    if precision != "32":
        assert written.parity.abs_rel > 1e-6
    image = np.asarray(Image.open(images / "0.png"))
    expected = load(checkpoint_folder, "cpu").predict(image)
    found = load_exported(written.path).predict(image)
    assert np.mean(np.abs(found.depth / expected.depth - 1)) < bound + 0.002  # the input is rounded to 8 bits


def test_bfloat16_is_computed_or_its_absence_is_said(checkpoint_folder: Path, images: Path, tmp_path: Path) -> None:
    openvino()
    capable = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    path = tmp_path / "a.xml"
    (exact,) = export(checkpoint_folder, tmp_path / "exact.xml", images=images)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (written,) = export(checkpoint_folder, path, precision="bf16", images=images)
        load_exported(path)
    assert {str(each.message) for each in told if each.category is InputWarning} == (
        set()
        if capable
        else {
            "a.xml: this processor computes no bfloat16, and OpenVINO takes float32 instead; compare and time bfloat16 "
            "where the file will run"
        }
    )
    assert (written.parity.abs_rel > 10 * exact.parity.abs_rel) == capable
    assert written.parity.abs_rel < 0.03


def test_a_file_of_executorch_computes_the_same(checkpoint_folder: Path, images: Path, tmp_path: Path) -> None:
    pytest.importorskip("executorch", reason="ExecuTorch is not installed: pip install 'packdepth[executorch]'")
    (written,) = export(checkpoint_folder, tmp_path / "a.pte", images=images, pose=True)
    assert written.parity.abs_rel < 1e-4
    expected, found = load(checkpoint_folder, "cpu"), load_exported(written.path)
    paths = sorted(images.iterdir())
    np.testing.assert_allclose(found.predict(paths[0]).depth, expected.predict(paths[0]).depth, rtol=1e-4)
    np.testing.assert_allclose(found.ego_motion(paths), expected.ego_motion(paths), atol=1e-4)


def test_int8_computes_with_integers_except_for_the_logits(images: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "best", {"kind": "packnet", "preset": "tiny"})
    export(folder, tmp_path / "a.onnx", precision="int8", calibrate=images)
    graph = onnx.load(tmp_path / "a.onnx").graph
    producers = {output: node for node in graph.node for output in node.output}
    floats = [
        node for node in graph.node if node.op_type == "Conv" and node.input[1] not in producers
    ]  # convolutions of integers take their weights through DequantizeLinear
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    channels = Counter(tuple(shapes[node.input[1]][:2]) for node in floats)
    assert channels == {(16, 8): 1, (16, 16): 1, (16, 32): 1, (16, 64): 1, (4, 1): 3}  # logits of blocks, upsampling


def test_images_are_resized_in_the_file_and_depth_is_resized_back(
    checkpoint_folder: Path, images: Path, tmp_path: Path
) -> None:
    (written,) = export(checkpoint_folder, tmp_path / "a.onnx", images=images, input_size="45x83", input="uint8")
    assert written.parity.abs_rel < 1e-5
    record = load_exported(written.path).record
    assert (record.image_size, record.network_size) == ((45, 83), SIZE)
    pixels = np.asarray(Image.open(images / "0.png"))
    expected = load(checkpoint_folder, "cpu").predict(pixels).depth
    for runtime in ("onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])):
        outputs = load_exported(written.path, runtime).compute({"image": pixels.transpose(2, 0, 1)[None].copy()})
        np.testing.assert_allclose(outputs["depth"][0, 0], expected, rtol=1e-4)


def test_an_older_version_of_the_operators_computes_the_same(
    checkpoint_folder: Path, images: Path, tmp_path: Path
) -> None:
    (written,) = export(checkpoint_folder, tmp_path / "a.onnx", images=images, opset=18)
    assert [each.version for each in onnx.load(written.path).opset_import] == [18]
    assert written.parity.abs_rel < 1e-5


def test_several_sizes_become_several_files_and_another_than_that_of_the_training_takes_the_metres(
    checkpoint_folder: Path, images: Path, tmp_path: Path
) -> None:
    near, far = export(checkpoint_folder, tmp_path / "m.onnx", sizes=["32x64", "64x32"], images=images)
    assert [each.path.name for each in (near, far)] == ["m-32x64.onnx", "m-64x32.onnx"]
    assert (near.other_size, near.loses_metres, load_exported(near.path).meta.metric) == (None, False, True)
    found, own = load_exported(far.path), load(checkpoint_folder, "cpu")
    assert found.image_size == (64, 32)
    paths = sorted(images.iterdir())
    errors = [np.mean(np.abs(found.predict(path).depth / own.predict(path).depth - 1)) for path in paths]
    assert far.other_size is not None
    assert far.other_size.abs_rel == pytest.approx(float(np.mean(errors)), rel=1e-3)
    assert far.loses_metres is (far.other_size.abs_rel > 0.1)
    assert str(far).splitlines()[1].startswith(f"{far.path}: at 64x32, depth differs by abs_rel ")
    expected = own.meta.at_size(OtherSize(size=(64, 32), trained=SIZE, abs_rel=far.other_size.abs_rel))
    assert (found.record.metric, found.record.scale, found.meta) == (expected.metric, expected.scale, expected)


def test_what_differs_too_much_is_not_written_and_an_older_file_stays(
    checkpoint_folder: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("older")
    monkeypatch.setitem(parity.TOLERANCES, "32", 0.0)
    with pytest.raises(InputError, match=r"m.onnx: was not written, because it differs too much from the checkpoint"):
        export(checkpoint_folder, path, images=images)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("m.onnx", "older")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["m.pt"], "m.pt: its suffix names no format; name a file .pte (executorch), .onnx (onnx), .xml (openvino)"),
        (["m.xml", "--format", "onnx"], "m.xml: files of --format onnx end in .onnx; name such a file"),
        (["m.onnx", "--size", "10x640"], "--size 10x640: is not supported; height and width are 32 to 4096 pixels"),
        (["m.onnx", "--size", "640"], "--size 640: is no size; give height and width in pixels, such as 192x640"),
        (["m.onnx", "--input-size", "720"], "--input-size 720: is no size; give height and width in pixels"),
        (["m.onnx", "--input-size", "64x64", "--pose"], "the ego-motion network takes images of its own size"),
        (["m.onnx", "--opset", "13"], "--opset 13: is not supported; give 18 to 21, the versions of ONNX's operators"),
        (["m.pte", "--opset", "21"], "--opset 21: is for --format onnx; leave it out"),
        (["m.onnx", "--batch", "0"], "--batch 0: is no number of images; give 1 or more, or dynamic"),
        (["m.onnx", "--precision", "bf16"], "--precision bf16: ONNX Runtime computes no bfloat16 on a CPU"),
        (["m.onnx", "--precision", "int8"], "--precision int8 needs images for the ranges of its values"),
        (["m.onnx", "--calibrate", "x"], "--calibrate x: is for --precision int8; leave it out, or give --images"),
        (["m.onnx"], "name some with --images, such as a folder or a video"),
    ],
)
def test_bad_input_is_one_sentence(
    checkpoint_folder: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint_folder), *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_an_exported_network_is_not_exported_again(model: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is an exported network; give the checkpoint"):
        export(model, tmp_path / "m.onnx", images=images)


def test_a_missing_package_is_named_with_its_extra(checkpoint_folder: Path, tmp_path: Path) -> None:
    code = f"""
import sys, importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "onnxscript" else find(name, *rest)
from packdepth.cli import main
sys.exit(main(["export", {str(checkpoint_folder)!r}, "m.onnx"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    sentence = "packdepth: --format onnx needs onnxscript of the extra export: pip install 'packdepth[export]'\n"
    assert done.stderr == sentence


def test_label_maps_are_a_second_input(images: Path, tmp_path: Path) -> None:
    guidance = {"semantics": {"kind": "labels", "classes": 3}, "strides": [8]}
    folder = write_checkpoint(tmp_path / "best", {"kind": "packnet", "preset": "tiny", "guidance": guidance})
    clip = tmp_path / "clip"
    shutil.copytree(images, clip / "frames")
    (clip / "semantic").mkdir()
    rng = np.random.default_rng(0)
    maps = {name: rng.integers(0, 3, (45, 83), dtype=np.uint8) for name in ("0", "1", "2")}
    for name, values in maps.items():
        Image.fromarray(values).save(clip / "semantic" / f"{name}.png")
    (clip / "frames.csv").write_text("frame,time_s\n0,0\n1,0.1\n2,0.2\n")
    (clip / "camera.yaml").write_text("width: 83\nheight: 45\nfx: 50\nfy: 50\ncx: 41\ncy: 22\n")
    (written,) = export(folder, tmp_path / "m.onnx", images=clip)
    image = np.asarray(Image.open(images / "0.png"))
    expected = load(folder, "cpu").predict(image, labels=maps["0"])
    exported = load_exported(written.path)
    np.testing.assert_allclose(exported.predict(image, labels=maps["0"]).depth, expected.depth, rtol=1e-4)
    assert np.abs(exported.predict(image, labels=maps["1"]).depth / expected.depth - 1).max() > 1e-4
    with pytest.raises(InputError, match="label maps guide the depth network; give the label map of each image"):
        exported.predict(image)


def test_the_example_in_python_needs_numpy_pillow_and_onnxruntime_alone(
    model: Path, images: Path, checkpoint_folder: Path, tmp_path: Path
) -> None:
    program = model.with_name(f"model-{EXAMPLES[0]}")
    assert len(program.read_text().splitlines()) <= 62
    blocked = "import sys\nsys.modules.update(dict.fromkeys(('torch', 'packdepth', 'onnx', 'scipy', 'cv2')))\n"
    code = f"{blocked}sys.argv = {['predict', str(model), str(images / '1.png'), str(tmp_path / 'd.npy')]}\n"
    code += f"exec(compile(open({str(program)!r}).read(), 'predict.py', 'exec'), {{'__name__': '__main__'}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "metres; depth is not metric yet" in done.stdout or "metres; depth is metric" in done.stdout
    expected = load(checkpoint_folder, "cpu").predict(images / "1.png").depth
    np.testing.assert_allclose(np.load(tmp_path / "d.npy"), expected, rtol=1e-3)
    assert Image.open(tmp_path / "d.png").size == (83, 45)
    lying = Image.Exif()
    lying[0x0112] = 6  # to be turned by 90 degrees to the right
    Image.open(images / "1.png").rotate(90, expand=True).save(tmp_path / "lying.png", exif=lying)
    Image.open(images / "1.png").crop((0, 0, 60, 45)).save(tmp_path / "cropped.png")
    for name, said in (("lying", "metres; depth is metric"), ("cropped", "depth is not metric: no camera")):
        command = [
            sys.executable,
            str(program),
            str(model),
            str(tmp_path / f"{name}.png"),
            str(tmp_path / f"{name}.npy"),
        ]
        assert said in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    np.testing.assert_array_equal(np.load(tmp_path / "lying.npy"), np.load(tmp_path / "d.npy"))
    for image, depth in ((tmp_path / "none.png", "e.npy"), (images / "1.png", "e.npz")):
        refused = [sys.executable, str(program), str(model), str(image), str(tmp_path / depth)]
        done = subprocess.run(refused, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("usage: python model-predict.py MODEL.onnx IMAGE DEPTH.npy")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_the_example_in_python_refuses_the_images_that_packdepth_refuses(
    model: Path, tmp_path: Path, dtype: type[np.generic]
) -> None:
    image = tmp_path / "gray.tiff"
    Image.fromarray((np.arange(45 * 83).reshape(45, 83) * 17).astype(dtype)).save(image)
    with pytest.raises(InputError, match=r"gray\.tiff: has pixels of more than 8 bits") as refused:
        load_exported(model).predict(image)
    program = str(model.with_name(f"model-{EXAMPLES[0]}"))
    command = [sys.executable, program, str(model), str(image), str(tmp_path / "d.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{refused.value}\n")
    assert not (tmp_path / "d.npy").exists()


def test_the_example_in_cpp_compiles_and_predicts(model: Path, images: Path, tmp_path: Path) -> None:
    package = Path(openvino().__file__).parent
    compiler = shutil.which("g++")
    if compiler is None or not (package / "include" / "openvino" / "openvino.hpp").is_file():
        pytest.skip("no g++, or an OpenVINO without its headers")
    program, image, output = tmp_path / "predict", tmp_path / "image.ppm", tmp_path / "depth.pfm"
    libraries = [str(path) for path in (package / "libs").glob("libopenvino.so.*")]
    source = str(model.with_name(f"model-{EXAMPLES[1]}"))
    command = [compiler, "-std=c++17", "-Wall", "-Werror", source, "-o", str(program), f"-I{package / 'include'}"]
    subprocess.run([*command, *libraries, f"-Wl,-rpath,{package / 'libs'}"], check=True, capture_output=True)
    pixels = Image.open(images / "2.png").resize((SIZE[1], SIZE[0]))
    pixels.save(image)
    subprocess.run([str(program), str(model), str(image), str(output)], check=True, capture_output=True)
    magic, size, scale, values = output.read_bytes().split(b"\n", 3)
    assert (magic, size, scale) == (b"Pf", b"64 32", b"-1.0")
    depth = np.frombuffer(values, "<f4").reshape(SIZE)[::-1]
    exported: ExportedPredictor = load_exported(model)
    np.testing.assert_allclose(depth, exported.predict(np.asarray(pixels)).depth, rtol=1e-3)
