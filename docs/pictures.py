"""Draw the pictures of rendered streets that the pages show.

    packdepth demo demo
    python docs/pictures.py demo

writes `docs/images/city_*.jpg`: images of the test drives, which the network has not seen, beside predicted depth,
exact depth, and the error. The first frame of each drive is taken.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import packdepth
from packdepth.color import color_range, colorize
from packdepth.html import error_colors
from packdepth.inference.base import BasePredictor
from packdepth.inference.pictures import with_bar

IMAGES = Path(__file__).parent / "images"
DRIVES = (5, 0, 1, 4)  # numbers of test drives; the first, chosen for its car, is on the first page
FAR = 80.0  # metres: exact depth beyond it is left out, as the demo's evaluation does
SIZE = (640, 192)  # pixels: width and height of a panel; the demo's network predicts 64x224, the images have 96x320
LABEL = 26  # pixels: height of the letters


def panel(colors: np.ndarray, label: str) -> np.ndarray:
    """Return a picture at the size of a panel with a word in its corner.

    Args:
        colors: [H, W, 3] uint8, of any size.
        label: the word.
    """
    image = Image.fromarray(colors).resize(SIZE, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    draw.text((8, 6), label, "white", ImageFont.load_default(LABEL), stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def picture(predictor: BasePredictor, drive: Path) -> np.ndarray:
    """Return the image of a drive's first frame, its predicted depth, the error, and exact depth, with a color bar.

    Args:
        predictor: the network.
        drive: folder of the drive.
    """
    frame = packdepth.open(drive)[0].frames[0]
    assert frame.depth is not None
    prediction = predictor.predict(frame.image.path)
    exact = frame.depth.read()
    known = (exact > 0) & (exact < FAR)
    inverse = np.where(exact > 0, 1 / np.maximum(exact, 1e-3), 0)
    low, high = color_range([inverse])
    error = error_colors(np.where(known, prediction.depth / np.maximum(exact, 1e-3) - 1, np.nan))
    size = SIZE[1], SIZE[0]
    depths = [colorize(large(each, size), low, high) for each in (prediction.inv_depth, inverse)]
    left = np.vstack([panel(frame.image.read(), "image"), panel(error, "error")])
    right = np.vstack([panel(depths[0], "predicted depth"), panel(depths[1], "exact depth")])
    return np.hstack([left, with_bar(right, low, high, "dusk", metric=True)])


def large(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a map enlarged to a size.

    Args:
        values: the map [h, w].
        size: height and width of the result, in pixels.
    """
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR))


def draw(demo: Path) -> None:
    """Write the pictures.

    Args:
        demo: folder that `packdepth demo` wrote.
    """
    predictor = packdepth.load(demo / "run" / "best")
    for drive in DRIVES:
        colors = picture(predictor, demo / "data" / "test" / f"test-{drive:04d}")
        name = "city_depth" if drive == DRIVES[0] else f"city_depth_{drive}"
        Image.fromarray(colors).save(IMAGES / f"{name}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
