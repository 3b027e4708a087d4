"""The ground truth of frames under a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from packdepth.data.beams import other_depth
from packdepth.data.dataset import measured_depth
from packdepth.errors import InputError
from packdepth.evaluation.metrics import valid_truth
from packdepth.evaluation.protocol import Protocol
from packdepth.records import Clip, Frame


class Stack(NamedTuple):
    """The ground truth of images of one size."""

    names: list[tuple[str, str]]  # clip and frame of each of N images
    truth: Tensor  # [N, H, W] metres, NaN where it is invalid


def has_ground_truth(frame: Frame) -> bool:
    """Return whether a frame of a protocol's clips carries ground truth.

    Args:
        frame: a frame of `Protocol.clips`.
    """
    return frame.depth is not None or frame.lidar is not None


def ground_truth(protocol: Protocol, clip: Clip, frame: Frame) -> Tensor:
    """Return the ground truth of a frame, [1, 1, H, W] metres, NaN where it is invalid.

    Args:
        protocol: the protocol, which decides what is valid.
        clip: a clip of `Protocol.clips`.
        frame: a frame of that clip with ground truth.
    """
    camera = clip.camera
    if protocol.projection == "monodepth2":
        clip = replace(clip, camera=camera.cropped(1, 1, camera.height, camera.width))
    measured = measured_depth(clip, frame) if protocol.left_out is None else other_depth(clip, frame, protocol.left_out)
    depth = measured[None]
    valid = valid_truth(depth, protocol.min_depth, protocol.cap, protocol.crop)
    return torch.where(valid, depth, torch.nan)


def has_valid_pixels(truth: Tensor) -> bool:
    """Return whether any pixel of an image's ground truth is valid.

    Args:
        truth: ground truth of any shape, NaN where it is invalid.
    """
    return not bool(truth.isnan().all())


def stacked_ground_truth(protocol: Protocol, clips: Sequence[Clip]) -> list[Stack]:
    """Return the ground truth of the images from which baselines are computed, stacked by image size.

    Each stack holds two images or more: baselines compare images of one size. The images are all those with valid
    ground truth, or `Protocol.baseline_images` of them, evenly spread.

    Args:
        protocol: the protocol.
        clips: clips of `Protocol.clips`.

    Raises InputError if a protocol whose images are fixed has fewer than two with valid pixels.
    """
    frames = [(clip, frame) for clip in clips for frame in clip.frames if has_ground_truth(frame)]
    if protocol.baseline_images is not None and len(frames) > protocol.baseline_images:
        frames = [frames[i * len(frames) // protocol.baseline_images] for i in range(protocol.baseline_images)]
    stacks: dict[tuple[int, int], list[tuple[tuple[str, str], Tensor]]] = {}
    for clip, frame in frames:
        truth = ground_truth(protocol, clip, frame)[0]
        stacks.setdefault((truth.shape[-2], truth.shape[-1]), []).append(((clip.name, frame.name), truth))
    found = [
        Stack([name for name, _ in stack], torch.cat([truth for _, truth in stack]))
        for stack in stacks.values()
        if sum(has_valid_pixels(truth) for _, truth in stack) > 1
    ]
    if not found and protocol.images is not None:
        raise InputError(
            f"{clips[0].path}: hardly any measured depth is valid under {protocol.name}; copy the data again"
        )
    return found
