"""Which pixels belong to which part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from packdepth.classes import Label
from packdepth.evaluation.parts import MIN_PIXELS, edge_mask, lead_car_mask, part_masks, range_masks, range_names
from packdepth.geometry.camera import Camera
from packdepth.records import Frame

NAN = torch.nan


@dataclass(frozen=True, eq=False)
class Memory:
    values: np.ndarray
    path: Path = Path("memory")

    def read(self) -> np.ndarray:
        return self.values


def test_ranges_hold_their_lower_bound() -> None:
    truth = torch.tensor([0.5, 10.0, 19.9, 20.0, 80.0, NAN])
    assert range_names((0, 10, 20, 80)) == ["0 to 10 m", "10 to 20 m", "20 to 80 m"]
    found = [mask.nonzero()[:, 0].tolist() for mask in range_masks(truth, (0, 10, 20, 80)).values()]
    assert found == [[0], [1, 2], [3]]


def test_edges_lie_within_two_pixels_of_a_jump() -> None:
    truth = torch.full((8, 12), 10.0)
    truth[:, 6:] = 15.0
    expected = torch.zeros(8, 12, dtype=torch.bool)
    expected[:, 4:8] = True
    assert torch.equal(edge_mask(truth), expected)
    assert not edge_mask(torch.linspace(10, 12, 12).expand(8, 12)).any()  # a slope, not a jump


def test_unknown_pixels_are_no_edges() -> None:
    truth = torch.full((8, 12), 10.0)
    truth[:, 6:] = NAN  # the sky
    assert not edge_mask(truth).any()
    truth[:, 7:] = 30.0
    found = edge_mask(truth)
    assert found[:, 5].all()
    assert found[:, 7].all()
    assert not found[:, 6].any()
    assert not edge_mask(torch.full((8, 12), NAN)).any()


def test_parts_of_a_frame() -> None:
    truth = torch.full((20, 20), 5.0)
    truth[:5] = NAN
    semantic = np.full((20, 20), Label.ROAD, dtype=np.uint8)
    semantic[:10] = Label.SKY
    semantic[:2] = Label.CAR  # of no known depth
    semantic[10, : MIN_PIXELS - 20] = Label.PERSON  # too few
    moving = np.zeros((20, 20), dtype=bool)
    moving[8:12] = True
    frame = Frame("a", 0.0, Memory(semantic), semantic=Memory(semantic), moving=Memory(moving))
    found = part_masks(truth, frame, (0, 10, 20), ("road", "car", "person"))
    assert list(found) == ["0 to 10 m", "moving", "rest", "road"]  # neither the sky nor what is empty
    assert found["0 to 10 m"].sum() == 300
    assert found["moving"].sum() == 80
    assert found["rest"].sum() == 300 - 80
    assert found["road"].sum() == 200 - (MIN_PIXELS - 20)
    assert not any((mask & truth.isnan()).any() for mask in found.values())
    names = [f"class {number}" for number in range(Label.SKY)] + ["road"]  # another list, in which 10 is the road
    assert part_masks(truth, frame, (0, 10), ("road", "car"), names=names)["road"].sum() == 5 * 20


def test_the_lead_car_is_the_nearest_that_moves_ahead_in_the_lane() -> None:
    camera = Camera(50.0, 50.0, 49.5, 19.5, width=100, height=40)
    truth = torch.full((40, 100), 60.0)
    instance, moving = torch.zeros(40, 100, dtype=torch.int32), torch.zeros(40, 100, dtype=torch.bool)
    vehicles = torch.zeros(40, 100, dtype=torch.bool)
    places = {  # row, column, metres, moves, class
        1: (2, 46, 30.0, True, Label.CAR),  # ahead, but behind the next
        2: (10, 50, 15.0, True, Label.CAR),  # 1.2 metres aside
        3: (10, 10, 10.0, True, Label.CAR),  # in another lane
        4: (10, 38, 8.0, False, Label.CAR),  # parked
        5: (10, 62, 5.0, True, Label.PERSON),
    }
    for number, (row, column, depth, moves, label) in places.items():
        window = slice(row, row + 8), slice(column, column + 8)
        truth[window], instance[window], moving[window], vehicles[window] = depth, number, moves, label == Label.CAR
    assert torch.equal(lead_car_mask(truth, moving, instance, vehicles, camera), instance == 2)
    assert torch.equal(lead_car_mask(truth, moving, instance, None, camera), instance == 5)
    assert not lead_car_mask(truth, moving & (instance == 3), instance, vehicles, camera).any()
    truth[instance == 2] = NAN
    assert torch.equal(lead_car_mask(truth, moving, instance, vehicles, camera), instance == 1)
