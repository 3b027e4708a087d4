"""`packdepth convert`: the result is packdepth's own and predicts the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import packdepth
from packdepth import checkpoint
from packdepth.cli import main
from packdepth.config import Imported
from packdepth.inference.info import describe
from packdepth.inference.predictor import load

from .conftest import Golden, config, packnet_sfm, save
from .test_monodepth2 import write


@pytest.fixture
def resnet(reference: Golden, tmp_path: Path) -> Path:
    """A checkpoint of packnet-sfm with a velocity-supervised ResNet and a PoseNet."""
    settings = config(model="VelSupModel")
    content = packnet_sfm(reference.weights("depthresnet_18"), reference.weights("posenet"), settings)
    return save(content, tmp_path / "model.ckpt")


def frames(reference: Golden) -> list[np.ndarray]:
    before, after = (reference.image("posenet", "context_names", i) for i in (0, 1))
    return [before, reference.image("posenet"), after]


def test_the_result_predicts_the_same(
    reference: Golden, resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs" / "own"
    assert main(["convert", str(resnet), str(output)]) == 0
    assert capsys.readouterr().out == f"{describe(output)}\n"
    assert sorted(path.name for path in output.iterdir()) == ["meta.json", "run.yaml", "weights.safetensors"]
    theirs, ours = load(resnet, "cpu"), load(output, "cpu")
    assert ours.run == theirs.run
    image = frames(reference)[1]
    np.testing.assert_array_equal(ours.predict(image, flip=True).depth, theirs.predict(image, flip=True).depth)
    np.testing.assert_array_equal(ours.ego_motion(frames(reference)), theirs.ego_motion(frames(reference)))
    prediction = ours.predict(image)
    assert (prediction.metric, prediction.scale_source) == (True, "velocity")


def test_what_info_says(resnet: Path, tmp_path: Path) -> None:
    main(["convert", str(resnet), str(tmp_path / "own")])
    rows = [
        "depth network  depth_resnet, layers 18, min_depth 0.1, max_depth 100.0, 14,329,236 parameters",
        "pose network   packnet_sfm_posenet, 1,592,684 parameters",
        "image size     96 x 160 (height x width)",
        "trained by     packnet-sfm",
        "depth          metric, from velocity",
        "notes          left out the encoder's classifier, which nothing uses (depth network, 2 tensors)",
    ]
    assert describe(resnet).splitlines() == [f"checkpoint     {resnet}", *rows]
    first, *middle, written = describe(tmp_path / "own").splitlines()
    assert first == f"checkpoint     {tmp_path / 'own'}"
    assert middle == rows
    assert written.endswith(f"by packdepth {packdepth.__version__}")


def test_a_folder_of_monodepth2(reference: Golden, tmp_path: Path) -> None:
    folder = write(tmp_path / "mono", reference.weights("depthresnet_18"))
    assert main(["convert", str(folder), str(tmp_path / "own"), "--image-size", "64", "96"]) == 0
    theirs, ours = load(folder, "cpu"), load(tmp_path / "own", "cpu")
    assert isinstance(ours.run, Imported)
    assert ours.run.image_size == (64, 96)
    assert ours.pose is None
    assert "pose network   none: no ego-motion" in describe(tmp_path / "own").splitlines()
    for name, tensor in theirs.depth.state_dict().items():
        assert torch.equal(ours.depth.state_dict()[name], tensor)


def test_tensors_that_share_their_memory(reference: Golden, tmp_path: Path) -> None:
    depth = reference.weights("depthresnet_18")
    for name in ("decoder.decoder.2.conv.conv.bias", "decoder.decoder.3.conv.conv.bias"):
        depth[name] = depth["encoder.encoder.layer2.0.bn1.bias"]
    path = save(packnet_sfm(depth, None, config()), tmp_path / "model.ckpt")
    assert main(["convert", str(path), str(tmp_path / "own")]) == 0
    weights = checkpoint.read(tmp_path / "own").weights
    assert torch.equal(weights["depth.decoder.after.3.bias"], depth["decoder.decoder.3.conv.conv.bias"])


def test_nothing_is_overwritten(resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    for output in (folder, folder / "thesis.tex", resnet):
        assert main(["convert", str(resnet), str(output)]) == 2
        assert capsys.readouterr().err == f"packdepth: {output}: is there already; name a new folder\n"
    assert (folder / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert main(["convert", str(resnet), str(tmp_path / "empty")]) == 0


def test_a_failure_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.ckpt").write_text("hello")
    assert main(["convert", str(tmp_path / "model.ckpt"), str(tmp_path / "own")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


def test_what_needs_no_conversion(resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(resnet), str(tmp_path / "own")])
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "own"), str(tmp_path / "again")]) == 2
    assert "is packdepth's own checkpoint already" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "nowhere"), str(tmp_path / "again")]) == 2
    assert "not found" in capsys.readouterr().err


def test_it_cannot_be_trained_again(resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(resnet), str(tmp_path / "own")])
    capsys.readouterr()
    assert main(["train", str(tmp_path / "own" / "run.yaml"), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
