"""Times of day: where the sun stands, how bright it is, and what the sky looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a drive; colors are linear."""

    sun: np.ndarray  # [3] unit, towards the sun
    sun_color: np.ndarray  # [3]
    ambient: np.ndarray  # [3], from straight above
    zenith: np.ndarray  # [3], the sky's color overhead
    horizon: np.ndarray  # [3]
    clouds: np.ndarray  # [W, 3] waves that make up the clouds: two frequencies and a phase

    def sky(self, directions: np.ndarray) -> np.ndarray:
        """Colors [N, 3] of the sky in unit directions [N, 3]."""
        up = directions[:, 2].clip(0.0, 1.0)
        color = self.horizon + (self.zenith - self.horizon) * np.sqrt(up)[:, None]
        plane = directions[:, :2] / (up + 0.12)[:, None]  # a layer of clouds far above
        wave = np.sin(plane @ self.clouds[:, :2].T + self.clouds[:, 2]).sum(-1) / np.sqrt(len(self.clouds))
        cover = (0.5 * wave * np.minimum(up * 6, 1)).clip(0, 0.6)[:, None]
        return np.asarray(color + cover * (np.array([0.95, 0.95, 0.97]) - color))


TIMES = {  # elevation in radians, sun, ambient, zenith, horizon
    "morning": ((0.35, 0.6), (1.9, 1.55, 1.15), (0.50, 0.56, 0.70), (0.20, 0.38, 0.70), (0.75, 0.72, 0.66)),
    "noon": ((0.8, 1.1), (1.7, 1.62, 1.5), (0.62, 0.68, 0.78), (0.14, 0.32, 0.72), (0.62, 0.74, 0.88)),
    "evening": ((0.28, 0.45), (2.0, 1.35, 0.80), (0.46, 0.48, 0.62), (0.22, 0.32, 0.58), (0.90, 0.66, 0.46)),
    "overcast": ((0.7, 1.0), (0.45, 0.45, 0.46), (1.05, 1.07, 1.10), (0.62, 0.65, 0.68), (0.80, 0.81, 0.82)),
}


def light(rng: np.random.Generator) -> Light:
    """A time of day drawn at random."""
    (low, high), sun, ambient, zenith, horizon = TIMES[str(rng.choice(list(TIMES)))]
    elevation, azimuth = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
    towards = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    scales = rng.uniform(0.8, 5.0, (10, 1)) * rng.choice([-1.0, 1.0], (10, 2)) * rng.uniform(0.4, 1.0, (10, 2))
    clouds = np.concatenate([scales, rng.uniform(0, 6.28, (10, 1))], axis=1)
    return Light(np.array(towards), np.array(sun), np.array(ambient), np.array(zenith), np.array(horizon), clouds)
