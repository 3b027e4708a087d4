"""A run of objects, as a notebook makes it: trained, refused, resumed and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

import packdepth
from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.objectives import Photometric, Term
from packdepth.records import Batch, Outputs


class Nearness(Term):
    """A term that is defined here alone."""

    kind: Literal["nearness_of_a_notebook"] = "nearness_of_a_notebook"
    weight: float = 0.5

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        return outputs.inv_depths[0].mean()


def run_of(clip: Path, epochs: int, **changes: Any) -> packdepth.Run:
    values: dict[str, Any] = {
        "data": {"train": [{"kind": "folder", "root": clip}], "image_size": [32, 64], "workers": 0},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        "objective": [Photometric(scales="own"), Nearness()],
        "training": {"epochs": epochs, "epoch_steps": 2, "batch_size": 2, "accelerator": "cpu"},
    }
    return packdepth.Run(**{**values, **changes})


@pytest.fixture(scope="module")
def output(moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects") / "run"
    assert packdepth.train(run_of(moving_clip, 2), folder) == folder / "best"
    return folder


def test_the_checkpoint_of_a_term_that_is_defined_here_opens(output: Path, moving_clip: Path) -> None:
    predictor = load(output / "best", device="cpu")
    assert predictor.run.objective == [Photometric(scales="own"), Nearness()]  # type: ignore[union-attr]
    assert predictor.meta.packages == {"nearness_of_a_notebook": "the file test_objects.py"}
    assert predictor.predict(moving_clip / "frames" / "000000.png").depth.shape == (48, 96)


def test_a_run_of_objects_is_resumed_exactly(output: Path, moving_clip: Path, tmp_path: Path) -> None:
    packdepth.train(run_of(moving_clip, 1), tmp_path / "run")
    packdepth.train(run_of(moving_clip, 2), tmp_path / "run", resume=True)
    whole, resumed = (checkpoint.read(folder / "last").weights for folder in (output, tmp_path / "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_second_training_into_the_same_folder_is_refused(output: Path, moving_clip: Path) -> None:
    with pytest.raises(InputError, match="holds a run already"):
        packdepth.train(run_of(moving_clip, 2), output)
    objective = [Photometric(scales="own"), Nearness(weight=0.1)]
    with pytest.raises(InputError, match="was trained with other values of objective; resume with the same run file"):
        packdepth.train(run_of(moving_clip, 2, objective=objective), output, resume=True)


@pytest.mark.parametrize(
    ("changes", "place", "sentence"),
    [
        ({"objective": [Nearness]}, "objective.0", "of a class that derives from Term (found the class Nearness; write "
         "Nearness(...))"),
        ({"objective": [Nearness(), Nearness()]}, "objective", "'nearness_of_a_notebook' stands there 2 times; give "
         "each term once, with its weight"),
        ({"networks": {"depth": torch.nn.Identity()}}, "networks.depth", "of a class that derives from "
         "DepthNetworkBlock (found an object of class Identity)"),
        ({"training": {"epoch": 3}}, "training", "unknown key 'epoch': did you mean 'epochs'?"),
    ],
)  # fmt: skip
def test_what_a_run_does_not_take_is_said_with_its_place(
    moving_clip: Path, changes: dict[str, Any], place: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as error:
        run_of(moving_clip, 1, **changes)
    lines = str(error.value).splitlines()
    assert lines[1] == place
    assert sentence in lines[2]
