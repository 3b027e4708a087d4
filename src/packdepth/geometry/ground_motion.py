"""Motion of a camera over the ground, in camera heights, from pairs of images: the odometer that every road video has.

The ground in front of the camera is a plane. Its image moves by a homography, R + t n^T / h, which depends on the
motion in units of the camera height h. It is found by direct alignment, without features and without depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from packdepth.channels import channel_mean
from packdepth.geometry.align import gradients, smoothed
from packdepth.geometry.camera import Camera
from packdepth.geometry.robust import DEVIATION_OVER_MEDIAN, robust_deviation
from packdepth.geometry.se3 import rotation_exp, rotation_log

MAX_WIDTH = 704  # pixels: wider images are averaged over blocks
FARTHEST = 8.0  # camera heights along the axis: farther ground is seen at a grazing angle, and moves little
SIDEWAYS = 1.3  # camera heights to each side: about the width of a lane
PITCHES = tuple(math.radians(angle) for angle in range(-12, 13, 2))  # candidates, downwards positive
LENGTHS = (0.0, *np.geomspace(0.02, 3.0, 24).tolist())  # candidates of a motion, camera heights; neighbors: factor 1.24
YAWS = tuple(np.radians(np.linspace(-6.0, 6.0, 17)).tolist())  # candidates of a turn, to the right positive: up to 60
# degrees a second between images 0.1 seconds apart, as in a corner of a city
HEIGHTS = np.geomspace(0.05, 20.0, 28)  # candidates of a camera's height, metres; neighbors: factor 1.25
RIVAL = math.log(1.5)  # of the ratio of two heights: nearer candidates match nearly as well
COARSE = 4  # pixels of a block at the resolution at which candidates are compared
DETAIL = 9  # pixels, window whose mean is subtracted before candidates are compared: shades are no texture
TRIED_PAIRS = 12  # pairs of a video from which the pitch of the camera is found
FIXED_SHARE = (
    0.6  # of the mean gradient that the mean image still has: a hood or a logo, which do not move with the road
)
MIN_PIXELS = 60  # pixels of ground that a comparison needs
MIN_DEPTH = 0.05  # camera heights: points that come nearer than this have left the view
LEVELS = (4, 2, 1)  # pixels of a block, from coarse to fine
ROUNDS = 4  # Gauss-Newton steps at each resolution
MIN_START = 0.1  # correlation at low resolution from which an alignment is started; noise stays below
NEIGHBORS = 2  # pairs before and after whose matches help to find the start: a vehicle's speed changes slowly
MIN_MATCH = 0.6  # correlation of two images of one ground: on rendered drives 0.7 to 1, with strong JPEG compression
# from 0.58
MIN_NOISE, OUTLIER = 0.005, 2.0  # gray in [0, 1] and standard deviations, as in geometry/align.py
CORRELATED = 9.0  # pixels that share their noise after smoothing over 3 x 3 pixels
# Standard deviations of what is expected of a vehicle between two images:
LATERAL, VERTICAL = 0.05, 0.01  # camera heights: sideways, and off the plane (bounce)
ROTATION = 0.03  # radians
FREE_TILT, KNOWN_TILT = math.radians(3.0), math.radians(0.25)  # of the plane: before and after its median is known
EXPOSURE = 0.3  # of the gain (a factor) and of the offset (gray in [0, 1])
# Pixels that are compared together: fewer cost calls of small operations, more leave the cache; chosen
SAMPLES = 2**17
NO_EXPOSURE = torch.tensor([1.0, 0.0])  # gain and offset of images that are equally bright


@dataclass(frozen=True)
class GroundMotion:
    """Motion between two images over the ground."""

    length: float  # length of the motion in camera heights
    tilt: tuple[float, float]  # pitch (downwards positive) and roll of the camera over the plane, radians


def small_ground_image(image: np.ndarray) -> Tensor:
    """Return the gray image that the motion over the ground is measured on.

    Args:
        image: [H, W, 3] uint8, RGB.

    Returns:
        [1, 1, h, w] uint8, at most `MAX_WIDTH` pixels wide.

    >>> small_ground_image(np.full((96, 1408, 3), 255, dtype=np.uint8)).shape
    torch.Size([1, 1, 48, 704])
    """
    gray = torch.from_numpy(channel_mean(image))[None, None]
    return F.avg_pool2d(gray, -(-image.shape[1] // MAX_WIDTH)).round().to(torch.uint8)


def ground_motions(pairs: Sequence[tuple[Tensor, Tensor]], camera: Camera) -> list[GroundMotion | None]:
    """Measure the motion over the ground between the images of each pair.

    Args:
        pairs: pairs of images, each as `small_ground_image` returns it.
        camera: camera of the images before they were made small. A guess serves as well: a wrong focal length changes
            all lengths by nearly the same factor.

    Returns:
        The motion of each pair; None where the two images show no common ground.

    >>> gray = torch.full((1, 1, 96, 320), 128, dtype=torch.uint8)  # without texture
    >>> ground_motions([(gray, gray)], Camera.from_fov(90, width=320, height=96))
    [None]
    """
    if not pairs:
        return []
    places = np.unique(np.linspace(0, len(pairs) - 1, TRIED_PAIRS).round().astype(int)).tolist()
    chosen, lengths = _Drive([pairs[place] for place in places], camera), np.tile(LENGTHS, (len(pairs), 1))
    yaws = chosen.yaws(lengths[: len(places)])
    votes = [chosen.matches(pitch, lengths[: len(places)], yaws)[:, 1:].max((1, 2)).sum() for pitch in PITCHES]
    tilt = torch.tensor([PITCHES[int(np.argmax(votes))], 0.0])
    firsts = [_best(each) for each in chosen.matches(float(tilt[0]), lengths[: len(places)])]
    tilt = _typical_tilt(chosen.motions(tilt, FREE_TILT, [[(LENGTHS[i], YAWS[j])] for i, j in firsts]), tilt)
    drive = _Drive(pairs, camera, chosen.moves)
    matches = drive.matches(float(tilt[0]), lengths)
    padded = np.pad(matches, ((NEIGHBORS, NEIGHBORS), (0, 0), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBORS + 1, axis=0).mean(-1)
    starts = [
        [start for start in dict.fromkeys([_best(shared), _best(own)]) if own[start] > MIN_START]
        for own, shared in zip(matches, around, strict=True)
    ]
    return drive.motions(tilt, KNOWN_TILT, [[(LENGTHS[i], YAWS[j]) for i, j in each] for each in starts])


@dataclass(frozen=True)
class GroundHeight:
    """The height of a camera above the ground, by the distances that it moves and the motion of the ground's image."""

    metres: float  # median over pairs of images
    spread: float  # standard deviation of its logarithm over the pairs, robust
    lead: float  # by which it matches better than any height 1.5 times as large or small, in standard deviations


def ground_height(pairs: Sequence[tuple[Tensor, Tensor]], distances: np.ndarray, camera: Camera) -> GroundHeight | None:
    """Return the height of a camera above the ground at which the image of the ground moves as distances say.

    All pairs vote together. A pair alone may have several matches: the dashes of a lane repeat.

    Args:
        pairs: pairs of images, each as `small_ground_image` returns it.
        distances: distance in metres that the camera moves between the images of each pair, [N], positive.
        camera: camera of the images before they were made small.

    Returns:
        The height; None where fewer than half of the pairs show common ground.

    >>> gray = torch.full((1, 1, 96, 320), 128, dtype=torch.uint8)  # without texture
    >>> ground_height([(gray, gray)], np.ones(1), Camera.from_fov(90, width=320, height=96)) is None
    True
    """
    drive = _Drive(pairs, camera)
    lengths = distances[:, None] / HEIGHTS
    yaws = drive.yaws(lengths)
    votes = [drive.matches(pitch, lengths, yaws).mean(0).max() for pitch in PITCHES]
    tilt = torch.tensor([PITCHES[int(np.argmax(votes))], 0.0])
    still = np.pad(lengths, ((0, 0), (0, 1)))  # last: a ground that does not move
    matches = drive.matches(float(tilt[0]), still)
    best, lead = _lead(matches.max(-1))
    starts = [[(float(row[best]), YAWS[int(own[best].argmax())])] for row, own in zip(lengths, matches, strict=True)]
    tilt = _typical_tilt(drive.motions(tilt, FREE_TILT, starts), tilt)
    lengths_found = np.array([motion.length if motion else 0.0 for motion in drive.motions(tilt, KNOWN_TILT, starts)])
    known = lengths_found > 0
    if known.sum() * 2 < len(pairs):
        return None
    heights = distances[known] / lengths_found[known]
    middle = float(np.median(heights))
    return GroundHeight(middle, robust_deviation(np.log(heights / middle)), lead)


def _lead(matches: np.ndarray) -> tuple[int, float]:
    """Return the index of the height that matches [pairs, heights + 1] best, and its lead over all rivals.

    The lead over a rival is the mean difference of their matches, over its standard error.
    """
    best = int(matches[:, :-1].mean(0).argmax())
    rivals = np.append(np.abs(np.log(HEIGHTS / HEIGHTS[best])) > RIVAL, True)
    differences = matches[:, [best]] - matches[:, rivals]
    error = differences.std(0) / math.sqrt(len(matches))
    return best, float((differences.mean(0) / np.maximum(error, np.finfo(float).eps)).min())


class _Drive:
    """Pairs of images from a camera that drives over the ground."""

    def __init__(self, pairs: Sequence[tuple[Tensor, Tensor]], camera: Camera, moves: Tensor | None = None) -> None:
        self.pairs, self.camera = pairs, _camera_of(pairs[0][0], camera.pooled(-(-camera.width // MAX_WIDTH)))
        self.moves = _moving_region([image for image, _ in pairs]) if moves is None else moves
        self.coarse = _Coarse(pairs, self.camera, self.moves)

    def matches(self, pitch: float, lengths: np.ndarray, yaws: np.ndarray | None = None) -> np.ndarray:
        """Return the correlation of the ground in the two images of each pair after motions: [pairs, lengths, yaws].

        Args:
            pitch: pitch of the camera, in radians.
            lengths: lengths of the motions of each pair, [pairs, lengths] camera heights.
            yaws: turns of each pair, [pairs, yaws] radians; all of `YAWS` if left out.
        """
        turns = np.tile(YAWS, (len(self.pairs), 1)) if yaws is None else yaws
        return self.coarse.matches(pitch, lengths, turns)

    def yaws(self, lengths: np.ndarray) -> np.ndarray:
        """Return the turn of each pair that matches best at one of its lengths [pairs, lengths]: [pairs, 1] radians.

        The ground is taken for level.
        """
        best = self.matches(0.0, lengths).max(1).argmax(1)
        return np.array([[YAWS[place]] for place in best.tolist()])

    def motions(
        self, tilt: Tensor, deviation: float, starts: Sequence[Sequence[tuple[float, float]]]
    ) -> list[GroundMotion | None]:
        """Return the motion of each pair: of its starts, the result that matches best; None if none matches.

        Args:
            tilt: expected pitch and roll of the camera over the plane, [2] radians.
            deviation: standard deviation of these, radians.
            starts: for each pair, lengths in camera heights, and turns to the right in radians, to start from.
        """
        rows = [(number, start) for number, each in enumerate(starts) for start in each]
        found: list[GroundMotion | None] = [None] * len(self.pairs)
        best = [MIN_MATCH] * len(self.pairs)
        together = _batch_size(len(_ground_rays(self.camera, _normal(tilt), self.moves)[0][0]))
        for first in range(0, len(rows), together):
            numbers, begins = zip(*rows[first : first + together], strict=True)
            pairs = [self.pairs[number] for number in numbers]
            for number, motion, match in zip(numbers, *self._refined(pairs, tilt, deviation, begins), strict=True):
                if math.isfinite(motion.length) and match > best[number]:
                    found[number], best[number] = motion, match
        return found

    def _refined(
        self,
        pairs: Sequence[tuple[Tensor, Tensor]],
        tilt: Tensor,
        deviation: float,
        starts: Sequence[tuple[float, float]],
    ) -> tuple[list[GroundMotion], list[float]]:
        """Return the motion of each pair that is found from its start, and how well the images match after it."""
        length, yaw = torch.tensor(starts).unbind(1)
        turn = -yaw[:, None] * _normal(tilt)
        state = _State(
            _arc(length, yaw, _normal(tilt)), turn, tilt.expand(len(pairs), 2), NO_EXPOSURE.expand(len(pairs), 2)
        )
        for factor in LEVELS:
            level = _Level(pairs, factor, self.camera, self.moves, tilt)
            for _ in range(ROUNDS):
                state = state.moved(level.step(state, turn, tilt, deviation))
        motions = zip(state.motion.norm(dim=1).tolist(), state.plane.tolist(), strict=True)
        return [GroundMotion(traveled, (pitch, roll)) for traveled, (pitch, roll) in motions], level.match(state)


def _batch_size(pixels: int) -> int:
    """Return how many comparisons of so many pixels are made together."""
    return max(1, SAMPLES // max(1, pixels))


def _typical_tilt(motions: Sequence[GroundMotion | None], otherwise: Tensor) -> Tensor:
    """Return the median pitch and roll [2] of the motions, or another tilt if there is none."""
    tilts = [each.tilt for each in motions if each is not None and each.length > 0]
    return torch.tensor(np.median(tilts, axis=0), dtype=torch.float32) if tilts else otherwise


def _best(matches: np.ndarray) -> tuple[int, ...]:
    """Return the indices of the best match."""
    return tuple(int(index) for index in np.unravel_index(matches.argmax(), matches.shape))


def _moving_region(images: Sequence[Tensor]) -> Tensor:
    """Return where images of one camera change [h / COARSE, w / COARSE] bool; all of it for a few or equal images."""
    small = torch.cat([F.avg_pool2d(image.float(), COARSE) for image in images])
    if len(images) < TRIED_PAIRS:
        return torch.ones_like(small[0, 0], dtype=torch.bool)
    across, down = gradients(small)
    single = (across**2 + down**2).sqrt().mean(0)[0]
    across, down = gradients(small.mean(0, keepdim=True))
    lasting = (across**2 + down**2).sqrt()[0, 0]
    fixed = ((lasting > FIXED_SHARE * single) & (single > 1.0)).float()[None, None]
    fixed = F.max_pool2d(fixed, 3, stride=1, padding=1)[0, 0] > 0
    return ~fixed if fixed.float().mean() < 0.5 else torch.ones_like(fixed)


def _normal(tilt: Tensor) -> Tensor:
    """Return the unit normal [..., 3] of the ground, downwards, in the camera frame, of pitch and roll [..., 2]."""
    pitch, roll = tilt.unbind(-1)
    return torch.stack([roll.sin(), pitch.cos() * roll.cos(), pitch.sin() * roll.cos()], dim=-1)


def _ahead(normal: Tensor) -> Tensor:
    """Return the unit vector [3] along the ground, ahead."""
    ahead = torch.tensor([0.0, 0.0, 1.0]) - normal[2] * normal
    unit: Tensor = ahead / ahead.norm()
    return unit


def _camera_of(images: Tensor, camera: Camera) -> Camera:
    """Return a camera with the size of its pooled images [..., H, W], from which the last pixels are left out."""
    return replace(camera, height=images.shape[-2], width=images.shape[-1])


def _ground_rays(camera: Camera, normal: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rays [3, N] with z = 1 of the pixels that show near ground and move, and their mask [h, w]."""
    size = (camera.height, camera.width)
    v, u = torch.meshgrid(*(torch.arange(side).float() for side in size), indexing="ij")
    rays = torch.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, torch.ones_like(u)])
    nearness = torch.tensordot(normal, rays, dims=1)  # camera height over depth
    moving = F.interpolate(moves[None, None].float(), size=size)[0, 0] > 0
    mask = (nearness > 1 / FARTHEST) & (rays[0].abs() < SIDEWAYS * nearness) & moving
    return rays[:, mask], mask


def _projected(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Return the places [..., N, 2] of points [..., 3, N] for grid_sample, and whether they are in the image."""
    z = points[..., 2, :].clamp(min=MIN_DEPTH)
    u, v = camera.fx * points[..., 0, :] / z + camera.cx, camera.fy * points[..., 1, :] / z + camera.cy
    width, height = camera.width, camera.height
    inside = (u > 0) & (u < width - 1) & (v > 0) & (v < height - 1) & (points[..., 2, :] > MIN_DEPTH)
    return torch.stack([(2 * u + 1) / width - 1, (2 * v + 1) / height - 1], dim=-1), inside


class _Coarse:
    """Pairs of images at low resolution, compared after motions of different lengths."""

    def __init__(self, pairs: Sequence[tuple[Tensor, Tensor]], camera: Camera, moves: Tensor) -> None:
        self.images, self.following = (
            torch.cat([self._detail(F.avg_pool2d(gray.float(), COARSE)) for gray in images])
            for images in zip(*pairs, strict=True)
        )
        self.camera, self.moves = _camera_of(self.images, camera.pooled(COARSE)), moves

    @staticmethod
    def _detail(gray: Tensor) -> Tensor:
        """Subtract the local mean."""
        margin = DETAIL // 2
        detail: Tensor = gray - F.avg_pool2d(F.pad(gray, (margin,) * 4, mode="replicate"), DETAIL, stride=1)
        return detail

    def matches(self, pitch: float, lengths: np.ndarray, yaws: np.ndarray) -> np.ndarray:
        """Return the correlation of the ground in the two images of each pair after motions, at a pitch.

        Args:
            pitch: pitch of the camera, in radians.
            lengths: lengths of the motions of each pair, [pairs, lengths] camera heights.
            yaws: turns of each pair, [pairs, yaws] radians.

        Returns:
            [pairs, lengths, yaws].
        """
        normal = _normal(torch.tensor([pitch, 0.0]))
        rays, mask = _ground_rays(self.camera, normal, self.moves)
        grays, motions = self.images[:, 0][:, mask], (lengths.shape[1], yaws.shape[1])
        together, found = _batch_size(math.prod(motions) * grays.shape[1]), []
        for first in range(0, len(grays), together):
            part = slice(first, first + together)
            length, yaw = (torch.tensor(each[part], dtype=torch.float32) for each in (lengths, yaws))
            turned = (rotation_exp(-yaw[..., None] * normal) @ rays)[:, None]  # [pairs, 1, yaws, 3, N]
            along = _arc(length[:, :, None], yaw[:, None], normal)[..., None]  # [pairs, lengths, yaws, 3, 1]
            grid, inside = _projected(turned + along * (normal @ rays), self.camera)
            seen = F.grid_sample(self.following[part], grid.flatten(1, 2), align_corners=False).view_as(inside)
            found.append(_correlation(grays[part, None, None], seen, inside))
        return torch.cat(found).numpy()


def _arc(length: Tensor, yaw: Tensor, normal: Tensor) -> Tensor:
    """Return the motions [..., 3] of the ground, in the second camera, for lengths and turns to the right [...].

    A vehicle that turns drives along an arc: the chord points half of the turn to the side.
    """
    motion: Tensor = -length[..., None] * (rotation_exp(-yaw[..., None] / 2 * normal) @ _ahead(normal))
    return motion


def _correlation(first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
    """Return the correlation [...] of pixels [N] with others [..., N] where a mask [..., N] holds.

    It is -1 where fewer than `MIN_PIXELS` are left, or one of both is constant.
    """
    count = inside.sum(-1, keepdim=True)
    a, b = (torch.where(inside, each, 0) for each in (first, second))
    a, b = (torch.where(inside, each - each.sum(-1, keepdim=True) / count.clamp(min=1), 0) for each in (a, b))
    norm = a.norm(dim=-1) * b.norm(dim=-1)
    correlation = (a * b).sum(-1) / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    return torch.where((norm > 0) & (count[..., 0] >= MIN_PIXELS), correlation, -1.0)


class _State(NamedTuple):
    """The state of an alignment of pairs of images."""

    motion: Tensor  # of the ground in the second camera, [pairs, 3] camera heights
    rotation: Tensor  # likewise, rotation vector [pairs, 3]
    plane: Tensor  # pitch and roll of the camera over the plane, [pairs, 2] radians
    exposure: Tensor  # gain and offset, [pairs, 2]

    def moved(self, step: Tensor) -> _State:
        """Return the state after a step [pairs, 10] of motion, rotation, tilt, gain and offset."""
        return _State(
            self.motion + step[:, :3],
            rotation_log(rotation_exp(step[:, 3:6]) @ rotation_exp(self.rotation)),
            self.plane + step[:, 6:8],
            self.exposure + step[:, 8:],
        )


class _Level:
    """Alignment of the ground in pairs of gray images at one resolution."""

    def __init__(
        self, pairs: Sequence[tuple[Tensor, Tensor]], factor: int, camera: Camera, moves: Tensor, tilt: Tensor
    ) -> None:
        images, following = (
            smoothed(F.avg_pool2d(torch.cat(grays).float() / 255, factor)) for grays in zip(*pairs, strict=True)
        )
        self.camera = _camera_of(images, camera.pooled(factor))
        self.following = torch.cat([following, *gradients(following)], dim=1)
        self.rays, mask = _ground_rays(self.camera, _normal(tilt), moves)
        self.gray = images[:, 0][:, mask]  # [pairs, N]

    def _seen(self, state: _State) -> tuple[Tensor, Tensor, Tensor]:
        """Return points in the second camera, over depth in the first, what it sees there, and a mask.

        They are [pairs, 3, N] twice, and [pairs, N].
        """
        turned = rotation_exp(state.rotation) @ self.rays
        points = turned + state.motion[..., None] * (_normal(state.plane) @ self.rays)[:, None]
        grid, inside = _projected(points, self.camera)
        sampled = F.grid_sample(self.following, grid[:, None], align_corners=False, padding_mode="border")
        return points, sampled[:, :, 0], inside

    def match(self, state: _State) -> list[float]:
        """Return the correlations of the first images with the second after motions; -1 if they hardly overlap."""
        _, seen, inside = self._seen(state)
        matches: list[float] = _correlation(self.gray, seen[:, 0], inside).tolist()
        return matches

    def step(self, state: _State, turn: Tensor, tilt: Tensor, deviation: float) -> Tensor:
        """Return a Gauss-Newton step [pairs, 10] of motion, rotation, tilt, gain and offset.

        It is 0 if too little is in view, or if nothing there has any texture, as in a black image.

        Args:
            state: what was found before.
            turn: expected rotation vectors, [pairs, 3].
            tilt: expected pitch and roll, [2] radians.
            deviation: standard deviation of these, radians.
        """
        if len(self.gray[0]) < MIN_PIXELS:
            return torch.zeros(len(self.gray), 10)
        (points, seen, inside), normal = self._seen(state), _normal(state.plane)
        motion, nearness = state.motion[..., None], (normal @ self.rays)[:, None]  # [pairs, 3, 1] and [pairs, 1, N]
        gain, offset = state.exposure[..., None].unbind(1)  # [pairs, 1]
        (x, y, z), (gray, along_x, along_y) = points.unbind(1), seen.unbind(1)
        z = z.clamp(min=MIN_DEPTH)
        by_x, by_y = self.camera.fx * along_x / z, self.camera.fy * along_y / z
        slope = torch.stack([by_x, by_y, -(by_x * x + by_y * y) / z], dim=1)
        around = torch.linalg.cross(points - motion * nearness, slope, dim=1)
        by_tilt = (motion * slope).sum(1, keepdim=True) * self.rays[[2, 0]]  # of a plane that is nearly level
        spatial = torch.cat([slope * nearness, around, by_tilt], dim=1)
        jacobian = torch.cat([gain[:, None] * spatial, seen[:, :1], torch.ones_like(seen[:, :1])], dim=1)
        difference = gain * gray + offset - self.gray
        middle = difference.abs().masked_fill(~inside, torch.nan).nanmedian(1, keepdim=True).values
        sigma = (DEVIATION_OVER_MEDIAN * middle).nan_to_num(MIN_NOISE).clamp(min=MIN_NOISE)
        weight = inside / (sigma * (1 + (difference / (OUTLIER * sigma)) ** 2)) ** 2 / CORRELATED
        weighted = jacobian * weight[:, None]
        information, gradient = weighted @ jacobian.mT, (weighted @ difference[..., None])[..., 0]
        lateral = torch.tensor([LATERAL, torch.inf, torch.inf])
        others = torch.tensor([ROTATION] * 3 + [deviation] * 2 + [EXPOSURE] * 2)
        prior = torch.cat([lateral, others]) ** -2
        guess = (state.rotation - turn, state.plane - tilt, state.exposure - NO_EXPOSURE)
        zero = torch.zeros_like(normal)
        off = torch.cat([normal, zero, state.motion[:, [2, 0]], zero[:, :2]], dim=1) / VERTICAL
        information = information + prior.diag() + off[:, :, None] * off[:, None]
        rise = (normal * state.motion).sum(1, keepdim=True) / VERTICAL
        target = gradient + prior * torch.cat([state.motion, *guess], dim=1) + off * rise
        step, is_singular = torch.linalg.solve_ex(information, target)
        usable = (inside.sum(1) >= MIN_PIXELS) & (is_singular == 0)
        return torch.where(usable[:, None], -step, 0.0)
