"""The static part of a street, built in chunks of 50 metres: ground, houses, street furniture, parked cars.

The numbers of shapes and of random placement are chosen by eye, so that streets look plausible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from packdepth.city.furniture import bollard, building, bush, fence, lamp, litter_bin, sign, traffic_light, tree
from packdepth.city.mesh import Look, Mesh, place, quads
from packdepth.city.people import pedestrian
from packdepth.city.road import Road
from packdepth.city.style import Style
from packdepth.city.textures import ROAD_HALF_WIDTH, Material
from packdepth.city.vehicles import car, lorry
from packdepth.classes import Label

CHUNK = 50.0  # metres along the road
KERB = 0.12  # metres: height of the sidewalk
WALK_END = 10.3  # metres from the center line to the outer edge of the sidewalk
LANES = (-ROAD_HALF_WIDTH, -3.15, 0.0, 3.15, ROAD_HALF_WIDTH)  # metres: lateral limits of the strips of the road's mesh
CROSS_HALF_WIDTH = 4.5  # metres: half the width of a crossing street
CROSS_WALK_END = 7.5  # metres from a crossing street's center line to the outer edge of its sidewalk
CROSS_LENGTH = 48.0  # metres from the road's center line to the house at the end of a crossing street
ZEBRA = (6.5, 9.5)  # metres along the road from the middle of a crossing: begin and end of a zebra crossing
PARKING = 5.05  # metres from the center line to the middle of parked cars
FURNITURE = 6.9  # metres from the center line to trees and traffic lights
GROUND_REACH = 400.0  # metres: half the side of the meadow, more than the largest depth FAR
INSTANCES_PER_CHUNK = 40  # largest number of countable objects in a chunk; each chunk has this many ids
INSTANCE_RANGE = 60000  # number of ids of static objects, after which ids repeat, so that they fit into 16 bits
FIRST_STATIC_INSTANCE = 2000  # smallest id of a static object; smaller ids belong to dynamic objects

ROAD_LOOK = Look(Material.ROAD, Label.ROAD)
ZEBRA_LOOK = Look(Material.ZEBRA, Label.ROAD)
ASPHALT_LOOK = Look(Material.ASPHALT, Label.ROAD)
WALK_LOOK = Look(Material.SIDEWALK, Label.SIDEWALK)
KERB_LOOK = Look(Material.PLAIN, Label.SIDEWALK, (0.7, 0.7, 0.68))


@dataclass(frozen=True)
class Verge:
    """The random properties of one side of the street."""

    setback: float  # metres from the sidewalk to the houses
    green: float  # share of the plots that are gardens
    parked: float  # share of the parking spaces that are occupied

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Verge:
        """Draw the properties of one side.

        Args:
            rng: source of random numbers.

        >>> 0 <= Verge.draw(np.random.default_rng(0)).green <= 0.4
        True
        """
        front_gardens = rng.random() < 0.3
        return cls(
            setback=rng.uniform(1, 6) if front_gardens else 0.1, green=rng.uniform(0, 0.4), parked=rng.uniform(0, 0.4)
        )


class Street:
    """The static world along a road.

    Args:
        style: the style of the split.
        road: the center line.
        habits: source of random numbers for the properties of the two sides.
        generator: function `(index of a chunk) -> source of random numbers of this chunk`.
    """

    def __init__(
        self,
        style: Style,
        road: Road,
        habits: np.random.Generator,
        generator: Callable[[int], np.random.Generator],
    ) -> None:
        self.style, self.road, self.generator = style, road, generator
        self.verges = {side: Verge.draw(habits) for side in (-1, 1)}

    def chunk(self, index: int) -> Mesh:
        """Return the mesh of a chunk.

        Args:
            index: index of the chunk, which begins `index` x 50 metres along the road.
        """
        return Mesh.join(_Chunk(self, index).build())


def meadow(x: float, y: float) -> Mesh:
    """Return the grass plane around a place, 2 cm below the road.

    Args:
        x: world x of the place, in metres.
        y: world y of the place, in metres.

    >>> len(meadow(0.0, 0.0))
    2
    """
    r = GROUND_REACH
    square = np.array([[[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]]])
    corners = np.concatenate([square, np.full((1, 4, 1), -0.02)], axis=-1)
    return quads(corners, Look(Material.GRASS, Label.TERRAIN), uv=square)


class _Chunk:
    """Builder of one chunk."""

    def __init__(self, street: Street, index: int) -> None:
        self.style, self.road, self.verges = street.style, street.road, street.verges
        self.rng = street.generator(index)
        self.start, self.end = index * CHUNK, (index + 1) * CHUNK
        self.crossings = self.road.crossings_between(self.start - 20, self.end + 20)
        self.near = self.road.crossings_between(self.start - 150, self.end + 150)
        self.next_instance = FIRST_STATIC_INSTANCE + (index * INSTANCES_PER_CHUNK) % INSTANCE_RANGE
        self.meshes: list[Mesh] = []

    def build(self) -> list[Mesh]:
        self._ground()
        for crossing in self.crossings:
            if self.start <= crossing < self.end:
                self._crossing(crossing)
        for side in (-1, 1):
            self._houses(side)
            self._furniture(side)
            self._parked(side)
            self._back_row(side)
            self._standing(side)
        return self.meshes

    # --- placing

    def _put(self, mesh: Mesh, s: float, lateral: float, z: float = 0.0, yaw: float = 0.0) -> None:
        """Add a mesh at a place on the road, turned by `yaw` from the direction of the road."""
        x, y, heading = self.road.at(s, lateral)
        self.meshes.append(mesh.moved(place(x, y, z, heading + yaw)))

    def _put_object(self, mesh: Mesh, s: float, lateral: float, z: float = 0.0, yaw: float = 0.0) -> None:
        """Add a mesh as a countable object with the next id, at a place as in `_put`."""
        self._put(mesh.numbered(self.next_instance), s, lateral, z, yaw)
        self.next_instance += 1

    def _to_crossing(self, s: float) -> float:
        """Return the distance from `s` to the nearest crossing along the road, in metres."""
        return min((abs(s - crossing) for crossing in self.crossings), default=np.inf)

    def _is_clear(self, s: float, lateral: float, width: float, depth: float) -> bool:
        """Return whether a house with its front at this place overlaps no street."""
        away = np.sign(lateral)
        across = np.linspace(-width / 2 - 0.5, width / 2 + 0.5, 5)
        outward = np.linspace(0.0, depth + 0.5, 4)
        x, y, heading = self.road.at(s, lateral)
        along = np.array([np.cos(heading), np.sin(heading)])
        left = np.array([-along[1], along[0]]) * away
        points = (np.array([x, y]) + across[:, None, None] * along + outward[None, :, None] * left).reshape(-1, 2)
        if self.road.distance(points, s) < WALK_END - 0.1:
            return False
        for crossing in self.near:
            cx, cy, direction = self.road.at(crossing)
            offset = points - (cx, cy)
            ahead = offset @ [np.cos(direction), np.sin(direction)]
            aside = offset @ [-np.sin(direction), np.cos(direction)]
            if ((np.abs(ahead) < CROSS_WALK_END) & (np.abs(aside) < CROSS_LENGTH + 12)).any():
                return False
        return True

    # --- ground

    def _ground(self) -> None:
        edges = list(np.arange(self.start, self.end + 0.1, 2.0))
        for c in self.crossings:
            marks = [c + sign * d for d in (CROSS_HALF_WIDTH, *ZEBRA) for sign in (-1, 1)]
            edges += [mark for mark in marks if self.start < mark < self.end]
        s = np.unique(np.round(edges, 6))
        distance = np.array([self._to_crossing(middle) for middle in (s[:-1] + s[1:]) / 2])
        zebra = (distance > ZEBRA[0]) & (distance < ZEBRA[1])
        for look, where in (
            (ASPHALT_LOOK, distance < ZEBRA[0]),
            (ZEBRA_LOOK, zebra),
            (ROAD_LOOK, distance > ZEBRA[1]),
        ):
            for l0, l1 in pairwise(LANES):
                self._strip(s, where, l0, l1, 0.0, 0.0, look)
        walk = distance > CROSS_HALF_WIDTH
        self._strip(s, walk, ROAD_HALF_WIDTH, WALK_END, KERB, KERB, WALK_LOOK)
        self._strip(s, walk, -WALK_END, -ROAD_HALF_WIDTH, KERB, KERB, WALK_LOOK)
        self._strip(s, walk, ROAD_HALF_WIDTH, ROAD_HALF_WIDTH, 0.0, KERB, KERB_LOOK)
        self._strip(s, walk, -ROAD_HALF_WIDTH, -ROAD_HALF_WIDTH, KERB, 0.0, KERB_LOOK)

    def _strip(self, s: np.ndarray, where: np.ndarray, l0: float, l1: float, z0: float, z1: float, look: Look) -> None:
        """Add a strip along the road in the intervals of `s` that `where` selects.

        It reaches from lateral position l0 at height z0 to l1 at z1, in metres.
        """
        if not where.any():
            return
        first, last = s[:-1][where], s[1:][where]
        along = np.stack([first, last, last, first], axis=1)  # [Q, 4]
        lateral = np.tile([l0, l0, l1, l1], (len(first), 1))
        x, y, _ = self.road.along(along.ravel(), lateral.ravel())
        height = np.tile([z0, z0, z1, z1], (len(first), 1))
        corners = np.stack([x.reshape(along.shape), y.reshape(along.shape), height], axis=-1)
        uv = np.stack([lateral + height + ROAD_HALF_WIDTH, along], axis=-1)
        self.meshes.append(quads(corners, look, uv))

    def _crossing(self, c: float) -> None:
        """Add a crossing street with its sidewalks, houses and traffic lights."""
        for side in (-1, 1):
            lateral = (side * ROAD_HALF_WIDTH, side * CROSS_LENGTH)
            self._plate(c, (-CROSS_HALF_WIDTH, CROSS_HALF_WIDTH), lateral, 0.0, ASPHALT_LOOK)
            for end in (-1, 1):
                walk = (end * CROSS_HALF_WIDTH, end * CROSS_WALK_END)
                self._plate(c, walk, (side * WALK_END, side * CROSS_LENGTH), KERB, WALK_LOOK)
                self._kerb(c, end * CROSS_HALF_WIDTH, lateral)
                for start, width in ((23.0, 12.0), (36.0, 12.0)):
                    self._cross_house(c, end, side * (start + width / 2), width)
            closing = building(self.style, self.rng, 17.0, 10.0)
            x, y, heading = self.road.at(c, side * CROSS_LENGTH)
            self.meshes.append(closing.moved(place(x, y, 0, heading + (0 if side > 0 else np.pi))))
            self._put(traffic_light(), c - side * 10.4, side * FURNITURE, KERB, 0 if side < 0 else np.pi)

    def _plate(self, c: float, s: tuple[float, float], lateral: tuple[float, float], z: float, look: Look) -> None:
        """Add a horizontal rectangle at a crossing, where the road is straight."""
        s0, s1, l0, l1 = min(s), max(s), min(lateral), max(lateral)
        places = [(c + s0, l0), (c + s1, l0), (c + s1, l1), (c + s0, l1)]
        self.meshes.append(quads(np.array([[(*self.road.at(*p)[:2], z) for p in places]]), look, np.array([places])))

    def _kerb(self, c: float, s: float, lateral: tuple[float, float]) -> None:
        ends = [(self.road.at(c + s, lat)[:2], lat) for lat in lateral]
        corners = [(*ends[0][0], 0), (*ends[1][0], 0), (*ends[1][0], KERB), (*ends[0][0], KERB)]
        uv = [(ends[0][1], 0), (ends[1][1], 0), (ends[1][1], KERB), (ends[0][1], KERB)]
        self.meshes.append(quads(np.array([corners]), KERB_LOOK, np.array([uv])))

    def _cross_house(self, c: float, end: int, lateral: float, width: float) -> None:
        """Add a house along a crossing street, with its front toward that street."""
        x, y, heading = self.road.at(c + end * (CROSS_WALK_END + 0.1), lateral)
        outward = heading if end > 0 else heading + np.pi
        house = building(self.style, self.rng, width, 8.0)
        self.meshes.append(house.moved(place(x, y, 0, outward - np.pi / 2)))

    # --- objects along the road

    def _houses(self, side: int) -> None:
        verge, s = self.verges[side], self.start
        while s < self.end - 4:
            width = min(self.rng.uniform(*self.style.building), self.end - s)
            if self.end - s - width < 5:
                width = self.end - s
            front = WALK_END + verge.setback + self.rng.choice([0.0, 0.0, 2.4])
            depth = self.rng.uniform(8, 12)
            middle = s + width / 2
            s += width
            if self.rng.random() < verge.green or not self._is_clear(middle, side * front, width, depth):
                self._green(middle, side, width)
                continue
            house = building(self.style, self.rng, width, depth)
            self._put(house, middle, side * front, yaw=0.0 if side > 0 else np.pi)

    def _green(self, middle: float, side: int, width: float) -> None:
        """Add a gap between houses: a low wall, bushes, a tree."""
        if self._to_crossing(middle) < CROSS_WALK_END + width / 2 + 1:
            return
        if self.rng.random() < 0.6:
            self._put(fence(width), middle - width / 2, side * (WALK_END + 0.2))
        for _ in range(3):
            where = middle + self.rng.uniform(-0.5, 0.5) * width
            self._put(bush(self.rng), where, side * self.rng.uniform(12, 16), yaw=self.rng.uniform(0, 6.28))
        self._put(tree(self.style, self.rng), middle, side * self.rng.uniform(15, 19), -0.05)

    def _back_row(self, side: int) -> None:
        """Add a house behind the first row."""
        front = WALK_END + self.verges[side].setback + self.rng.uniform(16, 24)
        middle, lateral = self.start + CHUNK / 2, side * front
        width = self.rng.uniform(18, 30)
        if self.rng.random() < 0.6 and self._is_clear(middle, lateral, width, 12.0):
            house = building(self.style, self.rng, width, 12.0)
            self._put(house, middle, lateral, yaw=0.0 if side > 0 else np.pi)

    def _furniture(self, side: int) -> None:
        s = self.start + self.rng.uniform(2, 8)
        while s < self.end:
            if self._to_crossing(s) > 12:
                self._put(tree(self.style, self.rng), s, side * FURNITURE, KERB, self.rng.uniform(0, 6.28))
            s += self.rng.uniform(*self.style.tree_spacing)
        makers: list[tuple[Callable[[], Mesh], float]] = [
            (lambda: lamp(self.rng), 0.9),
            (lambda: sign(self.rng), 0.7),
            (litter_bin, 0.5),
            (bollard, 0.4),
            (bollard, 0.4),
        ]
        for make, chance in makers:
            s = self.rng.uniform(self.start, self.end)
            mesh = make()
            if self.rng.random() < chance and self._to_crossing(s) > 8:
                yaw = 0.0 if side < 0 else np.pi  # signs face the traffic of their side, lamps reach over the road
                self._put(mesh, s, side * (ROAD_HALF_WIDTH + 0.35), KERB, yaw)

    def _parked(self, side: int) -> None:
        s = self.start + self.rng.uniform(0, 6)
        while s < self.end - 5.5:
            if self.rng.random() < self.verges[side].parked and self._to_crossing(s + 2.75) > 16:
                model = self.style.cars[self.rng.integers(len(self.style.cars))]
                paint = self.style.paints[self.rng.integers(len(self.style.paints))]
                mesh, length = car(model, paint), model.length
                if self.rng.random() < 0.03 and s < self.end - 10:
                    big = self.style.lorries[self.rng.integers(len(self.style.lorries))]
                    mesh, length = lorry(big, paint), big.length
                lateral = side * (PARKING + self.rng.normal(0, 0.06))
                yaw = (0.0 if side < 0 else np.pi) + self.rng.normal(0, 0.015)
                self._put_object(mesh, s + length / 2, lateral, yaw=yaw)
                s += length + self.rng.uniform(0.7, 2.0)
            else:
                s += self.rng.uniform(4, 10)

    def _standing(self, side: int) -> None:
        if self.rng.random() < 0.35:
            s, lateral = self.rng.uniform(self.start, self.end), side * self.rng.uniform(9.3, 10.0)
            if self._to_crossing(s) > 10:
                self._put_object(pedestrian(self.rng), s, lateral, KERB, self.rng.uniform(0, 6.28))
