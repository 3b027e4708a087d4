"""A drive through a street: frames with everything that is true of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from packdepth.city.ego import LATERAL, RATE, Ego
from packdepth.city.lidar import Scanner
from packdepth.city.light import light
from packdepth.city.mesh import Mesh
from packdepth.city.render import FAR, Body, World
from packdepth.city.road import Road
from packdepth.city.street import CHUNK, Street, meadow
from packdepth.city.style import STYLES, Split
from packdepth.city.textures import Textures
from packdepth.city.traffic import Traffic
from packdepth.geometry.camera import Camera

View = Literal["front", "left", "right", "back"]
YAW: dict[View, float] = {"front": 0.0, "left": np.pi / 2, "right": -np.pi / 2, "back": np.pi}
SPLITS: tuple[Split, ...] = ("train", "val", "test")
BEHIND = 150.0  # metres of the street behind the car that are there
FOCAL = 0.58  # of the image's width, as KITTI's


@dataclass(frozen=True)
class Recipe:
    """What a drive is like, and what is measured of it.

    Args:
        split: whose layouts, surfaces and car models.
        seed: of everything.
        frames: of a drive, at 10 Hz.
        record: (n, m): of each m frames the first n are rendered. Stretches far apart show more of the town.
        height: of the images, pixels.
        width: of the images, pixels.
        lead_share: share of drives in which a car drives ahead at exactly the camera car's speed.
        stop_share: chance of a wait at each crossing.
        speeds: metres a second, between which the driver's wish varies.
        baseline: metres to the right camera; none without one.
        scanner: the LiDAR; none without one.
        views: cameras around the car.
    """

    split: Split = "train"
    seed: int = 0
    frames: int = 20
    height: int = 192
    width: int = 640
    lead_share: float = 0.25
    stop_share: float = 0.3
    speeds: tuple[float, float] = (3.0, 15.0)
    baseline: float | None = 0.54
    scanner: Scanner | None = field(default_factory=Scanner)
    views: tuple[View, ...] = ("front",)
    record: tuple[int, int] = (1, 1)

    @property
    def recorded(self) -> tuple[int, ...]:
        """The frames of a drive that are rendered."""
        shown, period = self.record
        return tuple(frame for frame in range(self.frames) if frame % period < shown)

    @property
    def camera(self) -> Camera:
        """The camera of each view."""
        f = FOCAL * self.width
        return Camera(f, f, (self.width - 1) / 2, (self.height - 1) / 2, self.width, self.height)


@dataclass(frozen=True, eq=False)
class Shot:
    """One moment seen by one camera, with its ground truth."""

    time: float  # seconds
    image: np.ndarray  # [H, W, 3] uint8, RGB
    right: np.ndarray | None  # [H, W, 3] uint8, RGB
    depth: np.ndarray  # [H, W] float32 z-depth in metres, 0 for the sky
    semantic: np.ndarray  # [H, W] uint8, Cityscapes' train ids
    instance: np.ndarray  # [H, W] int32, 0 for what is no countable object
    moving: np.ndarray  # [H, W] bool, on objects that move at this moment
    lidar: np.ndarray | None  # [N, 3] float32, metres, in the camera frame
    speed: float  # metres per second, of the front camera
    pose: np.ndarray  # T_world_camera [4, 4]


class Drive:
    """One continuous drive, rendered frame by frame.

    Everything follows from the recipe and the number of the drive: another process gives the same bytes.

    Args:
        recipe: what the drive is like.
        number: which drive of the recipe.
    """

    def __init__(self, recipe: Recipe, number: int = 0) -> None:
        self.recipe, self.number = recipe, number
        self.style = STYLES[recipe.split].varied(self._rng(8))
        reach = 160 + recipe.frames / RATE * recipe.speeds[1] + FAR + 200
        self.road = Road(self.style, self._rng(0), reach)
        habits = self._rng(1)
        start = 150 + habits.uniform(0, 100)
        self.ego = Ego(self.road, habits, start, recipe.frames, recipe.stop_share, recipe.speeds)
        crowd = self._rng(2)
        self.traffic = Traffic(self.style, self.road, self.ego, crowd, lead=crowd.random() < recipe.lead_share)
        self.light = light(self._rng(3))
        self.street = Street(self.style, self.road, self._rng(7), lambda index: self._rng(4, index))
        self._chunks: dict[int, Mesh] = {}
        self._window: tuple[int, int] | None = None
        self._still: Body | None = None

    def _rng(self, *stream: int) -> np.random.Generator:
        recipe = self.recipe
        return np.random.default_rng([SPLITS.index(recipe.split), recipe.seed, self.number, *stream])

    @cached_property
    def textures(self) -> Textures:
        """The drive's surfaces."""
        return Textures(self.style, self._rng(5))

    def __len__(self) -> int:
        return self.recipe.frames

    def time(self, frame: int) -> float:
        """Seconds since the drive began."""
        return frame / RATE

    def world(self, frame: int) -> tuple[World, set[int]]:
        """The world at a frame, and the instances that move at that moment."""
        near = self.ego.places[frame]
        seen = self.traffic.visible(self.time(frame), near)
        actors = Mesh.join([actor.mesh.moved(state.T_world_object) for actor, state in seen])
        moving = {actor.instance for actor, state in seen if state.moving}
        return World([self._surroundings(near), Body(actors)], self.textures, self.light), moving

    def shot(self, frame: int, view: View = "front") -> Shot:
        """A frame of a camera."""
        recipe, camera = self.recipe, self.recipe.camera
        world, moving = self.world(frame)
        T = self.ego.pose(frame, YAW[view])
        seen = world.truth(camera, T)
        return Shot(
            time=self.time(frame),
            image=world.image(camera, T),
            right=None if recipe.baseline is None else world.image(camera, T @ _shifted(recipe.baseline)),
            depth=seen.depth,
            semantic=seen.semantic,
            instance=seen.instance,
            moving=np.isin(seen.instance, list(moving)),
            lidar=None if recipe.scanner is None else recipe.scanner.scan(world, T, self._rng(6, frame)),
            speed=self.ego.speed(frame),
            pose=T,
        )

    def _surroundings(self, s: float) -> Body:
        """What stands still around a place on the road; built anew when the place is in another chunk."""
        window = (max(int((s - BEHIND) // CHUNK), 0), int((s + FAR) // CHUNK) + 1)
        if self._still is None or window != self._window:
            self._window = window
            kept = {i: self._chunks[i] if i in self._chunks else self.street.chunk(i) for i in range(*window)}
            self._chunks = kept
            x, y, _ = self.road.at(window[0] * CHUNK + BEHIND, LATERAL)
            self._still = Body(Mesh.join([meadow(x, y), *kept.values()]))
        return self._still


def _shifted(baseline: float) -> np.ndarray:
    """T_left_right [4, 4] of a rectified pair."""
    T = np.eye(4)
    T[0, 3] = baseline
    return T
