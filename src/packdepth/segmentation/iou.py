"""Intersection over union (IoU) of predicted and true classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.geometry.resize import resize_image
from packdepth.networks.semantic_network import SemanticNetwork
from packdepth.records import Clip, Frame
from packdepth.segmentation.dataset import read_labeled


def confusion(predicted: Tensor, ground_truth: Tensor, classes: int) -> Tensor:
    """Count how many pixels of each true class (row) were predicted as each class (column): [K, K] int64.

    Args:
        predicted: class ids of any shape, all below `classes`.
        ground_truth: class ids of the same shape; pixels with other ids are ignored.
        classes: number of classes K.

    >>> confusion(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 255]), 2)
    tensor([[1, 1],
            [0, 1]])
    """
    known = ground_truth < classes
    pairs = ground_truth[known] * classes + predicted[known]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def class_iou(matrix: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Return the intersection over union, TP / (TP + FP + FN), of each class that occurs in the ground truth.

    Args:
        matrix: [K, K], see `confusion`.
        names: names of the K classes.

    >>> class_iou(torch.tensor([[1, 1], [0, 1]]), ("road", "sky"))
    {'road': 0.5, 'sky': 0.5}
    """
    hits = matrix.diagonal()
    union = matrix.sum(0) + matrix.sum(1) - hits
    return {name: float(hits[i] / union[i]) for i, name in enumerate(names) if matrix[i].sum() > 0}


def mean_iou(iou: dict[str, float]) -> float:
    """Return the mean over classes (mIoU), in which each class has the same weight.

    Args:
        iou: intersection over union of each class, at least of one.

    >>> mean_iou({"road": 0.75, "sky": 0.25})
    0.5
    """
    return sum(iou.values()) / len(iou)


@torch.inference_mode()
def evaluate_network(
    network: SemanticNetwork,
    frames: Sequence[tuple[Clip, Frame]],
    image_size: tuple[int, int],
    device: torch.device,
) -> dict[str, float]:
    """Return the IoU of each class that occurs, over all pixels of the frames together, at the label maps' resolution.

    The network is left in evaluation mode.

    Args:
        network: the segmentation network.
        frames: frames with label maps.
        image_size: height and width of the network's input, pixels.
        device: the device of the network.
    """
    network.eval()
    classes = len(network.classes)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for _, frame in frames:
        image, ground_truth = read_labeled(frame, classes)
        logits = network(resize_image(image[None].to(device), *image_size)).logits
        predicted = F.interpolate(logits, ground_truth.shape, mode="bilinear", align_corners=False)[0].argmax(0)
        matrix += confusion(predicted.cpu(), ground_truth, classes)
    return class_iou(matrix, network.classes)
