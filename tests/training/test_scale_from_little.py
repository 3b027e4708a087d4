"""Runs whose scale comes from stereo pairs, few beams, or a network trained before; and what stops them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import segmenter
import torch
import world
import yaml

from packdepth import checkpoint
from packdepth.config import Run, load_run
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.training.run import train

SHORT = ("training.epochs=1", "training.epoch_steps=2", "data.val=[]")
ALONE = ("data.context=[]", "networks.pose=null")


@pytest.fixture(scope="module")
def rich_clip(moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered clip with right images (its own, moved by a disparity of 3 pixels) and scans in place of maps."""
    clip = shutil.copytree(moving_clip, tmp_path_factory.mktemp("rich") / "rich_clip")
    from PIL import Image

    (clip / "right").mkdir()
    (clip / "lidar").mkdir()
    shutil.rmtree(clip / "depth")
    for path in (clip / "frames").iterdir():
        Image.fromarray(np.roll(np.asarray(Image.open(path)), -3, axis=1)).save(clip / "right" / path.name)
        index = int(path.stem)
        depth = torch.from_numpy(world.render(index)[1])[None, None]
        points = world.CAMERA.unproject(depth).flatten(2)[0].T.numpy().astype(np.float32)
        np.savez(clip / "lidar" / f"{path.stem}.npz", points=points[::7], origin=np.array([0.0, -0.2, 0.0]))
    numbers = yaml.safe_load((clip / "camera.yaml").read_text()) | {"baseline_m": 0.5}
    (clip / "camera.yaml").write_text(yaml.safe_dump(numbers))
    return clip


@pytest.fixture
def rich_file(run_values: dict[str, object], rich_clip: Path, tmp_path: Path) -> Path:
    run_values["data"]["train"][0]["root"] = str(rich_clip)  # type: ignore[index]
    path = tmp_path / "rich.yaml"
    path.write_text(yaml.safe_dump(run_values))
    return path


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_stereo_alone_gives_a_scale_and_needs_no_motion(
    rich_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (*SHORT, *ALONE, "objective=[{kind: stereo}, {kind: occlusion}, {kind: smoothness}]")
    train(rich_file, tmp_path / "run", overrides=options)
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.scale_source == "stereo"
    output = capsys.readouterr().out
    assert "6 of them targets with context []" in output
    assert "pose       none" in output
    assert "from stereo, measured after training" in output
    predictor = load(tmp_path / "run" / "best")
    assert predictor.pose is None


def test_velocity_lidar_and_stereo_together(rich_file: Path, tmp_path: Path) -> None:
    terms = ["{kind: photometric, scales: own}", "{kind: velocity}", "{kind: stereo}", "{kind: reprojected}"]
    train(rich_file, tmp_path / "run", overrides=(*SHORT, f"objective=[{', '.join(terms)}]", "data.beams=8"))
    meta = checkpoint.read_description(tmp_path / "run" / "last")[1]
    assert meta.scale_source == "velocity (speed), depth (lidar, 8 beams), stereo"
    for row in rows(tmp_path / "run"):
        assert all(float(row[name]) > 0 for name in ("photometric", "velocity", "stereo", "reprojected"))


@pytest.mark.parametrize("fusion", ["early", "middle", "late"])
def test_everything_together(fusion: str, rich_file: Path, rich_clip: Path, tmp_path: Path) -> None:
    """A guided PackNet, two streams with lost pixels, and all that gives scale or consistency, in one run file."""
    guidance = f"{{semantics: {{kind: fpn, checkpoint: {segmenter.write(tmp_path / 'semantics')}}}}}"
    kinds = ("photometric", "smoothness", "velocity", "stereo", "reprojected", "depth_consistency", "pose_consistency")
    options = (
        f"networks.depth={{kind: packnet, preset: tiny, guidance: {guidance}}}",
        f"networks.pose={{kind: two_stream, fusion: {fusion}, sparsity: {{}}}}",
        f"objective=[{', '.join(f'{{kind: {kind}}}' for kind in kinds)}]",
    )
    train(rich_file, tmp_path / "run", overrides=(*SHORT, *options, "data.beams=8"))
    run = checkpoint.read(tmp_path / "run" / "last").run
    assert isinstance(run, Run)
    weights = {term.kind: term.weight for term in run.objective}
    assert tuple(weights) == kinds
    for row in rows(tmp_path / "run"):
        assert all(float(row[kind]) >= 0 for kind in kinds)
        total = sum(weight * float(row[kind]) for kind, weight in weights.items())
        assert float(row["loss"]) == pytest.approx(total, rel=1e-4)
    predictor = load(tmp_path / "run" / "last")
    assert predictor.meta.scale_source == "velocity (speed), depth (lidar, 8 beams), stereo"
    assert predictor.predict(rich_clip / "frames" / "000002.png").scale_source == predictor.meta.scale_source


LACKS = {
    "velocity": "'velocity' needs the distance traveled between frames, but clip .*/lacking .* has neither speed nor",
    "stereo": "'stereo' needs stereo pairs, but clip .*/lacking .* has no right images; add",
    "reprojected": "'reprojected' needs measured depth, but clip .*/lacking .* has neither a depth map nor a LiDAR",
}


@pytest.mark.parametrize("term", LACKS)
def test_each_of_the_three_stops_a_run_on_data_that_lacks_it(
    term: str, rich_file: Path, rich_clip: Path, tmp_path: Path
) -> None:
    clip = shutil.copytree(rich_clip, tmp_path / "lacking")
    if term == "velocity":
        lines = (clip / "frames.csv").read_text().splitlines()
        (clip / "frames.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in lines))
    else:
        shutil.rmtree(clip / {"stereo": "right", "reprojected": "lidar"}[term])
    terms = ", ".join(f"{{kind: {kind}}}" for kind in ("photometric", *LACKS))
    with pytest.raises(InputError, match=LACKS[term]) as found:
        train(rich_file, tmp_path / "run", overrides=(*SHORT, f"objective=[{terms}]", f"data.train.0.root={clip}"))
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_measured_depth_alone_trains_without_a_pose_network(rich_file: Path, tmp_path: Path) -> None:
    options = ("objective=[{kind: sparse_l1}]", "training.epochs=1", "training.epoch_steps=30", "data.val=[]")
    train(rich_file, tmp_path / "run", overrides=(*ALONE, *options))
    losses = [float(row["sparse_l1"]) for row in rows(tmp_path / "run")]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_beams_train_and_the_others_judge(rich_file: Path, rich_clip: Path, tmp_path: Path) -> None:
    source = f"data.val=[{{kind: folder, root: {rich_clip}}}]"
    for beams, judged in ((8, True), (64, False)):
        options = ("training.epochs=1", "training.epoch_steps=1", "objective=[{kind: silog}]", f"data.beams={beams}")
        train(rich_file, tmp_path / f"{beams}", overrides=(*ALONE, *options, source))
        scores = checkpoint.read_description(tmp_path / f"{beams}" / "last")[1].scores
        assert ("val/abs_rel" in scores) == judged


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("objective=[{kind: stereo}]", r"'stereo' needs stereo pairs, but clip .*moving_clip.* has no right images"),
        ("data.beams=4", r"data\.beams chooses .* but clip folder/moving_clip .* has no scan"),
    ],
)
def test_what_data_lacks_stops_a_run_before_its_first_step(
    option: str, message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(run_file, tmp_path / "run", overrides=(option,))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("data.context=[]",), "data.context is empty, so that networks.pose is never trained"),
        (("networks.pose=null",), r"networks.pose is missing: the ego-motion to the context frames \[-1, 1\] needs"),
        (ALONE, "'photometric' needs context frames, but data.context is empty"),
        (
            (*ALONE, "objective=[{kind: silog}]", "initial={pose: runs/first}"),
            "initial.pose is given, but there is no networks.pose",
        ),
    ],
)
def test_run_files_that_contradict_themselves(options: tuple[str, ...], message: str, run_file: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_run(run_file, options)


def test_a_frozen_depth_network_teaches_ego_motion_its_scale(rich_file: Path, tmp_path: Path) -> None:
    train(rich_file, tmp_path / "stereo", overrides=(*SHORT, *ALONE, "objective=[{kind: stereo}]"))
    first = f"initial.depth={tmp_path / 'stereo' / 'best'}"
    frozen = (*SHORT, first, "networks.depth.frozen=true")
    train(rich_file, tmp_path / "pose", overrides=(*frozen, "objective=[{kind: photometric}]"))
    before, after = (checkpoint.read(tmp_path / name / "last") for name in ("stereo", "pose"))
    for name, value in before.weights.items():
        assert torch.equal(after.weights[name], value), name
    assert after.meta.scale_source == "stereo"
    assert any(name.startswith("pose.") for name in after.weights)
    pose = f"initial.pose={tmp_path / 'stereo' / 'best'}"
    with pytest.raises(InputError, match=r"initial\.pose: .* holds no networks\.pose"):
        train(rich_file, tmp_path / "other", overrides=(*SHORT, pose))
    with pytest.raises(InputError, match="all networks are frozen"):
        load_run(rich_file, (*frozen, *ALONE, "objective=[{kind: stereo}]"))
