"""The styles of the three splits: layouts, surfaces and car models. Splits share none of them.

The numbers are chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Split = Literal["train", "val", "test"]
Range = tuple[float, float]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Facade:
    """A pattern of walls and windows on a tile of 12 x 12 metres."""

    color: Color  # of the wall
    trim: Color  # of frames and sills
    windows: tuple[int, int]  # number across and up
    window_size: tuple[float, float]  # width and height, as shares of a window's cell
    bar: float  # height of a window's crossbar, -0.5 to 0.5 of the window's height
    bricks: tuple[int, int] | None = None  # number across and up; None for plaster
    bond: bool = True  # whether each row of bricks is shifted by half a brick


@dataclass(frozen=True)
class CarModel:
    """A car's outline, in metres."""

    length: float  # from the front to the rear end
    width: float  # from side to side
    height: float  # of the roof above the road
    waist: float  # height of the body below the windows
    hood: float  # length ahead of the windshield
    boot: float  # length behind the rear window
    front_rake: float  # horizontal distance between the lower and the upper edge of the windshield
    rear_rake: float  # horizontal distance between the lower and the upper edge of the rear window
    wheel: float  # radius of a wheel


@dataclass(frozen=True)
class Lorry:
    """A truck's outline, in metres."""

    length: float  # from the front to the rear end
    width: float  # from side to side
    height: float  # of the cargo body
    cab: float  # length of the driver's cab
    cab_height: float  # height of the driver's cab
    floor: float  # height of the cargo floor


@dataclass(frozen=True)
class Style:
    """The style of a split's streets."""

    block: Range  # length of a block, metres
    radius: Range  # radius of a curve, metres
    turn: Range  # angle of a curve, radians
    building: Range  # width of a building's front, metres
    storeys: tuple[int, int]  # smallest and largest number above the ground floor
    tree_spacing: Range  # distance between trees, metres
    crown: tuple[float, float, float]  # half-axes of a tree's crown, as shares of its height
    facades: tuple[Facade, Facade, Facade]  # the three patterns of walls
    asphalt: float  # reflectance
    dash: float  # share of 12 metres that a lane mark covers
    slabs: tuple[int, int]  # number of sidewalk slabs across and along, on 4 x 4 metres
    slab_shift: bool  # whether each row of slabs is shifted by half a slab
    slab_color: Color  # color of the sidewalk
    grass: Color  # color of fresh grass
    dry_grass: Color  # color of dry grass
    leaf: Color  # color of leaves
    roof: Color  # color of roofs
    paints: tuple[Color, ...]  # colors of vehicles
    cars: tuple[CarModel, ...]  # models of cars
    lorries: tuple[Lorry, ...]  # models of trucks

    def varied(self, rng: np.random.Generator) -> Style:
        """Draw the style of one street: it has its own colors and windows, and the split's patterns and models.

        Args:
            rng: source of random numbers.

        >>> street = TRAIN.varied(np.random.default_rng(0))
        >>> street.cars == TRAIN.cars, street.leaf == TRAIN.leaf
        (True, False)
        """
        first, second, third = (_varied_facade(facade, rng) for facade in self.facades)
        return replace(
            self,
            facades=(first, second, third),
            asphalt=self.asphalt * rng.uniform(0.75, 1.3),
            dash=self.dash * rng.uniform(0.85, 1.15),
            slab_color=_shade(self.slab_color, rng),
            grass=_shade(self.grass, rng),
            dry_grass=_shade(self.dry_grass, rng),
            leaf=_shade(self.leaf, rng),
            roof=_shade(self.roof, rng),
            paints=tuple(_shade(paint, rng) for paint in self.paints) + tuple(_any_color(rng) for _ in range(3)),
        )


def _varied_facade(facade: Facade, rng: np.random.Generator) -> Facade:
    across, up = (max(2, count + int(rng.integers(-1, 2))) for count in facade.windows)
    width, height = (min(0.92, share * rng.uniform(0.85, 1.15)) for share in facade.window_size)
    color = _any_color(rng) if rng.random() < 0.4 else _shade(facade.color, rng)
    trim = _shade(facade.trim, rng)
    return replace(facade, color=color, trim=trim, windows=(across, up), window_size=(width, height))


def _shade(color: Color, rng: np.random.Generator) -> Color:
    """Return the color, randomly brighter or darker, warmer or colder."""
    r, g, b = np.clip(np.array(color) * rng.uniform(0.65, 1.35) * rng.uniform(0.88, 1.14, 3), 0.02, 0.8).tolist()
    return (r, g, b)


def _any_color(rng: np.random.Generator) -> Color:
    r, g, b = (rng.uniform(0.15, 1.0, 3) * rng.uniform(0.15, 0.6)).tolist()
    return (r, g, b)


CREAM, STONE, DARK = (0.62, 0.58, 0.50), (0.45, 0.43, 0.40), (0.12, 0.12, 0.13)

TRAIN = Style(
    block=(60, 110),
    radius=(25, 80),
    turn=(0.4, 1.2),
    building=(11, 20),
    storeys=(2, 5),
    tree_spacing=(9, 22),
    crown=(0.34, 0.34, 0.38),
    facades=(
        Facade((0.33, 0.14, 0.09), CREAM, (4, 4), (0.42, 0.58), 0.1, bricks=(48, 96)),
        Facade((0.56, 0.48, 0.33), (0.68, 0.66, 0.62), (5, 4), (0.40, 0.62), 0.15),
        Facade((0.36, 0.37, 0.38), DARK, (6, 4), (0.72, 0.60), -0.2, bricks=(12, 8), bond=False),
    ),
    asphalt=0.105,
    dash=0.42,
    slabs=(8, 8),
    slab_shift=False,
    slab_color=(0.33, 0.32, 0.30),
    grass=(0.10, 0.17, 0.05),
    dry_grass=(0.24, 0.22, 0.10),
    leaf=(0.09, 0.17, 0.05),
    roof=(0.30, 0.13, 0.08),
    paints=((0.55, 0.55, 0.56), (0.05, 0.05, 0.06), (0.75, 0.75, 0.74), (0.35, 0.03, 0.03), (0.05, 0.10, 0.30)),
    cars=(
        CarModel(4.6, 1.80, 1.45, 0.92, 1.25, 0.75, 0.75, 0.55, 0.32),
        CarModel(4.0, 1.74, 1.50, 0.95, 0.95, 0.12, 0.70, 0.30, 0.31),
        CarModel(4.7, 1.90, 1.75, 1.10, 1.15, 0.12, 0.65, 0.35, 0.37),
        CarModel(5.2, 1.98, 2.15, 1.20, 0.85, 0.05, 0.60, 0.10, 0.35),
    ),
    lorries=(Lorry(7.6, 2.40, 3.3, 1.9, 2.6, 1.0), Lorry(9.4, 2.50, 3.7, 2.1, 3.0, 1.1)),
)

VAL = Style(
    block=(55, 95),
    radius=(28, 75),
    turn=(0.5, 1.1),
    building=(9, 16),
    storeys=(2, 4),
    tree_spacing=(11, 26),
    crown=(0.28, 0.28, 0.44),
    facades=(
        Facade((0.50, 0.38, 0.22), STONE, (4, 3), (0.36, 0.50), 0.2, bricks=(16, 24)),
        Facade((0.42, 0.52, 0.50), CREAM, (5, 4), (0.46, 0.56), 0.0),
        Facade((0.52, 0.52, 0.50), STONE, (3, 4), (0.80, 0.52), 0.0, bricks=(3, 4), bond=False),
    ),
    asphalt=0.13,
    dash=0.30,
    slabs=(6, 10),
    slab_shift=True,
    slab_color=(0.28, 0.27, 0.28),
    grass=(0.13, 0.18, 0.06),
    dry_grass=(0.20, 0.20, 0.09),
    leaf=(0.11, 0.16, 0.06),
    roof=(0.16, 0.16, 0.18),
    paints=((0.65, 0.64, 0.60), (0.10, 0.11, 0.12), (0.10, 0.22, 0.12), (0.45, 0.30, 0.10)),
    cars=(
        CarModel(4.8, 1.82, 1.50, 0.93, 1.25, 0.10, 0.80, 0.45, 0.33),
        CarModel(3.7, 1.66, 1.55, 0.97, 0.80, 0.08, 0.55, 0.25, 0.29),
        CarModel(4.4, 1.84, 1.65, 1.04, 1.05, 0.15, 0.65, 0.45, 0.35),
    ),
    lorries=(Lorry(8.3, 2.45, 3.5, 2.0, 2.8, 1.05),),
)

TEST = Style(
    block=(50, 100),
    radius=(26, 78),
    turn=(0.45, 1.15),
    building=(10, 22),
    storeys=(2, 5),
    tree_spacing=(10, 24),
    crown=(0.38, 0.38, 0.32),
    facades=(
        Facade((0.24, 0.12, 0.10), (0.58, 0.58, 0.58), (5, 4), (0.38, 0.52), 0.12, bricks=(40, 80)),
        Facade((0.60, 0.50, 0.44), (0.30, 0.20, 0.14), (4, 4), (0.44, 0.60), 0.18),
        Facade((0.44, 0.45, 0.42), (0.20, 0.22, 0.24), (2, 4), (0.92, 0.46), 0.0, bricks=(8, 12), bond=False),
    ),
    asphalt=0.09,
    dash=0.35,
    slabs=(10, 6),
    slab_shift=True,
    slab_color=(0.36, 0.34, 0.31),
    grass=(0.09, 0.15, 0.05),
    dry_grass=(0.22, 0.19, 0.09),
    leaf=(0.07, 0.14, 0.05),
    roof=(0.22, 0.17, 0.14),
    paints=((0.48, 0.50, 0.53), (0.70, 0.70, 0.68), (0.03, 0.04, 0.05), (0.30, 0.06, 0.05), (0.20, 0.24, 0.28)),
    cars=(
        CarModel(4.5, 1.82, 1.38, 0.88, 1.35, 0.55, 0.95, 0.85, 0.33),
        CarModel(4.6, 1.86, 1.70, 1.05, 0.90, 0.08, 0.95, 0.20, 0.33),
        CarModel(4.2, 1.80, 1.60, 1.00, 1.00, 0.10, 0.70, 0.40, 0.34),
        CarModel(4.9, 1.87, 1.46, 0.92, 1.35, 0.95, 0.85, 0.70, 0.34),
    ),
    lorries=(Lorry(6.8, 2.30, 3.1, 1.7, 2.4, 0.95), Lorry(8.8, 2.50, 3.6, 2.2, 2.9, 1.15)),
)

STYLES: dict[Split, Style] = {"train": TRAIN, "val": VAL, "test": TEST}
