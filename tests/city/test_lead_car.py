"""The lead car that evaluation finds, against the one that the renderer made."""

from __future__ import annotations

import numpy as np
import torch

from packdepth.city.drive import Drive, Shot
from packdepth.classes import Label
from packdepth.evaluation.parts import lead_car_mask


def test_the_lead_car_of_a_drive(drive: Drive, shots: list[Shot]) -> None:
    for shot in shots:
        truth = torch.from_numpy(shot.depth.copy())
        instance = torch.from_numpy(shot.instance.copy())
        found = lead_car_mask(
            torch.where(truth > 0, truth, torch.nan),
            torch.from_numpy(shot.moving.copy()),
            instance,
            torch.from_numpy(np.isin(shot.semantic, [Label.CAR, Label.TRUCK, Label.BUS])),
            drive.recipe.camera,
        )
        assert found.sum() > 30
        np.testing.assert_array_equal(found, instance == drive.traffic.leader)
