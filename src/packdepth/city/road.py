"""The center line of the street that a drive follows: straight stretches and curves, with crossings.

The numbers are chosen by eye.
"""

from __future__ import annotations

import bisect

import numpy as np

from packdepth.city.style import Style

STEP = 0.5  # metres between the points of the line
MAX_HEADING = 0.7  # radians from the world's x axis, so that the street never meets itself
STRAIGHT = 16.0  # metres without a curve on each side of a crossing
EASE = 12.0  # metres of a curve's transition, in which its curvature rises from 0
CROSSING_SHARE = 0.75  # of the blocks end in a crossing
STRAIGHT_SHARE = 0.15  # of the blocks have no curve
TURN_BACK = 0.35  # radians: from this heading on, a curve turns back toward the x axis


class Road:
    """The center line of a street and its crossings. It is made block by block: a longer road begins the same.

    Args:
        style: the style, which gives lengths of blocks, and radii and angles of curves.
        rng: source of random numbers.
        length: smallest length of the road, in metres.
    """

    def __init__(self, style: Style, rng: np.random.Generator, length: float) -> None:
        self.crossings: list[float] = []  # metres along the line
        curvature: list[np.ndarray] = []
        heading, s = 0.0, 0.0
        while s < length:
            block = _block(style, rng, heading)
            curvature.append(block)
            heading += float(block.sum() * STEP)
            s += len(block) * STEP
            if rng.random() < CROSSING_SHARE:
                self.crossings.append(s)
        self.curvature = np.concatenate(curvature)  # [N] 1/metres, at every STEP; positive to the left
        self.headings = np.concatenate([[0.0], np.cumsum(self.curvature * STEP)])
        middle = (self.headings[:-1] + self.headings[1:]) / 2
        steps = STEP * np.stack([np.cos(middle), np.sin(middle)], axis=-1)
        self.points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])  # [N + 1, 2] metres

    def at(self, s: float, lateral: float = 0.0) -> tuple[float, float, float]:
        """Return world x and y in metres, and the heading in radians, of a place.

        Args:
            s: metres along the line.
            lateral: metres to the left of the line.
        """
        x, y, heading = self.along(np.array([s]), np.array([lateral]))
        return float(x[0]), float(y[0]), float(heading[0])

    def along(self, s: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return world x, y and heading of many places, [N] each. Beyond its ends the line continues straight.

        Args:
            s: [N] metres along the line.
            lateral: [N] metres to the left of the line.
        """
        grid = np.clip(s / STEP, 0, len(self.points) - 1)
        index = np.minimum(grid.astype(int), len(self.points) - 2)
        share = grid - index
        heading = self.headings[index] * (1 - share) + self.headings[index + 1] * share
        beyond = s - grid * STEP
        point = self.points[index] * (1 - share)[:, None] + self.points[index + 1] * share[:, None]
        x = point[:, 0] + beyond * np.cos(heading) - lateral * np.sin(heading)
        y = point[:, 1] + beyond * np.sin(heading) + lateral * np.cos(heading)
        return x, y, heading

    def bend(self, s: float) -> float:
        """Return the curvature at a place, in 1/metres; positive to the left.

        Args:
            s: metres along the line.
        """
        return float(self.curvature[min(max(int(s / STEP), 0), len(self.curvature) - 1)])

    def crossing_after(self, s: float) -> float | None:
        """Return the next crossing after a place, in metres along the line, or None if there is none.

        Args:
            s: metres along the line.
        """
        index = bisect.bisect_right(self.crossings, s)
        return self.crossings[index] if index < len(self.crossings) else None

    def crossings_between(self, start: float, end: float) -> list[float]:
        """Return the crossings in [start, end), in metres along the line.

        Args:
            start: metres along the line.
            end: metres along the line.
        """
        return self.crossings[bisect.bisect_left(self.crossings, start) : bisect.bisect_left(self.crossings, end)]

    def distance(self, points: np.ndarray, s: float, reach: float = 90.0) -> float:
        """Return the distance between the line near a place and the nearest of some points, in metres.

        Args:
            points: [N, 2] world x and y, metres.
            s: the place, in metres along the line.
            reach: length of the line before and after the place that is searched, in metres.
        """
        first, last = max(int((s - reach) / STEP), 0), int((s + reach) / STEP)
        line = self.points[first:last:2]
        return float(np.linalg.norm(points[:, None] - line[None], axis=-1).min())


def _block(style: Style, rng: np.random.Generator, heading: float) -> np.ndarray:
    """Draw the curvature along a block: straight, a curve in most blocks, straight."""
    length = rng.uniform(*style.block)
    straight = np.zeros(int(STRAIGHT / STEP))
    if rng.random() < STRAIGHT_SHARE:
        return np.zeros(int(length / STEP))
    side = -np.sign(heading) if abs(heading) > TURN_BACK else rng.choice([-1.0, 1.0])
    angle = side * rng.uniform(*style.turn)
    angle = float(np.clip(heading + angle, -MAX_HEADING, MAX_HEADING) - heading)
    peak = 1 / rng.uniform(*style.radius)
    plateau = abs(angle) / peak - EASE  # metres at full curvature; the two ramps turn by peak * EASE together
    if plateau < 0:
        peak, plateau = abs(angle) / EASE, 0.0
    ramp = (np.arange(int(EASE / STEP)) + 0.5) / int(EASE / STEP)
    curve = peak * np.concatenate([ramp, np.ones(int(plateau / STEP)), ramp[::-1]])
    rest = np.zeros(max(int(length / STEP) - len(curve) - 2 * len(straight), 0))
    return np.concatenate([straight, np.sign(angle) * curve, rest, straight])
