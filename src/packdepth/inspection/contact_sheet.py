"""Contact sheet of a data check: frames with their optical flow, LiDAR on the image, and the static region."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from packdepth.color import colorize
from packdepth.data.optical_flow import optical_flow, small_gray
from packdepth.files import write_image
from packdepth.geometry.lidar import depth_map
from packdepth.inspection.survey import Survey

PANEL_WIDTH = 480  # pixels: four panels fit on a screen
LETTERS = 20  # pixels, of captions: readable where the sheet is as wide as a screen
GAP = 4  # pixels between rows
MAX_CLIPS = 12  # clips on a sheet: it stays small enough to be opened anywhere
POSITIONS = (0.15, 0.5, 0.85)  # of the panels' frames in a clip, from its beginning to its end; off the very ends
NEAREST = 0.2  # 1/metres: inverse depth of the warmest color, that is 5 m
MIN_DEPTH = 0.1  # metres: keeps inverse depth finite where there is no return
ARROW_FACTOR = 5  # length of a drawn arrow over that of the motion, which is a few pixels
ARROW, TINT = (120, 255, 120), (255, 40, 40)  # RGB


def write_contact_sheet(path: Path, surveys: Sequence[Survey]) -> None:
    """Write an image with one row of panels for each clip.

    Args:
        path: image file to write.
        surveys: measured clips. If there are more than `MAX_CLIPS`, clips spread evenly over them are drawn.
    """
    rows = [np.concatenate(list(panels_of(surveyed).values()), axis=1) for surveyed in spread(surveys)]
    width = max(row.shape[1] for row in rows)
    write_image(path, np.concatenate([np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0))) for row in rows]))


def spread(surveys: Sequence[Survey]) -> list[Survey]:
    """Return the surveys whose clips are drawn: at most `MAX_CLIPS`, spread evenly.

    Args:
        surveys: measured clips.
    """
    chosen = np.unique(np.linspace(0, len(surveys) - 1, min(len(surveys), MAX_CLIPS)).round().astype(int))
    return [surveys[index] for index in chosen]


def region_mask(survey: Survey) -> np.ndarray:
    """Return the static region of a clip at the size of its images: [H, W] uint8, 255 inside the region.

    Args:
        survey: measurements of the clip.
    """
    image = Image.fromarray(survey.static_region.astype(np.uint8) * 255)
    size = survey.clip.camera.width, survey.clip.camera.height
    return np.asarray(image.resize(size, Image.Resampling.NEAREST))


def panels_of(survey: Survey) -> dict[str, np.ndarray]:
    """Return the panels of a clip by their titles: [h, w, 3] uint8 each, of one height.

    Args:
        survey: measurements of the clip.
    """
    clip = survey.clip
    indices = [survey.indices[round(position * (len(survey.indices) - 1))] for position in POSITIONS]
    arrows = "" if clip.independent else ", with its motion to the next frame as arrows"
    panels = {f"frame {clip.frames[index].name}{arrows}": _flow_panel(survey, int(index)) for index in indices}
    scanned = [index for index, frame in enumerate(clip.frames) if frame.lidar is not None]
    if scanned:
        index = scanned[len(scanned) // 2]
        panels[f"LiDAR on frame {clip.frames[index].name}: near is bright"] = _lidar_panel(survey, index)
    if survey.static_region.any():
        image = clip.frames[int(survey.indices[0])].image.read()
        # Integer thirds: the tint is mixed with the image 2 to 1 without leaving uint8.
        tinted = np.where(region_mask(survey)[..., None] > 0, image // 3 + np.array(TINT, np.uint8) // 3 * 2, image)
        panels["what never moves, in red"] = _panel(tinted.astype(np.uint8), "never moves")
    return {title: np.asarray(panel) for title, panel in panels.items()}


def _flow_panel(survey: Survey, index: int) -> Image.Image:
    """Draw a frame with its optical flow to the next one, enlarged by `ARROW_FACTOR`."""
    clip = survey.clip
    image = clip.frames[index].image.read()
    panel = _panel(image, f"{clip.name} {clip.frames[index].name}")
    if clip.independent or index + 1 == len(clip.frames):
        return panel
    gray = small_gray(image)
    flow = optical_flow(gray, small_gray(clip.frames[index + 1].image.read()))
    draw, scale = ImageDraw.Draw(panel), PANEL_WIDTH / gray.shape[1]
    for start, vector in zip(flow.points[flow.found] * scale, flow.vectors[flow.found] * scale, strict=True):
        draw.line([tuple(start), tuple(start + ARROW_FACTOR * vector)], fill=ARROW)
        draw.ellipse([*(start - 1), *(start + 1)], fill=ARROW)
    return panel


def _lidar_panel(survey: Survey, index: int) -> Image.Image:
    """Draw LiDAR on a darkened frame; near returns are warm, and each is as large as a pixel of the panel."""
    clip, frame = survey.clip, survey.clip.frames[index]
    assert frame.lidar is not None
    panel = _panel(frame.image.read() // 2, "")
    camera = clip.camera.resized(panel.height, panel.width)
    depth = depth_map(torch.from_numpy(frame.lidar.read()), camera)[0].numpy()
    colors = colorize(1 / np.maximum(depth, MIN_DEPTH), 0, NEAREST)
    overlay = Image.fromarray(np.where(depth[..., None] > 0, colors, np.asarray(panel)))
    return _captioned(overlay, f"LiDAR on {frame.name}")


def _panel(image: np.ndarray, caption: str) -> Image.Image:
    """Resize an image [H, W, 3] to the width of a panel and write a caption on it."""
    height = round(image.shape[0] * PANEL_WIDTH / image.shape[1])
    return _captioned(Image.fromarray(image).resize((PANEL_WIDTH, height), Image.Resampling.BOX), caption)


def _captioned(panel: Image.Image, caption: str) -> Image.Image:
    """Write a caption into the upper left corner of a panel."""
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(LETTERS)
    width = draw.textlength(caption, font)
    if width > panel.width - 8:
        font = ImageFont.load_default(LETTERS * (panel.width - 8) / width)
    draw.text((4, 2), caption, fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0), font=font)
    return panel
