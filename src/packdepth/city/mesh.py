"""Triangle meshes that carry what shading and ground truth need, and the shapes that the world is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import trimesh.creation
from numpy.typing import ArrayLike

from packdepth.city.style import Color
from packdepth.city.textures import Material
from packdepth.classes import Label

WHITE: Color = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Mesh:
    """F triangles, none of which shares anything with another."""

    corners: np.ndarray  # [F, 3, 3] float32, metres
    normals: np.ndarray  # [F, 3, 3] float32, unit, at the corners
    uv: np.ndarray  # [F, 3, 2] float32, metres along the surface: where the texture is anchored
    material: np.ndarray  # [F] uint8, see Material
    tint: np.ndarray  # [F, 3] float32, what the texture's color is multiplied by
    label: np.ndarray  # [F] uint8, see Label
    instance: np.ndarray  # [F] int32, 0 for what is no countable object

    def __len__(self) -> int:
        return len(self.corners)

    @classmethod
    def of(cls, corners: np.ndarray, normals: np.ndarray | None, uv: np.ndarray | None, look: Look) -> Mesh:
        """Triangles [F, 3, 3] of one look: flat unless `normals`, with texture anchored to their axes unless `uv`."""
        count = len(corners)
        flat = np.repeat(face_normals(corners)[:, None], 3, axis=1)
        return cls(
            corners=corners.astype(np.float32),
            normals=(flat if normals is None else normals).astype(np.float32),
            uv=(box_uv(corners, flat[:, 0]) if uv is None else uv).astype(np.float32),
            material=np.full(count, look.material, np.uint8),
            tint=np.tile(np.asarray(look.tint, np.float32), (count, 1)),
            label=np.full(count, look.label, np.uint8),
            instance=np.zeros(count, np.int32),
        )

    @classmethod
    def join(cls, meshes: Sequence[Mesh]) -> Mesh:
        """All triangles of several meshes, in their order."""
        meshes = meshes or [cls.of(np.zeros((0, 3, 3)), None, None, Look(Material.PLAIN, Label.ROAD))]
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in names})

    def moved(self, T: np.ndarray) -> Mesh:
        """The mesh under a rigid motion [4, 4]; its texture moves along."""
        rotation, translation = T[:3, :3].astype(np.float64), T[:3, 3]
        corners = self.corners @ rotation.T + translation
        return replace(self, corners=corners.astype(np.float32), normals=(self.normals @ rotation.T).astype(np.float32))

    def pressed(self, factors: tuple[float, float]) -> Mesh:
        """The mesh with its texture made smaller by factors along (u, v)."""
        return replace(self, uv=self.uv * np.array(factors, np.float32))

    def numbered(self, instance: int) -> Mesh:
        """The mesh as one countable object."""
        return replace(self, instance=np.full(len(self), instance, np.int32))


@dataclass(frozen=True)
class Look:
    """What a surface is, to the eye and to the ground truth."""

    material: Material
    label: Label
    tint: Color = WHITE


def face_normals(corners: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3] of triangles [F, 3, 3], whose corners run counter-clockwise seen from outside."""
    (ax, ay, az), (bx, by, bz) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx  # numpy.cross costs ten times as much
    return np.stack([x, y, z], axis=-1) / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-12)[:, None]


def box_uv(corners: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Texture coordinates [F, 3, 2] along the two axes that each face is most aligned with: walls get (across, up)."""
    axis = np.abs(normals).argmax(-1)
    first, second = np.array([1, 0, 0])[axis], np.array([2, 2, 1])[axis]
    faces = np.arange(len(corners))[:, None]
    return np.stack(
        [corners[faces, np.arange(3), first[:, None]], corners[faces, np.arange(3), second[:, None]]], axis=-1
    )


def place(x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """T_world_object [4, 4] of something that stands upright."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1.0]])


def quads(corners: np.ndarray, look: Look, uv: np.ndarray | None = None) -> Mesh:
    """Quadrilaterals [Q, 4, 3], counter-clockwise seen from outside, as two triangles each; uv [Q, 4, 2]."""
    order = [0, 1, 2, 0, 2, 3]
    triangles = corners[:, order].reshape(-1, 3, 3)
    return Mesh.of(triangles, None, None if uv is None else uv[:, order].reshape(-1, 3, 2), look)


def hexahedron(bottom: np.ndarray, top: np.ndarray, look: Look, top_look: Look | None = None) -> Mesh:
    """A solid between two quadrilaterals [4, 3], each counter-clockwise seen from above; `top_look` for its lid."""
    sides = [[bottom[i], bottom[(i + 1) % 4], top[(i + 1) % 4], top[i]] for i in range(4)]
    body = quads(np.array([*sides, bottom[::-1]]), look)
    return Mesh.join([body, quads(np.array([top]), top_look or look)])


def rectangle(x0: float, x1: float, y0: float, y1: float, z: float) -> np.ndarray:
    """A level rectangle [4, 3], counter-clockwise seen from above."""
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=np.float64)


def box(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], look: Look, top: Look | None = None
) -> Mesh:
    """An upright box between two limits on each axis."""
    return hexahedron(rectangle(*x, *y, z[0]), rectangle(*x, *y, z[1]), look, top)


def extruded(profile: np.ndarray, half_width: float, look: Look) -> Mesh:
    """A convex outline [N, 2] of (x, z), counter-clockwise seen from the right (-y), pulled to both sides."""
    outline = np.insert(profile, 1, 0.0, axis=1)
    right, left = outline + [0, -half_width, 0], outline + [0, half_width, 0]
    following = np.roll(np.arange(len(profile)), -1)
    belt = quads(np.stack([right[following], right, left, left[following]], axis=1), look)
    fan = np.arange(1, len(profile) - 1)
    zero = np.zeros_like(fan)
    caps = [np.stack([right[zero], right[fan], right[fan + 1]], 1), np.stack([left[zero], left[fan + 1], left[fan]], 1)]
    return Mesh.join([belt, Mesh.of(np.concatenate(caps), None, None, look)])


def cylinder(
    start: ArrayLike, end: ArrayLike, radius: float, look: Look, sides: int = 10, end_radius: float = -1.0
) -> Mesh:
    """A round bar between two points, or a cone's stump if it has another `end_radius`."""
    vertices, faces = _unit_cylinder(sides)
    axis = np.subtract(end, start)
    length = float(np.linalg.norm(axis))
    frame = _frame(axis / length)
    share = vertices[:, 2:] + 0.5
    out = vertices[:, :2] @ frame[:2]  # [V, 3], unit
    width = radius + ((radius if end_radius < 0 else end_radius) - radius) * share
    corners = (np.asarray(start) + share * axis + width * out)[faces]
    flat = np.repeat(face_normals(corners)[:, None], 3, axis=1)
    is_cap = np.abs(flat @ frame[2]) > 0.9
    return Mesh.of(corners, np.where(is_cap[..., None], flat, out[faces]), None, look)


def ball(
    center: ArrayLike, radii: ArrayLike, look: Look, detail: int = 2, lumps: np.random.Generator | None = None
) -> Mesh:
    """An ellipsoid, made lumpy if a generator of random numbers comes along."""
    vertices, faces = _unit_sphere(detail)
    size = np.ones(len(vertices))
    if lumps is not None:
        waves = lumps.normal(0, 3.0, (6, 3))
        size += 0.07 * np.sin(vertices @ waves.T + lumps.uniform(0, 6.28, 6)).sum(-1)
    normals = vertices / np.asarray(radii)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    corners = (vertices * size[:, None] * np.asarray(radii) + np.asarray(center))[faces]
    return Mesh.of(corners, normals[faces], None, look)


@cache
def _unit_cylinder(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a cylinder of radius 1 about z, from z = -0.5 to 0.5."""
    shape = trimesh.creation.cylinder(radius=1.0, height=1.0, sections=sides)
    return np.asarray(shape.vertices), np.asarray(shape.faces)


@cache
def _unit_sphere(detail: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a sphere of radius 1."""
    shape = trimesh.creation.icosphere(subdivisions=detail)
    return np.asarray(shape.vertices), np.asarray(shape.faces)


def _frame(axis: np.ndarray) -> np.ndarray:
    """A right-handed frame [3, 3] whose last row is a unit axis."""
    aside = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    aside /= np.linalg.norm(aside)
    return np.stack([aside, np.cross(axis, aside), axis])
