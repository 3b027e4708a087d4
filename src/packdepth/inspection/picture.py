"""Content of images beside the scene: black bars, rows that were lost, a second view, what no pinhole camera makes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from packdepth.channels import channel_max, channel_mean, channel_min
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
SAME_ROW = 0.03  # of the height: points of two views differ by no more in their vertical motion; chosen
ALTERNATING = 1.1  # of differences to the next pixel over those to the one after it (measured: 0.55 to 0.70, noise: 1)
COMBED = 0.85  # of the same, down: only a part of the image moves, and alternates
COMBED_MORE = 1.3  # times as much as across (measured: 0.96 to 1.03)
CORNER = 0.02  # share of the width and of the height: side of the corners that are looked at; chosen
PANORAMA = 2.0  # width over height of a panorama of all directions
SEAM = 2.0  # times the usual difference of neighboring columns: more between two borders, and the scene ends there
APART = 2.5  # times the difference of the borders that columns half an image apart must have: blank ones tell nothing


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
    high, low = channel_max(image), channel_min(image)
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
    plain = takewhile(lambda row: np.ptp(row, axis=0).max() <= LOST, image[::-1])
    return sum(1 for _ in plain) / len(image)


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
        if float(np.median([_shared(a, b) for a, b in halves])) > SECOND_VIEW:
            return words
    return None


def _shared(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of the points of a gray image that another one shows, all about as much higher or lower.

    Two cameras side by side see a point in the same row, or in rows that differ by as much for all points. What
    matches by chance, as noise does, lies anywhere.
    """
    flow = optical_flow(first, second)
    down = flow.vectors[flow.found, 1]
    if not len(down):
        return 0.0
    together = np.abs(down - np.median(down)) <= SAME_ROW * len(first)
    return float(together.sum()) / max(int(optical_flow(first, first).found.sum()), 1)


def alternation(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the mean difference between neighboring pixels over that of pixels two apart, across and down.

    Images of scenes have less than one. Combs of interlacing have more, down; mosaics of color filters, both ways.

    Args:
        images: [H, W, 3] uint8 each, at least 3 pixels high and wide.

    Returns:
        Medians over the images.

    >>> alternation([np.tile(np.uint8([0, 200]), (4, 4))[..., None].repeat(3, -1)])[0] > 100
    True
    """
    ratios = []
    for image in images:
        gray = image[..., 1].astype(np.float32)
        for axis in (1, 0):
            near, far = (np.abs(_shifted(gray, step, axis)).mean() for step in (1, 2))
            ratios.append(float((near + 1e-3) / (far + 1e-3)))
    return float(np.median(ratios[::2])), float(np.median(ratios[1::2]))


def _shifted(gray: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Return the differences of a gray image [H, W] to itself, moved by some pixels."""
    length = gray.shape[axis]
    difference: np.ndarray = np.take(gray, range(step, length), axis) - np.take(gray, range(length - step), axis)
    return difference


def is_panorama(images: Sequence[np.ndarray]) -> bool:
    """Return whether images are panoramas of all directions: twice as wide as high, and continued across the border.

    Args:
        images: [H, W, 3] uint8 each.

    >>> is_panorama([np.zeros((8, 16, 3), dtype=np.uint8)])
    False
    """
    height, width = images[0].shape[:2]
    if width != PANORAMA * height:
        return False
    seams, steps, apart = [], [], []
    for image in images:
        columns = channel_mean(image)
        seams.append(np.abs(columns[:, 0] - columns[:, -1]).mean())
        steps.append(np.median(np.abs(np.diff(columns, axis=1)).mean(0)))
        apart.append(np.abs(columns - np.roll(columns, width // 2, axis=1)).mean())
    seam, step, far = (float(np.median(values)) for values in (seams, steps, apart))
    return seam <= SEAM * step and far > APART * max(seam, step / 2)


def has_black_corners(images: Sequence[np.ndarray]) -> bool:
    """Return whether all corners of images are black, but not their borders.

    Args:
        images: [H, W, 3] uint8 each.

    >>> has_black_corners([np.zeros((50, 100, 3), dtype=np.uint8)])
    False
    """
    height, width = images[0].shape[:2]
    rows, columns = max(round(CORNER * height), 2), max(round(CORNER * width), 2)
    brightest = np.max([channel_max(image) for image in images], axis=0)  # what no image lights up
    corners = [brightest[v, u] for v in (np.s_[:rows], np.s_[-rows:]) for u in (np.s_[:columns], np.s_[-columns:])]
    middles = [brightest[rows : -rows or None, width // 2 - columns : width // 2 + columns]]
    borders = [brightest[:rows, width // 3 : -(width // 3)], brightest[-rows:, width // 3 : -(width // 3)]]
    sides = [brightest[height // 3 : -(height // 3), :columns], brightest[height // 3 : -(height // 3), -columns:]]
    lit = [*middles, *(borders if height <= width else sides)]
    return all(corner.max() <= BLACK for corner in corners) and all(part.max() > BLACK for part in lit)
