"""`packdepth study guidance`: tiny, as a whole; its run files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import segmenter

from packdepth.config import parse_run
from packdepth.segmentation.checkpoint import read_description
from packdepth.segmentation.dataset import LabeledImages
from packdepth.segmentation.label import label_clips
from packdepth.studies import guidance as study
from packdepth.studies.budget import Budget
from packdepth.studies.engine import Row
from packdepth.studies.guidance import OVERALL, VARIANTS, Variant, guidance, lines, run_values, segment, tables


def test_variants_differ_in_their_guidance_alone(tmp_path: Path) -> None:
    runs = {
        variant.name: parse_run(run_values(tmp_path, variant, Budget(), Path("/data"), 2), variant.name)
        for variant in VARIANTS
    }
    assert list(runs) == [
        "none",
        "network",
        "labels",
        "network-strides_16_8",
        "network-strides_4_2",
        "network-kernel_5",
    ]
    unguided = [run.model_dump() for run in runs.values()]
    for values in unguided:
        del values["networks"]["depth"]["guidance"]
    assert all(values == unguided[0] for values in unguided)
    guides = [run.networks.depth.guidance for run in runs.values()]
    assert guides[0] is None
    found = [(guide.semantics.kind, guide.strides, guide.kernel) for guide in guides if guide is not None]
    usual = (16, 8, 4, 2)
    expected = [("fpn", usual, 3), ("labels", usual, 3), ("fpn", (16, 8), 3), ("fpn", (4, 2), 3), ("fpn", usual, 5)]
    assert found == expected
    assert VARIANTS[3].title == "guided by a segmentation network, strides 16 8"


def test_tables_and_lines() -> None:
    scores = dict(zip((*OVERALL, "road", "car"), (0.1, 0.9, 0.2, 0.3, 2.0, 3.0, 0.05, 0.2), strict=True))
    assert tables(list(scores)) == [OVERALL, ["road", "car"]]
    rows = [
        Row(Variant("none"), [scores]),
        Row(Variant("labels"), [scores, scores]),
        Row(Variant("none", kernel=5), [scores]),
    ]
    found = lines(rows)
    assert [line.name for line in found] == ["unguided", *["guided by true label maps"] * 2]
    assert found[0].points.tolist() == [[0, 0.1], [1, 0.2], [2, 0.3]]


@pytest.mark.usefixtures("trained_here")
def test_a_tiny_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("embreex", reason="the extra 'city' is not installed")
    monkeypatch.setattr(study, "PRESET", "tiny")
    monkeypatch.setattr(study, "VARIANTS", VARIANTS[:3])
    page = guidance(tmp_path, Budget(drives=1, frames=8, val_drives=1, size=(32, 64), steps=1, seeds=1))
    assert "<svg" in page.read_text()
    with (tmp_path / "guidance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["none", "network", "labels"]
    assert all(float(row["abs_rel"]) > 0 and float(row["road"]) > 0 for row in rows)
    overall, by_class = (tmp_path / "guidance.md").read_text().split("\n\n")
    assert "mean of classes" in overall
    assert "| building |" in by_class


def test_a_segmentation_network_whose_training_was_interrupted_is_trained_on(
    moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    label_clips(clip, str(segmenter.write(tmp_path / "segmenter")))
    drives = {"train": clip, "val": clip}
    read, seen = LabeledImages.__getitem__, []

    def failing(self: LabeledImages, draw: int) -> object:
        seen.append(draw)
        if len(seen) == 10:  # in the second step of 8 images
            raise OSError("the disk is gone")
        return read(self, draw)

    monkeypatch.setattr(LabeledImages, "__getitem__", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        segment(tmp_path / "network", drives, (64, 64), steps=2)
    assert read_description(tmp_path / "network")[1].steps == 1
    segment(tmp_path / "network", drives, (64, 64), steps=2)
    meta = read_description(tmp_path / "network")[1]
    assert meta.steps == 2
    assert meta.mean_iou is not None
    segment(tmp_path / "network", drives, (64, 64), steps=2)
    assert read_description(tmp_path / "network")[1] == meta  # it is there, and nothing is trained again
