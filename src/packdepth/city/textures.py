"""Procedural textures. They are tileable, and each drive has its own set.

Mip maps of box-filtered texels keep them from flickering and from vanishing at a distance. The numbers of the patterns
are chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from packdepth.city.style import Facade, Style

SIZE = 512  # texels along each side of a tile
LEVELS = 10  # mip levels: 512, 256, ..., 1 texels along each side
ROAD_HALF_WIDTH = 6.3  # metres: a lane of 3.5 metres, and a strip of 2.8 metres where cars park
LANE = 3.5  # metres: width of a lane
MIN_REFLECTANCE = 0.01  # lower bound of a texel: no surface is black


class Material(IntEnum):
    """The materials of surfaces. Each is a tile in a set of textures."""

    ROAD = 0
    ZEBRA = 1
    ASPHALT = 2
    SIDEWALK = 3
    GRASS = 4
    FACADE_A = 5
    FACADE_B = 6
    FACADE_C = 7
    SHOP = 8
    ROOF = 9
    BARK = 10
    LEAF = 11
    PAINT = 12
    GLASS = 13
    RUBBER = 14
    METAL = 15
    CLOTH = 16
    SIGN = 17
    CARGO = 18
    PLAIN = 19


TILES: dict[Material, tuple[float, float]] = {  # metres across and up (or along) that a tile covers
    Material.ROAD: (2 * ROAD_HALF_WIDTH, 12.0),
    Material.ZEBRA: (8.0, 8.0),
    Material.ASPHALT: (8.0, 8.0),
    Material.SIDEWALK: (4.0, 4.0),
    Material.GRASS: (9.0, 9.0),
    Material.FACADE_A: (12.0, 12.0),
    Material.FACADE_B: (12.0, 12.0),
    Material.FACADE_C: (12.0, 12.0),
    Material.SHOP: (9.0, 4.0),
    Material.ROOF: (6.0, 6.0),
    Material.BARK: (1.5, 3.0),
    Material.LEAF: (3.0, 3.0),
    Material.PAINT: (4.0, 4.0),
    Material.GLASS: (3.0, 3.0),
    Material.RUBBER: (1.0, 1.0),
    Material.METAL: (2.0, 2.0),
    Material.CLOTH: (0.8, 0.8),
    Material.SIGN: (0.5, 0.5),
    Material.CARGO: (5.0, 5.0),
    Material.PLAIN: (4.0, 4.0),
}


class Textures:
    """The tiles of a drive, with their mip levels. Colors are linear, in [0, 1].

    Args:
        style: the style of the street.
        rng: source of random numbers for the patterns of this drive.

    Attributes:
        levels: the mip levels, finest first: [materials, size, size, 3] float32.
    """

    def __init__(self, style: Style, rng: np.random.Generator) -> None:
        self.sizes = SIZE >> np.arange(LEVELS)
        ends = np.cumsum(len(Material) * self.sizes**2)
        self.starts = ends - len(Material) * self.sizes**2
        self.texels = np.empty((ends[-1], 3), np.float32)  # all levels of all tiles
        self.levels = [
            self.texels[start:end].reshape(-1, size, size, 3)
            for start, end, size in zip(self.starts, ends, self.sizes, strict=True)
        ]
        for material in Material:
            np.clip(PAINTERS[material](style, rng), MIN_REFLECTANCE, 1, out=self.levels[0][material])
        for fine, coarse in pairwise(self.levels):
            np.add(fine[:, ::2, ::2] + fine[:, 1::2, ::2], fine[:, ::2, 1::2] + fine[:, 1::2, 1::2], out=coarse)
            coarse /= 4
        self.tiles = np.array([TILES[material] for material in Material], np.float32)

    def lookup(self, material: np.ndarray, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Return colors, interpolated trilinearly: [N, 3].

        Args:
            material: [N] uint8, see Material.
            uv: [N, 2] texture coordinates in metres.
            footprint: [N] width of the surface that a sample covers, in metres.
        """
        tiles = self.tiles[material]
        texel = np.sqrt(tiles[:, 0] * tiles[:, 1]) / SIZE
        level = np.log2(np.maximum(footprint / texel, 1.0)).clip(0, LEVELS - 1.001)
        lower = level.astype(np.int64)
        share = (level - lower)[:, None].astype(np.float32)
        where = uv / tiles
        fine, coarse = self._bilinear(material, where, lower), self._bilinear(material, where, lower + 1)
        return fine + share * (coarse - fine)

    def _bilinear(self, material: np.ndarray, where: np.ndarray, level: np.ndarray) -> np.ndarray:
        size = self.sizes[level]
        x, y = where[:, 0] * size - 0.5, where[:, 1] * size - 0.5
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = (x - x0).astype(np.float32)[:, None], (y - y0).astype(np.float32)[:, None]
        start = self.starts[level] + material.astype(np.int64) * size * size
        mask = size - 1  # sizes are powers of two
        xi, yi = x0.astype(np.int64), y0.astype(np.int64)
        left, right = xi & mask, (xi + 1) & mask
        low, high = start + (yi & mask) * size, start + ((yi + 1) & mask) * size
        take = self.texels.take
        bottom, top = take(low + left, 0), take(high + left, 0)
        bottom += fx * (take(low + right, 0) - bottom)
        top += fx * (take(high + right, 0) - top)
        bottom += fy * (top - bottom)
        return bottom


# --- the tiles: [SIZE, SIZE, 3] float32, row 0 at v = 0 --------------------------------------------------

Painter = Callable[[Style, np.random.Generator], np.ndarray]


def noise(rng: np.random.Generator, slope: float = 1.0, stretch: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Draw tileable noise with mean 0 and standard deviation 1: [SIZE, SIZE].

    Args:
        rng: source of random numbers.
        slope: the amplitude is proportional to frequency to the power of -slope.
        stretch: factors by which the grain is longer along u and v.

    >>> noise(np.random.default_rng(0)).shape
    (512, 512)
    """
    amplitude = _amplitude(slope, stretch)
    phase = 2 * np.pi * rng.random(amplitude.shape, np.float32)
    spectrum = np.empty(amplitude.shape, np.complex64)
    spectrum.real, spectrum.imag = amplitude * np.cos(phase), amplitude * np.sin(phase)
    values = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.asarray(values / values.std())


@cache
def _amplitude(slope: float, stretch: tuple[float, float]) -> np.ndarray:
    """Return the amplitude of each frequency of the noise: [SIZE, SIZE / 2 + 1] float32."""
    fy, fx = np.meshgrid(np.fft.fftfreq(SIZE), np.fft.rfftfreq(SIZE), indexing="ij")
    frequency = np.hypot(fx * stretch[0], fy * stretch[1])
    frequency[0, 0] = np.inf
    return np.asarray(frequency**-slope, np.float32)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates u and v of the texels, in [0, 1)."""
    steps = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    u, v = np.meshgrid(steps, steps, indexing="xy")
    return u, v


def _toned(color: np.ndarray | tuple[float, ...], value: np.ndarray) -> np.ndarray:
    """Return a color times a brightness `value` [SIZE, SIZE]."""
    return np.asarray(color, np.float32) * value[..., None]


def _where(mask: np.ndarray, inside: ArrayLike, outside: ArrayLike) -> np.ndarray:
    """Return numpy.where in float32, regardless of the types of the values."""
    return np.where(mask, np.asarray(inside, np.float32), np.asarray(outside, np.float32))


def _asphalt(style: Style, rng: np.random.Generator) -> np.ndarray:
    patches = _where(noise(rng, 2.0) > 1.3, 0.75, 1.0)
    cracks = np.abs(noise(rng, 1.6)) < 0.012
    value = 1 + 0.16 * noise(rng, 0.9) + 0.22 * noise(rng, 0.3)
    tone = style.asphalt * rng.uniform(0.85, 1.15)
    return _toned((tone, tone, 1.04 * tone), value * patches * _where(cracks, 0.55, 1.0))


def _mark(surface: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a surface with worn white paint in the mask."""
    worn = mask & (noise(rng, 1.0) < 1.6)
    return _where(worn[..., None], 0.62 + 0.05 * noise(rng, 0.5)[..., None], surface)


def _road(style: Style, rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    lateral = (u - 0.5) * 2 * ROAD_HALF_WIDTH
    dashes = (np.abs(lateral) < 0.075) & (v < style.dash)
    edges = np.abs(np.abs(lateral) - LANE - 0.05) < 0.06
    tracks = 1 - 0.10 * np.exp(-(((np.abs(np.abs(lateral) - 1.75) - 0.75) / 0.3) ** 2))
    return _mark(_asphalt(style, rng) * tracks[..., None], dashes | edges, rng)


def _zebra(style: Style, rng: np.random.Generator) -> np.ndarray:
    u, _ = _grid()
    return _mark(_asphalt(style, rng), (u * 8) % 1 < 0.5, rng)


def _slabs(rng: np.random.Generator, across: int, up: int, shift: bool, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw slabs: their brightness, of standard deviation 1, and the mask of the gaps. `gap` is a share of a slab."""
    u, v = _grid()
    row = np.floor(v * up)
    x = u * across + (0.5 * (row % 2) if shift else 0.0)
    shade = rng.normal(0, 1, (up, across)).astype(np.float32)[row.astype(int), np.floor(x).astype(int) % across]
    du, dv = x % 1, (v * up) % 1
    ratio = across / up
    return shade, (np.minimum(du, 1 - du) < gap * min(1.0, ratio)) | (np.minimum(dv, 1 - dv) < gap / max(1.0, ratio))


def _sidewalk(style: Style, rng: np.random.Generator) -> np.ndarray:
    shade, gaps = _slabs(rng, *style.slabs, shift=style.slab_shift, gap=0.03)
    value = 1 + 0.09 * shade + 0.10 * noise(rng, 0.7)
    return _toned(np.array(style.slab_color), value * _where(gaps, 0.6, 1.0))


def _grass(style: Style, rng: np.random.Generator) -> np.ndarray:
    value = 1 + 0.30 * noise(rng, 0.8) + 0.15 * noise(rng, 1.6)
    dry = (0.5 + 0.35 * noise(rng, 1.5)).clip(0, 1)[..., None]
    color = dry * np.array(style.dry_grass, np.float32) + (1 - dry) * np.array(style.grass, np.float32)
    return color * value[..., None]


def _facade(which: int) -> Painter:
    def paint(style: Style, rng: np.random.Generator) -> np.ndarray:
        return _windows(_wall(style.facades[which], rng), style.facades[which], rng)

    return paint


def _wall(facade: Facade, rng: np.random.Generator) -> np.ndarray:
    color = np.array(facade.color) * rng.uniform(0.85, 1.15)
    value = 1 + 0.10 * noise(rng, 1.2)
    if facade.bricks is not None:
        shade, gaps = _slabs(rng, *facade.bricks, shift=facade.bond, gap=0.09)
        value = (value + 0.10 * shade) * _where(gaps, 1.25, 1.0)
    return _toned(color, value + 0.06 * noise(rng, 0.4))


def _windows(wall: np.ndarray, facade: Facade, rng: np.random.Generator) -> np.ndarray:
    """Paint a grid of windows on a wall: panes of different brightness, frames, sills, and some curtains."""
    across, up = facade.windows
    u, v = _grid()
    column, row = np.floor(u * across).astype(int), np.floor(v * up).astype(int)
    x, y = (u * across) % 1 - 0.5, (v * up) % 1 - 0.5
    width, height = facade.window_size
    pane = (np.abs(x) < width / 2) & (np.abs(y) < height / 2)
    frame = (np.abs(x) < width / 2 + 0.035) & (np.abs(y) < height / 2 + 0.04)
    bars = pane & ((np.abs(x) < 0.012) | (np.abs(y - height * facade.bar) < 0.012))
    sill = (np.abs(x) < width / 2 + 0.07) & (np.abs(y + height / 2 + 0.07) < 0.03)
    dark = rng.uniform(0.02, 0.22, (up, across)).astype(np.float32)[row, column]
    curtain = (rng.random((up, across)) < 0.35)[row, column] & (y > rng.uniform(-0.4, 0.4, (up, across))[row, column])
    glass = _toned((0.85, 0.95, 1.05), _where(curtain, 0.45, dark) * (1 + 0.25 * noise(rng, 1.4)))
    trim = np.array(facade.trim)
    picture = _where((sill | frame)[..., None], trim * (1 + 0.05 * noise(rng, 0.8))[..., None], wall)
    picture = _where(pane[..., None], glass, picture)
    return _where(bars[..., None], trim, picture)


def _shop(style: Style, rng: np.random.Generator) -> np.ndarray:
    """Paint ground floors with shops: wide panes below a sign, and doors between them."""
    u, v = _grid()
    x = (u * 3) % 1
    shop = np.floor(u * 3).astype(int)
    wall = _wall(style.facades[0], rng) * 0.8
    board = (v > 0.74) & (v < 0.9) & (x > 0.06) & (x < 0.94)
    colors = rng.uniform(0.08, 0.6, (3, 3))[shop]
    letters = board & (np.abs(v - 0.82) < 0.04) & (noise(rng, 0.5, (0.5, 3.0)) > 0.4) & (x > 0.15) & (x < 0.85)
    pane = (v > 0.14) & (v < 0.7) & (((x > 0.08) & (x < 0.62)) | ((x > 0.7) & (x < 0.92)))
    shelves, _ = _slabs(rng, 24, 12, shift=True, gap=0.05)
    goods = _toned((1.0, 0.94, 0.85), (0.13 + 0.07 * shelves + 0.03 * noise(rng, 1.4)).clip(0.03, 0.6))
    picture = _where(board[..., None], colors, wall)
    picture = _where(letters[..., None], 0.75, picture)
    return _where(pane[..., None], goods, picture)


def _roof(style: Style, rng: np.random.Generator) -> np.ndarray:
    shade, gaps = _slabs(rng, 20, 16, shift=True, gap=0.08)
    value = (1 + 0.14 * shade + 0.12 * noise(rng, 1.0)) * _where(gaps, 0.6, 1.0)
    return _toned(np.array(style.roof), value)


def _bark(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((0.20, 0.15, 0.11), (1 + 0.35 * noise(rng, 0.9, (1.0, 0.15))).clip(0.3, 2))


def _leaf(style: Style, rng: np.random.Generator) -> np.ndarray:
    clumps, leaves = noise(rng, 1.3), noise(rng, 0.5)
    value = (1 + 0.38 * clumps + 0.34 * leaves).clip(0.15, 2.4)
    yellow = (0.5 + 0.5 * noise(rng, 1.2)).clip(0, 1)[..., None]
    green, old = np.array(style.leaf, np.float32), np.array([0.22, 0.24, 0.06], np.float32)
    return (green + 0.3 * yellow * (old - green)) * value[..., None]


def _paint(style: Style, rng: np.random.Generator) -> np.ndarray:
    """Paint slightly dirty panels with gaps, like the doors and the hood of a car from a distance."""
    u, _ = _grid()
    gaps = np.min([np.abs(u * 4 - place) for place in (0.15, 1.15, 2.25, 3.0)], axis=0) < 0.014  # metres
    value = 0.80 + 0.09 * noise(rng, 1.5) + 0.03 * noise(rng, 0.4)
    return _toned((1.0, 1.0, 1.0), value * _where(gaps, 0.35, 1.0))


def _glass(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((0.07, 0.08, 0.09), (1 + 0.35 * noise(rng, 1.8)).clip(0.4, 2))


def _rubber(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((0.035, 0.035, 0.037), 1 + 0.15 * noise(rng, 0.8))


def _metal(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((0.36, 0.37, 0.38), 1 + 0.12 * noise(rng, 1.0, (1.0, 0.3)))


def _cloth(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((1.0, 1.0, 1.0), (0.8 + 0.12 * noise(rng, 1.2) + 0.05 * noise(rng, 0.2)).clip(0.3, 1.0))


def _sign(style: Style, rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    glyph = (np.abs(u - 0.5) < 0.3) & (np.abs(v - 0.5) < 0.3) & (noise(rng, 1.8) > 0.3)
    return _where(glyph[..., None], 0.12, _toned((1.0, 1.0, 1.0), 0.85 + 0.02 * noise(rng, 0.5)))


def _cargo(style: Style, rng: np.random.Generator) -> np.ndarray:
    """Paint the sides of lorries: panels, and a stripe with shapes like letters."""
    u, v = _grid()
    seams = np.minimum(u * 8 % 1, 1 - u * 8 % 1) < 0.03
    stripe = np.abs(v - 0.45) < 0.1
    letters = stripe & (noise(rng, 0.9, (0.6, 2.0)) > 0.5)
    value = (0.78 + 0.05 * noise(rng, 1.4)) * _where(seams, 0.75, 1.0)
    picture = _where(stripe[..., None], rng.uniform(0.1, 0.6, 3), _toned((1.0, 1.0, 1.0), value))
    return _where(letters[..., None], 0.85, picture)


def _plain(style: Style, rng: np.random.Generator) -> np.ndarray:
    return _toned((0.7, 0.7, 0.7), 1 + 0.08 * noise(rng, 1.0) + 0.05 * noise(rng, 0.4))


PAINTERS: dict[Material, Painter] = {
    Material.ROAD: _road,
    Material.ZEBRA: _zebra,
    Material.ASPHALT: _asphalt,
    Material.SIDEWALK: _sidewalk,
    Material.GRASS: _grass,
    Material.FACADE_A: _facade(0),
    Material.FACADE_B: _facade(1),
    Material.FACADE_C: _facade(2),
    Material.SHOP: _shop,
    Material.ROOF: _roof,
    Material.BARK: _bark,
    Material.LEAF: _leaf,
    Material.PAINT: _paint,
    Material.GLASS: _glass,
    Material.RUBBER: _rubber,
    Material.METAL: _metal,
    Material.CLOTH: _cloth,
    Material.SIGN: _sign,
    Material.CARGO: _cargo,
    Material.PLAIN: _plain,
}
