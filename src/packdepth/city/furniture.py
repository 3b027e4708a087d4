"""Models of trees, lamps, signs, traffic lights and buildings, which stand at the origin. Shapes are chosen by eye."""

from __future__ import annotations

import numpy as np

from packdepth.city.mesh import Look, Mesh, ball, box, cylinder, hexahedron, quads, rectangle
from packdepth.city.style import Color, Style
from packdepth.city.textures import Material
from packdepth.classes import Label

PLASTER = Look(Material.PLAIN, Label.BUILDING)
POLE = Look(Material.METAL, Label.POLE)
FACADES = (Material.FACADE_A, Material.FACADE_B, Material.FACADE_C)
STOREY = 3.0  # metres: height of a storey
GROUND_FLOOR = 4.0  # metres: height of the ground floor


def tree(style: Style, rng: np.random.Generator) -> Mesh:
    """Draw a tree, 4.5 to 9 metres tall. Its crown consists of several lumps.

    Args:
        style: the style, which gives the shape of the crown.
        rng: source of random numbers.
    """
    height = rng.uniform(4.5, 9.0)
    trunk = height * rng.uniform(0.32, 0.42)
    radius = 0.022 * height
    bark, leaf = Look(Material.BARK, Label.VEGETATION), Look(Material.LEAF, Label.VEGETATION, _shade(rng))
    parts = [cylinder((0, 0, -0.1), (0, 0, height * 0.7), radius, bark, 10, radius * 0.5)]
    crown = np.array(style.crown) * (height - trunk) * 0.75
    middle = trunk + (height - trunk) / 2
    for _ in range(rng.integers(3, 6)):
        center = rng.normal(0, 0.30, 3) * crown + (0, 0, middle)
        parts.append(ball(center, crown * rng.uniform(0.55, 0.85, 3), leaf, lumps=rng))
    for _ in range(3):
        angle = rng.uniform(0, 6.28)
        end = (np.cos(angle) * crown[0] * 0.6, np.sin(angle) * crown[1] * 0.6, middle)
        parts.append(cylinder((0, 0, trunk * 0.9), end, radius * 0.5, bark, 6, radius * 0.2))
    return Mesh.join(parts)


def bush(rng: np.random.Generator) -> Mesh:
    """Draw a bush of about 1 metre.

    Args:
        rng: source of random numbers.
    """
    leaf = Look(Material.LEAF, Label.VEGETATION, _shade(rng))
    sizes = rng.uniform(0.4, 0.8, (3, 3))
    return Mesh.join([ball((0.5 * (i - 1), 0, s[2] * 0.7), s, leaf, lumps=rng) for i, s in enumerate(sizes)])


def _shade(rng: np.random.Generator) -> Color:
    bright = rng.uniform(0.8, 1.3)
    return (bright * rng.uniform(0.9, 1.15), bright, bright * rng.uniform(0.8, 1.1))


def lamp(rng: np.random.Generator) -> Mesh:
    """Draw a street lamp whose arm points along y.

    Args:
        rng: source of random numbers.
    """
    height = rng.uniform(6.0, 8.0)
    head = Look(Material.PLAIN, Label.POLE, (1.2, 1.2, 1.1))
    return Mesh.join(
        [
            cylinder((0, 0, 0), (0, 0, height), 0.09, POLE, 8, 0.06),
            cylinder((0, 0, height), (0, 1.6, height + 0.25), 0.05, POLE, 6),
            box((-0.12, 0.12), (1.2, 1.9), (height + 0.14, height + 0.26), head),
        ]
    )


def sign(rng: np.random.Generator) -> Mesh:
    """Draw a traffic sign that faces -x.

    Args:
        rng: source of random numbers.
    """
    height = rng.uniform(2.1, 2.8)
    colors: tuple[Color, ...] = ((0.75, 0.05, 0.05), (0.04, 0.14, 0.5), (0.75, 0.6, 0.05), (0.9, 0.9, 0.9))
    face = Look(Material.SIGN, Label.TRAFFIC_SIGN, colors[rng.integers(4)])
    back = Look(Material.METAL, Label.TRAFFIC_SIGN)
    pole = cylinder((0, 0, 0), (0, 0, height + 0.3), 0.035, POLE, 8)
    if rng.random() < 0.5:
        return Mesh.join([pole, cylinder((-0.075, 0, height), (-0.045, 0, height), 0.33, face, 16)])
    width = rng.uniform(0.28, 0.45)
    plate = box((-0.07, -0.045), (-width, width), (height - 0.3, height + 0.3), back)
    low, high = height - 0.3, height + 0.3
    front = np.array([[[-0.071, y, z] for y, z in ((width, low), (-width, low), (-width, high), (width, high))]])
    return Mesh.join([pole, plate, quads(front, face)])


def traffic_light() -> Mesh:
    """Return a traffic light that faces -x."""
    case = Look(Material.RUBBER, Label.TRAFFIC_LIGHT)
    lights: tuple[Color, ...] = ((0.1, 0.9, 0.2), (0.35, 0.25, 0.02), (0.9, 0.05, 0.05))
    lamps = [
        cylinder((-0.19, 0, z), (-0.15, 0, z), 0.1, Look(Material.PLAIN, Label.TRAFFIC_LIGHT, color), 12)
        for z, color in zip((2.55, 2.83, 3.11), lights, strict=True)
    ]
    return Mesh.join(
        [
            cylinder((0, 0, 0), (0, 0, 3.3), 0.06, POLE, 8),
            box((-0.16, 0.12), (-0.16, 0.16), (2.38, 3.3), case),
            *lamps,
        ]
    )


def bollard() -> Mesh:
    """Return a bollard, 1 metre high."""
    return cylinder((0, 0, 0), (0, 0, 1.0), 0.07, POLE, 10)


def litter_bin() -> Mesh:
    """Return a litter bin."""
    return cylinder((0, 0, 0), (0, 0, 0.95), 0.26, Look(Material.PLAIN, Label.POLE, (0.25, 0.4, 0.28)), 12, 0.3)


def fence(length: float) -> Mesh:
    """Return a low wall along x, which begins at the origin.

    Args:
        length: length in metres.
    """
    wall = Look(Material.ASPHALT, Label.WALL, (3.0, 2.8, 2.6))
    return box((0, length), (-0.12, 0.12), (-0.1, 0.95), wall)


def building(style: Style, rng: np.random.Generator, width: float, depth: float) -> Mesh:
    """Draw a house from x = -width / 2 to width / 2, and from its front at y = 0 to its back at y = depth.

    Args:
        style: the style, which gives the number of storeys.
        rng: source of random numbers.
        width: width of the front, in metres.
        depth: depth in metres.
    """
    storeys = int(rng.integers(style.storeys[0], style.storeys[1] + 1))
    wall = Look(FACADES[rng.integers(3)], Label.BUILDING, tuple(rng.uniform(0.65, 1.1) * rng.uniform(0.9, 1.1, 3)))
    narrower = (rng.uniform(0.7, 1.4), 1.0)  # factor by which windows are narrower than those of the pattern
    ground = Look(Material.SHOP if rng.random() < 0.5 else wall.material, Label.BUILDING, wall.tint)
    roof = Look(Material.ROOF, Label.BUILDING, (rng.uniform(0.8, 1.2),) * 3)
    x, y, eaves = (-width / 2, width / 2), (0.0, depth), GROUND_FLOOR + STOREY * storeys
    parts = [
        box(x, y, (-0.2, GROUND_FLOOR), ground),
        box(x, y, (GROUND_FLOOR, eaves), wall, PLASTER).with_scaled_texture(narrower),
        box((x[0], x[1]), (-0.12, 0.0), (GROUND_FLOOR - 0.15, GROUND_FLOOR + 0.1), PLASTER),
    ]
    if rng.random() < 0.6:
        rise = rng.uniform(2.0, 3.5)
        foot = rectangle(x[0] - 0.3, x[1] + 0.3, -0.4, depth + 0.4, eaves)
        ridge = rectangle(x[0] - 0.3, x[1] + 0.3, depth / 2 - 0.05, depth / 2 + 0.05, eaves + rise)
        parts.append(hexahedron(foot, ridge, roof))
    else:
        parts.append(box((x[0] - 0.1, x[1] + 0.1), (-0.1, depth), (eaves, eaves + 0.8), PLASTER))
    if rng.random() < 0.3:
        chimney = rng.uniform(*x) * 0.6
        parts.append(box((chimney - 0.4, chimney + 0.4), (depth * 0.4, depth * 0.6), (eaves, eaves + 4.2), roof))
    return Mesh.join(parts)
