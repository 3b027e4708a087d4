"""The picture at the top of the README: three test images of a demo beside their predicted and their true depth.

Run after `packdepth demo demo` as `python docs/hero.py demo docs/images/city.jpg`. The images are rendered again, at
twice the size of the demo's, on the streets of its test drives, which are not in the training data.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from packdepth.city.write import write_city
from packdepth.color import TABLE, bar_ticks, colorize
from packdepth.demo.report import COLOR_RANGE
from packdepth.demo.steps import SIZE, recipe
from packdepth.files import write_image
from packdepth.inference.predictor import Predictor, load
from packdepth.records import Frame
from packdepth.sources.folder import Folder

DRIVES, FRAMES = 9, 61  # rendered drives, and the length of each in frames: two images of each are recorded
CHOSEN = (2, 6, 12)  # images of those 18 that are shown, chosen for their variety
WIDTH = 1280  # pixels
GAP, TITLE, BAR = 8, 52, 72  # pixels before the picture is reduced: between images, above them, and below them
LETTERS = 34  # pixels, of titles; the labels of the color bar are smaller
INK = (40, 40, 40)  # RGB of text
TITLES = ("input", "predicted depth", "true depth")


def pictures(predictor: Predictor, frame: Frame) -> list[np.ndarray]:
    """Return an image, its predicted and its true depth, [H, W, 3] uint8 each.

    Args:
        predictor: the network.
        frame: the frame.
    """
    assert frame.depth is not None
    image, truth = frame.image.read(), frame.depth.read()
    inv_truth = np.where(truth > 0, 1 / np.maximum(truth, 1), 0)  # the sky has none, and is far
    return [image, *(colorize(inv, *COLOR_RANGE) for inv in (predictor.predict(image).inv_depth, inv_truth))]


def color_bar(width: int) -> Image.Image:
    """Return the color bar of depth, from near to far.

    Args:
        width: its width, in pixels.
    """
    bar = Image.new("RGB", (width, BAR), "white")
    bar.paste(Image.fromarray(TABLE[None, ::-1]).resize((width, 20), Image.Resampling.BILINEAR), (0, 6))
    draw = ImageDraw.Draw(bar)
    for depth, place in bar_ticks(*COLOR_RANGE, width, 3 * LETTERS):
        anchor = "lt" if place == width else "mt"
        font = ImageFont.load_default(0.85 * LETTERS)
        draw.text((width - place, 34), f"{depth:g} m", fill=INK, anchor=anchor, font=font)
    return bar


def joined(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return rows of pictures below their titles and above their color bars, [H, W, 3] uint8.

    Args:
        rows: the pictures [H, W, 3] uint8 of each row.
    """
    height, width = rows[0][0].shape[:2]
    size = len(TITLES) * (width + GAP) - GAP, TITLE + len(rows) * (height + GAP) + BAR
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(TITLES):
        left = column * (width + GAP)
        draw.text((left, 4), title, fill=INK, font=ImageFont.load_default(LETTERS))
        for number, row in enumerate(rows):
            canvas.paste(Image.fromarray(row[column]), (left, TITLE + number * (height + GAP)))
        if column:
            canvas.paste(color_bar(width), (left, canvas.height - BAR))
    size = WIDTH, round(canvas.height * WIDTH / canvas.width)
    return np.asarray(canvas.resize(size, Image.Resampling.LANCZOS))


def hero(demo: Path) -> np.ndarray:
    """Render the images of a demo's test drives, and return the picture [H, W, 3] uint8.

    Args:
        demo: the folder of a demo.
    """
    predictor = load(demo / "run" / "last")
    with tempfile.TemporaryDirectory() as folder:
        drive = replace(recipe("test", FRAMES, seed=1), height=2 * SIZE[0], width=2 * SIZE[1])
        write_city(Path(folder) / "test", drive, DRIVES)
        clips = Folder(kind="folder", root=Path(folder) / "test").clips()
        frames = [frame for clip in clips for frame in clip.frames]
        return joined([pictures(predictor, frames[index]) for index in CHOSEN])


if __name__ == "__main__":
    write_image(Path(sys.argv[2]), hero(Path(sys.argv[1])))
