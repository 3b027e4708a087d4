"""Measurements of a clip's images, made on frames that are spread over the whole clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from packdepth.channels import channel_max, channel_mean, channel_min
from packdepth.data.filters import STATIC_MOTION, is_static
from packdepth.data.optical_flow import MAX_WIDTH, Flow, mean_motion, optical_flow, pooled, small_gray
from packdepth.errors import InputError
from packdepth.inspection.picture import Bars, black_bars, common_bars, lost_rows
from packdepth.inspection.static_region import static_region
from packdepth.records import Clip

MAX_FRAMES = 160  # frames of a clip that are measured: some seconds of work, and shares are known to 0.6 %
DARK, BRIGHT = 5, 250  # gray levels of 255: clipped pixels, with a margin of 5 levels for JPEG's noise; chosen by eye
SURELY_MOVING = 2 * STATIC_MOTION  # of the width: static regions are sought in frames that move by this; a safe factor
BRIGHTNESS_OFFSET = 1e-3  # gray in [0, 1], a quarter of a level: keeps the ratio of two black images at one
EXPOSURE = 0.1  # change of the brightness above which it is undone before two frames are compared
LABELS, MAX_LABELS = ("semantic", "instance", "moving"), 3  # maps that no finding needs; of each, some are read
MIN_SIDE = 6  # pixels of the small images of optical flow, and of the pixels of `sharpness`
MIN_DETAIL = 1e-6  # gray levels: keeps the sharpness of a blank image finite


@dataclass(frozen=True, eq=False)
class Survey:
    """Measurements of N frames of a clip, each with its successor in time."""

    clip: Clip  # measured clip
    indices: np.ndarray  # [N] int, indices of the measured frames in the clip
    motion: np.ndarray  # [N] mean optical flow to the next frame as a share of the width; NaN where it is unknown
    static_frames: np.ndarray  # [N] bool, whether the camera stands, or the next frame is a copy (see `is_static`)
    sharpness: np.ndarray  # [N] fine detail over coarse detail (see `sharpness`)
    brightness: np.ndarray  # [N] mean gray in [0, 1]
    change: np.ndarray  # [N] brightness of the next frame over brightness of this one
    clipped: np.ndarray  # [N] share of pixels that are black or white
    static_region: np.ndarray  # [h, w] bool, at the size that optical flow is computed on
    followed: np.ndarray  # [N] share of the points whose motion to the next frame was found, whatever the exposure
    lost_rows: np.ndarray  # [N] share of the rows at the bottom that repeat one color
    bars: Bars  # black bars, in pixels

    @property
    def typical_motion(self) -> float:
        """Median motion to the next frame while the camera moves, as a share of the width; NaN if it never moves."""
        moving = self.motion[np.isfinite(self.motion) & ~self.static_frames]
        return float(np.median(moving)) if len(moving) else float("nan")


def survey(clip: Clip, most: int = MAX_FRAMES) -> Survey:
    """Measure some frames of a clip, evenly spread.

    Args:
        clip: the clip to measure. Raises InputError for an image or a label map that cannot be read.
        most: the greatest number of frames.
    """
    for field in LABELS:
        labels = [label for frame in clip.frames if (label := getattr(frame, field)) is not None]
        for index in spread_indices(max(len(labels), 1), MAX_LABELS)[: len(labels)]:
            labels[index].read()
    count = len(clip.frames) if clip.independent else len(clip.frames) - 1
    indices = spread_indices(max(count, 1), most)
    _check_size(clip)
    rows, grays, bars = [], [], []
    for index in indices:
        image = clip.frames[index].image.read()
        gray = small_gray(image)
        following = gray if count == 0 or clip.independent else small_gray(clip.frames[index + 1].image.read())
        flow = None if following is gray else optical_flow(gray, following)
        motion = float("nan") if flow is None else mean_motion(flow, gray.shape[1])
        known = {int(index): gray, int(index) + 1: following}
        static = is_static(clip, int(index), motion, partial(_gray, clip, known))
        clipped = ((channel_max(image) <= DARK) | (channel_min(image) >= BRIGHT)).mean()
        change = _brightness_change(gray, following)
        share = 0.0 if flow is None else _share_followed(gray, following, flow)
        rows.append((motion, static, sharpness(image), gray.mean(), change, clipped, share, lost_rows(image)))
        bars.append(black_bars(image))
        grays.append(gray)
    motion, static, sharp, brightness, change, clipped, followed, lost = np.array(rows).T
    stands = static.astype(bool)
    moves = (motion >= SURELY_MOVING) | ((motion < STATIC_MOTION) & ~stands)
    moving = [gray for gray, moved in zip(grays, moves, strict=True) if moved]
    region = static_region(moving) if moving else np.zeros(grays[0].shape, dtype=bool)
    common = common_bars(bars)
    return Survey(clip, indices, motion, stands, sharp, brightness, change, clipped, region, followed, lost, common)


def _gray(clip: Clip, known: Mapping[int, np.ndarray], index: int) -> np.ndarray:
    """Return the small gray image of a frame, which is read if it is not among those that are known by their index."""
    return known[index] if index in known else small_gray(clip.frames[index].image.read())


def share_followed(clip: Clip, index: int) -> float:
    """Return the share of the points whose motion from a frame to the next is found, whatever the exposure.

    Args:
        clip: consecutive frames.
        index: index of the first frame. Raises InputError for an image that cannot be read.
    """
    gray, following = (small_gray(frame.image.read()) for frame in clip.frames[index : index + 2])
    return _share_followed(gray, following, optical_flow(gray, following))


def _share_followed(gray: np.ndarray, following: np.ndarray, flow: Flow) -> float:
    """Return the share of the points that are followed from a gray image [H, W] to the next one.

    Flow is the one between the two as they are; where the exposure changes, it is computed again without the change.
    """
    change = _brightness_change(gray, following)
    if abs(change - 1) > EXPOSURE:
        flow = optical_flow(gray, following / change)
    return float(flow.found.mean())


def _brightness_change(gray: np.ndarray, following: np.ndarray) -> float:
    """Return the brightness of the second of two gray images over that of the first."""
    return float((following.mean() + BRIGHTNESS_OFFSET) / (gray.mean() + BRIGHTNESS_OFFSET))


def _check_size(clip: Clip) -> None:
    """Raise InputError for images that show no motion, as they are a few pixels high or wide."""
    height, width = clip.camera.height, clip.camera.width
    factor = -(-width // MAX_WIDTH)
    if min(height, width) // factor < MIN_SIDE:
        raise InputError(
            f"{clip.path}: its images have {width}x{height} pixels, and measurements of their motion need more than "
            f"{factor * MIN_SIDE - 1} each way; give the images as they were recorded"
        )


def spread_indices(count: int, most: int) -> np.ndarray:
    """Return the indices of up to `most` of `count` items, evenly spread: [N] int.

    Args:
        count: number of items, at least one.
        most: the greatest number of indices.

    >>> spread_indices(9, 3).tolist(), spread_indices(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def sharpness(image: np.ndarray) -> float:
    """Return the mean Laplacian of an image at full resolution over that at half resolution.

    Images of KITTI, KITTI-360 and DDAD have 0.43 to 0.61. A Gaussian blur with a standard deviation of two pixels
    brings them to 0.3 to 0.4.

    Args:
        image: [H, W, 3] uint8, RGB, at least 6 pixels high and wide.

    >>> noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    >>> sharpness(noise) > sharpness(noise.repeat(2, 0).repeat(2, 1))
    True
    """
    gray = channel_mean(image)
    return float(_detail(gray) / max(_detail(pooled(gray, 2)), MIN_DETAIL))


def _detail(gray: np.ndarray) -> float:
    """Return the mean absolute Laplacian of a gray image [H, W]."""
    middle = 4 * gray[1:-1, 1:-1]
    around = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float(np.abs(middle - around).mean())
