"""Every shipped run file: read, round-tripped and, where its data is there, run for a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.city.command import require_city
from packdepth.cli import main
from packdepth.config import dump_run, load_run, parse_run, read_yaml
from packdepth.errors import InputError
from packdepth.run_files import run_files
from packdepth.training.run import train

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def _data_somewhere() -> Iterator[None]:
    """Names a folder of data, for tests that only read run files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACKDEPTH_DATA", "data")
        yield


@pytest.fixture(scope="module")
def first_steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of random weights that stand for those which run files go on from, by the names of variables."""
    folders = {}
    for variable, stem in (
        ("PACKDEPTH_FIRST", "ego_motion_1_single"),
        ("PACKDEPTH_SECOND", "ego_motion_3_joint"),
        ("PACKDEPTH_STEREO", "kitti_odometry_stereo"),
    ):
        (path,) = (path for path in CONFIGS if path.stem == stem)
        run = load_run(path)
        networks = {"depth": run.networks.depth.assemble()}
        if run.networks.pose is not None:
            networks["pose"] = run.networks.pose.assemble()
        meta = Meta(
            packdepth="0", created="", epoch=0, step=0, metric=True, scale_source="velocity (poses)", clips=[], frames=0
        )
        weights = nn.ModuleDict(networks).state_dict()
        folders[variable] = tmp_path_factory.mktemp("checkpoints") / stem
        checkpoint.write(folders[variable], Checkpoint(run, meta, weights))
    return folders


def test_there_are_run_files() -> None:
    assert {"kitti_odometry_clip", "kitti_raw_clip", "dashcam_unknown_camera"} <= {path.stem for path in CONFIGS}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A short drive through the city; None where its extra is not installed."""
    try:
        require_city()
    except InputError:
        return None
    from packdepth.city.drive import Recipe
    from packdepth.city.write import write_city

    folder = tmp_path_factory.mktemp("city")
    write_city(folder, Recipe(frames=4, height=48, width=160, baseline=None, scanner=None), drives=1, processes=1)
    return folder


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_run_file_reads_and_round_trips(path: Path) -> None:
    run = load_run(path)
    assert parse_run(yaml.safe_load(dump_run(run)), "dumped") == run


@pytest.mark.parametrize("path", run_files(), ids=lambda path: path.stem)
def test_run_file_says_which_data_it_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKDEPTH_DATA")
    if "PACKDEPTH_DATA" not in path.read_text():
        return
    with pytest.raises(InputError, match=r"PACKDEPTH_DATA is not set; .*set it to [^\n]+$") as error:
        read_yaml(path)
    assert "write the path out" not in str(error.value)


def test_run_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_run(CONFIGS[0])
    monkeypatch.chdir(tmp_path)
    name = Path("configs", CONFIGS[0].name)
    assert load_run(name) == here
    name.parent.mkdir()
    name.write_text("data: none of packdepth's own")
    with pytest.raises(InputError, match=r"^configs/"):
        load_run(name)


def test_run_files_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    paragraphs = capsys.readouterr().out.split("\n\n")
    assert len(paragraphs) == len(run_files()) + 1
    listed = next(text for text in paragraphs if text.startswith("configs/kitti_odometry_clip.yaml"))
    assert listed.splitlines()[1].startswith("  51 gray frames of KITTI odometry, sequence 06: metric depth")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_run_file_trains_a_step(
    path: Path,
    data: Path,
    city: Path | None,
    first_steps: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "PACKDEPTH_CITY" in path.read_text() and city is None:
        pytest.skip("the extra 'city' is not installed")
    monkeypatch.setenv("PACKDEPTH_DATA", str(data))
    monkeypatch.setenv("PACKDEPTH_CITY", str(city))
    for variable, checkpoint_folder in first_steps.items():
        monkeypatch.setenv(variable, str(checkpoint_folder))
    small = ("training.epochs=1", "training.epoch_steps=1", "training.batch_size=1")
    options = (*small, "training.accelerator=cpu", "training.devices=1")
    train(path, tmp_path / "run", overrides=options)
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.step == 1
    assert 0 < meta.scores["train/loss"] < 1
    assert len(meta.cameras) == ("unknown_camera" in path.stem)
