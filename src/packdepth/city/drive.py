"""A drive through a street: images with their complete ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from packdepth.city.ego import LATERAL, RATE, Ego
from packdepth.city.lidar import Scanner
from packdepth.city.mesh import Mesh
from packdepth.city.render import FAR, Body, World, random_light
from packdepth.city.road import Road
from packdepth.city.street import CHUNK, Street, meadow
from packdepth.city.style import STYLES, Split
from packdepth.city.textures import Textures
from packdepth.city.traffic import Traffic
from packdepth.geometry.camera import Camera

View = Literal["front", "left", "right", "back"]
YAW: dict[View, float] = {"front": 0.0, "left": np.pi / 2, "right": -np.pi / 2, "back": np.pi}
SPLITS: tuple[Split, ...] = ("train", "val", "test")
BEHIND = 150.0  # metres: length of the street that is built behind the car, for views to the side and to the back
FOCAL = 0.58  # focal length, in image widths: that of KITTI's cameras


@dataclass(frozen=True)
class Recipe:
    """The settings of drives and of their sensors.

    Args:
        split: the split, whose style determines layouts, surfaces and car models.
        seed: seed of all random numbers.
        frames: number of frames of a drive, at 10 Hz.
        height: height of the images, in pixels.
        width: width of the images, in pixels.
        lead_share: share of the drives in which a car drives ahead at exactly the speed of the camera's car.
        stop_share: probability of a stop at each crossing.
        speeds: smallest and largest speed that the driver wants to reach, in metres per second.
        baseline: distance to the right camera in metres; None for no right camera.
        scanner: the LiDAR; None for no LiDAR.
        views: the cameras around the car.
        record: (n, m): of each m consecutive frames, only the first n are rendered, so that the same number of
            rendered frames covers more of the town.

    >>> Recipe(frames=6, record=(1, 3)).recorded
    (0, 3)
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
        """The numbers of the frames that are rendered."""
        count, period = self.record
        return tuple(frame for frame in range(self.frames) if frame % period < count)

    @property
    def camera(self) -> Camera:
        """The camera of each view."""
        f = FOCAL * self.width
        return Camera(f, f, (self.width - 1) / 2, (self.height - 1) / 2, self.width, self.height)


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame of one camera, with its ground truth."""

    time: float  # seconds since the drive began
    image: np.ndarray  # [H, W, 3] uint8, RGB
    right: np.ndarray | None  # [H, W, 3] uint8, RGB
    depth: np.ndarray  # [H, W] float32 z-depth in metres, 0 for the sky
    semantic: np.ndarray  # [H, W] uint8, Cityscapes' train ids
    instance: np.ndarray  # [H, W] int32, 0 where there is no countable object
    moving: np.ndarray  # [H, W] bool, whether the pixel belongs to an object that moves at this time
    lidar: np.ndarray | None  # [N, 3] float32, metres, in the camera frame
    speed: float  # metres per second, of the car
    pose: np.ndarray  # T_world_camera [4, 4]


class Drive:
    """One continuous drive, rendered frame by frame.

    All random numbers depend only on the recipe and the number of the drive. Every process renders the same bytes.

    Args:
        recipe: the settings of the drive.
        number: number of the drive.
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
        self.light = random_light(self._rng(3))
        self.street = Street(self.style, self.road, self._rng(7), lambda index: self._rng(4, index))
        self._chunks: dict[int, Mesh] = {}
        self._window: tuple[int, int] | None = None
        self._still: Body | None = None

    def _rng(self, *stream: int) -> np.random.Generator:
        """Return the generator of one stream of random numbers. Each part of a drive uses its own stream."""
        recipe = self.recipe
        return np.random.default_rng([SPLITS.index(recipe.split), recipe.seed, self.number, *stream])

    @cached_property
    def textures(self) -> Textures:
        """The textures of the drive."""
        return Textures(self.style, self._rng(5))

    def __len__(self) -> int:
        return self.recipe.frames

    def time(self, frame: int) -> float:
        """Return the time of a frame in seconds since the drive began.

        Args:
            frame: number of the frame.
        """
        return frame / RATE

    def world(self, frame: int) -> tuple[World, set[int]]:
        """Return the world at the time of a frame, and the instance ids of the objects that move then.

        Args:
            frame: number of the frame.
        """
        near = self.ego.places[frame]
        visible = self.traffic.visible(self.time(frame), near)
        actors = Mesh.join([actor.mesh.moved(state.T_world_object) for actor, state in visible])
        moving = {actor.instance for actor, state in visible if state.moving}
        return World([self._surroundings(near), Body(actors)], self.textures, self.light), moving

    def shot(self, frame: int, view: View = "front") -> Shot:
        """Render a frame of a camera.

        Args:
            frame: number of the frame.
            view: the camera.
        """
        recipe, camera = self.recipe, self.recipe.camera
        world, moving = self.world(frame)
        T = self.ego.pose(frame, YAW[view])
        truth = world.ground_truth(camera, T)
        return Shot(
            time=self.time(frame),
            image=world.image(camera, T),
            right=None if recipe.baseline is None else world.image(camera, T @ _shifted(recipe.baseline)),
            depth=truth.depth,
            semantic=truth.semantic,
            instance=truth.instance,
            moving=np.isin(truth.instance, list(moving)),
            lidar=None if recipe.scanner is None else recipe.scanner.scan(world, T, self._rng(6, frame)),
            speed=self.ego.speed(frame),
            pose=T,
        )

    def _surroundings(self, s: float) -> Body:
        """Return all static objects around the position `s` on the road, in metres, as one body.

        The body is built again only when the car enters a new chunk.
        """
        window = (max(int((s - BEHIND) // CHUNK), 0), int((s + FAR) // CHUNK) + 1)
        if self._still is None or window != self._window:
            self._window = window
            kept = {i: self._chunks[i] if i in self._chunks else self.street.chunk(i) for i in range(*window)}
            self._chunks = kept
            x, y, _ = self.road.at(window[0] * CHUNK + BEHIND, LATERAL)
            self._still = Body(Mesh.join([meadow(x, y), *kept.values()]))
        return self._still


def _shifted(baseline: float) -> np.ndarray:
    """Return T_left_right [4, 4] of a rectified stereo pair."""
    T = np.eye(4)
    T[0, 3] = baseline
    return T
