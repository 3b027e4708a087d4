"""Checkpoints are shared and fetched: over a hub on this machine, as a folder, and as a zip file with a checksum."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmenter
import torch
import yaml
from described import described
from fake_hub import FakeHub, fake_hub
from PIL import Image
from torch import nn

import packdepth
from packdepth import checkpoint
from packdepth.checkpoint import CalibrationRecord, Checkpoint, ScaleCheck, TrainedCamera
from packdepth.cli import main
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.objectives import Objective
from packdepth.sharing.address import located, parse_repository
from packdepth.sharing.parts import MAX_BYTES, MAX_TEXT, check_parts
from packdepth.training.module import DepthModule

PARTS = ["meta.json", "run.yaml", "weights.safetensors"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, which knows paths of this machine, and a trainer's state beside it."""
    run = parse_run(
        {
            "data": {"train": [{"kind": "folder", "root": "/home/me/secret/my_drive"}], "image_size": [32, 64]},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}, {"kind": "velocity"}],
            "training": {"epochs": 2, "batch_size": 4},
        },
        "test",
    )
    assert run.networks.pose is not None
    torch.manual_seed(0)
    networks = nn.ModuleDict({"depth": run.networks.depth.assemble(), "pose": run.networks.pose.assemble()})
    meta = described(
        epoch=2,
        step=30,
        clips=["folder/my_drive"],
        frames=50,
        scale_checks=[ScaleCheck(source="speed", ratio=0.97, spread=0.03, frames=40, held_out=True)],
        trained_cameras=[TrainedCamera(width=64, height=32, fx=32, fy=32, cx=31.5, cy=15.5)],
        calibration=CalibrationRecord(
            source="speed", factor=1.1, motion_factor=1.1, spread=0.03, frames=40, data="/home/me/secret/my_drive"
        ),
    )
    folder = tmp_path_factory.mktemp("shared") / "best"
    checkpoint.write(folder, Checkpoint(run, meta, dict(networks.state_dict())))
    (folder / "trainer.ckpt").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")
    monkeypatch.setenv("PACKDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with fake_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def refusal(address: str | Path) -> str:
    with pytest.raises(InputError) as error:
        located(address)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_pushed_is_fetched_and_predicts_the_same(
    hub: FakeHub, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(shared), "hf://user/street", "--data-license", "my own video", "--license", "mit"]) == 0
    said = capsys.readouterr().out
    (commit,) = hub.repositories["user/street"]
    files = hub.repositories["user/street"][commit]
    assert sorted(files) == sorted(["README.md", *PARTS])  # no pickle
    assert f"packdepth info hf://user/street@{commit}" in said
    assert b"secret" not in b"".join(files[name] for name in ("README.md", "run.yaml", "meta.json"))
    assert main(["info", "hf://user/street"]) == 0
    described, fetching = capsys.readouterr()
    assert "trained on     50 frames of 1 clip" in described
    assert f"commit {commit}, into {tmp_path / 'cache' / 'hf' / 'user' / 'street' / commit}" in fetching
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    ours, theirs = packdepth.load(shared), packdepth.load(f"hf://user/street@{commit}")
    assert np.array_equal(ours.predict(image).depth, theirs.predict(image).depth)
    assert sum("/resolve/" in each for each in hub.requests if each.startswith("GET")) == len(PARTS)  # then cached
    hub.shutdown()
    hub.server_close()
    assert located(f"hf://user/street@{commit}").name == commit  # a commit needs no network
    assert "the Hub cannot be used" in refusal("hf://user/other")


def test_run_files_name_checkpoints_by_their_addresses(hub: FakeHub, shared: Path, tmp_path: Path) -> None:
    values = yaml.safe_load((shared / "run.yaml").read_text())

    def module(**changes: Any) -> DepthModule:
        run = parse_run({**values, **changes}, "run.yaml")
        return DepthModule(run, Objective(run.objective), steps=1)

    hub.commit("user/street", {name: (shared / name).read_bytes() for name in PARTS})
    assert main(["push", str(shared), f"file://{tmp_path / 'street.zip'}"]) == 0
    content = (tmp_path / "street.zip").read_bytes()
    hub.files["/street.zip"] = content
    weights, teacher = checkpoint.read(shared).weights, [{"kind": "velocity"}, {"kind": "teacher"}]
    for address in (
        "hf://user/street",
        f"file://{shared}",
        f"{hub.url}/street.zip#sha256={hashlib.sha256(content).hexdigest()}",
    ):
        taught = module(
            initial={"depth": address, "pose": address}, objective=[teacher[0], {**teacher[1], "network": address}]
        )
        assert all(torch.equal(value, weights[name]) for name, value in taught.state_dict().items())
        assert taught.teacher is not None
        assert located(taught.run.initial.depth or "") == located(address)  # the run keeps the address, not a path

    depth = values["networks"]["depth"]
    place = segmenter.write(tmp_path / "segmentation")
    guided = {**depth, "guidance": {"semantics": {"kind": "fpn", "checkpoint": f"file://{place}"}}}
    guidance = guidance_of(module(networks={**values["networks"], "depth": guided}).depth)
    assert isinstance(guidance, NetworkGuidance)
    with pytest.raises(InputError, match=r"^initial.pose: hf://user/none: the Hub cannot be used \(.*$"):
        module(initial={"pose": "hf://user/none"})


def test_a_new_commit_is_fetched_beside_the_old_one(hub: FakeHub, shared: Path) -> None:
    content = {name: (shared / name).read_bytes() for name in PARTS}
    first = hub.commit("user/street", content)
    assert located("hf://user/street").name == first
    second = hub.commit("user/street", {"meta.json": content["meta.json"] + b" "})
    assert located("hf://user/street").name == second
    assert located(Path(f"hf://user/street@{first}")).name == first  # a path has lost a slash


def test_a_hub_that_offers_something_else_is_refused(hub: FakeHub, shared: Path, tmp_path: Path) -> None:
    content = {name: (shared / name).read_bytes() for name in PARTS}
    hub.commit("user/pickle", {"pytorch_model.bin": b"x", "weights.ckpt": b"x"})
    assert "holds no checkpoint of packdepth (it lacks meta.json" in refusal("hf://user/pickle")
    hub.commit("user/large", content)
    hub.claims["weights.safetensors"] = MAX_BYTES
    assert "is larger than any checkpoint" in refusal("hf://user/large")
    hub.claims.clear()
    hub.repositories["user/path"] = {"../../../evil": content}
    assert "the Hub names no commit ('../../../evil')" in refusal("hf://user/path")
    assert "hf://user/none: the Hub cannot be used" in refusal("hf://user/none")
    assert "write hf://user/name" in refusal("hf://name")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_zip_file_is_fetched_by_its_checksum(hub: FakeHub, shared: Path, tmp_path: Path) -> None:
    pack = tmp_path / "street.zip"
    assert main(["push", str(shared), f"file://{pack}"]) == 0
    again = tmp_path / "again" / "street.zip"
    assert main(["push", str(shared), f"file://{again}"]) == 0
    assert pack.read_bytes() == again.read_bytes()
    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    hub.files["/street.zip"] = pack.read_bytes()
    folder = located(f"{hub.url}/street.zip#sha256={digest}")
    assert folder == tmp_path / "cache" / "sha256" / digest / "street"
    assert sorted(path.name for path in folder.iterdir()) == PARTS
    assert (folder / "weights.safetensors").read_bytes() == (shared / "weights.safetensors").read_bytes()
    assert located(f"file://{pack}") == folder
    assert located(f"file://{shared}") == shared
    assert len([each for each in hub.requests if "street.zip" in each]) == 1
    hub.files["/model.onnx"] = b"a network"
    digest_of_onnx = hashlib.sha256(b"a network").hexdigest()
    assert located(f"{hub.url}/model.onnx#sha256={digest_of_onnx}").read_bytes() == b"a network"
    wrong = refusal(f"{hub.url}/street.zip#sha256={'0' * 64}")
    assert f"has the checksum {digest}, not the stated 000" in wrong
    assert "has no checksum" in refusal(f"{hub.url}/street.zip")
    assert "is not encrypted" in refusal(f"http://example.com/street.zip#sha256={digest}")
    assert "neither a .zip" in refusal(f"{hub.url}/street.ckpt#sha256={digest}")
    assert "404" in refusal(f"{hub.url}/none.zip#sha256={digest}")
    left = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert left == {*PARTS, "model.onnx"}  # nothing unfinished


def test_a_zip_file_on_this_machine_is_named_by_its_path_and_its_checksum(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACKDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    pack = tmp_path / "share" / "ride.zip"
    assert main(["push", str(shared), f"file://{pack}"]) == 0
    stated = capsys.readouterr().out.split("ends in ride.zip")[1].strip()
    folder = tmp_path / "cache" / "sha256" / stated.removeprefix("#sha256=") / "ride"
    for named in (f"file://{pack}{stated}", "share/ride.zip", f"share/ride.zip{stated}"):
        assert located(named) == located(Path(named)) == folder
    assert main(["info", "share/ride.zip"]) == 0
    assert "posenet" in capsys.readouterr().out
    wrong = refusal(f"file://{pack}#sha256={'0' * 64}")
    assert f"{pack}: has the checksum {stated.removeprefix('#sha256=')}, not the stated 000" in wrong
    assert located(f"{pack}{stated.upper()}") == located(pack)
    assert "#sha256=12 is no checksum of it; write #sha256= and the 64 digits" in refusal(f"file://{pack}#sha256=12")
    assert f"{stated} is no checksum of it; leave it out" in refusal(f"file://{shared}{stated}")
    assert "nowhere.zip: not found" in refusal(f"file:///nowhere.zip{stated}")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.zip")
    assert located("other.zip") == Path("other.zip")  # also a zip file, but none of packdepth


@pytest.mark.parametrize("name", ["folder", "model.zip"])
def test_what_is_pushed_to_a_disk_is_made_ready_there(
    name: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    assert main(["push", str(shared), f"file://{tmp_path / 'out' / name}"]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_hostile_zip_file_writes_nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKDEPTH_CACHE", str(tmp_path / "cache"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [*PARTS, "../evil.json", "semantics/../../evil.json", "/evil.json", "trainer.ckpt"]:
            archive.writestr(name, "x")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    folder = located(f"file://{tmp_path / 'a.zip'}")
    assert sorted(path.name for path in folder.iterdir()) == PARTS
    assert not list(tmp_path.rglob("evil.json"))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.yaml", b"0" * (MAX_TEXT + 1))
        archive.writestr("meta.json", "{}")
        archive.writestr("weights.safetensors", "")
    (tmp_path / "b.zip").write_bytes(buffer.getvalue())
    assert "its run.yaml has 10.0 MB" in refusal(f"file://{tmp_path / 'b.zip'}")
    (tmp_path / "c.zip").write_bytes(b"no zip")
    assert "should be a zip file of a checkpoint" in refusal(f"file://{tmp_path / 'c.zip'}")


def test_the_card_says_what_the_checkpoint_knows(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"abs_rel": 0.1, "rmse": 3.0, "a1": 0.9}
    report = {
        "protocol": "city",
        "verdict": "Depth is wrong by 10 %.",
        "images": 12,
        "metrics": {"plain": scores, "scaled": scores},
        "baseline": {"abs_rel": 0.4, "rmse": 9.0, "a1": 0.3},
        "data": "/home/me/secret/drives",
        "checkpoint": {"path": str(shared)},
    }
    numbers = tmp_path / "numbers.json"
    numbers.write_text(json.dumps({"protocol": "city", "reports": [report | {"checkpoint": {"path": "x"}}, report]}))
    Image.new("RGB", (8, 4)).save(tmp_path / "look.png")
    target = f"file://{tmp_path / 'street'}"
    options = ["--numbers", str(numbers), "--picture", str(tmp_path / "look.png"), "--license", "apache-2.0"]
    assert main(["push", str(shared), target, *options]) == 0
    card = (tmp_path / "street" / "README.md").read_text()
    for part in (
        "license: apache-2.0\n",
        "![An image beside its predicted depth](./picture.png)",
        "50 frames of 1 clip (folder/my_drive)",
        "30 steps of 4 images, 120 in all; epoch 2 of 2",
        "metric, from velocity (speed); lengths within 3 %",
        "| speed | 0.970 | 3.0% | 40 | left out of training |",
        "of my_drive, spread",
        "Protocol `city`, on drives. Depth is wrong by 10 %.",
        "| plain | 0.1000 | 3.0000 | 0.9000 |",
        "| baseline | 0.4000 | 9.0000 | 0.3000 |",
        "12 images. In `scaled` rows the median of each image is that of ground truth. A baseline needs no network.",
        "64 x 32 with 90 degrees across",
        "Training data: not stated.",
    ):
        assert part in card, part
    assert "secret" not in card
    assert main(["push", str(shared), target]) == 2
    assert "exists; name another place" in capsys.readouterr().err


def test_the_card_names_the_checkpoints_that_the_training_began_with(shared: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    shutil.copytree(shared, tuned)
    values = yaml.safe_load((tuned / "run.yaml").read_text())
    values["initial"] = {"depth": "/home/me/secret/street", "pose": "hf://user/name@v1"}
    (tuned / "run.yaml").write_text(yaml.safe_dump(values))
    assert main(["push", str(tuned), f"file://{tmp_path / 'pushed'}"]) == 0
    card = (tmp_path / "pushed" / "README.md").read_text()
    assert "* Start of depth: the checkpoint street. Its data and licenses count, too.\n" in card
    assert "* Start of pose: the checkpoint hf://user/name@v1. Its data and licenses count, too.\n" in card
    assert "secret" not in card


def test_numbers_of_another_checkpoint_and_older_ones_are_refused(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = tmp_path / "numbers.json"
    report = {"protocol": "own", "verdict": {"words": "Good."}, "data": "d", "checkpoint": {"path": "runs/other"}}
    for content, said in (
        (report, f"holds numbers of runs/other, not of {shared}"),
        ({"a": 1}, "holds no numbers of packdepth evaluate --json"),
        (report | {"checkpoint": {"path": str(shared)}}, "is older than"),
    ):
        numbers.write_text(json.dumps(content))
        os.utime(numbers, (1, 1))
        assert main(["push", str(shared), f"file://{tmp_path / 'a'}", "--numbers", str(numbers)]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("runs/shared", "is no place to push to"),
        ("https://a.b/c.zip", "is no place to push to"),
        ("file://runs/shared", "has no absolute path"),
        ("hf://name", "write hf://user/name"),
    ],
)
def test_there_is_no_such_target(target: str, said: str, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(shared), target]) == 2
    assert said in capsys.readouterr().err


def test_limits_of_what_is_fetched() -> None:
    small = dict.fromkeys(PARTS, 10)
    check_parts("here", small)
    with pytest.raises(InputError, match=r"it lacks run\.yaml"):
        check_parts("here", {name: 10 for name in PARTS if name != "run.yaml"})
    with pytest.raises(InputError, match="20 files"):
        check_parts("here", small | {f"semantics/{i}.json": 1 for i in range(17)})
    assert parse_repository("a/b.c@refs/pr/1") == ("a", "b.c", "refs/pr/1")
