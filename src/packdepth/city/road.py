"""The street that a drive follows: a line of straight stretches and curves, with crossings."""

from __future__ import annotations

import bisect

import numpy as np

from packdepth.city.style import Style

STEP = 0.5  # metres between the points of the line
MAX_HEADING = 0.7  # radians from the world's x axis: the street never meets itself
STRAIGHT = 16.0  # metres on each side of a crossing
EASE = 12.0  # metres in which a curve sets in


class Road:
    """The center line, and where crossings are. It is made block by block, so that a longer one begins the same.

    Args:
        style: lengths of blocks, radii and angles of curves.
        rng: where the layout comes from.
        length: metres that are needed.
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
            if rng.random() < 0.75:
                self.crossings.append(s)
        self.curvature = np.concatenate(curvature)  # [N] 1/metres, at every STEP; positive to the left
        self.headings = np.concatenate([[0.0], np.cumsum(self.curvature * STEP)])
        middle = (self.headings[:-1] + self.headings[1:]) / 2
        steps = STEP * np.stack([np.cos(middle), np.sin(middle)], axis=-1)
        self.points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])  # [N + 1, 2] metres

    def at(self, s: float, lateral: float = 0.0) -> tuple[float, float, float]:
        """World x, y in metres and heading in radians at `s` metres along the line, `lateral` metres to its left."""
        x, y, heading = self.along(np.array([s]), np.array([lateral]))
        return float(x[0]), float(y[0]), float(heading[0])

    def along(self, s: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World x, y and heading of many places at once; beyond its ends the line goes straight on."""
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
        """Curvature at `s`, 1/metres."""
        return float(self.curvature[min(max(int(s / STEP), 0), len(self.curvature) - 1)])

    def crossing_after(self, s: float) -> float | None:
        """The first crossing beyond `s`."""
        index = bisect.bisect_right(self.crossings, s)
        return self.crossings[index] if index < len(self.crossings) else None

    def crossings_between(self, start: float, end: float) -> list[float]:
        """Crossings in [start, end)."""
        return self.crossings[bisect.bisect_left(self.crossings, start) : bisect.bisect_left(self.crossings, end)]

    def distance(self, points: np.ndarray, s: float, reach: float = 90.0) -> float:
        """Metres from the nearest of the points [N, 2] to the line within `reach` of `s`."""
        first, last = max(int((s - reach) / STEP), 0), int((s + reach) / STEP)
        line = self.points[first:last:2]
        return float(np.linalg.norm(points[:, None] - line[None], axis=-1).min())


def _block(style: Style, rng: np.random.Generator, heading: float) -> np.ndarray:
    """Curvature along a block: straight, perhaps a curve, straight."""
    length = rng.uniform(*style.block)
    straight = np.zeros(int(STRAIGHT / STEP))
    if rng.random() < 0.15:
        return np.zeros(int(length / STEP))
    side = -np.sign(heading) if abs(heading) > 0.35 else rng.choice([-1.0, 1.0])
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
