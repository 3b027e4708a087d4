"""Every shipped run file: read, round-tripped and, where its data is there, run for a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.city.command import require_city
from packdepth.config import dump_run, load_run, parse_run
from packdepth.errors import InputError
from packdepth.training.run import train

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


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
