"""The page of a judgement without ground truth: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
from markupsafe import Markup

from packdepth.color import color_range, colorize
from packdepth.evaluation.cloud import depth_cloud
from packdepth.evaluation.grades import percent
from packdepth.evaluation.own.pairs import PairMaps, PairMeasures
from packdepth.evaluation.own.report import SETTINGS, OwnReport
from packdepth.evaluation.protocols import OWN
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.html import depth_bar, joined, note, panels, settings, table
from packdepth.html.page import Page, Section, Verdict

DOUBT = 0.25  # brightness of pixels in doubt on the picture of the sure ones; chosen by eye
RANKED = (
    "There is no ground truth: frames are ranked by their photometric error, the difference between the image and the "
    "one that depth and motion make of the next frame. It tells little of surfaces without texture. "
)
COLORS = (
    "Near is bright and far is dark. Where three checks agree (the mirrored image, the next frame, the motion) depth "
    "is shown in color in the last picture; elsewhere the dark image is shown."
)


@dataclass(frozen=True, eq=False)
class PairPicture:
    """A pair of frames for the page."""

    measures: PairMeasures
    """Its measures."""
    maps: PairMaps
    """Its maps."""
    camera: Camera | None
    """The camera of its frames; None if it is not known."""
    title: str = ""
    """Its title, such as "worst"; empty for none."""

    @property
    def name(self) -> str:
        """The name of the earlier frame."""
        return f"{self.measures.clip} {self.measures.frame}"

    @property
    def image(self) -> np.ndarray:
        """The image [H, W, 3] uint8, RGB."""
        image: np.ndarray = (self.maps.image.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
        return image


def write_own_page(path: Path, reports: Sequence[OwnReport], pictures: Sequence[Sequence[PairPicture]]) -> None:
    """Write the page: the verdicts, the pictures, the numbers, the protocol. If that fails, the file is as it was.

    Args:
        path: the file.
        reports: the reports.
        pictures: the pictures of each report.
    """
    ranked = any(picture.title for each in pictures for picture in each)
    title = "Best, median and worst frame, by photometric error" if ranked else "Pictures"
    words = note((RANKED if ranked else "") + COLORS)
    shown = [_pictures(*pair) for pair in zip(reports, pictures, strict=True)]
    median = note("Each number is the median over the pairs of frames. Relative differences are |log(a / b)|.")
    Page(
        title=f"Evaluation of {reports[0].data} without ground truth",
        verdicts=[_verdict(report) for report in reports],
        pictures=[Section(title, words + joined(shown)), *_cloud(pictures[0])],
        numbers=[Section("The numbers", median + _numbers(reports))],
        protocol=[Section(f"The protocol {OWN}", settings(SETTINGS))],
    ).write(path)


def _verdict(report: OwnReport) -> Verdict:
    about = (
        f"{report.checkpoint}: depth is said to be {report.scale}. {len(report.pairs)} pairs of frames of "
        f"{report.data}: {report.frames}."
    )
    return Verdict(report.headline, [about, *report.unmeasured])


def _pictures(report: OwnReport, pictures: Sequence[PairPicture]) -> Markup:
    """Return images, depth, and the pixels on which the checks agree, of a few frames."""
    low, high = color_range([picture.maps.inv_depth.cpu().numpy() for picture in pictures])
    bar = depth_bar(low, high, report.metric)
    parts = [Markup("<h3>{}</h3>").format(report.checkpoint)]
    for picture in pictures:
        depth = colorize(picture.maps.inv_depth.cpu().numpy(), low, high)
        sure = np.where(picture.maps.sure.cpu().numpy()[..., None], depth, (DOUBT * picture.image).astype(np.uint8))
        parts.append(note(_caption(picture)))
        shown = {"input": picture.image, "predicted depth": depth, "checks agree": sure}
        parts.append(panels(picture.name, shown, {"predicted depth": bar, "checks agree": bar}))
    return joined(parts)


def _caption(picture: PairPicture) -> str:
    """Return title and name of a frame, its photometric error and the share of pixels on which the checks agree."""
    error, sure = picture.measures.error, picture.measures.sure
    facts = [
        f"{picture.title}: {picture.name}" if picture.title else picture.name,
        *([] if isnan(error) else [f"photometric error {error:.3f}"]),
        *([] if isnan(sure) else [f"the checks agree on {percent(sure)} of pixels"]),
    ]
    return ", ".join(facts)


def _cloud(pictures: Sequence[PairPicture]) -> list[Section]:
    """Return the cloud of the frame in the middle; nothing if its camera is not known."""
    picture = pictures[len(pictures) // 2]
    if picture.camera is None:
        return []
    depth = 1 / picture.maps.inv_depth.cpu().numpy().clip(MIN_INV_DEPTH)
    words = note(f"{picture.name} as points in space, from the predicted depth.")
    return [Section("A point cloud", words + depth_cloud(picture.name, picture.image, depth, picture.camera))]


def _numbers(reports: Sequence[OwnReport]) -> Markup:
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
        against = f" (reference: {first.against})" if first.against else ""
        if any(value == value for value in cells[::2]):
            rows[f"{name}: {first.meaning}{against}"] = cells
    return table("measures", names, rows)
