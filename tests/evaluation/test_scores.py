"""From single images to the numbers of a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from packdepth.evaluation.boundaries import BoundaryErrors
from packdepth.evaluation.choices import METRICS, STANDARD_METRICS
from packdepth.evaluation.metrics import DepthScores, depth_metrics, median_scale
from packdepth.evaluation.protocols.city import CITY
from packdepth.evaluation.scores import (
    ImageScores,
    class_mean,
    interval,
    mean_boundaries,
    mean_scores,
    part_counts,
    ranked,
    scores_by_part,
)

NAN = torch.nan


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Depth and truth [20, 30] metres; some truth does not count."""
    generator = torch.Generator().manual_seed(seed)
    truth = 1 + 70 * torch.rand(20, 30, generator=generator)
    depth = truth * (0.5 + torch.rand(truth.shape, generator=generator))
    return depth, torch.where(torch.rand(truth.shape, generator=generator) < 0.6, truth, NAN)


def image(name: str, abs_rel: float, unit: str = "a", **parts: float) -> ImageScores:
    """A record in which all metrics of a part are one number."""
    values = {part: [value] * len(METRICS) for part, value in {"all": abs_rel, **parts}.items()}
    return ImageScores("clip", name, unit, {"plain": values})


EMPTY = ImageScores("clip", "empty", "a", {})


@pytest.mark.parametrize("scaled", [False, True])
def test_each_part_has_the_metrics_of_its_pixels(scaled: bool) -> None:
    """All at once by a product of matrices, against each on its own."""
    depth, truth = images()
    near = truth < 20
    found = scores_by_part(CITY, depth, truth, {"near": near}, scaled)
    factor = median_scale(depth, truth, ~truth.isnan()) if scaled else 1.0
    for part, mask in (("all", ~truth.isnan()), ("near", near)):
        expected = depth_metrics((depth * factor).clamp(1e-3, 80).double(), truth.double(), mask)
        np.testing.assert_allclose(found[part][:7], [value.item() for value in expected], rtol=1e-5)


def test_silog_forgives_a_factor() -> None:
    _, truth = images()
    assert scores_by_part(CITY, 0.9 * truth, truth, {}, scaled=False)["all"][7] == pytest.approx(0, abs=1e-3)
    depth = torch.where(torch.arange(30) < 15, truth, truth * np.e)
    share = (~truth.isnan())[:, :15].sum() / (~truth.isnan()).sum()
    within = replace(CITY, cap=1000.0)
    expected = 100 * float((share * (1 - share)).sqrt())  # the logarithmic error is 0 or 1
    assert scores_by_part(within, depth, truth, {}, scaled=False)["all"][7] == pytest.approx(expected)


def test_the_last_metric_is_the_share_too_far() -> None:
    _, truth = images()
    depth = torch.where(torch.arange(30) < 15, 1.4 * truth, 1.6 * truth)
    share = (~truth.isnan())[:, 15:].sum() / (~truth.isnan()).sum()
    within = replace(CITY, cap=1000.0)
    found = scores_by_part(within, depth, truth, {}, scaled=False)["all"]
    assert found[METRICS.index("too_far")] == pytest.approx(float(share))


def test_boundary_errors_are_averaged_over_the_images_whose_truth_has_boundaries() -> None:
    pairs = [(1.0, 2.0), (NAN, NAN), (3.0, 6.0)]
    scored = [replace(image(str(i), 0.1), boundaries={"plain": BoundaryErrors(*pair)}) for i, pair in enumerate(pairs)]
    assert mean_boundaries([*scored, EMPTY]) == {"plain": {"dbe_acc": 2.0, "dbe_comp": 4.0}}
    assert mean_boundaries([scored[1], EMPTY]) == {}


def test_classes_can_be_scaled_on_their_own() -> None:
    """Cars at twice their distance, the rest as it is: right after scaling by class, not by image."""
    _, truth = images()
    cars = torch.zeros_like(truth, dtype=torch.bool)
    cars[:5] = True
    cars &= ~truth.isnan()
    depth = torch.where(cars, 2 * truth, truth)
    factor = median_scale(depth, truth, ~truth.isnan()).item()
    for by_class, expected in ((False, 2 * factor - 1), (True, 0.0)):
        protocol = replace(CITY, cap=1000.0, scaled_by_class=by_class)
        found = scores_by_part(protocol, depth, truth, {"car": cars}, scaled=True)
        assert found["car"][0] == pytest.approx(expected, abs=1e-6)
        assert found["all"][0] > 0.05


def test_a_prediction_of_zero_is_taken_for_a_millimetre() -> None:
    """Even where the range begins at zero, as in packnet-sfm's settings."""
    _, truth = images()
    expected = float((1e-3 / truth).log().square().nanmean().sqrt())
    for min_depth in (0.0, 1e-3):
        protocol = replace(CITY, min_depth=min_depth)
        found = scores_by_part(protocol, torch.zeros_like(truth), truth, {}, scaled=False)["all"]
        assert found[METRICS.index("rmse_log")] == pytest.approx(expected)


def test_the_standard_metrics_are_those_of_one_image() -> None:
    assert DepthScores._fields == STANDARD_METRICS


def test_images_without_truth_do_not_count() -> None:
    with_it = [image("a", 0.1), EMPTY, image("b", 0.3), EMPTY]
    assert mean_scores(with_it, "plain")["abs_rel"] == pytest.approx(0.2)
    assert np.isnan(mean_scores([EMPTY], "plain")["abs_rel"])


def test_a_part_is_averaged_over_the_images_that_have_it() -> None:
    some = [image("a", 0.1, car=0.5), image("b", 0.3), image("c", 0.2, car=0.7, road=0.1), EMPTY]
    assert part_counts(some) == {"car": 2, "road": 1}
    assert mean_scores(some, "plain", "car")["abs_rel"] == pytest.approx(0.6)
    mean = class_mean(some, "plain", ("road", "car", "bus"))
    assert mean is not None
    assert mean["abs_rel"] == pytest.approx((0.6 + 0.1) / 2)
    assert class_mean(some, "plain", ("bus",)) is None


def test_intervals_come_from_units_not_from_images() -> None:
    """Ten equal images of each clip: the interval is as wide as that of one image of each."""
    values = np.linspace(0.1, 0.2, 12)
    one = [image(str(i), value, unit=str(i)) for i, value in enumerate(values)]
    ten = [image(f"{i} {k}", value, unit=str(i)) for i, value in enumerate(values) for k in range(10)]
    found = interval(one, "plain")
    assert found is not None
    assert found == interval(one, "plain")
    assert found["abs_rel"] == pytest.approx(interval(ten, "plain")["abs_rel"])  # type: ignore[index]
    low, high = found["abs_rel"]
    error = values.std() / np.sqrt(12)
    assert (low, high) == pytest.approx((0.15 - 1.96 * error, 0.15 + 1.96 * error), abs=0.3 * error)


def test_one_clip_has_no_interval() -> None:
    assert interval([image("a", 0.1), image("b", 0.2), EMPTY], "plain") is None


def test_ranking() -> None:
    assert [i.frame for i in ranked([image("b", 0.3), EMPTY, image("a", 0.1)], "plain")] == ["a", "b"]
