"""Content of images beside the scene: black bars, rows that were lost, a second view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packdepth.data.optical_flow import optical_flow, small_gray

BLACK = 24  # gray levels of 255: bars are 16 in videos of limited range, plus the noise of compression
SMOOTH = 12  # gray levels: range of a row or column of a bar, with the ringing of compression at its end
LOST = 3  # gray levels: range of a row that was not decoded, and repeats one color
SAME_BARS = 0.9  # share of the images that have a bar of the same width: a dark sky has none
BAR_TOLERANCE = 2  # pixels by which a bar may differ between images
MIN_BAR = 0.01  # share of the side: a narrower bar is a border that matters to nobody
MIN_LOST = 0.05  # share of the rows: lost blocks have 16 rows
MIN_SIDE = 24  # pixels of a half: optical flow needs two windows
VIEWS = 6  # images that are divided into halves
SECOND_VIEW = 0.6  # share of the points of one half that the other shows (measured: 0.94 of stereo pairs, others 0.19)


class Bars(NamedTuple):
    """Widths of black bars in pixels."""

    top: int  # rows above the picture
    bottom: int  # rows below it
    left: int  # columns to its left
    right: int  # columns to its right


def black_bars(image: np.ndarray) -> Bars:
    """Return the black bars of an image.

    Args:
        image: [H, W, 3] uint8.

    >>> image = np.full((8, 12, 3), 99, dtype=np.uint8)
    >>> image[:2] = 0
    >>> black_bars(image)
    Bars(top=2, bottom=0, left=0, right=0)
    """
    high, low = image.max(-1), image.min(-1)
    sides = []
    for axis in (1, 0):
        black = (high.max(axis) <= BLACK) & (high.max(axis).astype(int) - low.min(axis) <= SMOOTH)
        sides += [_leading(black), _leading(black[::-1])]
    return Bars(*sides) if sides[0] < len(image) else Bars(0, 0, 0, 0)


def common_bars(bars: Sequence[Bars]) -> Bars:
    """Return the bars that nearly all images have alike; 0 for a side without.

    Args:
        bars: the bars of each image.

    >>> common_bars([Bars(24, 24, 0, 0)] * 9 + [Bars(30, 24, 0, 0)])
    Bars(top=24, bottom=24, left=0, right=0)
    """
    widths = np.array(bars)
    usual = np.median(widths, axis=0).astype(int)
    same = (np.abs(widths - usual) <= BAR_TOLERANCE).mean(0) >= SAME_BARS
    return Bars(*(int(width) if alike else 0 for width, alike in zip(usual, same, strict=True)))


def lost_rows(image: np.ndarray) -> float:
    """Return the share of the rows at the bottom that repeat one color: those of an image of which a part is missing.

    Args:
        image: [H, W, 3] uint8.

    >>> image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    >>> image[6:] = 128
    >>> lost_rows(image)
    0.25
    """
    plain = (image.max(1).astype(int) - image.min(1) <= LOST).all(-1)
    return _leading(plain[::-1]) / len(image)


def _leading(values: np.ndarray) -> int:
    """Return how many values [N] are true before the first that is not."""
    return len(values) if values.all() else int(values.argmin())


def two_views(images: Sequence[np.ndarray]) -> str | None:
    """Return which halves of images show the same scene, in words; None if they do not.

    Args:
        images: [H, W, 3] uint8 each.

    >>> two_views([np.zeros((64, 128, 3), dtype=np.uint8)]) is None
    True
    """
    height, width = images[0].shape[0] // 2, images[0].shape[1] // 2
    for words, first, second in (
        ("left and right", np.s_[:, :width], np.s_[:, width : 2 * width]),
        ("upper and lower", np.s_[:height], np.s_[height : 2 * height]),
    ):
        halves = [(small_gray(image[first]), small_gray(image[second])) for image in images]
        if min(halves[0][0].shape) < MIN_SIDE:
            continue
        shared = [optical_flow(a, b).found.sum() / max(int(optical_flow(a, a).found.sum()), 1) for a, b in halves]
        if float(np.median(shared)) > SECOND_VIEW:
            return words
    return None
