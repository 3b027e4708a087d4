"""Parts of an image that are judged on their own: ranges of distance, depth edges, what moves, classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.classes import Label
from packdepth.geometry.camera import Camera
from packdepth.records import Frame, Readable

LEAST_PIXELS = 30  # of an image, for it to count in a part
EDGE_RADIUS = 2  # pixels
EDGE_RATIO = 1.25  # of the farthest to the nearest truth within that radius
OF_MOTION = ("moving", "lead car", "rest")  # parts by what moves; the rest does not
LANE = 3.5  # metres
LEADERS = (Label.CAR, Label.TRUCK, Label.BUS)


def range_names(bounds: Sequence[float]) -> list[str]:
    """The names of the ranges of distance between these bounds, metres."""
    return [f"{low:g} to {high:g} m" for low, high in pairwise(bounds)]


def range_masks(truth: Tensor, bounds: Sequence[float]) -> dict[str, Tensor]:
    """Where truth (metres) lies in each range, its lower bound included; the same shape, bool."""
    masks = ((truth >= low) & (truth < high) for low, high in pairwise(bounds))
    return dict(zip(range_names(bounds), masks, strict=True))


def edge_mask(truth: Tensor) -> Tensor:
    """Where depth jumps: known pixels around which (5x5) the farthest truth is 1.25 times the nearest or more.

    Args:
        truth: [H, W] metres, NaN where unknown.

    Returns:
        [H, W] bool.
    """
    known = ~truth.isnan()
    side = 2 * EDGE_RADIUS + 1
    log = truth.log()[None, None]
    far = F.max_pool2d(log.nan_to_num(-torch.inf), side, stride=1, padding=EDGE_RADIUS)
    near = -F.max_pool2d((-log).nan_to_num(-torch.inf), side, stride=1, padding=EDGE_RADIUS)
    jumps = (far - near)[0, 0] >= float(np.log(EDGE_RATIO))
    return known & jumps


def part_names(bounds: Sequence[float], classes: Sequence[str]) -> list[str]:
    """All parts that there can be, in the order of reports."""
    return [*range_names(bounds), "edges", *OF_MOTION, *classes]


def part_masks(
    truth: Tensor, frame: Frame, bounds: Sequence[float], classes: Sequence[str], camera: Camera | None = None
) -> dict[str, Tensor]:
    """The parts of a frame by name, each [H, W] bool and at least 30 pixels large.

    Args:
        truth: [H, W] metres, NaN where it does not count.
        frame: whose `moving`, `instance` and `semantic` (Cityscapes' train ids) are used where it has them.
        bounds: of the ranges of distance, metres.
        classes: names of the classes to judge.
        camera: of the frame, to find the lead car by; None to leave it out.
    """
    masks = range_masks(truth, bounds) | {"edges": edge_mask(truth)}
    semantic = None if frame.semantic is None else _tensor(frame.semantic)
    if frame.moving is not None:
        moving = _tensor(frame.moving)
        masks |= {"moving": moving, "rest": ~moving}
        if frame.instance is not None and camera is not None:
            masks["lead car"] = lead_car_mask(truth, moving, _tensor(frame.instance), semantic, camera)
    if classes and semantic is not None:
        masks |= {label.words: semantic == label for label in Label if label.words in classes}
    known = ~truth.isnan()
    masks = {name: mask & known for name, mask in masks.items()}
    return {name: mask for name, mask in masks.items() if mask.sum() >= LEAST_PIXELS}


def lead_car_mask(truth: Tensor, moving: Tensor, instance: Tensor, semantic: Tensor | None, camera: Camera) -> Tensor:
    """The pixels of the car, truck or bus that drives ahead in the camera's lane, [H, W] bool; none if none does.

    Of the objects that move, it is the nearest whose median point is less than half a lane to the side of the camera.

    Args:
        truth: [H, W] metres, NaN where unknown.
        moving: [H, W] bool.
        instance: [H, W] numbers of countable objects, 0 for what is none.
        semantic: [H, W] Cityscapes' train ids; without them, whatever moves ahead is taken for a car.
        camera: of that size.
    """
    known = moving & ~truth.isnan() & (instance > 0)
    if semantic is not None:
        known &= torch.isin(semantic, torch.tensor(LEADERS, dtype=semantic.dtype))
    columns = torch.arange(truth.shape[-1], dtype=truth.dtype)
    aside = ((columns - camera.cx) / camera.fx * truth).abs()  # [H, W] metres
    ahead = {
        float(truth[pixels].median()): pixels
        for pixels in (known & (instance == number) for number in instance[known].unique())  # type: ignore[no-untyped-call]
        if pixels.sum() >= LEAST_PIXELS and aside[pixels].median() < LANE / 2
    }
    return ahead[min(ahead)] if ahead else torch.zeros_like(moving)


def _tensor(file: Readable) -> Tensor:
    """The content of a file, as a tensor of its own."""
    return torch.from_numpy(file.read().copy())
