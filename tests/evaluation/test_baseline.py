"""Baselines that do not depend on the image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from packdepth.evaluation.baseline import others_median, pixel_median

NAN = torch.nan


def sparse(count: int = 5, share: float = 0.1) -> Tensor:
    """Ground truth [N, 9, 14] of which a share of pixels has a value."""
    generator = torch.Generator().manual_seed(0)
    truth = 1 + 9 * torch.rand(count, 9, 14, generator=generator)
    return torch.where(torch.rand(truth.shape, generator=generator) < share, truth, NAN)


def lower_median(values: np.ndarray) -> float:
    known = np.sort(values[~np.isnan(values)])
    return float(known[(len(known) - 1) // 2])


def test_each_pixel_takes_the_lower_median_of_its_values() -> None:
    truth = torch.tensor([[[1.0, NAN, NAN]], [[2.0, 5.0, NAN]], [[4.0, 3.0, NAN]], [[3.0, NAN, NAN]]])
    assert torch.equal(pixel_median(truth).nan_to_num(-1), torch.tensor([[2.0, 3.0, -1.0]]))


def test_the_window_grows_until_the_others_have_a_value() -> None:
    """Against a double loop."""
    truth = sparse()
    for index in range(len(truth)):
        found = others_median(truth, index).numpy()
        others = np.delete(truth.numpy(), index, axis=0)
        known = ~truth[index].isnan().numpy()
        assert (np.isnan(found) == ~known).all()
        for y, x in np.argwhere(known):
            for radius in (0, 1, 2, 4, 8, 16):
                window = others[:, max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
                if not np.isnan(window).all():
                    break
            assert found[y, x] == lower_median(window)


def test_an_image_does_not_use_its_own_ground_truth() -> None:
    truth = sparse()
    changed = truth.clone()
    changed[2] *= 7
    assert torch.equal(others_median(truth, 2).nan_to_num(), others_median(changed, 2).nan_to_num())


def test_one_distant_value_is_enough() -> None:
    truth = torch.full((2, 9, 14), NAN)
    truth[0, 0, 0], truth[1, 8, 13] = 3.0, 5.0
    assert others_median(truth, 0)[0, 0] == 5
    assert others_median(truth, 0).nansum() == 5
    truth[1] = NAN
    assert others_median(truth, 0).isnan().all()
