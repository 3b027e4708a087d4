"""A guided run: its checkpoint predicts, resumes and tells of its segmentation network, when that is gone or not."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmenter
import torch
import yaml

from packdepth.cli import main
from packdepth.config import Run, load_run, parse_run
from packdepth.errors import InputError
from packdepth.evaluation import evaluate
from packdepth.inference.info import describe
from packdepth.inference.predictor import load
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.objectives.objective import Objective
from packdepth.segmentation.label import label_clips
from packdepth.sources.folder import read_clip
from packdepth.training.module import DepthModule
from packdepth.training.run import train


def segformer(folder: Path) -> Path:
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1] * 4, hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=16
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        "fpn",
        pytest.param(
            "transformers",
            marks=pytest.mark.skipif(
                not importlib.util.find_spec("transformers"), reason="the extra `transformers` is not installed"
            ),
        ),
    ],
)
def test_a_guided_run_from_end_to_end(
    kind: str, run_values: dict[str, Any], moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "semantics"
    semantics = (
        {"kind": kind, "checkpoint": str(segmenter.write(place))}
        if kind == "fpn"
        else {"kind": kind, "model": str(segformer(place))}
    )
    run_values["networks"]["depth"]["guidance"] = {"semantics": semantics}
    run_values["training"] |= {"epochs": 2, "epoch_steps": 1}
    run_file = tmp_path / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_values))
    train(run_file, tmp_path / "whole")
    assert "guided by  a segmentation network of" in capsys.readouterr().out
    train(run_file, tmp_path / "parts", overrides=("training.epochs=1",))
    shutil.rmtree(place)  # the checkpoint holds a copy
    train(run_file, tmp_path / "parts", resume=True)

    assert "by value: a copy is part of this checkpoint" in describe(tmp_path / "whole" / "best")
    image = moving_clip / "frames" / "000002.png"
    whole, parts = (load(tmp_path / name / "last", "cpu") for name in ("whole", "parts"))
    np.testing.assert_array_equal(whole.predict(image).depth, parts.predict(image).depth)
    weights = [
        value for name, value in whole.depth.named_parameters() if re.fullmatch(r"guidance.layers.\d+.weight", name)
    ]
    assert len(weights) == 4
    for weight in weights:  # they have moved from where they start, the identity
        assert weight.abs().sum() > weight.shape[0]


@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="the extra `transformers` is not installed")
def test_a_checkpoint_may_hold_the_name_alone(run_values: dict[str, Any], tmp_path: Path) -> None:
    place = segformer(tmp_path / "model")
    semantics = {"kind": "transformers", "model": str(place), "store": "reference"}
    run_values["networks"]["depth"]["guidance"] = {"semantics": semantics, "strides": [8, 4]}
    run_values["training"] |= {"epochs": 1, "epoch_steps": 1}
    run_file = tmp_path / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_values))
    train(run_file, tmp_path / "out")
    best = tmp_path / "out" / "best"
    assert not (best / "semantics").exists()
    assert f"{place} at strides 8, 4 (by reference" in describe(best)
    load(best, "cpu")


def test_a_guided_network_with_a_flip_layer_stays_when_it_is_frozen(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    semantics = {"kind": "fpn", "checkpoint": str(segmenter.write(tmp_path / "semantics"))}
    run_values["networks"]["depth"] |= {"guidance": {"semantics": semantics}, "flip": True}
    run_values["training"] |= {"epochs": 1, "epoch_steps": 1}
    run_file = tmp_path / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_values))
    train(run_file, tmp_path / "first")
    first = f"initial.depth={tmp_path / 'first' / 'last'}"
    train(
        run_file,
        tmp_path / "second",
        overrides=(first, "networks.depth.frozen=true", "networks.pose={kind: two_stream}"),
    )
    assert "by value: a copy is part of this checkpoint" in describe(tmp_path / "second" / "last")
    image = moving_clip / "frames" / "000002.png"
    one, other = (load(tmp_path / name / "last", "cpu") for name in ("first", "second"))
    np.testing.assert_array_equal(one.predict(image).depth, other.predict(image).depth)
    assert other.meta.scale_source == one.meta.scale_source != "none"


def test_the_network_that_guides_knows_the_sky(run_values: dict[str, Any], tmp_path: Path) -> None:
    place = segmenter.write(tmp_path / "semantics")
    run_values["networks"]["depth"]["guidance"] = {"semantics": {"kind": "fpn", "checkpoint": str(place)}}
    run_values["training"] |= {"epochs": 1, "epoch_steps": 2}
    without = json.loads(json.dumps(run_values))
    run_values["objective"].append({"kind": "sky", "by": "guidance"})
    run = Run.model_validate(run_values)
    module = DepthModule(run, Objective(run.objective), steps=2)
    guidance = guidance_of(module.depth)
    assert isinstance(guidance, NetworkGuidance)
    images = torch.rand(2, 3, 32, 64)
    sky = module.sky(images)
    assert torch.equal(sky[:, 0], guidance.semantics.labels(images) == segmenter.CLASSES.index("sky"))
    train(run_values, tmp_path / "out")
    with (tmp_path / "out/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert any(float(value) > 0 for row in rows for name, value in row.items() if "sky" in name and value)

    guidance.semantics.classes = ("road", "tree", "car")
    with pytest.raises(
        InputError, match=r"no class of the segmentation network is named sky \(its classes are road, tr"
    ):
        module.sky(images)
    for semantics, found in ((None, "none does"), ({"semantics": {"kind": "labels"}}, "label maps do")):
        values = without | {"objective": run_values["objective"]}
        values["networks"]["depth"]["guidance"] = semantics
        with pytest.raises(InputError, match=rf"'sky' takes the sky from the segmentation network .* but {found}"):
            parse_run(values, "run")


def test_the_class_of_the_sky_is_that_of_the_network_that_labeled(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path
) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    run_values["data"] |= {"train": [{"kind": "folder", "root": str(clip)}], "val": []}
    run_values["training"] |= {"epochs": 1, "epoch_steps": 1}
    run_values["objective"].append({"kind": "sky"})
    label_clips(clip, str(segmenter.write(tmp_path / "segmenter")))
    with pytest.raises(InputError, match=r"sky.label: class 10 of the .* is none, not sky .*; write label: 1"):
        train(run_values, tmp_path / "out")
    run_values["objective"][-1]["label"] = segmenter.CLASSES.index("car")
    with pytest.raises(InputError, match=r"sky.label: class 2 of the .* is car, not sky .*; write label: 1"):
        train(run_values, tmp_path / "out")
    run_values["objective"][-1]["label"] = segmenter.CLASSES.index("sky")
    train(run_values, tmp_path / "out")


def test_label_maps_guide_from_end_to_end(
    run_values: dict[str, Any], moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    for part in ("train", "val"):
        run_values["data"][part] = [{"kind": "folder", "root": str(clip)}]
    run_values["networks"]["depth"] |= {"guidance": {"semantics": {"kind": "labels", "classes": 3}}}
    run_values["objective"].append({"kind": "depth_consistency"})  # predicts context frames too
    run_values["training"] |= {"epochs": 1, "epoch_steps": 2}
    run_file = tmp_path / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_values))
    with pytest.raises(InputError, match="has no label map, but label maps guide"):
        train(run_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    label_clips(clip, str(segmenter.write(tmp_path / "segmenter")))
    train(run_file, tmp_path / "out")
    best = tmp_path / "out" / "best"
    assert "guided by  label maps of 3 classes on disk" in capsys.readouterr().out
    assert "label maps of 3 classes at strides 16, 8, 4, 2 (on disk" in describe(best)

    assert main(["predict", str(best), str(clip), "-o", str(tmp_path / "depth")]) == 0
    whole, saved = evaluate([best, tmp_path / "depth"], "city", clip)
    assert whole["abs_rel"] == pytest.approx(saved["abs_rel"], rel=1e-3)
    assert f"label classes  {', '.join(segmenter.CLASSES)}" in describe(best)
    (clip / "semantic.yaml").write_text("classes: [house, wall, road]\n")  # others than it was trained with
    other = r"class 0 of its label maps is house, but road in the training of the depth network"
    for protocol in ("city", "own"):
        with pytest.raises(InputError, match=other):
            evaluate(best, protocol, clip)
    with pytest.raises(InputError, match=other):
        next(load(best, "cpu").predict_clip(read_clip(clip)))
    capsys.readouterr()
    assert main(["predict", str(best), str(clip), "-o", str(tmp_path / "more")]) == 2
    assert "label maps of the same classes" in capsys.readouterr().err
    shutil.rmtree(clip / "semantic")
    with pytest.raises(InputError, match="has no label map"):
        evaluate(best, "city", clip)
    capsys.readouterr()
    assert main(["predict", str(best), str(clip), "-o", str(tmp_path / "more")]) == 2
    assert "000000.png: has no label map" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()
    with pytest.raises(InputError, match="give the label map of each image"):
        load(best, "cpu").predict(clip / "frames" / "000000.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("networks.pose={kind: two_stream}", "two_stream looks at the depth of any image"),
        ("objective=[{kind: stereo}]", "have no label maps"),
    ],
)
def test_what_has_no_label_maps_is_no_part_of_such_a_run(run_file: Path, change: str, message: str) -> None:
    guidance = "networks.depth.guidance={semantics: {kind: labels}}"
    with pytest.raises(InputError, match=message):
        load_run(run_file, (guidance, change))
