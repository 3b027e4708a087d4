from __future__ import annotations

import torch

from packdepth.evaluation.infinite import share_too_far


def test_share_too_far() -> None:
    truth = torch.tensor([10.0, 10.0, 10.0, 10.0, 0.0, torch.nan])
    depth = torch.tensor([9.0, 14.9, 15.1, 80.0, 80.0, 80.0])
    everything = torch.ones(6, dtype=torch.bool)
    assert share_too_far(depth, truth, everything) == 0.5
    assert share_too_far(depth, truth, everything & (depth > 15)) == 1
    assert share_too_far(depth, truth, ~everything).isnan()
