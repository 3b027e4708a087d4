"""Temporal smoothing of depth that follows the motion: what flickers becomes steady, what moves stays as it is.

The motion of the camera is found by aligning the two last images, and carries the smoothed depth of the frame before
to the new frame. Where image and depth agree with it, the new depth is moved towards it. The correction is computed on
small maps and applied to the full one, so that edges stay those of the new frame. Everything is in numpy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from packdepth.data.optical_flow import sampled
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.geometry.pinhole import points_of, projected
from packdepth.live.motion import aligned_motion

MAX_WIDTH = 160  # pixels, of the small maps: smoothing then takes some milliseconds
MEMORY = 0.3  # seconds after which a frame's share has fallen to 1/e: 3 frames at 10 a second
MAX_GAP = 1.0  # seconds between two frames beyond which nothing is carried
SAME_GRAY = 0.08  # gray in [0, 1]: difference at which a carried pixel has lost 1 - 1/e of its weight
SAME_DEPTH = 0.25  # difference of log depth at which a carried pixel has lost 1 - 1/e of its weight


class _Moment(NamedTuple):
    """The part of a frame that is kept."""

    time: float  # seconds
    gray: np.ndarray  # [h, w] in [0, 1]
    inv_depth: np.ndarray  # [h, w], smoothed
    T: np.ndarray  # the motion [4, 4] from this frame to the one before: the first guess for that of the next one


class Smoother:
    """The state of smoothing from frame to frame.

    Args:
        memory: seconds after which the share of a frame has fallen to 1/e.

    >>> camera = Camera.from_fov(60, width=64, height=48)
    >>> image, inv_depth = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 0.1, np.float32)
    >>> smoother = Smoother()
    >>> bool(np.array_equal(smoother(image, inv_depth, camera, time=0.0), inv_depth))  # nothing to smooth with yet
    True
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self._memory = memory
        self._last: _Moment | None = None

    def __call__(self, image: np.ndarray, inv_depth: np.ndarray, camera: Camera, time: float) -> np.ndarray:
        """Return the smoothed inverse depth [H, W] float32 of the next frame, 1/metres.

        Args:
            image: the image [H, W, 3] uint8.
            inv_depth: its inverse depth [H, W] float32, as predicted.
            camera: its camera, of floats; a guess will do.
            time: when it was taken, in seconds.
        """
        height, width = inv_depth.shape
        factor = -(-width // MAX_WIDTH)
        gray = np.asarray(Image.fromarray(image).convert("L").reduce(factor), dtype=np.float64) / 255
        small = np.asarray(Image.fromarray(inv_depth).reduce(factor), dtype=np.float64)
        last = self._last
        if last is None or last.gray.shape != gray.shape or not 0 < time - last.time < MAX_GAP:
            self._last = _Moment(time, gray, small, np.eye(4))
            return inv_depth
        T = aligned_motion(gray, last.gray, small, camera.resized(*gray.shape), last.T)
        share = math.exp(-(time - last.time) / self._memory)
        correction = share * _correction(gray, small, last, camera.resized(*gray.shape), T)
        self._last = _Moment(time, gray, small * np.exp(correction), T)
        whole = Image.fromarray(correction.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        smoothed: np.ndarray = inv_depth * np.exp(np.asarray(whole))
        return smoothed


def _correction(gray: np.ndarray, inv_depth: np.ndarray, last: _Moment, camera: Camera, T: np.ndarray) -> np.ndarray:
    """Return by how much log inverse depth [h, w] differs from what was carried, where this is trusted, else 0.

    T leads from the frame to the one before.
    """
    places, inside = projected(points_of(inv_depth, camera) @ T[:3, :3].T + T[:3, 3], camera)
    rays = np.stack(
        [
            (places[..., 0] - float(camera.cx)) / float(camera.fx),
            (places[..., 1] - float(camera.cy)) / float(camera.fy),
            np.ones_like(inv_depth),
        ],
        axis=-1,
    )
    before = rays / sampled(last.inv_depth, places)[..., None]  # points in the frame before
    carried = (before - T[:3, 3]) @ T[:3, 2]  # their depth in the new frame
    inside &= carried > 0
    rest = np.log(np.maximum(1 / np.where(inside, carried, 1.0), MIN_INV_DEPTH) / inv_depth)
    other = gray - sampled(last.gray, places)
    trust = inside * np.exp(-((other / SAME_GRAY) ** 2) - (rest / SAME_DEPTH) ** 2)
    return np.asarray(trust * rest)
