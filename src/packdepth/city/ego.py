"""How the camera's own car drives: speed, bends, stops, and the sway of its body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packdepth.city.road import Road

RATE = 10.0  # frames a second
LATERAL = -1.75  # metres: the middle of the right lane
CAMERA_HEIGHT = 1.5  # metres
SPEEDS = (3.0, 15.0)  # metres a second
BRAKE, ACCELERATE, SIDEWAYS = 2.2, 1.5, 2.2  # metres a second squared
STOP_BEFORE = 12.5  # metres from the middle of a crossing to the camera of a car that waits
LOOK_AHEAD = 60.0  # metres
R_BODY_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # the body's axes: ahead, left, up


@dataclass(frozen=True)
class Stop:
    """A wait at a crossing."""

    crossing: float  # metres along the road
    start: float  # seconds
    end: float


class Ego:
    """A drive along the road, of any length; a longer one begins the same.

    Args:
        road: the road.
        rng: where its habits come from.
        start: metres along the road.
        frames: how many.
        stop_share: chance of a wait at each crossing.
        speeds: metres a second, between which the driver's wish varies.
    """

    def __init__(
        self,
        road: Road,
        rng: np.random.Generator,
        start: float,
        frames: int,
        stop_share: float = 0.3,
        speeds: tuple[float, float] = SPEEDS,
    ) -> None:
        self.road = road
        self.sway = [
            [(rng.uniform(0.3, 1.6), rng.uniform(0, 6.28), amplitude * rng.uniform(0.3, 1.0)) for _ in range(3)]
            for amplitude in (0.0015, 0.0013, 0.006)  # radians of pitch, radians of roll, metres of height
        ]
        self.stops: list[Stop] = []
        self._drive(rng, start, frames, stop_share, speeds)

    def _drive(
        self, rng: np.random.Generator, start: float, frames: int, stop_share: float, speeds: tuple[float, float]
    ) -> None:
        wish, wish_until = rng.uniform(*speeds), rng.uniform(4, 10)
        s, v, time = start, min(wish, self._bend_limit(start)), 0.0
        crossing = self.road.crossing_after(start + STOP_BEFORE)
        stops_here, wait = rng.random() < stop_share, rng.uniform(2, 5)
        places, pace = [s], [v]
        waiting_since: float | None = None
        while len(places) < frames:
            if time > wish_until:
                wish, wish_until = rng.uniform(*speeds), time + rng.uniform(4, 10)
            target = min(wish, self._bend_limit(s))
            if crossing is not None:
                gap = crossing - STOP_BEFORE - s
                if stops_here and gap > -0.5:
                    target = min(target, np.sqrt(2 * 1.6 * max(gap - 0.3, 0.0)))
                if stops_here and v < 0.05 and gap < 1.0 and waiting_since is None:
                    waiting_since = time
                if waiting_since is not None and time - waiting_since > wait:
                    self.stops.append(Stop(crossing, waiting_since, time))
                    stops_here, waiting_since = False, None
                if gap < -2:
                    crossing = self.road.crossing_after(s + STOP_BEFORE)
                    stops_here, wait = rng.random() < stop_share, rng.uniform(2, 5)
            following = v + float(np.clip(target - v, -BRAKE / RATE * 1.5, ACCELERATE / RATE))
            if waiting_since is not None or (following < 0.15 and target < 0.15):
                following = 0.0
            s += (v + following) / 2 / RATE
            v = following
            time += 1 / RATE
            places.append(s)
            pace.append(v)
        if waiting_since is not None and crossing is not None:
            self.stops.append(Stop(crossing, waiting_since, waiting_since + wait))
        self.places, self.pace = np.array(places), np.array(pace)  # [T] metres, metres a second, along the center line

    def _bend_limit(self, s: float) -> float:
        """Metres a second that the bends ahead allow."""
        ahead = np.arange(0.0, LOOK_AHEAD, 4.0)
        bends = np.array([abs(self.road.bend(s + d)) for d in ahead])
        return float(np.sqrt(SIDEWAYS / np.maximum(bends, 1e-3) + 2 * 1.2 * ahead).min())

    def progress(self, time: float) -> float:
        """Metres along the road."""
        return float(np.interp(time * RATE, np.arange(len(self.places)), self.places))

    def speed(self, frame: int) -> float:
        """Metres a second of the camera, which in a bend is not on the center line."""
        return float(self.pace[frame] * (1 - LATERAL * self.road.bend(self.places[frame])))

    def pose(self, frame: int, yaw: float = 0.0) -> np.ndarray:
        """T_world_camera [4, 4] of a camera that looks `yaw` radians to the left of straight ahead."""
        time = frame / RATE
        pitch, roll, bounce = (sum(a * np.sin(6.2832 * f * time + p) for f, p, a in waves) for waves in self.sway)
        x, y, heading = self.road.at(self.places[frame], LATERAL)
        T = np.eye(4)
        T[:3, :3] = _turn(2, heading) @ _turn(1, pitch) @ _turn(0, roll) @ _turn(2, yaw) @ R_BODY_CAMERA
        T[:3, 3] = x, y, CAMERA_HEIGHT + bounce
        return T


def _turn(axis: int, angle: float) -> np.ndarray:
    """Rotation [3, 3] about a world axis."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R = np.eye(3)
    R[a, a] = R[b, b] = np.cos(angle)
    R[a, b], R[b, a] = -np.sin(angle), np.sin(angle)
    return R
