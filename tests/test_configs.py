"""Every shipped run file: read, round-tripped and run for a step, on small data in its format or on the real one."""

from __future__ import annotations

import os
from pathlib import Path

import formats
import pytest
import yaml
from torch import nn

from packdepth import checkpoint
from packdepth.checkpoint import Checkpoint, Meta
from packdepth.city.command import require_city
from packdepth.config import dump_run, load_run, parse_run
from packdepth.demo.steps import RUN_FILE
from packdepth.errors import InputError
from packdepth.segmentation.run_file import load_semantic_run
from packdepth.segmentation.training import train_semantics
from packdepth.sources.camvid import CLASSES
from packdepth.training.run import train

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))} | {"demo": Path(str(RUN_FILE))}
SEMANTICS = {path.stem: path for path in sorted((FOLDER / "semantics").glob("*.yaml"))}
RELATIVE = {"dashcam_unknown_camera", "kitti_mixed", "kitti_raw_clip"}  # their depth is known up to a factor
CITY = {"city_unknown_camera", "demo"}  # these train on rendered drives
REAL_DATA = os.environ.get("PACKDEPTH_DATA")
FEW = 8  # frames of each real clip: a step, and a measured scale, of few frames show the same faults as of all
WITH_TAIL = 24  # frames of a real clip of which the run file holds out the end


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data that run files name, in miniature."""
    return formats.tree(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Return the folder of two short drives through the city, train/ and val/; None without the extra 'city'."""
    try:
        require_city()
    except InputError:
        return None
    from packdepth.city.drive import Recipe
    from packdepth.city.write import write_city

    folder = tmp_path_factory.mktemp("city")
    for part in ("train", "val"):
        recipe = Recipe(frames=4, height=48, width=160, baseline=None, scanner=None)
        write_city(folder / part, recipe, drives=1, processes=1)
    return folder


@pytest.fixture(scope="module")
def first_steps(written: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return checkpoints of random weights for the variables that name the checkpoints of an earlier step."""
    folders = {}
    for variable, stem in (
        ("PACKDEPTH_FIRST", "ego_motion_1_single"),
        ("PACKDEPTH_SECOND", "ego_motion_3_joint"),
        ("PACKDEPTH_STEREO", "kitti_odometry_stereo"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PACKDEPTH_DATA", str(written))
            run = load_run(CONFIGS[stem])
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


@pytest.fixture
def _variables(
    written: Path, drives: Path | None, first_steps: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set the variables that run files name to what was written."""
    rendered = drives or Path("not rendered")
    values = {"PACKDEPTH_DATA": written, "PACKDEPTH_DEMO": rendered, "PACKDEPTH_CITY": rendered / "train"}
    for variable, folder in (values | first_steps).items():
        monkeypatch.setenv(variable, str(folder))


def skip_without(drives: Path | None, name: str) -> None:
    if name in CITY and drives is None:
        pytest.skip("the extra 'city' is not installed")


def test_there_are_run_files() -> None:
    assert {"kitti_odometry_clip", *RELATIVE, *CITY} <= set(CONFIGS)
    assert set(SEMANTICS) == {"camvid"}


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize("name", CONFIGS)
def test_run_file_reads_and_round_trips(name: str) -> None:
    run = load_run(CONFIGS[name])
    assert parse_run(yaml.safe_load(dump_run(run)), "dumped") == run


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize("name", [*CONFIGS, *SEMANTICS])
def test_the_data_of_a_run_file_can_be_written(name: str, drives: Path | None) -> None:
    """Check the written data even where the test below uses real data."""
    skip_without(drives, name)
    data = load_run(CONFIGS[name]).data if name in CONFIGS else load_semantic_run(SEMANTICS[name]).data
    for source in [*data.train, *data.val]:
        for clip in source.clips():
            image = clip.frames[0].image.read()
            assert image.shape == (clip.camera.height, clip.camera.width, 3)
            assert image.std() > 20  # of 255: it shows something


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize("name", CONFIGS)
def test_run_file_trains_a_step(
    name: str, drives: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without(drives, name)
    small = ["training.epochs=1", "training.epoch_steps=1", "training.batch_size=1"]
    if REAL_DATA and name not in CITY:
        monkeypatch.setenv("PACKDEPTH_DATA", REAL_DATA)
        data = load_run(CONFIGS[name]).data
        end = FEW if data.val_tail == 0 else WITH_TAIL
        small += [f"data.train.{index}.frames=[0,{end}]" for index in range(len(data.train))]
        small += [f"data.val.{index}.frames=[0,{end}]" for index in range(len(data.val))]
    elif name not in CITY:
        small += ["data.val_tail=0"]  # the rendered drives in the place of real clips are too short for one
    options = (*small, "training.accelerator=cpu", "training.devices=1")
    train(CONFIGS[name], tmp_path / "run", overrides=options)
    meta = checkpoint.read_description(tmp_path / "run" / "best")[1]
    assert meta.step == 1
    assert 0 < meta.scores["train/loss"] < 1
    assert (meta.scale_source != "none") == (name not in RELATIVE)
    assert len(meta.cameras) == ("unknown_camera" in name)


@pytest.mark.usefixtures("_variables")
@pytest.mark.parametrize("name", SEMANTICS)
def test_run_file_trains_a_step_of_segmentation(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA:
        monkeypatch.setenv("PACKDEPTH_DATA", REAL_DATA)
    meta = train_semantics(SEMANTICS[name], tmp_path / "run", ("training.steps=1", "training.batch_size=1"))
    assert meta.steps == 1
    assert meta.classes == list(CLASSES)
    assert meta.mean_iou is not None
    assert 0 <= meta.mean_iou < 0.5  # nothing has been learned yet
