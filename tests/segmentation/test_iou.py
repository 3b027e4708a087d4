"""Intersection over union of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from packdepth.networks.semantic_network import SemanticNetwork, Semantics
from packdepth.segmentation.dataset import labeled_frames
from packdepth.segmentation.iou import class_iou, confusion, evaluate_network, mean_iou
from packdepth.sources.camvid import CLASSES, CamVid


def test_intersection_over_union() -> None:
    truth = torch.tensor([0, 0, 0, 1, 1, 255])
    predicted = torch.tensor([0, 0, 1, 1, 2, 0])
    iou = class_iou(confusion(predicted, truth, 3), ("a", "b", "c"))
    assert iou == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}
    assert mean_iou(iou) == pytest.approx(0.5)


class Everywhere(SemanticNetwork):
    """A network that predicts one class at every pixel."""

    def __init__(self, classes: tuple[str, ...], predicted: int) -> None:
        super().__init__()
        self.classes, self.predicted = classes, predicted

    def forward(self, image: Tensor) -> Semantics:
        logits = torch.zeros(len(image), len(self.classes), 2, 2)
        logits[:, self.predicted] = 1
        return Semantics((), logits)


def test_one_class_everywhere_has_the_iou_of_its_share(camvid: Path) -> None:
    source = CamVid(kind="camvid", root=camvid, parts=("val",))
    frames = labeled_frames([source])
    ids = np.stack([frame.semantic.read() for _, frame in frames if frame.semantic is not None])
    road = CLASSES.index("road")
    network = Everywhere(CLASSES, predicted=road)
    iou = evaluate_network(network, frames, (32, 32), torch.device("cpu"))
    share = (ids == road).sum() / (ids < len(CLASSES)).sum()  # pixels without a class do not count
    assert iou == {"sky": 0, "road": pytest.approx(share)}
