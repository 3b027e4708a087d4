"""All pages: of an evaluation, a trajectory, a demo, a data check, a study and the list of studies."""

from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from markupsafe import Markup

from packdepth.charts import bars
from packdepth.demo.report import write_report
from packdepth.demo.results import Example, Numbers, Results
from packdepth.evaluation.odometry import distances, odometry_errors, stretched
from packdepth.evaluation.odometry_page import write_odometry_page
from packdepth.evaluation.odometry_report import OdometryReport
from packdepth.evaluation.own.page import PairPicture, write_own_page
from packdepth.evaluation.own.pairs import PairMaps, PairMeasures
from packdepth.evaluation.own.report import OwnReport
from packdepth.evaluation.page import ExampleMaps, write_page
from packdepth.evaluation.report import Report
from packdepth.geometry.camera import Camera
from packdepth.html import STYLE
from packdepth.inspection.check import check
from packdepth.inspection.page import write_page as write_check_page
from packdepth.studies.engine import Row, Scores, Study, carry_out, contents

from .conftest import reader
from .test_run import evaluated, labeled

WIDTHS = (360, 768, 1280)  # pixels: a phone, a tablet, a laptop
HOSTILE = "<script>document.title = 'broken'</script>&\"'"
"""A name that a stranger may give to a clip or a checkpoint, and that must not become a part of a page."""
VERDICTS = {
    "evaluation": "Not better|Good|Fair|Rough|Poor",
    "own": "Not judged|Good|Fair|Rough|Poor|Useless",
    "odometry": "Drift 3[0-9.]+ %: the predicted path ends ",
    "demo": "Good: depth in metres is off by 10 %",
    "check": "Fit to train on|[0-9]+ (error|warning)",
    "made_up": r"The lowest error is that of variant a .*: 1.500 \u00b1 0.707. ",
    "index": "1 study, the latest of",
}
"""The beginning of the verdict on each page."""
COLOR = np.linspace(0, 255, 48 * 160 * 3).reshape(48, 160, 3).astype(np.uint8)
CAMERA = Camera.from_fov(80, 160, 48)
DEPTH = np.tile(np.linspace(60, 4, 48)[:, None], (1, 160))


@dataclass(frozen=True)
class Variant:
    """A variant of a made-up study."""

    name: str
    metric: bool = True

    @property
    def title(self) -> str:
        """The title in tables."""
        return f"variant {self.name} {HOSTILE}"


@dataclass(frozen=True)
class Plan:
    """The plan of a made-up study."""

    seeds: int = 2


def write_evaluation(path: Path) -> None:
    report: Report = replace(evaluated(reader(factor=1.1), labeled(4)), checkpoint=HOSTILE)
    maps = [ExampleMaps(scores, COLOR, 1.1 * DEPTH, DEPTH, CAMERA) for scores in report.examples()]
    write_page(path, [report, report], [maps, maps])


def write_own(path: Path) -> None:
    pairs = [PairMeasures(HOSTILE, str(number), mirror=0.1) for number in range(6)]
    report = OwnReport("data", HOSTILE, True, "velocity (speed)", "metric", False, "6 frames", pairs, [HOSTILE])
    shown = PairMaps(torch.rand(3, 48, 160), torch.from_numpy(1 / DEPTH), torch.rand(48, 160) > 0.5)
    write_own_page(path, [report], [[PairPicture(pair, shown, CAMERA) for pair in pairs[:3]]])


def write_trajectory(path: Path) -> None:
    """A drive along a street and around a corner, in which the predicted camera turns too far."""

    def drive(turn: float) -> np.ndarray:
        headings = np.concatenate([np.zeros(60), np.linspace(0, turn, 30), np.full(60, turn)])
        poses = np.tile(np.eye(4), (len(headings), 1, 1))
        poses[:, 0, 0], poses[:, 0, 2] = np.cos(headings), np.sin(headings)
        poses[:, 2, 0], poses[:, 2, 2] = -np.sin(headings), np.cos(headings)
        poses[1:, :3, 3] = np.cumsum(poses[:-1, :3, 2], axis=0)  # a metre ahead per frame
        return poses

    predicted, true = stretched(drive(2.2), 0.9), drive(np.pi / 2)
    errors = odometry_errors(predicted, true)
    times = (np.arange(150) / 10).tolist()
    length, speed = float(distances(predicted)[-1]), "velocity (speed)"
    report = OdometryReport(HOSTILE, HOSTILE, True, speed, "metric", 150, 150, length, 149.0, errors, times, predicted)
    write_odometry_page(path, report, true)


def write_demo(path: Path) -> None:
    scores = dict.fromkeys(("sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"), 0.9)
    own = {part: scores | {"abs_rel": 0.1} for part in ("all", "moving", "0 to 10 m")}
    guess = {"median": {part: scores | {"abs_rel": 0.3} for part in own}}
    numbers = Numbers(own, own, None, guess, 8, 4, 60, 2, HOSTILE, 3.8, 160, 6.0, 0.8, 0.01, 40.0)
    ahead = np.stack([np.zeros(40), np.arange(40.0)], axis=1)
    loss = np.stack([np.arange(80.0), np.linspace(0.1, 0.05, 80)], axis=1)
    examples = [Example(HOSTILE, COLOR, DEPTH, DEPTH)] * 2
    write_report(path, Results(numbers, examples, ahead, ahead, loss, 2, loss[:2], CAMERA), quick=True)


def write_study(folder: Path) -> None:
    def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
        return [bars({row.variant.title: (row.mean("error"), row.spread("error")) for row in rows}, HOSTILE)]

    def compute(seed: int) -> list[Scores]:
        rest = {f"score {number}": 0.5 for number in range(12)}  # a wide table
        return [{"error": float(seed), **rest}, {"error": 9.0, **rest}]

    variants = [Variant("a"), Variant("b")]
    study = Study("made_up", HOSTILE, f"{HOSTILE}, a claim of more than forty letters", variants, charts)
    carry_out(study, folder, Plan(), HOSTILE, 2, compute)
    contents(folder)


@pytest.fixture(scope="module")
def pages(moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind, in which names are hostile, by name."""
    folder = tmp_path_factory.mktemp("pages")
    write_evaluation(folder / "evaluation.html")
    write_own(folder / "own.html")
    write_trajectory(folder / "odometry.html")
    write_demo(folder / "demo.html")
    shutil.copytree(moving_clip, folder / "data" / "<b>clip<")
    write_check_page(folder / "check.html", check(folder / "data" / "<b>clip<"))
    write_study(folder)
    return {path.stem: path for path in sorted(folder.glob("*.html"))}


class Reader(html.parser.HTMLParser):
    """Everything that a screen reader meets: the text, headings, and labels of pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.headings: list[int] = []
        self.unlabeled: list[str] = []
        self.ids = 0
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        label = values.get("alt") if tag == "img" else values.get("aria-label")
        needs = tag in ("img", "svg", "canvas") or values.get("role") in ("img", "region")
        if needs and not (label or "").strip():
            self.unlabeled.append(tag)
        if tag == "html":
            assert values["lang"] == "en"
        if tag == "th":
            assert values["scope"] in ("row", "col", "rowgroup")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "main" in self.open and data.strip():
            self.words.append(data.strip())


def test_there_is_a_page_of_each_kind(pages: dict[str, Path]) -> None:
    assert set(pages) == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_page_is_read_from_the_verdict_on(pages: dict[str, Path], name: str) -> None:
    text = pages[name].read_text()
    read = Reader(text)
    first = " ".join(read.words[:2]).removeprefix(f"{HOSTILE}: ")
    assert re.match(VERDICTS[name], first), first
    assert read.unlabeled == []
    assert "`" not in text[text.index("<main>") : text.index("</main>")]
    assert read.headings.count(1) == 1
    steps = np.diff(read.headings)
    assert read.headings[0] == 1
    assert steps.max() <= 1, read.headings
    body = text[text.index("<main>") :]
    assert "<script>document" not in text  # names are text
    assert not re.search(r"(src|href)=['\"]https?:", body)  # one file that needs nothing else
    picture, number = body.find("<img"), body.find("<table")
    assert picture < number or number < 0


def test_colors_of_text_have_contrast_on_light_and_on_dark_pages() -> None:
    def luminance(color: str) -> float:
        digits = color if len(color) == 6 else "".join(2 * digit for digit in color)
        shares = np.array(list(bytes.fromhex(digits))) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for block in re.findall(r":root \{([^}]*)\}", STYLE):
        colors = {name: luminance(value) for name, value in re.findall(r"--(\w+): #([0-9a-f]{6}|[0-9a-f]{3});", block)}
        for text in ("ink", "soft", "accent"):
            for ground in ("paper", "card"):
                high, low = sorted((colors[text], colors[ground]), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


WRAPPER = """<!doctype html><body>{frames}<script>
window.onload = () => {{
  for (const frame of document.querySelectorAll("iframe")) {{
    const view = frame.contentWindow, root = frame.contentDocument.documentElement;
    const cut = [...frame.contentDocument.querySelectorAll("main *")].filter(
      e => !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > view.innerWidth + 1);
    frame.dataset.found = [root.scrollWidth, view.innerWidth, cut.length, root.dataset.points || 0,
      frame.contentDocument.querySelectorAll("canvas.cloud").length].join(" ");
  }}
}};
</script></body>"""


def test_nothing_is_cut_at_any_width(pages: dict[str, Path], tmp_path: Path) -> None:
    """All pages at all widths in one browser, as frames of one page: its own window is never as narrow as a phone."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    frames = "".join(
        f'<iframe title="{name} {width}" src="{path.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>'
        for name, path in pages.items()
        for width in WIDTHS
    )
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(WRAPPER.format(frames=frames))
    options = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader", "--hide-scrollbars"]
    options += [
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=9000",
    ]
    command = [browser, *options, "--window-size=1400,1000", "--dump-dom", wrapper.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    found = re.findall(r'<iframe title="(\w+) (\d+)"[^>]*data-found="([^"]*)"', shown)
    assert len(found) == len(pages) * len(WIDTHS)
    for name, width, values in found:
        scrolled, inner, cut, points, clouds = map(int, values.split())
        assert (inner, scrolled) == (int(width), int(width)), f"{name} scrolls sideways at {width} pixels"
        assert cut == 0, f"{name} is cut at {width} pixels"
        assert points >= 100 * clouds, f"the clouds of {name} were not drawn"
        assert clouds == (name in ("evaluation", "own", "demo"))
