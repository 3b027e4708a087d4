"""Triangle meshes with the attributes for shading and ground truth, and the shapes that objects are built from."""

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
MIN_AREA = 1e-12  # square metres, lower bound of a divisor: twice the area of a triangle


@dataclass(frozen=True, eq=False)
class Mesh:
    """F triangles, which share no corners."""

    corners: np.ndarray  # [F, 3, 3] float32, metres
    normals: np.ndarray  # [F, 3, 3] float32, unit, at the corners
    uv: np.ndarray  # [F, 3, 2] float32, texture coordinates, metres along the surface
    material: np.ndarray  # [F] uint8, see Material
    tint: np.ndarray  # [F, 3] float32, factor of the texture's color
    label: np.ndarray  # [F] uint8, see Label
    instance: np.ndarray  # [F] int32, number of the countable object; 0 for none

    def __len__(self) -> int:
        return len(self.corners)

    @classmethod
    def of(cls, corners: np.ndarray, normals: np.ndarray | None, uv: np.ndarray | None, look: Look) -> Mesh:
        """Return a mesh of triangles with one look.

        Args:
            corners: [F, 3, 3] metres, counter-clockwise if seen from outside.
            normals: [F, 3, 3] unit normals at the corners; None for flat triangles.
            uv: [F, 3, 2] texture coordinates in metres; None for `box_uv`.
            look: the look.
        """
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
        """Return a mesh with the triangles of several meshes, in their order.

        Args:
            meshes: the meshes; there may be none.
        """
        meshes = meshes or [cls.of(np.zeros((0, 3, 3)), None, None, Look(Material.PLAIN, Label.ROAD))]
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in names})

    def moved(self, T: np.ndarray) -> Mesh:
        """Return the mesh after a rigid motion. Its texture moves with it.

        Args:
            T: [4, 4], metres.
        """
        rotation, translation = T[:3, :3].astype(np.float64), T[:3, 3]
        corners = self.corners @ rotation.T + translation
        return replace(self, corners=corners.astype(np.float32), normals=(self.normals @ rotation.T).astype(np.float32))

    def with_scaled_texture(self, factors: tuple[float, float]) -> Mesh:
        """Return the mesh with scaled texture coordinates.

        Args:
            factors: factors of u and v; a factor above 1 makes the texture smaller.
        """
        return replace(self, uv=self.uv * np.array(factors, np.float32))

    def numbered(self, instance: int) -> Mesh:
        """Return the mesh as one countable object.

        Args:
            instance: number of the object.
        """
        return replace(self, instance=np.full(len(self), instance, np.int32))


@dataclass(frozen=True)
class Look:
    """The appearance of a surface, and its class."""

    material: Material  # its texture
    label: Label  # its class in the ground truth
    tint: Color = WHITE  # factor of the texture's color


def face_normals(corners: np.ndarray) -> np.ndarray:
    """Return the unit normals of triangles: [F, 3].

    Args:
        corners: [F, 3, 3] metres, counter-clockwise if seen from outside.

    >>> face_normals(np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]))
    array([[0., 0., 1.]])
    """
    (ax, ay, az), (bx, by, bz) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx  # numpy.cross costs ten times as much
    return np.stack([x, y, z], axis=-1) / np.maximum(np.sqrt(x * x + y * y + z * z), MIN_AREA)[:, None]


def box_uv(corners: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return texture coordinates along the two world axes that each face is most parallel to: [F, 3, 2] metres.

    The coordinates of a wall are (horizontal, up).

    Args:
        corners: [F, 3, 3] metres.
        normals: [F, 3] unit normals.
    """
    axis = np.abs(normals).argmax(-1)
    first, second = np.array([1, 0, 0])[axis], np.array([2, 2, 1])[axis]
    faces = np.arange(len(corners))[:, None]
    return np.stack(
        [corners[faces, np.arange(3), first[:, None]], corners[faces, np.arange(3), second[:, None]]], axis=-1
    )


def place(x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """Return T_world_object [4, 4] of an upright object.

    Args:
        x: position in metres.
        y: position in metres.
        z: height in metres.
        yaw: heading in radians, counter-clockwise if seen from above.

    >>> place(1.0, 2.0)[:3, 3]
    array([1., 2., 0.])
    """
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1.0]])


def quads(corners: np.ndarray, look: Look, uv: np.ndarray | None = None) -> Mesh:
    """Return a mesh of quadrilaterals, two triangles each.

    Args:
        corners: [Q, 4, 3] metres, counter-clockwise if seen from outside.
        look: the look.
        uv: [Q, 4, 2] texture coordinates in metres; None for `box_uv`.

    >>> len(quads(np.zeros((3, 4, 3)), Look(Material.PLAIN, Label.ROAD)))
    6
    """
    order = [0, 1, 2, 0, 2, 3]
    triangles = corners[:, order].reshape(-1, 3, 3)
    return Mesh.of(triangles, None, None if uv is None else uv[:, order].reshape(-1, 3, 2), look)


def hexahedron(bottom: np.ndarray, top: np.ndarray, look: Look, top_look: Look | None = None) -> Mesh:
    """Return a solid between two quadrilaterals.

    Args:
        bottom: [4, 3] metres, counter-clockwise if seen from above.
        top: [4, 3] metres, counter-clockwise if seen from above.
        look: the look.
        top_look: look of the top face; None for `look`.
    """
    sides = [[bottom[i], bottom[(i + 1) % 4], top[(i + 1) % 4], top[i]] for i in range(4)]
    body = quads(np.array([*sides, bottom[::-1]]), look)
    return Mesh.join([body, quads(np.array([top]), top_look or look)])


def rectangle(x0: float, x1: float, y0: float, y1: float, z: float) -> np.ndarray:
    """Return the corners of a horizontal rectangle: [4, 3] metres, counter-clockwise if seen from above.

    Args:
        x0: lower limit of x.
        x1: upper limit of x.
        y0: lower limit of y.
        y1: upper limit of y.
        z: height.

    >>> rectangle(0, 2, 0, 1, 5)[2]
    array([2., 1., 5.])
    """
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=np.float64)


def box(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], look: Look, top: Look | None = None
) -> Mesh:
    """Return an upright box.

    Args:
        x: lower and upper limit in metres.
        y: lower and upper limit in metres.
        z: lower and upper limit in metres.
        look: the look.
        top: look of the top face; None for `look`.
    """
    return hexahedron(rectangle(*x, *y, z[0]), rectangle(*x, *y, z[1]), look, top)


def extruded(profile: np.ndarray, half_width: float, look: Look) -> Mesh:
    """Return a solid that extrudes a convex outline to both sides, along y.

    Args:
        profile: [N, 2] as (x, z) in metres, counter-clockwise if seen from the right (from -y).
        half_width: distance from the middle to each side, in metres.
        look: the look.
    """
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
    """Return a cylinder between two points, or a truncated cone.

    Args:
        start: [3] center of one end, in metres.
        end: [3] center of the other end, in metres.
        radius: radius at the start, in metres.
        look: the look.
        sides: number of faces around the axis.
        end_radius: radius at the end, in metres; a negative value stands for `radius`.
    """
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
    """Return an ellipsoid.

    Args:
        center: [3] metres.
        radii: [3] half-axes in metres.
        look: the look.
        detail: number of subdivisions of an icosahedron.
        lumps: source of random numbers for an uneven surface; None for a smooth one.
    """
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
    """Return vertices and faces of a cylinder of radius 1 around the z axis, from z = -0.5 to 0.5."""
    shape = trimesh.creation.cylinder(radius=1.0, height=1.0, sections=sides)
    return np.asarray(shape.vertices), np.asarray(shape.faces)


@cache
def _unit_sphere(detail: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices and faces of a sphere of radius 1."""
    shape = trimesh.creation.icosphere(subdivisions=detail)
    return np.asarray(shape.vertices), np.asarray(shape.faces)


def _frame(axis: np.ndarray) -> np.ndarray:
    """Return a right-handed coordinate frame [3, 3] whose last row is the unit vector `axis`."""
    aside = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    aside /= np.linalg.norm(aside)
    return np.stack([aside, np.cross(axis, aside), axis])
