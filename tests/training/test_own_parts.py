"""Parts of a notebook that keep their contracts: which are accepted, and which only with a warning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import pytest
from torch import Tensor

import packdepth
from packdepth.errors import InputError, InputWarning
from packdepth.objectives import Photometric, Term
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs
from packdepth.training.data import RunData
from packdepth.training.logs import check_loss, check_scores
from packdepth.training.module import DepthModule
from packdepth.training.run import check_contracts, run_clips


class Free(Term):
    """A term whose value and weight an option chooses."""

    kind: Literal["free_of_a_notebook"] = "free_of_a_notebook"
    value: Literal[
        "depth", "motion", "constant", "detached", "nothing valid", "divided by nothing later", "root of zero"
    ] = "depth"

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        inv_depth = outputs.inv_depths[0]
        values = {
            "depth": inv_depth.mean(),
            "motion": outputs.T_context_target[..., 2, 3].mean(),
            "constant": inv_depth.new_ones(()),
            "detached": inv_depth.detach().mean(),
            "nothing valid": inv_depth[inv_depth < 0].sum(),
            "root of zero": (inv_depth.mean() * 0).sqrt(),
            "divided by nothing later": inv_depth.mean() if len(batch) == 2 else inv_depth.mean() / 0,
        }
        return values[self.value]


def run_of(clip: Path, objective: list[Term]) -> packdepth.Run:
    return packdepth.Run(
        data={"train": [{"kind": "folder", "root": clip}], "image_size": [32, 64], "workers": 0},
        networks={"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        objective=objective,
        training={"epochs": 1, "epoch_steps": 2, "batch_size": 2, "accelerator": "cpu"},
    )


def check(run: packdepth.Run) -> None:
    """Try the parts of a run."""
    objective = Objective(run.objective)
    data = RunData(run, objective, run_clips(run, objective).clips)
    check_contracts(DepthModule(run, objective, steps=2), data)


@pytest.mark.parametrize("value", ["constant", "detached"])
def test_a_term_that_depends_on_no_network_is_a_warning(moving_clip: Path, value: Literal["constant"]) -> None:
    sentence = "^objective term 'free_of_a_notebook' depends on no network on the first samples, and trains nothing: "
    with pytest.warns(InputWarning, match=sentence):
        check(run_of(moving_clip, [Photometric(scales="own"), Free(value=value)]))


@pytest.mark.parametrize(
    ("value", "weight"), [("depth", 1.0), ("motion", 1.0), ("nothing valid", 1.0), ("constant", 0.0)]
)
def test_other_terms_are_accepted_in_silence(moving_clip: Path, value: Literal["depth"], weight: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        check(run_of(moving_clip, [Photometric(scales="own"), Free(value=value, weight=weight)]))


def test_a_network_that_no_term_depends_on_is_refused(moving_clip: Path) -> None:
    with pytest.raises(InputError, match=r"^networks.depth: no weight of 'packnet' gets a gradient from the objective"):
        check(run_of(moving_clip, [Free(value="motion")]))


def test_a_gradient_that_is_not_finite_is_named_before_the_first_step(moving_clip: Path) -> None:
    sentence = "^objective term 'free_of_a_notebook' has a gradient that is not finite on the first samples, though its"
    with pytest.raises(InputError, match=sentence):
        check(run_of(moving_clip, [Photometric(scales="own"), Free(value="root of zero")]))


def test_terms_of_others_are_named_where_numbers_later_are_not_finite() -> None:
    for terms, expected in ([Photometric()], "lower the learning"), ([Photometric(), Free()], "see whether the value"):
        with pytest.raises(InputError) as error:
            check_scores({"train/loss": 0.5, "val/loss": float("nan")}, terms, Path("run"), 2)
        assert str(error.value).startswith(f"run: val/loss of epoch 2 is nan; {expected}")


def test_the_pose_network_may_be_left_without_a_term(moving_clip: Path) -> None:
    """Terms on depth alone give it a gradient of zeros, as processes that share a batch need it."""
    check(run_of(moving_clip, [Free(value="depth")]))


def test_a_term_that_is_no_number_later_is_named(
    moving_clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is tried on two samples and trained on three."""
    run = run_of(moving_clip, [Photometric(scales="own"), Free(value="divided by nothing later")])
    training = run.training.model_copy(update={"batch_size": 3})
    with pytest.raises(InputError) as error:
        packdepth.train(run.model_copy(update={"training": training}), tmp_path / "run")
    assert str(error.value) == (
        f"{tmp_path / 'run'}: the loss of step 1 is inf by its term 'free_of_a_notebook'; keep what it divides by, and "
        f"the arguments of its logarithms and roots, away from zero, and train again"
    )


@pytest.mark.parametrize(
    ("photometric", "own", "are_finite", "expected"),
    [
        (0.2, float("nan"), True, "is nan by its term 'free_of_a_notebook'; keep what it divides by, "),
        (0.2, float("nan"), False, "is nan (not finite: free_of_a_notebook); lower the learning rates or set "),
        (float("inf"), float("nan"), True, "is nan (not finite: photometric, free_of_a_notebook); lower the learning "),
        (float("nan"), 0.2, True, "is nan (not finite: photometric); lower the learning rates or set "),
        (0.2, 0.2, True, "is nan; lower the learning rates or set "),
    ],
)
def test_the_terms_of_a_loss_that_is_no_number_are_named(
    photometric: float, own: float, are_finite: bool, expected: str
) -> None:
    row = {"step": 7.0, "loss": float("nan"), "photometric": photometric, "free_of_a_notebook": own}
    with pytest.raises(InputError) as error:
        check_loss(row, [Photometric(), Free()], are_finite, Path("run"))
    assert str(error.value).startswith(f"run: the loss of step 7 {expected}")
