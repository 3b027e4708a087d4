"""The contact sheet of a data check: frames with their motion, LiDAR on the image, what never moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from packdepth.color import colorize
from packdepth.data.motion import optical_flow, small_gray
from packdepth.data.survey import Survey
from packdepth.files import write_image
from packdepth.geometry.lidar import depth_map

WIDTH = 480  # pixels of a panel
CLIPS = 12  # on a sheet, at most
PLACES = (0.15, 0.5, 0.85)  # of a clip, from its beginning to its end
NEAREST = 0.2  # inverse depth, 1/metres, of the warmest color
ARROW, TINT = (120, 255, 120), (255, 40, 40)


def write_sheet(path: Path, surveys: Sequence[Survey]) -> None:
    """A row of panels for each of up to 12 clips, spread over all."""
    chosen = np.unique(np.linspace(0, len(surveys) - 1, min(len(surveys), CLIPS)).round().astype(int))
    rows = [_row(surveys[index]) for index in chosen]
    width = max(row.shape[1] for row in rows)
    write_image(path, np.concatenate([np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]))


def mask(survey: Survey) -> np.ndarray:
    """What never moves, at the camera's size: [H, W] uint8, 255 where it does not."""
    image = Image.fromarray(survey.unmoved.astype(np.uint8) * 255)
    size = survey.clip.camera.width, survey.clip.camera.height
    return np.asarray(image.resize(size, Image.Resampling.NEAREST))


def _row(survey: Survey) -> np.ndarray:
    clip = survey.clip
    indices = [survey.looked[round(place * (len(survey.looked) - 1))] for place in PLACES]
    panels = [_moving(survey, int(index)) for index in dict.fromkeys(indices)]
    scanned = [index for index, frame in enumerate(clip.frames) if frame.lidar is not None]
    if scanned:
        panels.append(_overlay(survey, scanned[len(scanned) // 2]))
    if survey.unmoved.any():
        image = clip.frames[int(survey.looked[0])].image.read()
        tinted = np.where(mask(survey)[..., None] > 0, image // 3 + np.array(TINT, dtype=np.uint8) // 3 * 2, image)
        panels.append(_panel(tinted.astype(np.uint8), "never moves"))
    return np.concatenate([np.asarray(panel) for panel in panels], axis=1)


def _moving(survey: Survey, index: int) -> Image.Image:
    """A frame with the motion to the next one, drawn five times as long."""
    clip = survey.clip
    image = clip.frames[index].image.read()
    panel = _panel(image, f"{clip.name} {clip.frames[index].name}")
    if clip.independent or index + 1 == len(clip.frames):
        return panel
    gray = small_gray(image)
    flow = optical_flow(gray, small_gray(clip.frames[index + 1].image.read()))
    draw, scale = ImageDraw.Draw(panel), WIDTH / gray.shape[1]
    for start, vector in zip(flow.points[flow.found] * scale, flow.vectors[flow.found] * scale, strict=True):
        draw.line([tuple(start), tuple(start + 5 * vector)], fill=ARROW)
        draw.ellipse([*(start - 1), *(start + 1)], fill=ARROW)
    return panel


def _overlay(survey: Survey, index: int) -> Image.Image:
    """LiDAR on a darkened frame, near is bright; each return as large as a pixel of the panel."""
    clip, frame = survey.clip, survey.clip.frames[index]
    assert frame.lidar is not None
    panel = _panel(frame.image.read() // 2, "")
    camera = clip.camera.resized(panel.height, panel.width)
    depth = depth_map(torch.from_numpy(frame.lidar.read()), camera)[0].numpy()
    colors = colorize(1 / np.maximum(depth, 0.1), 0, NEAREST)
    laid = Image.fromarray(np.where(depth[..., None] > 0, colors, np.asarray(panel)))
    return _captioned(laid, f"LiDAR on {frame.name}")


def _panel(image: np.ndarray, caption: str) -> Image.Image:
    height = round(image.shape[0] * WIDTH / image.shape[1])
    return _captioned(Image.fromarray(image).resize((WIDTH, height), Image.Resampling.BOX), caption)


def _captioned(panel: Image.Image, caption: str) -> Image.Image:
    ImageDraw.Draw(panel).text((4, 2), caption, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    return panel
