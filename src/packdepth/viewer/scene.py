"""The scene of a frame: which points it has, and which of them are shown in which colors. Pure functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from packdepth.classes import PALETTE, UNLABELED
from packdepth.color import color_range, colorize
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import points_from_depth
from packdepth.geometry.voxels import Cloud
from packdepth.html import enlarged, error_colors
from packdepth.inference.pictures import with_bar

Coloring = Literal["image", "depth", "error", "class"]
"""The meanings of the colors of points."""
COLORINGS: tuple[Coloring, ...] = get_args(Coloring)

MAX_POINTS = 250_000  # points of a frame, thinned by whole rows and columns: a browser turns them smoothly
MAX_PICTURE = 640  # pixels: wider pictures are shown with every second, third, ... row and column
FAR_SHARE = 4.0  # greatest distance at the start, over the median depth; chosen by eye on road scenes
POINT_SHARE = 2.0  # size of a point, over the distance of two neighbors at the median depth: closes gaps behind it
MEASURED_COLOR = (60, 220, 120)  # of measured points beside predicted ones: green is rare in heat maps; by eye
DARKEST = 0.15  # share of the colors of depth that points leave out, because the page is as dark
UNKNOWN_COLOR = (150, 150, 150)  # of points without a class or an image
# The start view, over the median depth: above and behind the camera, looking ahead.
START, START_AIM = (0.0, -0.25, -0.5), (0.0, 0.1, 1.5)


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that is known of a frame: its camera, and maps of its pixels.

    >>> Material(camera=Camera.from_fov(60, width=2, height=1), depth=np.ones((1, 2), np.float32)).image is None
    True
    """

    camera: Camera  # camera of the depth maps
    image: np.ndarray | None = None  # [H, W, 3] uint8, RGB
    depth: np.ndarray | None = None  # [H, W] float32, predicted z-depth
    reliable: np.ndarray | None = None  # [H, W] bool, pixels whose predicted depth is reliable; None: all
    measured: np.ndarray | None = None  # [H, W] float32, measured z-depth, 0 where unknown
    classes: np.ndarray | None = None  # [H, W] uint8, class ids


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a frame in the axes of its camera (x right, y down, z forward), and what their colors are made from."""

    places: np.ndarray  # [N, 3] float32
    colors: np.ndarray | None = None  # [N, 3] uint8, RGB, those of the image
    reliable: np.ndarray | None = None  # [N] bool; None: all
    classes: np.ndarray | None = None  # [N] uint8, class ids
    errors: np.ndarray | None = None  # [N] predicted over measured depth, minus 1


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame as the viewer shows it."""

    name: str  # name of the frame
    predicted: Points | None  # points of predicted depth
    measured: Points | None  # points of measured depth, with their errors if depth is predicted, too
    pictures: Mapping[str, np.ndarray]  # pictures [h, w, 3] uint8, by title
    size: float  # size of a point that closes the gaps to its neighbors

    @property
    def main(self) -> Points | None:
        """The points of predicted depth or, without it, of measured depth."""
        return self.predicted or self.measured


def colorings(shot: Shot) -> tuple[Coloring, ...]:
    """Return the ways in which the points of a frame can be colored.

    Args:
        shot: the frame.

    >>> points = Points(np.ones((1, 3), np.float32), errors=np.zeros(1))
    >>> colorings(Shot("0", Points(np.ones((1, 3), np.float32)), points, {}, 0.1))
    ('depth', 'error')
    """
    main, measured = shot.main, shot.measured
    known: dict[Coloring, bool] = {
        "image": main is not None and main.colors is not None,
        "depth": True,
        "error": measured is not None and measured.errors is not None,
        "class": main is not None and main.classes is not None,
    }
    return tuple(coloring for coloring in COLORINGS if known[coloring])


def cloud_of(
    shot: Shot, coloring: Coloring, limits: tuple[float, float], colors: tuple[float, float], all_points: bool = False
) -> Cloud:
    """Return the points of a frame that are shown, with their colors.

    Args:
        shot: the frame.
        coloring: what the colors mean. By error, measured points are shown: only there it is known.
        limits: the least and the greatest distance (z-depth) of the points that are shown.
        colors: range of inverse depth of the colors of depth, as `color_range` returns it.
        all_points: show unreliable points, too.

    Returns:
        Points [N, 3] float32 in the axes of the camera, and colors [N, 3] uint8.
    """
    points = shot.measured if coloring == "error" else shot.main
    if points is None:
        return Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    z = points.places[:, 2]
    kept = (z >= limits[0]) & (z <= limits[1])
    if points.reliable is not None and not all_points:
        kept &= points.reliable
    return Cloud(points.places[kept], colors_of(points, coloring, colors)[kept])


def colors_of(points: Points, coloring: Coloring, colors: tuple[float, float]) -> np.ndarray:
    """Return the colors [N, 3] uint8 of points; gray where what they show is not known.

    Args:
        points: the points.
        coloring: what the colors mean.
        colors: range of inverse depth of the colors of depth.

    >>> colors_of(Points(np.ones((1, 3)), classes=np.array([13], np.uint8)), "class", (0, 1)).tolist()
    [[0, 0, 142]]
    """
    unknown = np.full((len(points.places), 3), UNKNOWN_COLOR, np.uint8)
    if coloring == "depth":
        low, high = colors
        inverse = 1 / np.maximum(points.places[:, 2], np.finfo(np.float32).tiny)
        return colorize(inverse, low - DARKEST * (high - low), high)  # points must not vanish in black
    if coloring == "error":
        return unknown if points.errors is None else error_colors(points.errors)
    if coloring == "class":
        return unknown if points.classes is None else class_colors(points.classes)
    return unknown if points.colors is None else points.colors


def class_colors(classes: np.ndarray) -> np.ndarray:
    """Return the colors of class ids: those of Cityscapes for street scenes, repeated for further ids.

    Args:
        classes: class ids [...] uint8.

    Returns:
        Colors [..., 3] uint8, gray where unlabeled.

    >>> class_colors(np.array([0, 19, 255], np.uint8)).tolist()
    [[128, 64, 128], [128, 64, 128], [150, 150, 150]]
    """
    return np.where(
        (classes == UNLABELED)[..., None], np.array(UNKNOWN_COLOR, np.uint8), PALETTE[classes % len(PALETTE)]
    )


def shot_of(name: str, material: Material, colors: tuple[float, float], metric: bool) -> Shot:
    """Return a frame as the viewer shows it, small enough to be kept.

    Args:
        name: the name of the frame.
        material: what is known of it.
        colors: range of inverse depth of the colors of depth.
        metric: whether depth is in metres.
    """
    step = thinning(material.camera)
    predicted = measured = None
    if material.depth is not None:
        predicted = points_of(material, material.depth, step)
    if material.measured is not None:
        is_dense = np.count_nonzero(material.measured) > MAX_POINTS
        measured = points_of(material, material.measured, step if is_dense else 1, of_prediction=False)
    main = predicted or measured
    focal = float(material.camera.fx)
    depth = 1.0 if main is None or not len(main.places) else float(np.median(main.places[:, 2]))
    size = POINT_SHARE * depth * step / focal
    return Shot(name, predicted, measured, pictures_of(material, colors, metric), size)


def points_of(material: Material, depth: np.ndarray, step: int, of_prediction: bool = True) -> Points:
    """Return the points of a depth map, and what is known of them.

    Args:
        material: what is known of the frame.
        depth: its predicted or its measured depth [H, W]; pixels that are not positive have none.
        step: use every `step`-th row and column.
        of_prediction: whether `depth` is predicted. If it is measured, its errors are those of the prediction.
    """
    thin = np.full_like(depth, 0)
    thin[::step, ::step] = depth[::step, ::step]
    places, known = points_from_depth(thin, material.camera)

    def at_points(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[known]

    errors = None
    if not of_prediction and material.depth is not None:
        errors = material.depth[known] / depth[known] - 1
    reliable = at_points(material.reliable) if of_prediction else None
    return Points(places.astype(np.float32), at_points(material.image), reliable, at_points(material.classes), errors)


def thinning(camera: Camera) -> int:
    """Return the step between rows and columns at which a depth map has at most `MAX_POINTS` points.

    Args:
        camera: the camera of the depth map.

    >>> thinning(Camera.from_fov(60, width=640, height=192)), thinning(Camera.from_fov(60, width=1920, height=1080))
    (1, 3)
    """
    return max(math.ceil(math.sqrt(camera.width * camera.height / MAX_POINTS)), 1)


def pictures_of(material: Material, colors: tuple[float, float], metric: bool) -> dict[str, np.ndarray]:
    """Return the pictures of a frame [h, w, 3] uint8 by their title: what is known of image, depth, error and classes.

    Args:
        material: what is known of the frame.
        colors: range of inverse depth of the colors of depth.
        metric: whether depth is in metres.
    """
    step = -(-material.camera.width // MAX_PICTURE)
    pictures = {}
    if material.image is not None:
        pictures["image"] = material.image[::step, ::step]
    if material.depth is not None:
        shades = colorize(1 / material.depth[::step, ::step], *colors)
        pictures["predicted depth"] = with_bar(shades, *colors, "dusk", metric)
    if material.measured is not None:
        truth = enlarged(np.where(material.measured > 0, material.measured, np.nan))[::step, ::step]
        shades = colorize(np.nan_to_num(1 / truth), *colors)
        pictures["measured depth"] = with_bar(shades, *colors, "dusk", metric)
        if material.depth is not None:
            pictures["error: red is too far, blue too near"] = error_colors(material.depth[::step, ::step] / truth - 1)
    if material.classes is not None:
        pictures["classes"] = class_colors(material.classes[::step, ::step])
    return pictures


def depth_colors(material: Material) -> tuple[float, float]:
    """Return the range of inverse depth of the colors of depth of a clip, from one of its frames.

    Args:
        material: what is known of that frame.
    """
    depths = [depth[depth > 0] for depth in (material.depth, material.measured) if depth is not None]
    known = [1 / depth for depth in depths if len(depth)]
    return color_range(known[:1]) if known else (0.0, 1.0)


def start_reach(shot: Shot) -> tuple[float, float]:
    """Return the distance up to which points are shown at the start, and the greatest distance of all points.

    Args:
        shot: the first frame.

    >>> points = Points(np.array([[0, 0, 1], [0, 0, 2], [0, 0, 90]], np.float32))
    >>> start_reach(Shot("0", points, None, {}, 0.1))
    (8.0, 90.0)
    """
    parts = [points.places[:, 2] for points in (shot.predicted, shot.measured) if points is not None]
    z = np.concatenate(parts) if parts else np.zeros(0)
    if not len(z):
        return 1.0, 1.0
    greatest = float(z.max())
    return min(FAR_SHARE * float(np.median(z)), greatest), greatest


def start_view(shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Return the position [3] of the first view, above and behind the camera, and the point [3] that it looks at.

    Args:
        shot: the first frame.
    """
    depth = start_reach(shot)[0] / FAR_SHARE
    return depth * np.array(START), depth * np.array(START_AIM)


def matched(measured: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return measured depth in the unknown unit of predicted depth: times the median of predicted over measured depth.

    Args:
        measured: measured depth [H, W], 0 where unknown.
        depth: predicted depth [H, W].

    >>> matched(np.array([[2.0, 0.0]]), np.array([[1.0, 7.0]])).tolist()
    [[1.0, 0.0]]
    """
    known = measured > 0
    return measured * np.float32(np.median(depth[known] / measured[known])) if known.any() else measured


def rounded_up(value: float) -> float:
    """Return the next number of 1, 2 or 5 times a power of ten.

    Args:
        value: a positive number.

    >>> rounded_up(0.43), rounded_up(1.2), rounded_up(1.0)
    (0.5, 2.0, 1.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(base * power for base in (1, 2, 5, 10) if base * power >= value * (1 - 1e-9)):.6g}")


def legend(coloring: Coloring, classes: Sequence[str] = (), metric: bool = True) -> str:
    """Return what the colors of the points mean, in words.

    Args:
        coloring: what is shown.
        classes: names of the classes, by id, if they are known.
        metric: whether depth is in metres.

    >>> legend("error")
    'Measured points. Red: predicted 50 % too far; blue: 50 % too near; white: right.'
    """
    if coloring == "error":
        scaled = "" if metric else " Depth is scaled by its median first, because it is up to a factor."
        return f"Measured points. Red: predicted 50 % too far; blue: 50 % too near; white: right.{scaled}"
    if coloring == "class":
        shown = classes[: len(PALETTE)]
        marks = [
            f'<span style="color:rgb({r},{g},{b})">&#9632;</span> {name}'
            for (r, g, b), name in zip(PALETTE, shown, strict=False)
        ]
        return " ".join(marks) or "Classes by their number."
    return {"image": "Colors of the image.", "depth": "Near is bright, far is dark."}[coloring]
