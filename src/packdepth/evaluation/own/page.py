"""The page of a judgement without ground truth: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from packdepth.color import color_range, colorize
from packdepth.evaluation.grades import percent
from packdepth.evaluation.own.pairs import PairMaps, PairMeasures
from packdepth.evaluation.own.report import SETTINGS, OwnReport
from packdepth.files import replacing
from packdepth.html import STYLE, panels, table

TEMPLATE = files("packdepth.evaluation.own") / "page.html"
DOUBT = 0.25  # brightness of pixels in doubt on the picture of the sure ones; chosen by eye


@dataclass(frozen=True, eq=False)
class PairPicture:
    """A pair of frames for the page."""

    measures: PairMeasures
    """Its measures."""
    maps: PairMaps
    """Its maps."""


def write_own_page(path: Path, reports: Sequence[OwnReport], pictures: Sequence[Sequence[PairPicture]]) -> None:
    """Write the page: the verdicts, the pictures, the numbers, the protocol. If that fails, the file is as it was.

    Args:
        path: the file.
        reports: the reports.
        pictures: the pictures of each report.
    """
    content = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE,
        verdicts="".join(map(_verdict, reports)),
        pictures="".join(_pictures(*pair) for pair in zip(reports, pictures, strict=True)),
        numbers=_numbers(reports),
        settings="".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in SETTINGS.items()),
    )
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _verdict(report: OwnReport) -> str:
    unit = report.scale
    missing = "".join(f"<p class='note'>{escape(sentence)}</p>" for sentence in report.unmeasured)
    return (
        f"<p class='verdict'>{escape(report.headline)}</p>"
        f"<p class='note'>{escape(report.checkpoint)}: depth is said to be {escape(unit)}. {len(report.pairs)} pairs "
        f"of frames of {escape(report.data)}: {escape(report.frames)}.</p>{missing}"
    )


def _pictures(report: OwnReport, pictures: Sequence[PairPicture]) -> str:
    """Return images, depth, and the pixels beyond doubt, of a few frames."""
    low, high = color_range([picture.maps.inv_depth.cpu().numpy() for picture in pictures])
    parts = [f"<h3>{escape(report.checkpoint)}</h3>"]
    for picture in pictures:
        image = (picture.maps.image.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
        depth = colorize(picture.maps.inv_depth.cpu().numpy(), low, high)
        sure = np.where(picture.maps.sure.cpu().numpy()[..., None], depth, (DOUBT * image).astype(np.uint8))
        name = f"{picture.measures.clip} {picture.measures.frame}"
        parts.append(f"<p class='note'>{escape(name)}: {percent(picture.measures.sure)} of pixels are beyond doubt</p>")
        parts.append(panels(name, {"input": image, "predicted": depth, "beyond doubt": sure}))
    return "".join(parts)


def _numbers(reports: Sequence[OwnReport]) -> str:
    """Return a table of the measures; each checkpoint has a column of its own and one for its references."""
    names = ["the network", "to compare with"]
    if len(reports) > 1:
        names = [
            f"{number}. {what}" for number, report in enumerate(reports, 1) for what in (report.checkpoint, names[1])
        ]
    rows: dict[str, list[float | str | None]] = {}
    for name, first in reports[0].measures.items():
        cells: list[float | str | None] = [
            value for report in reports for value in (report.measures[name].value, report.measures[name].reference)
        ]
        against = f" <span class='note'>(reference: {escape(first.against)})</span>" if first.against else ""
        if any(value == value for value in cells[::2]):
            rows[f"{escape(name)}: {escape(first.meaning)}{against}"] = cells
    return table(names, rows)
