"""Parts of an image that are evaluated separately: ranges of distance, depth edges, dynamic objects, classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.classes import STREET_CLASSES
from packdepth.geometry.camera import Camera
from packdepth.records import Frame, Readable

MIN_PIXELS = 30  # an image must have this many pixels of a part to count in it; chosen by eye
EDGE_RADIUS = 2  # pixels around a pixel that are searched for a jump of depth; chosen by eye
EDGE_RATIO = 1.25  # farthest / nearest ground truth within that radius; the ratio of the metric a1
LANE_WIDTH = 3.5  # metres; a usual lane of a road
MOTION_PARTS = ("moving", "lead car", "rest")  # dynamic objects, one of them, and everything that stands still
LEADERS = ("car", "truck", "bus")  # classes of what may drive ahead in the lane


def range_names(bounds: Sequence[float]) -> list[str]:
    """Return the names of the ranges of distance between these bounds.

    Args:
        bounds: metres, ascending.

    >>> range_names((0, 10, 80))
    ['0 to 10 m', '10 to 80 m']
    """
    return [f"{low:g} to {high:g} m" for low, high in pairwise(bounds)]


def range_masks(truth: Tensor, bounds: Sequence[float]) -> dict[str, Tensor]:
    """Return the pixels of each range of distance by its name, bool, in the shape of `truth`.

    Args:
        truth: ground truth, any shape, metres.
        bounds: metres, ascending. A range includes its lower bound.
    """
    masks = ((truth >= low) & (truth < high) for low, high in pairwise(bounds))
    return dict(zip(range_names(bounds), masks, strict=True))


def edge_mask(truth: Tensor) -> Tensor:
    """Return the depth edges: known pixels around which (5x5) the farthest depth is at least 1.25 times the nearest.

    Args:
        truth: ground truth [H, W], metres, NaN where unknown.

    Returns:
        [H, W] bool.
    """
    known = ~truth.isnan()
    log = truth.log()[None, None]
    far = _largest_around(log.nan_to_num(-torch.inf))
    near = -_largest_around((-log).nan_to_num(-torch.inf))
    jumps = (far - near)[0, 0] >= float(np.log(EDGE_RATIO))
    return known & jumps


def _largest_around(values: Tensor) -> Tensor:
    """Return the largest value within `EDGE_RADIUS` of each pixel, [1, 1, H, W]: along columns, then along rows."""
    side = 2 * EDGE_RADIUS + 1
    columns = F.max_pool2d(values, (side, 1), stride=1, padding=(EDGE_RADIUS, 0))
    return F.max_pool2d(columns, (1, side), stride=1, padding=(0, EDGE_RADIUS))


def part_names(bounds: Sequence[float], classes: Sequence[str]) -> list[str]:
    """Return the names of all possible parts, in the order of reports.

    Args:
        bounds: bounds of the ranges of distance, metres.
        classes: names of the classes.
    """
    return [*range_names(bounds), "edges", *MOTION_PARTS, *classes]


def part_masks(
    truth: Tensor,
    frame: Frame,
    bounds: Sequence[float],
    classes: Sequence[str],
    camera: Camera | None = None,
    names: Sequence[str] = STREET_CLASSES,
) -> dict[str, Tensor]:
    """Return the parts of a frame by name, each [H, W] bool with at least 30 pixels.

    Args:
        truth: ground truth [H, W], metres, NaN where it is invalid.
        frame: the frame; its `moving`, `instance` and `semantic` are used if it has them.
        bounds: bounds of the ranges of distance, metres.
        classes: names of the classes to evaluate.
        camera: the camera of the frame, for finding the lead car. With None, no lead car is found.
        names: names of the classes of the frame's label map, by class id.
    """
    masks = range_masks(truth, bounds) | {"edges": edge_mask(truth)}
    semantic = None if frame.semantic is None else _tensor(frame.semantic)
    if frame.moving is not None:
        moving = _tensor(frame.moving)
        masks |= {"moving": moving, "rest": ~moving}
        if frame.instance is not None and camera is not None:
            vehicles = None if semantic is None else _of_classes(semantic, names, LEADERS)
            masks["lead car"] = lead_car_mask(truth, moving, _tensor(frame.instance), vehicles, camera)
    if semantic is not None:
        masks |= {name: semantic == number for number, name in enumerate(names) if name in classes}
    known = ~truth.isnan()
    masks = {name: mask & known for name, mask in masks.items()}
    return {name: mask for name, mask in masks.items() if mask.sum() >= MIN_PIXELS}


def _of_classes(semantic: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Return the pixels [H, W] bool of a label map that have one of the wanted classes."""
    ids = [number for number, name in enumerate(names) if name in wanted]
    return torch.isin(semantic, torch.tensor(ids, dtype=semantic.dtype))


def lead_car_mask(truth: Tensor, moving: Tensor, instance: Tensor, vehicles: Tensor | None, camera: Camera) -> Tensor:
    """Return the pixels of the lead car, [H, W] bool. It is empty if nothing drives ahead.

    The lead car is the nearest moving car, truck or bus whose median point is less than half a lane beside the camera.

    Args:
        truth: ground truth [H, W], metres, NaN where unknown.
        moving: pixels of moving objects, [H, W] bool.
        instance: numbers of countable objects, [H, W], 0 elsewhere.
        vehicles: pixels of cars, trucks and buses, [H, W] bool. With None, every moving object is taken for a car.
        camera: the camera, for images of that size.
    """
    known = moving & ~truth.isnan() & (instance > 0)
    if vehicles is not None:
        known &= vehicles
    columns = torch.arange(truth.shape[-1], dtype=truth.dtype)
    aside = ((columns - camera.cx) / camera.fx * truth).abs()  # [H, W] metres
    ahead = {
        float(truth[pixels].median()): pixels
        for pixels in (known & (instance == number) for number in instance[known].unique())  # type: ignore[no-untyped-call]
        if pixels.sum() >= MIN_PIXELS and aside[pixels].median() < LANE_WIDTH / 2
    }
    return ahead[min(ahead)] if ahead else torch.zeros_like(moving)


def _tensor(file: Readable) -> Tensor:
    """Return the content of a file as a tensor with memory of its own."""
    return torch.from_numpy(file.read().copy())
