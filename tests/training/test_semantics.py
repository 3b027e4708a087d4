"""Training a segmentation network: it learns, and its checkpoint says what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.evaluation.segmentation import class_iou, confusion, mean_iou
from packdepth.networks.semantics import load_fpn
from packdepth.semantic_run import labeled, read_semantic
from packdepth.sources.camvid import CamVid
from packdepth.training.semantics import train_semantics


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Bright sky over dark road, the border at a different height in each image; the last rows are unlabeled."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for folder in (part, f"{part}annot"):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
        for index in range(count):
            border = int(rng.integers(16, 48))
            labels = np.where(np.arange(64)[:, None] < border, 0, 3).repeat(64, 1).astype(np.uint8)
            image = np.where(labels == 0, 220, 40)[..., None] + rng.integers(-30, 30, (64, 64, 3))
            labels[60:] = 11
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "camvid" / part / f"{index}.png")
            Image.fromarray(labels).save(tmp_path / "camvid" / f"{part}annot" / f"{index}.png")
    return tmp_path / "camvid"


@pytest.fixture
def run_file(camvid: Path, tmp_path: Path) -> Path:
    source = {"kind": "camvid", "root": str(camvid)}
    values = {
        "data": {
            "train": [source | {"parts": ["train"]}],
            "val": [source | {"parts": ["val"]}],
            "image_size": [64, 64],
            "workers": 0,
        },
        "network": {"width": 8},
        "training": {"steps": 40, "batch_size": 2, "learning_rate": 3.0e-3, "seed": 1, "accelerator": "cpu"},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_learns_and_says_how_well(run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["semantics", "train", str(run_file), "--output", str(tmp_path / "out")]) == 0
    meta = read_semantic(tmp_path / "out")[1]
    assert list(meta.iou) == ["sky", "road"]  # no other class occurs, and what is unlabeled is none
    assert meta.mean_iou == pytest.approx(sum(meta.iou.values()) / 2)
    assert meta.mean_iou > 0.5  # one class everywhere has at most that of its share, and 0 of the other
    assert f"mIoU {meta.mean_iou:.3f} over 2 classes" in capsys.readouterr().out
    assert load_fpn(tmp_path / "out").classes == tuple(meta.classes)
    with pytest.raises(InputError, match="exists already"):
        train_semantics(run_file, tmp_path / "out")


def test_is_the_same_every_time(run_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train_semantics(run_file, tmp_path / name, ("training.steps=2",))
    one, two = (load_fpn(tmp_path / name).state_dict() for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=0, atol=0)


def test_what_cannot_be_used(run_file: Path, tmp_path: Path, moving_clip: Path) -> None:
    unlabeled = f"data.train=[{{kind: folder, root: {moving_clip}}}]"
    with pytest.raises(InputError, match="have different classes"):
        train_semantics(run_file, tmp_path / "out", (unlabeled,))
    with pytest.raises(InputError, match="no frame of this folder data has classes"):
        train_semantics(run_file, tmp_path / "out", (unlabeled, "data.val=[]"))
    with pytest.raises(InputError, match=r"unknown key 'step': did you mean 'steps'"):
        train_semantics(run_file, tmp_path / "out", ("training.step=2",))
    with pytest.raises(InputError, match="is no checkpoint of a segmentation network"):
        read_semantic(tmp_path)
    assert not (tmp_path / "out").exists()


def test_intersection_over_union() -> None:
    truth = torch.tensor([0, 0, 0, 1, 1, 255])
    predicted = torch.tensor([0, 0, 1, 1, 2, 0])
    iou = class_iou(confusion(predicted, truth, 3), ("a", "b", "c"))
    assert iou == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}
    assert mean_iou(iou) == pytest.approx(0.5)


def test_only_what_a_split_lists_is_trained_on(camvid: Path, tmp_path: Path) -> None:
    source = CamVid(kind="camvid", root=camvid, parts=["train"])
    (clip,) = source.clips()
    split = tmp_path / "split.txt"
    split.write_text(f"{clip.name} 1\n{clip.name} 4\n")
    listed = labeled([source.model_copy(update={"split_file": split})])
    assert [frame.name for _, frame in listed] == ["1", "4"]
