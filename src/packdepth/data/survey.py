"""What there is to know of a clip's images before anybody trains on them, measured on frames spread over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from packdepth.data.motion import mean_motion, optical_flow, pooled, small_gray
from packdepth.data.unmoved import unmoved
from packdepth.records import Clip

FRAMES = 160  # looked at in a clip, at most
STATIC = 1 / 416  # of the width: mean motion below which the camera stands: a pixel at Zhou et al.'s image size
DARK, BRIGHT = 5, 250  # gray levels; what lies beyond says nothing


@dataclass(frozen=True, eq=False)
class Survey:
    """Measurements of the frames of a clip that were looked at, each with its successor in time."""

    clip: Clip
    looked: np.ndarray  # [N] int, indices of frames
    motion: np.ndarray  # [N] mean image motion to the next frame, shares of the width; NaN where none could be told
    sharpness: np.ndarray  # [N] fine detail over coarse detail: about 0.8 when sharp, 0.3 when blurred
    brightness: np.ndarray  # [N] mean gray in [0, 1]
    change: np.ndarray  # [N] brightness of the next frame over this one's
    clipped: np.ndarray  # [N] share of pixels that are black or white
    unmoved: np.ndarray  # [h, w] bool, at the size that motion is measured on

    @property
    def static(self) -> np.ndarray:
        """Whether the camera stands at each frame looked at: [N] bool."""
        return self.motion < STATIC

    @property
    def typical_motion(self) -> float:
        """The median motion to the next frame while the camera moves, as a share of the width; NaN if it never does."""
        moving = self.motion[self.motion >= STATIC]
        return float(np.median(moving)) if len(moving) else float("nan")


def survey(clip: Clip) -> Survey:
    """Look at up to 160 frames, evenly spread. Raises InputError for an image that cannot be read."""
    count = len(clip.frames) if clip.independent else len(clip.frames) - 1
    looked = np.unique(np.linspace(0, max(count - 1, 0), min(max(count, 1), FRAMES)).round().astype(int))
    rows, grays = [], []
    for index in looked:
        image = clip.frames[index].image.read()
        gray = small_gray(image)
        following = gray if count == 0 or clip.independent else small_gray(clip.frames[index + 1].image.read())
        motion = float("nan") if following is gray else mean_motion(optical_flow(gray, following), gray.shape[1])
        clipped = ((image <= DARK).all(-1) | (image >= BRIGHT).all(-1)).mean()
        change = (following.mean() + 1e-3) / (gray.mean() + 1e-3)
        rows.append((motion, sharpness(image), gray.mean(), change, clipped))
        grays.append(gray)
    motion, sharp, brightness, change, clipped = np.array(rows).T
    moving = [gray for gray, share in zip(grays, motion, strict=True) if share >= 2 * STATIC]
    still = unmoved(moving) if moving else np.zeros(grays[0].shape, dtype=bool)
    return Survey(clip, looked, motion, sharp, brightness, change, clipped, still)


def sharpness(image: np.ndarray) -> float:
    """Fine detail over coarse detail of an RGB image [H, W, 3] uint8: mean Laplacian at full over half resolution."""
    gray = image.astype(np.float32).mean(-1)
    return float(_detail(gray) / max(_detail(pooled(gray, 2)), 1e-6))


def _detail(gray: np.ndarray) -> float:
    middle = 4 * gray[1:-1, 1:-1]
    around = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float(np.abs(middle - around).mean())
