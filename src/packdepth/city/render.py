"""Rays into the world: what they meet, and what that looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from packdepth.city.light import Light
from packdepth.city.mesh import Mesh, face_normals
from packdepth.city.textures import Textures
from packdepth.classes import Label
from packdepth.geometry.camera import Camera

FAR = 250.0  # metres of z-depth; what is further is sky
SAMPLES = 2  # along each side of a pixel, for colors
SHADOW_OFFSET = 0.02  # metres off a surface, where a ray to the sun starts


class Body:
    """A mesh that rays can meet."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.normals = face_normals(mesh.corners).astype(np.float32)  # [F, 3] of the flat faces
        self._scene = EmbreeScene()
        if len(mesh):
            self._surface = TriangleMesh(self._scene, mesh.corners)

    def hits(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, ...]:
        """The first face [N] that each ray meets (-1 for none), its distance in units of the direction, and u, v."""
        if not len(self.mesh):
            empty = np.zeros(len(origins), np.float32)
            return np.full(len(origins), -1, np.int32), np.full(len(origins), np.inf, np.float32), empty, empty
        found = self._scene.run(origins, directions, output=True)
        distance = np.where(found["primID"] < 0, np.inf, found["tfar"]).astype(np.float32)
        return found["primID"], distance, found["u"], found["v"]

    def blocks(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Which rays [N] meet anything at all."""
        if not len(self.mesh):
            return np.zeros(len(origins), bool)
        return np.asarray(self._scene.run(origins, directions, query="OCCLUDED") >= 0)


@dataclass(frozen=True, eq=False)
class Hits:
    """What N rays met."""

    body: np.ndarray  # [N] index of the body, -1 for the sky
    face: np.ndarray  # [N]
    distance: np.ndarray  # [N] float32, in units of the direction; inf for the sky
    u: np.ndarray  # [N] barycentric
    v: np.ndarray


@dataclass(frozen=True, eq=False)
class Seen:
    """Ground truth of an image."""

    depth: np.ndarray  # [H, W] float32 z-depth in metres, 0 for the sky
    semantic: np.ndarray  # [H, W] uint8, Cityscapes' train ids
    instance: np.ndarray  # [H, W] int32, 0 for what is no countable object


class World:
    """The bodies of one moment under one light.

    Args:
        bodies: what there is; kept apart so that only those that move are built anew for each frame.
        textures: their surfaces.
        light: the time of day.
    """

    def __init__(self, bodies: list[Body], textures: Textures, light: Light) -> None:
        self.bodies, self.textures, self.light = bodies, textures, light

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """The nearest hits of rays [N, 3] float32."""
        count = len(origins)
        best = Hits(
            body=np.full(count, -1, np.int8),
            face=np.full(count, -1, np.int32),
            distance=np.full(count, np.inf, np.float32),
            u=np.zeros(count, np.float32),
            v=np.zeros(count, np.float32),
        )
        for index, body in enumerate(self.bodies):
            face, distance, u, v = body.hits(origins, directions)
            nearer = distance < best.distance
            best.body[nearer] = index
            for own, new in ((best.face, face), (best.distance, distance), (best.u, u), (best.v, v)):
                own[nearer] = new[nearer]
        return best

    def image(self, camera: Camera, T_world_camera: np.ndarray) -> np.ndarray:
        """The picture [H, W, 3] uint8, averaged over SAMPLES x SAMPLES rays a pixel."""
        origins, directions = rays(camera, T_world_camera, SAMPLES)
        colors = self._colors(origins, directions, pixel=1 / (float(camera.fx) * SAMPLES))
        fine = colors.reshape(camera.height, SAMPLES, camera.width, SAMPLES, 3).mean((1, 3))
        return np.asarray((255 * _tone(fine) + 0.5).astype(np.uint8))

    def truth(self, camera: Camera, T_world_camera: np.ndarray) -> Seen:
        """What the rays through the middles of the pixels meet."""
        hits = self.cast(*rays(camera, T_world_camera, 1))
        near = hits.distance < FAR
        semantic = np.full(len(near), Label.SKY, np.uint8)
        instance = np.zeros(len(near), np.int32)
        for index, body in enumerate(self.bodies):
            here = near & (hits.body == index)
            semantic[here] = body.mesh.label[hits.face[here]]
            instance[here] = body.mesh.instance[hits.face[here]]
        shape = (camera.height, camera.width)
        depth = np.where(near, hits.distance, 0).astype(np.float32)
        return Seen(depth.reshape(shape), semantic.reshape(shape), instance.reshape(shape))

    def _colors(self, origins: np.ndarray, directions: np.ndarray, pixel: float) -> np.ndarray:
        """Light [N, 3] that comes back along rays whose directions have length 1 along the camera's axis.

        Args:
            origins: [N, 3] float32.
            directions: [N, 3] float32.
            pixel: width of a ray at distance 1.
        """
        hits = self.cast(origins, directions)
        length = np.linalg.norm(directions, axis=-1)
        colors = np.empty(directions.shape, np.float32)
        far = hits.distance >= FAR
        colors[far] = self.light.sky(directions[far] / length[far, None])
        for index, body in enumerate(self.bodies):
            here = np.flatnonzero((hits.body == index) & ~far)
            if len(here):
                colors[here] = self._surface(body, hits, here, origins[here], directions[here], length[here], pixel)
        return colors

    def _surface(
        self,
        body: Body,
        hits: Hits,
        here: np.ndarray,
        origins: np.ndarray,
        directions: np.ndarray,
        length: np.ndarray,
        pixel: float,
    ) -> np.ndarray:
        """Colors of the rays `here`, all of which met one body."""
        mesh, face, distance = body.mesh, hits.face[here], hits.distance[here]
        u, v = hits.u[here, None], hits.v[here, None]
        towards = directions / length[:, None]
        flat = body.normals[face]
        cosine = np.abs((flat * towards).sum(-1))
        footprint = distance * length * pixel / np.sqrt(cosine.clip(0.03, 1))
        uv = _interpolated(mesh.uv[face], u, v)
        albedo = self.textures.lookup(mesh.material[face], uv, footprint) * mesh.tint[face]

        facing = np.where((flat * towards).sum(-1, keepdims=True) > 0, -1.0, 1.0).astype(np.float32)
        flat = flat * facing
        normal = _interpolated(mesh.normals[face], u, v) * facing
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        sun = self.light.sun.astype(np.float32)
        lit = ((normal @ sun).clip(0, 1)) * ((flat @ sun) > 0)
        points = origins + distance[:, None] * directions + SHADOW_OFFSET * flat
        bright = np.flatnonzero(lit > 0)
        starts, rays_up = points[bright], np.tile(sun, (len(bright), 1))
        for other in self.bodies:
            lit[bright[other.blocks(starts, rays_up)]] = 0
            bright = bright[lit[bright] > 0]
            starts, rays_up = points[bright], rays_up[: len(bright)]
        from_sky = (0.62 + 0.38 * normal[:, 2:]) * self.light.ambient
        from_sun = lit[:, None] * self.light.sun_color
        return np.asarray(albedo * (from_sky + from_sun))


def rays(camera: Camera, T_world_camera: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions [H S W S, 3] float32, row by row, `samples` S along each side of a pixel.

    Directions have length 1 along the camera's axis, so that distances in their units are z-depths.
    """
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    u = (np.arange(camera.width)[:, None] + offsets).ravel()
    v = (np.arange(camera.height)[:, None] + offsets).ravel()
    x, y = (u - float(camera.cx)) / float(camera.fx), (v - float(camera.cy)) / float(camera.fy)
    directions = np.empty((len(v), len(u), 3))
    directions[..., 0], directions[..., 1], directions[..., 2] = x, y[:, None], 1.0
    directions = directions.reshape(-1, 3) @ T_world_camera[:3, :3].T
    origins = np.tile(T_world_camera[:3, 3].astype(np.float32), (len(directions), 1))
    return origins, directions.astype(np.float32)


def _interpolated(corners: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values [N, C] at barycentric u, v [N, 1] of faces whose corners have the values [N, 3, C]."""
    first = corners[:, 0]
    return first + u * (corners[:, 1] - first) + v * (corners[:, 2] - first)


def _tone(light: np.ndarray) -> np.ndarray:
    """Linear light to display values in [0, 1]: a soft shoulder, then the usual gamma."""
    exposed = 1.15 * light
    return np.asarray((exposed * (1 + exposed / 2.6) / (1 + exposed)).clip(0, 1) ** (1 / 2.2))
