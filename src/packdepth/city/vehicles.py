"""Models of cars and lorries, which stand at the origin and face x. Details of shapes are chosen by eye."""

from __future__ import annotations

from functools import cache

import numpy as np

from packdepth.city.mesh import Look, Mesh, box, cylinder, extruded, hexahedron, quads
from packdepth.city.style import CarModel, Color, Lorry
from packdepth.city.textures import Material
from packdepth.classes import Label

CLEARANCE = 0.22  # metres between a car's body and the ground


@cache
def car(model: CarModel, paint: Color) -> Mesh:
    """Return a car with its middle at the origin.

    Args:
        model: the outline of the car.
        paint: color of the body.
    """
    body = Look(Material.PAINT, Label.CAR, paint)
    glass = Look(Material.GLASS, Label.CAR)
    trim = Look(Material.RUBBER, Label.CAR)
    front, back, half = model.length / 2, -model.length / 2, model.width / 2
    profile = np.array(
        [
            (back + 0.12, CLEARANCE),
            (front - 0.15, CLEARANCE),
            (front, 0.45),
            (front - 0.08, model.waist * 0.78),
            (front - model.hood, model.waist),
            (back + model.boot, model.waist),
            (back + 0.05, model.waist * 0.92),
            (back, 0.5),
        ]
    )
    bottom = _cabin_outline(model, 0.0, half - 0.05, model.waist)
    top = _cabin_outline(model, 1.0, half * 0.80, model.height)
    parts = [
        extruded(profile, half, body),
        hexahedron(bottom, top, body),
        *_windows(bottom, top, glass),
        *(_wheel(x, side * (half - 0.10), model.wheel, 0.2, Label.CAR) for x in _axles(model) for side in (-1, 1)),
        box((front - 0.06, front + 0.01), (-half * 0.6, half * 0.6), (0.3, 0.5), trim),
        box((back - 0.01, back + 0.05), (-0.26, 0.26), (0.55, 0.68), Look(Material.SIGN, Label.CAR)),
        box((back - 0.03, back + 0.10), (-half * 0.9, half * 0.9), (0.3, 0.5), trim),
        *(box((back + 0.3, front - 0.4), _strip(side * half), (0.48, 0.58), trim) for side in (-1, 1)),
        *(box((-0.2, -0.05), _strip(side * half), (model.waist * 0.78, model.waist * 0.82), trim) for side in (-1, 1)),
        *_lights(front - 0.10, back, half, model.waist * 0.7, Label.CAR),
    ]
    return Mesh.join(parts)


def _cabin_outline(model: CarModel, share: float, half: float, z: float) -> np.ndarray:
    """Return the horizontal outline [4, 3] of the cabin at its base (`share` 0) or its roof (`share` 1)."""
    front = model.length / 2 - model.hood - share * model.front_rake
    back = -model.length / 2 + model.boot + share * model.rear_rake
    return np.array([[back, -half, z], [front, -half, z], [front, half, z], [back, half, z]])


def _windows(bottom: np.ndarray, top: np.ndarray, glass: Look) -> list[Mesh]:
    """Return panes slightly outside of the four sides of a cabin. Each long side has two, with a pillar in between."""
    panes = []
    for side in range(4):
        following = (side + 1) % 4
        quad = np.array([bottom[side], bottom[following], top[following], top[side]])
        shares = ((0.06, 0.48), (0.54, 0.93)) if side % 2 == 0 else ((0.05, 0.95),)
        panes += [_pane(quad, share, glass) for share in shares]
    return panes


def _pane(quad: np.ndarray, share: tuple[float, float], glass: Look) -> Mesh:
    """Return a pane over a part of a wall [4, 3], 1 cm in front of it."""
    normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
    normal /= np.linalg.norm(normal)

    def point(across: float, up: float) -> np.ndarray:
        low, high = quad[0] + across * (quad[1] - quad[0]), quad[3] + across * (quad[2] - quad[3])
        return np.asarray(low + up * (high - low) + 0.01 * normal)

    return quads(
        np.array([[point(share[0], 0.1), point(share[1], 0.1), point(share[1], 0.88), point(share[0], 0.88)]]), glass
    )


def _strip(y: float) -> tuple[float, float]:
    """Return the limits in y of moldings and door handles: from 3 cm inside a car's side to 1.5 cm outside."""
    inner, outer = y - 0.03 * np.sign(y), y + 0.015 * np.sign(y)
    return min(inner, outer), max(inner, outer)


def _axles(model: CarModel) -> tuple[float, float]:
    return model.length * 0.30, -model.length * 0.30


def _wheel(x: float, y: float, radius: float, width: float, label: Label) -> Mesh:
    """Return a wheel with its rim, which touches the ground."""
    tyre = cylinder((x, y - width / 2, radius), (x, y + width / 2, radius), radius, Look(Material.RUBBER, label), 14)
    rim = Look(Material.METAL, label)
    return Mesh.join(
        [tyre, cylinder((x, y - width / 2 - 0.01, radius), (x, y + width / 2 + 0.01, radius), radius * 0.6, rim, 8)]
    )


def _lights(front: float, back: float, half: float, z: float, label: Label) -> list[Mesh]:
    white = Look(Material.PLAIN, label, (1.3, 1.3, 1.2))
    red = Look(Material.PLAIN, label, (0.8, 0.05, 0.05))
    lights = []
    for y in (-half * 0.78, half * 0.78):
        span = (y - 0.14, y + 0.14)
        lights += [box((front, front + 0.07), span, (z - 0.08, z + 0.06), white)]
        lights += [box((back - 0.02, back + 0.08), span, (z + 0.02, z + 0.2), red)]
    return lights


@cache
def lorry(model: Lorry, paint: Color) -> Mesh:
    """Return a lorry with its middle at the origin.

    Args:
        model: the outline of the lorry.
        paint: color of the cab.
    """
    body, cargo = Look(Material.PAINT, Label.TRUCK, paint), Look(Material.CARGO, Label.TRUCK)
    dark, glass = Look(Material.METAL, Label.TRUCK, (0.4, 0.4, 0.4)), Look(Material.GLASS, Label.TRUCK)
    front, back, half = model.length / 2, -model.length / 2, model.width / 2
    split = front - model.cab
    cab_foot = np.array([[split, -half, 0.5], [front, -half, 0.5], [front, half, 0.5], [split, half, 0.5]])
    cab_roof = cab_foot + np.array([[0, 0, 1], [-0.25, 0, 1], [-0.25, 0, 1], [0, 0, 1]]) * (
        1,
        1,
        model.cab_height - 0.5,
    )
    upper = cab_foot + 0.45 * (cab_roof - cab_foot)
    axles = (front - 1.2, back + 1.4, back + 2.5)
    parts = [
        hexahedron(cab_foot, cab_roof, body),
        *_windows(upper, cab_roof, glass)[:4],
        box((back, split - 0.25), (-half, half), (model.floor, model.height), cargo),
        box((back + 0.1, split), (-half * 0.5, half * 0.5), (0.55, model.floor), dark),
        *(_wheel(x, side * (half - 0.17), 0.48, 0.3, Label.TRUCK) for x in axles for side in (-1, 1)),
        box((back - 0.01, back + 0.08), (-half * 0.9, half * 0.9), (0.5, 0.65), dark),
        *_lights(front - 0.05, back, half, 0.85, Label.TRUCK),
    ]
    return Mesh.join(parts)
