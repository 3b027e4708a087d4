"""The motion of the camera's own car: speed, curves, stops, and the sway of its body.

The numbers are chosen by eye, so that the drive looks like that of a calm driver.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packdepth.city.road import Road

RATE = 10.0  # frames per second
LATERAL = -1.75  # metres to the left of the center line: the middle of the right lane
CAMERA_HEIGHT = 1.5  # metres above the road
SPEEDS = (3.0, 15.0)  # metres per second: the range of the speed that the driver wants
BRAKE, ACCELERATE, SIDEWAYS = 2.2, 1.5, 2.2  # metres per second squared: the largest accelerations
HARD_BRAKE = 1.5  # times BRAKE: allowed when the driver did not brake early enough
STOP_BRAKE = 1.6  # metres per second squared: the driver brakes this hard for a stop
BEND_BRAKE = 1.2  # metres per second squared: the driver brakes this hard for a curve
STOP_BEFORE = 12.5  # metres from the middle of a crossing to the camera of a car that waits
LOOK_AHEAD = 60.0  # metres of the road ahead whose curves limit the speed
LOOK_STEP = 4.0  # metres between the places ahead whose curvature is used
MIN_BEND = 1e-3  # 1/metres: lower bound of a curvature, a divisor
R_BODY_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # axes of the body: ahead, left, up


@dataclass(frozen=True)
class Stop:
    """A stop at a crossing."""

    crossing: float  # metres along the road
    start: float  # seconds since the drive began
    end: float  # seconds since the drive began


class Ego:
    """The motion of the camera's car along the road. A longer drive begins the same.

    Args:
        road: the road.
        rng: source of random numbers.
        start: first place, in metres along the road.
        frames: number of frames.
        stop_share: probability of a stop at each crossing.
        speeds: range of the speed that the driver wants, in metres per second.

    Attributes:
        stops: the stops at crossings.
        places: [T] place at each frame, in metres along the center line.
        pace: [T] speed at each frame along the center line, in metres per second.
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
                    target = min(target, np.sqrt(2 * STOP_BRAKE * max(gap - 0.3, 0.0)))
                if stops_here and v < 0.05 and gap < 1.0 and waiting_since is None:
                    waiting_since = time
                if waiting_since is not None and time - waiting_since > wait:
                    self.stops.append(Stop(crossing, waiting_since, time))
                    stops_here, waiting_since = False, None
                if gap < -2:
                    crossing = self.road.crossing_after(s + STOP_BEFORE)
                    stops_here, wait = rng.random() < stop_share, rng.uniform(2, 5)
            following = v + float(np.clip(target - v, -BRAKE / RATE * HARD_BRAKE, ACCELERATE / RATE))
            if waiting_since is not None or (following < 0.15 and target < 0.15):
                following = 0.0
            s += (v + following) / 2 / RATE
            v = following
            time += 1 / RATE
            places.append(s)
            pace.append(v)
        if waiting_since is not None and crossing is not None:
            self.stops.append(Stop(crossing, waiting_since, waiting_since + wait))
        self.places, self.pace = np.array(places), np.array(pace)

    def _bend_limit(self, s: float) -> float:
        """Return the speed that the curves ahead allow, in metres per second."""
        ahead = np.arange(0.0, LOOK_AHEAD, LOOK_STEP)
        bends = np.array([abs(self.road.bend(s + d)) for d in ahead])
        return float(np.sqrt(SIDEWAYS / np.maximum(bends, MIN_BEND) + 2 * BEND_BRAKE * ahead).min())

    def progress(self, time: float) -> float:
        """Return the place at a time, in metres along the road.

        Args:
            time: seconds since the drive began.
        """
        return float(np.interp(time * RATE, np.arange(len(self.places)), self.places))

    def speed(self, frame: int) -> float:
        """Return the speed of the camera in metres per second. In a curve it differs from that on the center line.

        Args:
            frame: number of the frame.
        """
        return float(self.pace[frame] * (1 - LATERAL * self.road.bend(self.places[frame])))

    def pose(self, frame: int, yaw: float = 0.0) -> np.ndarray:
        """Return T_world_camera [4, 4] of a camera, in metres.

        Args:
            frame: number of the frame.
            yaw: angle of the camera's axis to the left of straight ahead, in radians.
        """
        time = frame / RATE
        pitch, roll, bounce = (sum(a * np.sin(6.2832 * f * time + p) for f, p, a in waves) for waves in self.sway)
        x, y, heading = self.road.at(self.places[frame], LATERAL)
        T = np.eye(4)
        T[:3, :3] = _turn(2, heading) @ _turn(1, pitch) @ _turn(0, roll) @ _turn(2, yaw) @ R_BODY_CAMERA
        T[:3, 3] = x, y, CAMERA_HEIGHT + bounce
        return T


def _turn(axis: int, angle: float) -> np.ndarray:
    """Return the rotation [3, 3] by an angle in radians around a world axis."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R = np.eye(3)
    R[a, a] = R[b, b] = np.cos(angle)
    R[a, b], R[b, a] = -np.sin(angle), np.sin(angle)
    return R
