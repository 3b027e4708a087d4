"""Run files: what they may say, and what is said where they say something else."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from packdepth.config import Run, dump_run, load_run, parse_run
from packdepth.errors import InputError, InputWarning
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.sources.kitti_odometry import KittiOdometry

RUN: dict[str, Any] = {
    "data": {
        "train": [{"kind": "kitti_odometry", "root": "/kitti", "sequences": ["06"], "cameras": ["left"]}],
        "image_size": [96, 320],
        "augmentation": {"flip": 0.5},
    },
    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    "objective": [{"kind": "photometric"}, {"kind": "smoothness", "weight": 1e-3}],
    "training": {"epochs": 20, "batch_size": 4, "schedule": {"kind": "step", "epochs": 10}},
}
REMOVED = object()
NO_ENTRY = "is no entry of a list of"


def changed(place: str, value: object) -> dict[str, Any]:
    """RUN with another value at a place such as `data.train.0.root`, or without it."""
    run = copy.deepcopy(RUN)
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    inner: Any = run
    for part in parents:
        inner = inner[part]
    if value is REMOVED:
        del inner[last]
    else:
        inner[last] = value
    return run


def written(folder: Path, values: object) -> Path:
    """A run file of these values."""
    path = folder / "run.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def refusal(path: Path, *overrides: str) -> str:
    """The error of a run file that cannot be used: one sentence."""
    with pytest.raises(InputError) as error:
        load_run(path, overrides)
    message = str(error.value)
    assert "\n" not in message
    assert not re.search("pydantic|Input should|Value error|valid (dictionary|tuple|integer|string)", message)
    return message


# --- what they may say ------------------------------------------------------------------------------------------


def test_a_run_file_is_read(tmp_path: Path) -> None:
    run = load_run(written(tmp_path, RUN))
    source = run.data.train[0]
    assert isinstance(source, KittiOdometry)
    assert (source.root, source.sequences) == (Path("/kitti"), ["06"])
    assert run.data.image_size == (96, 320)
    assert [(term.kind, term.weight) for term in run.objective] == [("photometric", 1.0), ("smoothness", 1e-3)]
    assert run.training.schedule.kind == "step"


@pytest.mark.parametrize(
    "values",
    [
        RUN,
        changed("networks.depth", {"kind": "depth_resnet", "layers": 50, "max_depth": 80}),
        changed("data.context", [-2, -1, 1]),
        changed("data.augmentation", {"flip": 0, "jitter": None}),
        changed("data.val", RUN["data"]["train"]),
        changed("data.train.0.frames", [3, 9]),
        changed("training.clip_norm", 1e-05),
        changed("objective.0", {"kind": "photometric", "convention": "reference", "padding": "border", "clip": 0.5}),
        changed("objective.1", {"kind": "berhu", "weight": 0.9, "convention": "reference"}),
        changed("training.schedule", {"kind": "cosine", "warmup": 100}),
    ],
)
def test_a_run_survives_writing_and_reading(tmp_path: Path, values: dict[str, Any]) -> None:
    run = parse_run(values, "test")
    assert load_run(written(tmp_path, dump_run(run))) == run


def test_what_is_left_out_is_written_out(tmp_path: Path) -> None:
    """So that a run means the same when a default changes."""
    written_out = yaml.safe_load(dump_run(load_run(written(tmp_path, RUN))))
    assert written_out["training"]["seed"] == 0
    assert written_out["objective"][0]["weight"] == 1.0
    assert written_out["data"]["augmentation"]["jitter"]["hue"] == 0.05


def test_a_run_cannot_be_changed(tmp_path: Path) -> None:
    run = load_run(written(tmp_path, RUN))
    with pytest.raises(ValidationError, match="frozen"):
        run.training.epochs = 3  # type: ignore[misc]


def test_overrides_replace_add_and_reach_into_lists(tmp_path: Path) -> None:
    run = load_run(
        written(tmp_path, RUN),
        (
            "training.epochs=5",
            "objective.0.weight=2.5",
            "objective.-1.weight=1e-4",
            "data.augmentation.jitter.hue=0.1",
            "data.context=[-1]",
            "networks.depth={kind: depth_resnet, layers: 34}",
            "data.train.0.root=/elsewhere=there",
            "training.clip_norm=null",
        ),
    )
    assert run.training.epochs == 5
    assert [term.weight for term in run.objective] == [2.5, 1e-4]
    assert run.data.augmentation.jitter is not None
    assert (run.data.augmentation.jitter.hue, run.data.augmentation.jitter.brightness) == (0.1, 0.2)
    assert run.data.context == (-1,)
    assert run.networks.depth == DepthResNetBlock(kind="depth_resnet", layers=34)
    assert isinstance(run.data.train[0], KittiOdometry)
    assert run.data.train[0].root == Path("/elsewhere=there")
    assert run.training.batch_size == 4


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITTI", "/data/kitti")
    monkeypatch.delenv("SEQUENCE", raising=False)
    values = changed("data.train.0.root", "${KITTI}/dataset")
    values["data"]["train"][0]["sequences"] = ["${SEQUENCE:-07}", "${KITTI:-08}", "${SEQUENCE:-}9"]
    source = load_run(written(tmp_path, values)).data.train[0]
    assert isinstance(source, KittiOdometry)
    assert source.root == Path("/data/kitti/dataset")
    assert source.sequences == ["07", "/data/kitti", "9"]


def test_a_variable_that_is_not_set_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = "${KITTI:?download it from https://kitti.example, and set it to the folder that holds dataset/}/dataset"
    path = written(tmp_path, changed("data.train.0.root", root))
    monkeypatch.setenv("KITTI", "/data/kitti")
    source = load_run(path).data.train[0]
    assert isinstance(source, KittiOdometry)
    assert source.root == Path("/data/kitti/dataset")
    monkeypatch.setenv("KITTI", "")
    advice = "download it from https://kitti.example, and set it to the folder that holds dataset/"
    assert refusal(path) == f"{path}: the environment variable KITTI is not set; {advice}"


def test_variables_in_overrides_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITTI", "/data/kitti")
    source = load_run(written(tmp_path, RUN), ("data.train.0.root=${KITTI}",)).data.train[0]
    assert isinstance(source, KittiOdometry)
    assert source.root == Path("/data/kitti")


# --- what is said where they say something else -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("trainin", "unknown key 'trainin': did you mean 'training'?"),
        ("data.imagesize", "data: unknown key 'imagesize': did you mean 'image_size'?"),
        ("data.train.0.sequence", "data.train[0]: unknown key 'sequence': did you mean 'sequences'?"),
        ("networks.depth.prest", "networks.depth: unknown key 'prest': did you mean 'preset'?"),
        (
            "networks.pose.zzz",
            "networks.pose: unknown key 'zzz': valid names are kind, scale, frozen, initial_forward, sparsity, "
            "translation_scale, rotation_scale",
        ),
        ("objective.1.wieght", "objective[1]: unknown key 'wieght': did you mean 'weight'?"),
        ("training.schedule.facter", "training.schedule: unknown key 'facter': did you mean 'factor'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, place: str, expected: str) -> None:
    path = written(tmp_path, changed(place, 1))
    assert refusal(path) == f"{path}: {expected}"


BLOCK = "must be a block of keys and values"


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("training.epochs", "many", "training.epochs: must be a whole number (found 'many')"),
        ("training.epochs", 1.5, "training.epochs: must be a whole number (found 1.5)"),
        ("training.epochs", [3], "training.epochs: must be a whole number (found a list)"),
        ("training.epochs", 0, "training.epochs: must be greater than 0 (found 0)"),
        ("training.epochs", None, "training.epochs: must be a whole number (found nothing)"),
        ("training.clip_norm", "long", "training.clip_norm: must be a number (found 'long')"),
        ("training.clip_norm", float("inf"), "training.clip_norm: must be a finite number (found inf)"),
        ("training.precision", 32, "training.precision: must be '32' or 'bf16' in quotes (found 32)"),
        ("training.precision", "fp16", "training.precision: must be '32' or 'bf16' (found 'fp16')"),
        ("training", [1], f"training: {BLOCK} (found a list)"),
        ("training", None, f"training: {BLOCK} (found nothing)"),
        ("data.cache", "maybe", "data.cache: must be true or false (found 'maybe')"),
        ("data.image_size", 96, "data.image_size: must be a list (found 96)"),
        ("data.image_size", "96x320", "data.image_size: must be a list, height first, such as [96, 320] (found "
         "'96x320')"),
        ("data.context", "-1,1", "data.context: must be a list, such as [-1, 1] (found '-1,1')"),
        ("data.context", "before", "data.context: must be a list (found 'before')"),
        ("data.image_size", [96], "data.image_size[1]: is missing"),
        ("data.image_size", [3, 96, 320], "data.image_size: must hold at most 2 items, not 3"),
        ("data.image_size", [96, -1], "data.image_size[1]: must be greater than or equal to 32 (found -1)"),
        ("data.train", [], "data.train: must hold at least 1 item, not 0"),
        ("data.train.0.root", 3, "data.train[0].root: must be a path (found 3)"),
        ("data.train.0.sequences", [6], "data.train[0].sequences[0]: must be text, in quotes (found 6)"),
        ("data.train.0.cameras", ["lft"], "data.train[0].cameras[0]: must be 'left' or 'right' (found 'lft')"),
        ("data.augmentation.jitter", {"hue": 1}, "data.augmentation.jitter.hue: must be less than or equal to 0.5 "
         "(found 1)"),
        ("objective", {"kind": "photometric"}, "objective: must be a list (found a block of keys and values)"),
        ("objective.0", "photometric", f"objective[0]: {BLOCK} (found 'photometric')"),
        ("objective.0.clip", 0.5, "objective[0]: padding and clip belong to convention: reference; add it, or remove "
         "them"),
        ("objective.0", {"kind": "photometric", "scales": "pyramid", "convention": "reference"}, "objective[0]: "
         "scales: pyramid is unknown to convention: reference; take own, or remove convention"),
        ("objective.0.convention", "packnet", "objective[0].convention: must be 'packdepth' or 'reference' (found "
         "'packnet')"),
        ("objective.1.weight", "x", "objective[1].weight: must be a number (found 'x')"),
        ("networks.depth", {"kind": "depth_resnet", "layers": 19}, "networks.depth.layers: must be 18, 34 or 50 "
         "(found 19)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_place(tmp_path: Path, place: str, value: object, expected: str) -> None:
    path = written(tmp_path, changed(place, value))
    assert refusal(path) == f"{path}: {expected}"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("data", "data: is missing"),
        ("training.epochs", "training.epochs: is missing"),
        ("data.train.0.root", "data.train[0].root: is missing"),
        (
            "networks.pose",
            "networks.pose is missing: the ego-motion to the context frames [-1, 1] needs a pose network; "
            "add one, or train without context frames by data.context: []",
        ),
        (
            "networks.pose.kind",
            "networks.pose: its kind is missing; valid kinds are pose_encoder, pose_resnet, posenet, two_stream",
        ),
        ("training.schedule.kind", "training.schedule: its kind is missing; valid kinds are constant, cosine, step"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, place: str, expected: str) -> None:
    path = written(tmp_path, changed(place, REMOVED))
    assert refusal(path) == f"{path}: {expected}"


@pytest.mark.parametrize("kind", ["photometrc", 3, None, "lidar_of_tomorrow"])
def test_an_unknown_kind_is_refused_with_the_valid_ones(tmp_path: Path, kind: object) -> None:
    path = written(tmp_path, changed("objective.1.kind", kind))
    message = refusal(path)
    assert message.startswith(f"{path}: objective[1]: ")
    kinds = (
        "abs_rel, berhu, camera_height, depth_consistency, hints, mse, occlusion, photometric, pose_consistency, "
        "poses, reprojected, silog, sky, smoothness, sparse_l1, stereo, teacher, uncertainty, velocity"
    )
    assert f"; valid kinds are {kinds}" in message  # and then those that other tests define
    assert ("did you mean 'photometric'?" in message) == (kind == "photometrc")
    assert ("is missing" in message) == (kind is None)


def test_the_kinds_of_sources_are_named(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, changed("data.train.0.kind", "kitti_odometri")))
    assert "unknown kind 'kitti_odometri' (did you mean 'kitti_odometry'?)" in message
    assert {"kitti_odometry", "kitti_raw", "folder", "video"} <= set(
        re.findall(r"\w+", message.split("valid kinds")[1])
    )


def test_asking_for_the_kinds_leaves_the_values_as_they_were() -> None:
    values = changed("objective.1.kind", REMOVED)
    before = copy.deepcopy(values)
    with pytest.raises(InputError):
        parse_run(values, "test")
    assert values == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    advice = "give the path of a run file, or one that `packdepth configs` lists"
    assert refusal(missing) == f"{missing}: cannot be read (No such file or directory); {advice}"
    assert refusal(tmp_path).startswith(f"{tmp_path}: cannot be read (Is a directory)")


@pytest.mark.parametrize("text", ["data: [1, 2\ntraining: {", "a: b: c", "\tdata: 1", "data: *nothing", "\x00"])
def test_broken_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert refusal(path).startswith(f"{path}: is not valid YAML: ")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\x89PNG\xff\xfe\x00")
    assert refusal(path).startswith(f"{path}: is not valid YAML: ")


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("- 1", "a list"), ("run", "'run'")])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, found: str) -> None:
    path = written(tmp_path, text)
    assert refusal(path) == f"{path}: {BLOCK} (found {found})"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs", "'training.epochs' is not an override; write key=value, such as training.epochs=5"),
        ("training.epoch=5", "training: unknown key 'epoch': did you mean 'epochs'?"),
        ("objective.7.weight=1", f"override objective.7.weight=1: '7' {NO_ENTRY} 2; objective.0 is the first one"),
        ("objective.weight=1", f"override objective.weight=1: 'weight' {NO_ENTRY} 2; objective.0 is the first one"),
        ("data.train.root=x", f"override data.train.root=x: 'root' {NO_ENTRY} 1; data.train.0 is the first one"),
        ("data.train.0.cameras=[lft]", "data.train[0].cameras[0]: must be 'left' or 'right' (found 'lft')"),
        ("training.epochs.x=1", "override training.epochs.x=1: 'x' is inside a value that has no parts"),
        ("training.epochs=[1", "override training.epochs=[1: '[1' is not valid YAML"),
        ("training.epochs=ten", "training.epochs: must be a whole number (found 'ten')"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, expected: str) -> None:
    path = written(tmp_path, RUN)
    assert refusal(path, override).removeprefix(f"{path}: ") == expected


@pytest.mark.parametrize(
    ("first", "second", "advice"),
    [
        ("training.epochs=1", "training.epochs=2", "keep one of both"),
        ("training.epochs=1", "training={epochs: 2}", "write it first"),
        ("objective.-1.weight=1", "objective.1.weight=2", "keep one of both"),
        ("objective.0.scales=own", "objective=[{kind: photometric}]", "write it first"),
    ],
)
def test_an_override_that_discards_another_one_is_told(tmp_path: Path, first: str, second: str, advice: str) -> None:
    path = written(tmp_path, RUN)
    sentence = f"{path}: override {second}: discards {first}, which is given before it; {advice}"
    with pytest.warns(InputWarning, match=re.escape(sentence)):
        load_run(path, (first, "training.batch_size=2", second))


def test_overrides_of_different_places_and_of_a_part_of_an_earlier_one_are_applied(tmp_path: Path) -> None:
    options = (
        "training={epochs: 2, batch_size: 6}",
        "training.epochs=1",
        "objective.0.weight=2",
        "objective.1.weight=3",
    )
    run = load_run(written(tmp_path, RUN), options)
    assert (run.training.epochs, run.training.batch_size) == (1, 6)
    assert [term.weight for term in run.objective] == [2, 3]


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KITTI", raising=False)
    path = written(tmp_path, changed("data.train.0.root", "${KITTI}/dataset"))
    assert refusal(path) == f"{path}: the environment variable KITTI is not set; set it, or write the path out"


def test_every_field_is_closed() -> None:
    """No part of a run file takes keys that it does not know, at any depth."""

    def parts(schema: Any) -> Iterator[dict[str, Any]]:
        inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
        yield from (part for value in inner for part in parts(value))
        if isinstance(schema, dict) and schema.get("type") == "object" and "properties" in schema:
            yield schema

    found = {part["title"]: part["additionalProperties"] for part in parts(Run.model_json_schema())}
    assert {"Data", "Photometric", "PackNetBlock", "TwoStreamBlock", "Folder", "MuonBlock", "FpnSemantics"} <= set(
        found
    )
    assert not any(found.values())
