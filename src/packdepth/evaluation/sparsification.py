"""Evaluation of confidence by sparsification: whether errors fall when the least sure pixels are removed.

Pixels are removed in the order of a doubt, the largest first: that of the network's confidence, or another one, such as
the difference from the mirrored image's prediction. The error of the pixels that remain, over the share that was
removed, is the sparsification curve. Between the curve of the oracle, which removes the largest errors first, and the
constant curve of a random order lie two areas:

    AUSE   area under the sparsification error: between the curve and the oracle's; 0 is perfect, smaller is better,
    AURG   area under the random gain: between the random order's curve and the curve; positive is better than chance.

Sources: Ilg et al., ECCV 2018; Poggi et al., CVPR 2020, section 4.2. As there, the curves have `STEPS` steps and end at
zero, where nothing remains, and the errors are abs_rel, rmse and 1 - a1 of each image. Here the constant curve ends at
zero, too, so that a doubt that is the same everywhere gains exactly nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 50  # steps of the curves: 2 % of the pixels each, as in Poggi et al.
KEPT = 0.8  # share of the surest pixels whose error is reported beside that of all
ERRORS = ("abs_rel", "rmse", "1 - a1")  # the errors of the curves


@dataclass(frozen=True)
class Sparsification:
    """The curves of one image, or their means over images: errors after 0, 2, ..., 98, 100 % of pixels were removed."""

    curves: Mapping[str, np.ndarray]
    """[3, 51], a curve of each of `ERRORS`, by the doubt that orders pixels: "confidence", "flip difference"."""
    oracle: np.ndarray
    """[3, 51], the curves of the oracle, of which each orders by its own error."""

    @property
    def all_pixels(self) -> np.ndarray:
        """The errors of all pixels, [3]."""
        return np.asarray(self.oracle[:, 0])

    @property
    def kept(self) -> dict[str, np.ndarray]:
        """The errors of the surest 80 % of the pixels, [3], by doubt."""
        return {name: curves[:, round((1 - KEPT) * STEPS)] for name, curves in self.curves.items()}

    @property
    def ause(self) -> dict[str, np.ndarray]:
        """The areas under the sparsification error, [3], by doubt."""
        return {name: area(curves) - area(self.oracle) for name, curves in self.curves.items()}

    @property
    def aurg(self) -> dict[str, np.ndarray]:
        """The areas under the random gain, [3], by doubt."""
        random = self.all_pixels * area(np.append(np.ones(STEPS), 0.0))
        return {name: random - area(curves) for name, curves in self.curves.items()}

    def rows(self) -> dict[str, dict[str, float]]:
        """Return the main numbers of each doubt and of the oracle, for a table, by row and column."""
        curves = {**self.curves, "oracle": self.oracle}
        every = Sparsification(curves, self.oracle)
        return {
            name: {
                **{f"AURG {error}": float(every.aurg[name][i]) for i, error in enumerate(ERRORS)},
                **{f"AUSE {error}": float(every.ause[name][i]) for i, error in enumerate(ERRORS)},
                "abs_rel": float(self.all_pixels[0]),
                "of surest": float(every.kept[name][0]),
            }
            for name in curves
        }

    def to_json(self) -> dict[str, Any]:
        """Return the areas, the errors and the curves of each doubt and of the oracle, for JSON.

        Errors are named abs_rel, rmse and 1 - a1.
        """
        return {
            "kept": KEPT,
            "all": _by_error(self.all_pixels),
            "oracle": {"curve": _by_error(self.oracle)},
            **{
                name: {
                    "aurg": _by_error(self.aurg[name]),
                    "ause": _by_error(self.ause[name]),
                    "kept": _by_error(self.kept[name]),
                    "curve": _by_error(curves),
                }
                for name, curves in self.curves.items()
            },
        }


def _by_error(values: np.ndarray) -> dict[str, Any]:
    """Return the values of each of `ERRORS`, [3, ...], by its name."""
    return dict(zip(ERRORS, values.tolist(), strict=True))


def sparsification(depth: Tensor, truth: Tensor, doubts: Mapping[str, Tensor]) -> Sparsification:
    """Return the curves of one image.

    Args:
        depth: predicted depth [N] of the pixels with ground truth, positive.
        truth: their ground truth [N], positive.
        doubts: orders of removal by name, [N] each; the largest values are removed first.

    >>> truth = torch.full((100,), 10.0)
    >>> depth = truth + torch.arange(100) / 10
    >>> found = sparsification(depth, truth, {"perfect": depth, "none": torch.zeros(100)})
    >>> found.ause["perfect"].tolist(), bool(found.aurg["perfect"][0] > 0), abs(found.aurg["none"].round(9)).tolist()
    ([0.0, 0.0, 0.0], True, [0.0, 0.0, 0.0])
    """
    d, t = depth.double(), truth.double()
    ratio = torch.maximum(d / t, t / d)
    errors = torch.stack([(d - t).abs() / t, (d - t).square(), (ratio >= 1.25).double()])  # [3, N]
    oracle = np.stack([curve(error[None], error)[0] for error in errors])
    curves = {name: curve(errors, doubt) for name, doubt in doubts.items()}
    for found in (oracle, *curves.values()):
        found[1] = np.sqrt(found[1])  # the root of the mean square
    return Sparsification(curves, oracle)


def curve(errors: Tensor, doubt: Tensor) -> np.ndarray:
    """Return the mean errors of the pixels that remain after each step, and 0 where nothing remains: [E, 51].

    Pixels of equal doubt are removed in random order; the curve is its expectation.

    Args:
        errors: errors [E, N] float64.
        doubt: [N]; the largest values are removed first.

    >>> errors = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    >>> curve(errors, torch.tensor([0.1, 0.2]))[0, [0, 24, 25, 49, 50]].tolist()
    [0.5, 0.5, 0.0, 0.0, 0.0]
    """
    ordered, order = doubt.double().sort(stable=True)
    group = F.pad((ordered[1:] != ordered[:-1]).long().cumsum(0), (1, 0))  # number of the pixels of equal doubt
    counts = group.bincount()
    sums = errors.new_zeros(len(errors), len(counts)).index_add_(1, group, errors[:, order])
    even = (sums / counts)[:, group]  # the mean of those of equal doubt
    total = errors.shape[1]
    remaining = torch.tensor([-(-total * (STEPS - step) // STEPS) for step in range(STEPS)], device=errors.device)
    means = even.cumsum(1)[:, remaining - 1] / remaining
    return np.concatenate([means.cpu().numpy(), np.zeros((len(errors), 1))], axis=1)


def area(curves: np.ndarray) -> np.ndarray:
    """Return the area under curves over the removed share, from 0 to 1, by the trapezoidal rule: [...].

    Args:
        curves: [..., 51].

    >>> float(area(np.ones(51)).round(9))
    1.0
    """
    return np.asarray((curves[..., 1:] + curves[..., :-1]).sum(-1) / 2 / STEPS)


def mean_sparsification(images: Sequence[Sparsification]) -> Sparsification | None:
    """Return the mean curves of images; None without any.

    Args:
        images: the curves of each image, with the same doubts.
    """
    if not images:
        return None
    names = images[0].curves
    return Sparsification(
        {name: np.mean([image.curves[name] for image in images], axis=0) for name in names},
        np.mean([image.oracle for image in images], axis=0),
    )
