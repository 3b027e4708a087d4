"""Models of pedestrians and cyclists, which stand at the origin and face x. Shapes are chosen by eye."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from packdepth.city.mesh import Look, Mesh, ball, cylinder
from packdepth.city.style import Color
from packdepth.city.textures import Material
from packdepth.classes import Label

SKINS: tuple[Color, ...] = ((0.55, 0.36, 0.27), (0.35, 0.21, 0.14), (0.18, 0.10, 0.07))


def pedestrian(rng: np.random.Generator) -> Mesh:
    """Draw a walking person, 1.55 to 1.9 metres tall.

    Args:
        rng: source of random numbers.

    >>> round(float(pedestrian(np.random.default_rng(0)).corners[..., 2].max()), 1)
    1.8
    """
    height = rng.uniform(1.55, 1.9)
    stride = rng.uniform(0.05, 0.32)
    return _person(rng, height, np.array([0.0, 0.0, 0.0]), Label.PERSON, feet=((stride, 0.1), (-stride, -0.1)))


def cyclist(rng: np.random.Generator) -> Mesh:
    """Draw a person on a bicycle.

    Args:
        rng: source of random numbers.
    """
    metal = Look(Material.METAL, Label.BICYCLE, tuple(rng.uniform(0.1, 1.0, 3)))
    rubber = Look(Material.RUBBER, Label.BICYCLE)
    front, back, radius = 0.52, -0.52, 0.34
    saddle, pedals, bars = (-0.18, 0, 0.88), (-0.05, 0, 0.30), (0.40, 0, 0.98)
    frame = [
        _hoop(front, radius, rubber),
        _hoop(back, radius, rubber),
        cylinder((back, 0, radius), pedals, 0.02, metal, 6),
        cylinder(pedals, saddle, 0.02, metal, 6),
        cylinder(pedals, (0.36, 0, 0.78), 0.025, metal, 6),
        cylinder((-0.14, 0, 0.75), (0.36, 0, 0.80), 0.02, metal, 6),
        cylinder((front, 0, radius), bars, 0.02, metal, 6),
        cylinder((0.40, -0.25, 0.98), (0.40, 0.25, 0.98), 0.018, metal, 6),
    ]
    hips = np.array([-0.18, 0.0, 0.10])
    rider = _person(rng, 1.72, hips, Label.RIDER, feet=((0.20, 0.1), (-0.02, -0.1)), lean=0.32, foot_height=0.28)
    return Mesh.join([*frame, rider])


def _hoop(x: float, radius: float, look: Look) -> Mesh:
    """Return the tire of a wheel in the plane y = 0, which touches the ground."""
    angles = np.linspace(0, 2 * np.pi, 13)
    rim = np.stack([x + radius * np.cos(angles), 0 * angles, radius + radius * np.sin(angles)], axis=-1)
    return Mesh.join([cylinder(a, b, 0.022, look, 5) for a, b in pairwise(rim)])


def _person(
    rng: np.random.Generator,
    height: float,
    base: np.ndarray,
    label: Label,
    feet: tuple[tuple[float, float], ...],
    lean: float = 0.04,
    foot_height: float = 0.04,
) -> Mesh:
    """Draw a person who stands at `base`.

    The feet are given as (x, y) relative to it. The shoulders are `lean` metres ahead of the hips.
    """
    cloth = Look(Material.CLOTH, label, tuple(rng.uniform(0.08, 0.75, 3)))
    trousers = Look(Material.CLOTH, label, tuple(rng.uniform(0.05, 0.30, 3)))
    skin = Look(Material.CLOTH, label, SKINS[rng.integers(len(SKINS))])
    hair = Look(Material.CLOTH, label, tuple(rng.uniform(0.02, 0.18, 3)))
    hips = base + [0, 0, height * 0.50]
    neck = base + [lean, 0, height * 0.84]
    parts = [
        cylinder(hips - [0, 0, 0.06], neck - [0, 0, 0.03], height * 0.085, cloth, 10, height * 0.105),
        ball(neck - [0, 0, 0.06], (0.11, 0.21, 0.09), cloth, 1),
        cylinder(neck - [0, 0, 0.03], neck + [0, 0, 0.08], 0.05, skin, 8),
        ball(neck + [0.02, 0, height * 0.085], (0.095, 0.085, 0.12), skin, 1),
        ball(neck + [-0.01, 0, height * 0.105], (0.10, 0.095, 0.11), hair, 1),
    ]
    for x, y in feet:
        foot = np.array([base[0] + x, base[1] + y, foot_height])
        knee = (hips + foot) / 2 + [0.05 + abs(x) * 0.2, 0, 0]
        parts += [cylinder(hips + [0, y * 0.8, 0], knee, 0.085, trousers, 8, 0.065)]
        parts += [cylinder(knee, foot, 0.065, trousers, 8, 0.05)]
        parts += [ball(foot + [0.06, 0, 0], (0.14, 0.05, 0.05), Look(Material.RUBBER, label), 1)]
        shoulder = neck + [0, 0.19 * np.sign(y), -0.05]
        hand = shoulder + ([0.50, 0, -0.32] if lean > 0.1 else [-x * 0.8, 0.05 * np.sign(y), -0.55])
        parts += [cylinder(shoulder, hand, 0.05, cloth, 7, 0.04), ball(hand, (0.05, 0.04, 0.06), skin, 1)]
    return Mesh.join(parts)
