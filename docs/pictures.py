"""Draw the pictures of rendered streets that the pages show.

    packdepth demo demo
    python docs/pictures.py demo

writes `docs/images/city_*.jpg`: images of the test drives, which the network has not seen, beside predicted depth, exact
depth, and the error. The first frame of each drive is taken.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import packdepth
from packdepth.color import color_range, colorize
from packdepth.html import error_colors
from packdepth.inference.pictures import with_bar

IMAGES = Path(__file__).parent / "images"
DRIVES = (5, 0, 1, 4)  # numbers of test drives; the first, chosen for its car, is on the first page
FAR = 80.0  # metres: exact depth beyond it is left out, as the demo's evaluation does
SIZE = (640, 192)  # pixels: width and height of a panel; the demo's network predicts 64x224, the images have 96x320
LABEL = 15  # pixels: height of the letters


def panel(picture: np.ndarray, label: str) -> np.ndarray:
    """Return a picture at the size of a panel with a word in its corner.

    Args:
        picture: colors [H, W, 3] uint8, of any size.
        label: the word.
    """
    image = Image.fromarray(picture).resize(SIZE, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    draw.text((8, 6), label, "white", ImageFont.load_default(LABEL), stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def panels(predictor: packdepth.Predictor, drive: Path) -> list[np.ndarray]:
    """Return the image of a drive's first frame, its predicted and exact depth, and the error, as panels.

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
    pictures = [frame.image.read(), *(with_bar(each, low, high, "dusk", metric=True) for each in depths), error]
    words = ("image", "predicted depth", "exact depth", "error: red is too far, blue too near")
    return [panel(picture, word) for picture, word in zip(pictures, words, strict=True)]


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
        image, predicted, exact, error = panels(predictor, demo / "data" / "test" / f"test-{drive:04d}")
        rows = [np.hstack([image, predicted]), np.hstack([error, exact])]
        name = "city_depth" if drive == DRIVES[0] else f"city_depth_{drive}"
        Image.fromarray(np.vstack(rows)).save(IMAGES / f"{name}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
