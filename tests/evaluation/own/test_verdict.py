"""The words of the verdict, from measures that are given."""

from __future__ import annotations

import pytest

from packdepth.evaluation.grades import NOT_BETTER
from packdepth.evaluation.own.pairs import PairMeasures
from packdepth.evaluation.own.verdict import MIN_PAIRS, NO_GROUND, SURFACES, Verdict, verdict_of

NAN = float("nan")


def judged(
    parallax: float,
    by_position: float = 0.3,
    metric: bool = True,
    scale: float = NAN,
    seen: bool = False,
    height: float = 1.5,
    clear: float = 0.2,
) -> Verdict:
    """The verdict on pairs that all have these measures."""
    measures = {"error": 0.5, "identity": 1.0, "constant": 1.0, "by_position": 0.5, "mirror": 0.0}
    pair = PairMeasures(
        "drive",
        "0",
        parallax=parallax,
        parallax_by_position=by_position,
        scale=scale,
        height=height,
        clear=clear,
        **measures,
    )
    return verdict_of([pair] * MIN_PAIRS, metric, seen)


@pytest.mark.parametrize(
    ("parallax", "by_position", "grade", "words"),
    [
        (0.12, 0.30, "Good", "the network is better."),
        (0.12, 0.13, "Fair", "the network is not clearly better, which makes it Fair at best."),
        (0.12, 0.12, "Fair", "the network is not clearly better, which makes it Fair at best."),
        (0.12, NAN, "Fair", "guessing by position in the image, which makes it Fair at best."),
        (0.30, 0.32, "Rough", "the network is not clearly better."),
        (0.12, 0.10, NOT_BETTER, "the network is no better."),
        (0.10, 0.08, NOT_BETTER, "the network is no better."),
        (0.60, 0.30, NOT_BETTER, "the network is no better."),
    ],
)
def test_a_network_that_is_not_clearly_better_than_guessing_is_not_called_good(
    parallax: float, by_position: float, grade: str, words: str
) -> None:
    verdict = judged(parallax, by_position)
    assert verdict.grade == grade
    assert verdict.words.startswith(f"{grade}: a thing 10 m away")
    assert words in verdict.words
    assert ("packdepth init takes with more --minutes" in verdict.words) == (grade not in ("Good", "Fair"))


def test_a_drive_on_which_little_moves_is_judged_with_care_or_not_at_all() -> None:
    """The network is worse than the guess by the measures, which few pixels do not tell."""
    clear, barely, unclear = (judged(0.3, 0.1, scale=1.0, clear=share) for share in (0.2, 0.1, 0.05))
    assert clear.grade == NOT_BETTER
    assert barely.grade == "Rough"
    assert "Only 10 % of the pixels move enough" in barely.words
    assert "It could not be compared with guessing" in barely.words
    assert barely.error == clear.error
    assert clear.low is not None
    assert clear.high is not None
    assert barely.low is not None
    assert barely.high is not None
    assert barely.low < clear.low < clear.high < barely.high
    assert unclear.grade == "Not judged"
    assert "only 5 % of the pixels move enough" in unclear.words
    assert unclear.error is None
    assert "Depth is in metres" in unclear.words  # which does not depend on it


@pytest.mark.parametrize("parallax", [0.001, 0.05, 0.1])
def test_no_error_is_promised_that_is_smaller_than_those_of_the_calibration(parallax: float) -> None:
    verdict = judged(parallax, by_position=2 * parallax)
    assert verdict.error == pytest.approx(0.10)
    assert verdict.low == pytest.approx(0.05)
    assert verdict.high == pytest.approx(0.20)
    assert verdict.by_position == pytest.approx(0.20)
    assert verdict.grade == "Fair"  # although it is clearly better than guessing
    why = "and its measures are smaller than any that the verdict was calibrated on, which makes it Fair at best."
    assert f"the network is better, {why}" in verdict.words


def test_the_verdict_says_what_it_is_about() -> None:
    assert SURFACES in judged(0.12).words
    assert judged(0.12).words.count(". ") == 3  # four sentences
    assert NO_GROUND not in judged(0.12).words
    assert NO_GROUND in judged(0.12, height=NAN).words


@pytest.mark.parametrize(
    ("metric", "scale", "words"),
    [
        (True, 1.02, "Depth is in metres: lengths agree with the measured ones within 2 % (they vary by 0 %)."),
        (True, 0.5, "although the checkpoint says metric; packdepth calibrate makes it metric."),
        (True, NAN, "Its metres could not be checked: neither speed, poses nor the camera's height is known."),
        (False, 0.44, "not in metres: lengths are 44 % of the measured ones; packdepth calibrate makes it metric."),
        (False, NAN, "Depth is known up to one factor only, not in metres."),
    ],
)
def test_lengths_that_were_measured_are_stated(metric: bool, scale: float, words: str) -> None:
    assert judged(0.1, metric=metric, scale=scale).words.endswith(words)


def test_training_frames_tell_the_least_error_that_others_have() -> None:
    verdict = judged(0.12, seen=True)
    assert verdict.words.startswith(
        "Good at best: a thing 10 m away is typically seen 1.1 m too near or too far (error about 11 %, or more"
    )
    assert verdict.high is None
    assert judged(0.12).high is not None
    assert judged(0.12, 0.10, seen=True).words.startswith(f"{NOT_BETTER}: ")
