"""Dynamic objects: where each car, cyclist and pedestrian is at each time, except the camera's own car.

The numbers are chosen by eye, so that traffic looks plausible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from packdepth.city.ego import LATERAL, RATE, Ego
from packdepth.city.mesh import Mesh, place
from packdepth.city.people import cyclist, pedestrian
from packdepth.city.road import Road
from packdepth.city.street import CROSS_LENGTH, KERB
from packdepth.city.style import Style
from packdepth.city.vehicles import car, lorry

Flow = Literal["oncoming", "overtaking", "crossing", "none"]
SIGHT = 240.0  # metres along the road before and behind the camera in which objects are rendered


@dataclass(frozen=True)
class State:
    """The state of an actor at a time."""

    T_world_object: np.ndarray  # [4, 4], metres
    moving: bool  # whether the actor moves at this time
    s: float  # metres along the road


class Track(Protocol):
    """The path of an actor through the street."""

    def at(self, time: float) -> State | None:
        """Return the state at a time, or None while the actor is out of sight.

        Args:
            time: seconds since the drive began.
        """


@dataclass(frozen=True)
class Steady:
    """A path along the road at a constant speed."""

    road: Road  # the road that the path follows
    start: float  # metres along the road when the drive begins
    speed: float  # metres per second; negative against the direction of the road
    lateral: float  # metres to the left of the center line
    z: float = 0.0  # metres above the road

    def at(self, time: float) -> State | None:
        """Return the state at a time.

        Args:
            time: seconds since the drive began.
        """
        s = self.start + self.speed * time
        x, y, heading = self.road.at(s, self.lateral)
        turn = np.pi if self.speed < 0 else 0.0
        return State(place(x, y, self.z, heading + turn), self.speed != 0, s)


@dataclass(frozen=True)
class Beside:
    """A path at the speed of the camera's car, plus a drift."""

    road: Road  # the road that the path follows
    ego: Ego  # motion of the camera's car
    gap: float  # metres ahead of the camera's car when the drive begins
    drift: float  # metres per second relative to the camera's car
    lateral: float  # metres to the left of the center line

    def at(self, time: float) -> State | None:
        """Return the state at a time.

        Args:
            time: seconds since the drive began.
        """
        s = self.ego.progress(time) + self.gap + self.drift * time
        x, y, heading = self.road.at(s, self.lateral)
        frame = min(round(time * RATE), len(self.ego.pace) - 1)
        return State(place(x, y, 0.0, heading), bool(self.ego.pace[frame] + self.drift > 0.05), s)


@dataclass(frozen=True)
class Across:
    """A path along a crossing street, or a place to wait in it."""

    road: Road  # the road that the street crosses
    crossing: float  # metres along the road
    speed: float  # metres per second to the left; 0 for an actor that waits
    when: float  # seconds since the drive began: the time at which a moving actor is on the center line of the road
    offset: float  # metres along the road from the middle of the crossing
    z: float = 0.0  # metres above the road
    wait: float = 0.0  # metres to the left of the center line, where a waiting actor stands

    def at(self, time: float) -> State | None:
        """Return the state at a time, or None beyond the ends of the crossing street.

        Args:
            time: seconds since the drive began.
        """
        lateral = self.wait if self.speed == 0 else self.speed * (time - self.when)
        if abs(lateral) > CROSS_LENGTH - 4:
            return None
        s = self.crossing + self.offset
        x, y, heading = self.road.at(s, lateral)
        leftwards = self.speed > 0 or (self.speed == 0 and self.wait < 0)
        return State(place(x, y, self.z, heading + (np.pi / 2 if leftwards else -np.pi / 2)), self.speed != 0, s)


@dataclass(frozen=True, eq=False)
class Actor:
    """A dynamic object."""

    mesh: Mesh  # surface, in the actor's own frame, metres
    track: Track  # path through the street
    instance: int  # number of the object in the ground truth


class Traffic:
    """All actors of a drive.

    Args:
        style: the style of the split, which gives models and paints.
        road: the road.
        ego: the motion of the camera's car. Some actors keep its speed, and all give way to it.
        rng: source of random numbers.
        lead: whether a car drives ahead at exactly the speed of the camera's car.

    Attributes:
        actors: all actors.
        leader: number of the car that drives ahead; None if there is none.
    """

    def __init__(self, style: Style, road: Road, ego: Ego, rng: np.random.Generator, lead: bool) -> None:
        self.style, self.road, self.ego, self.rng = style, road, ego, rng
        self.actors: list[Actor] = []
        self.leader: int | None = None
        start, end = ego.places[0], ego.places[-1]
        duration = (len(ego.places) - 1) / RATE
        if lead:
            self.leader = self._add(self._vehicle(), Beside(road, ego, rng.uniform(10, 25), 0.0, LATERAL))
        flow: Flow = rng.choice(["oncoming", "overtaking", "crossing", "none"], p=[0.45, 0.05, 0.25, 0.25])
        if lead and flow == "crossing":
            flow = "oncoming"
        if flow == "oncoming":
            self._oncoming(start, end, duration)
        elif flow == "overtaking":
            self._overtaking(duration)
        elif flow == "crossing":
            self._crossing(start, end)
        self._people(start, end, duration)

    def visible(self, time: float, near: float) -> list[tuple[Actor, State]]:
        """Return the actors within sight of a place, with their states.

        Args:
            time: seconds since the drive began.
            near: the place, in metres along the road.
        """
        states = [(actor, actor.track.at(time)) for actor in self.actors]
        return [(actor, state) for actor, state in states if state is not None and abs(state.s - near) < SIGHT]

    def _add(self, mesh: Mesh, track: Track) -> int:
        instance = len(self.actors) + 1
        self.actors.append(Actor(mesh.numbered(instance), track, instance))
        return instance

    def _vehicle(self, lorries: float = 0.08) -> Mesh:
        paint = self.style.paints[self.rng.integers(len(self.style.paints))]
        if self.rng.random() < lorries:
            return lorry(self.style.lorries[self.rng.integers(len(self.style.lorries))], paint)
        return car(self.style.cars[self.rng.integers(len(self.style.cars))], paint)

    def _oncoming(self, start: float, end: float, duration: float) -> None:
        speed = self.rng.uniform(4, 11)
        s = start + self.rng.uniform(10, 50)
        while s < end + speed * duration + SIGHT:
            self._add(self._vehicle(), Steady(self.road, s, -speed, -LATERAL))
            s += self.rng.uniform(25, 120)

    def _overtaking(self, duration: float) -> None:
        drift, passes = self.rng.uniform(2.5, 5.0), self.rng.uniform(-1, 3)
        while passes < duration + 10:
            self._add(self._vehicle(0), Beside(self.road, self.ego, -drift * passes, drift, -LATERAL))
            passes += self.rng.uniform(8, 16)

    def _crossing(self, start: float, end: float) -> None:
        stops = {stop.crossing: stop for stop in self.ego.stops}
        for crossing in self.road.crossings_between(start - 20, end + SIGHT):
            stop = stops.get(crossing)
            for side in (-1, 1):
                if stop is None:  # cars wait for us
                    if self.rng.random() < 0.5:
                        waiting = Across(self.road, crossing, 0.0, 0.0, -side * 2.2, wait=side * 13.5)
                        self._add(self._vehicle(0), waiting)
                    continue
                when = stop.start + self.rng.uniform(0, 1)
                while when < stop.end - 0.5:
                    speed = -side * self.rng.uniform(5, 9)
                    self._add(self._vehicle(0), Across(self.road, crossing, speed, when, -side * 2.2))
                    when += self.rng.uniform(2.5, 5)
            if stop is not None and self.rng.random() < 0.7:
                walker = Across(self.road, crossing, self.rng.choice([-1.3, 1.3]), stop.start + 2, -8.0)
                self._add(pedestrian(self.rng), walker)

    def _people(self, start: float, end: float, duration: float) -> None:
        s = start - 20.0
        while s < end + 100:
            for side in (-1, 1):
                if self.rng.random() < 0.6:
                    speed = self.rng.choice([-1.0, 1.0]) * self.rng.uniform(0.9, 1.6)
                    lateral = side * self.rng.uniform(7.9, 9.2)
                    where = s + self.rng.uniform(0, 18) - speed * duration / 2
                    self._add(pedestrian(self.rng), Steady(self.road, where, speed, lateral, KERB))
            if self.rng.random() < 0.12:
                speed = self.rng.uniform(3.5, 5.5)
                self._add(cyclist(self.rng), Steady(self.road, s - speed * duration / 3, speed, -3.4))
            if self.rng.random() < 0.08:
                self._add(cyclist(self.rng), Steady(self.road, s, -self.rng.uniform(3.5, 5.5), 3.4))
            s += 18.0
