"""Ray casting: rendering of images and ground truth of the world, with its light and its sky.

The numbers of light and shading are chosen by eye, so that images look plausible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from packdepth.city.mesh import Mesh, face_normals
from packdepth.city.textures import Textures
from packdepth.classes import Label
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import Lens

FAR = 250.0  # metres of z-depth: everything farther is sky
SAMPLES = 2  # number of rays along each side of a pixel, for antialiased colors
SHADOW_OFFSET = 0.02  # metres above a surface, where rays to the sun start, so that the surface does not shade itself
MIN_COSINE = 0.03  # lower bound of the cosine between ray and normal, for the footprint: grazing rays keep some texture
MIN_LENGTH = 1e-6  # lower bound of the length of an interpolated normal, a divisor
EXPOSURE = 1.15  # factor by which light is multiplied before it is mapped to display values
SHOULDER = 2.6  # square of the multiplied light that is displayed as white
GAMMA = 2.2  # gamma of displays
CLOUDS = 10  # number of waves of the cloud layer


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a drive. Colors are linear."""

    sun: np.ndarray  # [3] unit vector toward the sun
    sun_color: np.ndarray  # [3]
    ambient: np.ndarray  # [3] light of the sky on a horizontal surface
    zenith: np.ndarray  # [3] color of the sky overhead
    horizon: np.ndarray  # [3] color of the sky at the horizon
    clouds: np.ndarray  # [W, 3] waves of the cloud layer: two frequencies and a phase

    def sky(self, directions: np.ndarray) -> np.ndarray:
        """Return the colors of the sky: [N, 3].

        Args:
            directions: [N, 3] unit vectors.
        """
        up = directions[:, 2].clip(0.0, 1.0)
        color = self.horizon + (self.zenith - self.horizon) * np.sqrt(up)[:, None]
        plane = directions[:, :2] / (up + 0.12)[:, None]  # positions on a horizontal cloud layer
        wave = np.sin(plane @ self.clouds[:, :2].T + self.clouds[:, 2]).sum(-1) / np.sqrt(len(self.clouds))
        cover = (0.5 * wave * np.minimum(up * 6, 1)).clip(0, 0.6)[:, None]
        return np.asarray(color + cover * (np.array([0.95, 0.95, 0.97]) - color))


TIMES = {  # the range of the sun's elevation in radians, and the colors of sun, ambient light, zenith and horizon
    "morning": ((0.35, 0.6), (1.9, 1.55, 1.15), (0.50, 0.56, 0.70), (0.20, 0.38, 0.70), (0.75, 0.72, 0.66)),
    "noon": ((0.8, 1.1), (1.7, 1.62, 1.5), (0.62, 0.68, 0.78), (0.14, 0.32, 0.72), (0.62, 0.74, 0.88)),
    "evening": ((0.28, 0.45), (2.0, 1.35, 0.80), (0.46, 0.48, 0.62), (0.22, 0.32, 0.58), (0.90, 0.66, 0.46)),
    "overcast": ((0.7, 1.0), (0.45, 0.45, 0.46), (1.05, 1.07, 1.10), (0.62, 0.65, 0.68), (0.80, 0.81, 0.82)),
}


def random_light(rng: np.random.Generator) -> Light:
    """Draw the light of a random time of day.

    Args:
        rng: source of random numbers.

    >>> random_light(np.random.default_rng(0)).sky(np.array([[0.0, 0.0, 1.0]])).shape
    (1, 3)
    """
    (low, high), sun, ambient, zenith, horizon = TIMES[str(rng.choice(list(TIMES)))]
    elevation, azimuth = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
    towards = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    signs = rng.uniform(0.8, 5.0, (CLOUDS, 1)) * rng.choice([-1.0, 1.0], (CLOUDS, 2))
    frequencies = signs * rng.uniform(0.4, 1.0, (CLOUDS, 2))
    clouds = np.concatenate([frequencies, rng.uniform(0, 6.28, (CLOUDS, 1))], axis=1)
    return Light(np.array(towards), np.array(sun), np.array(ambient), np.array(zenith), np.array(horizon), clouds)


class Body:
    """A mesh that rays can hit.

    Args:
        mesh: the mesh, in world coordinates.

    Attributes:
        normals: [F, 3] float32, unit normals of the flat faces.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.normals = face_normals(mesh.corners).astype(np.float32)
        self._scene = EmbreeScene()
        if len(mesh):
            self._surface = TriangleMesh(self._scene, mesh.corners)

    def hits(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the first hit of each ray: its face (-1 for none), its distance, and its u and v. Each has shape [N].

        Args:
            origins: [N, 3] float32, metres.
            directions: [N, 3] float32; distances are in units of their lengths.
        """
        if not len(self.mesh):
            empty = np.zeros(len(origins), np.float32)
            return np.full(len(origins), -1, np.int32), np.full(len(origins), np.inf, np.float32), empty, empty
        found = self._scene.run(origins, directions, output=True)
        distance = np.where(found["primID"] < 0, np.inf, found["tfar"]).astype(np.float32)
        return found["primID"], distance, found["u"], found["v"]

    def blocks(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return whether each ray hits the mesh: [N] bool.

        Args:
            origins: [N, 3] float32, metres.
            directions: [N, 3] float32.
        """
        if not len(self.mesh):
            return np.zeros(len(origins), bool)
        return np.asarray(self._scene.run(origins, directions, query="OCCLUDED") >= 0)


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest hits of N rays."""

    body: np.ndarray  # [N] index of the body, -1 for the sky
    face: np.ndarray  # [N] index of the face in the body's mesh
    distance: np.ndarray  # [N] float32, in units of the direction; inf for the sky
    u: np.ndarray  # [N] float32, barycentric coordinate of the face's second corner
    v: np.ndarray  # [N] float32, barycentric coordinate of the face's third corner


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The ground truth of an image."""

    depth: np.ndarray  # [H, W] float32 z-depth in metres, 0 for the sky
    semantic: np.ndarray  # [H, W] uint8, Cityscapes' train ids
    instance: np.ndarray  # [H, W] int32, 0 where there is no countable object


class World:
    """The bodies at one time, under one light.

    Args:
        bodies: all objects, as one or several bodies. Static objects are a body of their own, which several frames use.
        textures: the textures of their surfaces.
        light: the light.
    """

    def __init__(self, bodies: list[Body], textures: Textures, light: Light) -> None:
        self.bodies, self.textures, self.light = bodies, textures, light

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Return the nearest hits of rays.

        Args:
            origins: [N, 3] float32, metres.
            directions: [N, 3] float32.
        """
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

    def image(self, camera: Camera, T_world_camera: np.ndarray, lens: Lens | None = None) -> np.ndarray:
        """Render the image of a camera: [H, W, 3] uint8. Each pixel is the mean over SAMPLES x SAMPLES rays.

        Args:
            camera: the camera.
            T_world_camera: [4, 4], metres.
            lens: its lens; None for a pinhole.
        """
        origins, directions = rays(camera, T_world_camera, SAMPLES, lens)
        colors = self._colors(origins, directions, pixel=1 / (float(camera.fx) * SAMPLES))
        fine = colors.reshape(camera.height, SAMPLES, camera.width, SAMPLES, 3).mean((1, 3))
        return np.asarray((255 * _tone(fine) + 0.5).astype(np.uint8))

    def ground_truth(self, camera: Camera, T_world_camera: np.ndarray, lens: Lens | None = None) -> GroundTruth:
        """Return the ground truth of an image, from the rays through the centers of the pixels.

        Args:
            camera: the camera.
            T_world_camera: [4, 4], metres.
            lens: its lens; None for a pinhole.
        """
        hits = self.cast(*rays(camera, T_world_camera, 1, lens))
        near = hits.distance < FAR
        semantic = np.full(len(near), Label.SKY, np.uint8)
        instance = np.zeros(len(near), np.int32)
        for index, body in enumerate(self.bodies):
            here = near & (hits.body == index)
            semantic[here] = body.mesh.label[hits.face[here]]
            instance[here] = body.mesh.instance[hits.face[here]]
        shape = (camera.height, camera.width)
        depth = np.where(near, hits.distance, 0).astype(np.float32)
        return GroundTruth(depth.reshape(shape), semantic.reshape(shape), instance.reshape(shape))

    def _colors(self, origins: np.ndarray, directions: np.ndarray, pixel: float) -> np.ndarray:
        """Return the colors, in linear light, of the surfaces or the sky that rays hit first: [N, 3].

        Args:
            origins: [N, 3] float32, metres.
            directions: [N, 3] float32, with z = 1 in the camera frame.
            pixel: width of a ray at z = 1.
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
        """Return the colors, in linear light, of the rays with the indices `here`, which all hit one body: [n, 3]."""
        mesh, face, distance = body.mesh, hits.face[here], hits.distance[here]
        u, v = hits.u[here, None], hits.v[here, None]
        towards = directions / length[:, None]
        flat = body.normals[face]
        cosine = np.abs((flat * towards).sum(-1))
        footprint = distance * length * pixel / np.sqrt(cosine.clip(MIN_COSINE, 1))
        uv = _interpolated(mesh.uv[face], u, v)
        albedo = self.textures.lookup(mesh.material[face], uv, footprint) * mesh.tint[face]

        facing = np.where((flat * towards).sum(-1, keepdims=True) > 0, -1.0, 1.0).astype(np.float32)
        flat = flat * facing
        normal = _interpolated(mesh.normals[face], u, v) * facing
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), MIN_LENGTH)
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


def rays(
    camera: Camera, T_world_camera: np.ndarray, samples: int, lens: Lens | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rays of a camera: origins and directions, [H S W S, 3] float32 each, row by row.

    In the camera frame, directions have z = 1. So a distance in units of the direction is a z-depth.

    Args:
        camera: the camera.
        T_world_camera: [4, 4], metres.
        samples: number of rays S along each side of a pixel.
        lens: the lens of the camera; None for a pinhole. Raises ValueError if no ray falls on one of its pixels.

    >>> camera = Camera(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=2, height=1)
    >>> rays(camera, np.eye(4), 1)[1].tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    u = (np.arange(camera.width)[:, None] + offsets).ravel()
    v = (np.arange(camera.height)[:, None] + offsets).ravel()
    x, y = (u - float(camera.cx)) / float(camera.fx), (v - float(camera.cy)) / float(camera.fy)
    directions = np.empty((len(v), len(u), 3))
    directions[..., 0], directions[..., 1], directions[..., 2] = x, y[:, None], 1.0
    if lens is not None:
        import torch  # not above, since processes that render start without it in half the time

        undistorted, valid = lens.undistort(torch.from_numpy(directions[..., :2]))
        if not valid.all():
            raise ValueError(f"{lens} leaves pixels of {camera} without a ray")
        directions[..., :2] = undistorted.numpy()
    directions = directions.reshape(-1, 3) @ T_world_camera[:3, :3].T
    origins = np.tile(T_world_camera[:3, 3].astype(np.float32), (len(directions), 1))
    return origins, directions.astype(np.float32)


def _interpolated(corners: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Interpolate the values [N, 3, C] of the corners of faces at barycentric u, v [N, 1]: [N, C]."""
    first = corners[:, 0]
    return first + u * (corners[:, 1] - first) + v * (corners[:, 2] - first)


def _tone(light: np.ndarray) -> np.ndarray:
    """Convert linear light to display values in [0, 1], with a soft shoulder (Reinhard et al., 2002) and gamma."""
    exposed = EXPOSURE * light
    return np.asarray((exposed * (1 + exposed / SHOULDER) / (1 + exposed)).clip(0, 1) ** (1 / GAMMA))
