"""The report on a network that was judged without ground truth, as an object, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isnan
from typing import Any, NamedTuple

from packdepth.evaluation.grades import percent
from packdepth.evaluation.own.measures import SURE_MIRROR, SURE_NEIGHBOR
from packdepth.evaluation.own.pairs import PairMeasures
from packdepth.evaluation.own.verdict import (
    BARELY_CLEAR,
    FACTOR,
    LEAST,
    UNCLEAR,
    Verdict,
    mean,
    median,
    spread,
    verdict_of,
)
from packdepth.evaluation.protocols import OWN
from packdepth.scale.measure import evenly

SETTINGS = {
    "data": "frames of a video, without ground truth: each is compared with the next one and with its mirror image",
    "motion": "that of the ego-motion network, refined so that it suits the depth (geometry.align)",
    "error": (
        "the mean relative error of depth after one factor for each image. It is estimated: the more another depth "
        "would suit the next frame better, and the less the predicted one gains over a flat wall, the larger it is. "
        f"Formula: {FACTOR:g} times `parallax` times the photometric error over that of a constant depth; fitted to "
        "networks on rendered drives (docs/results/2026-11-26-own-verdict.md)"
    ),
    "interval": (
        "90 % of the networks that were left out of the fit lay in it, on rendered roads; it is wider where less than "
        "half of the frames show a ground plane, or where the formula gives less than the smallest error of the "
        f"calibration ({LEAST:.2f}; the network is then called Fair at best); where less than "
        f"{percent(BARELY_CLEAR)} of the pixels are clear, the interval is wider, and there is no comparison, and "
        f"below {percent(UNCLEAR)} there is no verdict; cars ahead at the camera's own speed are not noticed"
    ),
    "sure": (
        f"pixels whose depth is within {100 * SURE_MIRROR:.0f} % of the mirrored image's and within "
        f"{100 * SURE_NEIGHBOR:.0f} % of the next frame's, and which depth and motion explain better than "
        "the unmoved image does"
    ),
}


EXAMPLES = 3  # frames of a checkpoint on the page


class Measure(NamedTuple):
    """A measure over all pairs of frames."""

    value: float
    """The median over the pairs, of `parallax` the mean; NaN if it could not be measured."""
    reference: float
    """A value to compare it with; NaN if there is none."""
    against: str
    """The name of the reference."""
    meaning: str
    """The meaning of the value, in a few words."""


@dataclass(frozen=True, repr=False)
class OwnReport:
    """The measures of one checkpoint on clips without ground truth, and the verdict.

    `report.verdict.error` is the predicted error of depth, `report["sure"]` the share of pixels on which three
    checks agree.
    """

    data: str
    """The path of the clips."""
    checkpoint: str
    """The path of the checkpoint; for a predictor, its `repr`."""
    metric: bool
    """Whether the checkpoint calls its depth metric."""
    scale_source: str
    """The origin of the scale, such as "velocity (speed)"."""
    scale: str
    """The scale in words, with the lengths that it was compared with."""
    seen: bool
    """Whether the frames are training frames."""
    frames: str
    """The choice of the frames, in one sentence."""
    pairs: Sequence[PairMeasures]
    """The measures of each pair of frames."""
    unmeasured: Sequence[str] = ()
    """Sentences about everything that could not be measured."""

    def __repr__(self) -> str:
        return f"<OwnReport {self.checkpoint}, {len(self.pairs)} pairs of frames: {self.verdict.grade}>"

    def __getitem__(self, name: str) -> float:
        """Return the value of a measure.

        Args:
            name: the name of the measure, such as "sure".

        Raises KeyError, which lists the measures, if there is none of this name.
        """
        if name not in self.measures:
            raise KeyError(f"there is no measure '{name}'; the measures are {', '.join(self.measures)}")
        return self.measures[name].value

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict, see `verdict_of`."""
        return verdict_of(self.pairs, self.metric, self.seen)

    @property
    def headline(self) -> str:
        """The verdict as one line, with a warning if the frames are training frames."""
        return self.verdict.words + (" (measured on training frames)" if self.seen else "")

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """The measures by name."""

        def over_pairs(name: str) -> float:
            return median([getattr(pair, name) for pair in self.pairs])

        def spread_of(name: str) -> float:
            return spread([getattr(pair, name) for pair in self.pairs])

        error, nan = over_pairs("error"), float("nan")
        return {
            "parallax": Measure(
                mean([pair.parallax for pair in self.pairs]),
                mean([pair.parallax_by_position for pair in self.pairs]),
                "depth by position in the image",
                "mean relative difference from the depth that explains the next frame best (plane sweep)",
            ),
            "error": Measure(
                error, over_pairs("identity"), "unmoved image", "photometric error of the synthesized view"
            ),
            "error_constant": Measure(error, over_pairs("constant"), "constant depth", "the same"),
            "error_position": Measure(error, over_pairs("by_position"), "depth by position in the image", "the same"),
            "neighbor": Measure(
                over_pairs("neighbor"),
                SURE_NEIGHBOR,
                "limit of `sure`",
                "relative difference from the next frame's depth",
            ),
            "mirror": Measure(
                over_pairs("mirror"),
                SURE_MIRROR,
                "limit of `sure`",
                "relative difference from the mirrored image's depth",
            ),
            "sure": Measure(over_pairs("sure"), 1.0, "all pixels", "share of pixels on which three checks agree"),
            "clear": Measure(over_pairs("clear"), 1.0, "all pixels", "share of pixels that `parallax` is measured by"),
            "scale": Measure(
                over_pairs("scale"),
                1.0,
                "measured length",
                "length of the motion that suits depth, over the measured one",
            ),
            "scale_spread": Measure(spread_of("scale"), nan, "", "distance between the quartiles of `scale`, relative"),
            "motion": Measure(
                over_pairs("motion"),
                1.0,
                "measured length",
                "length of the ego-motion network alone, over the measured one; odometry --align makes it `scale`",
            ),
            "height": Measure(
                over_pairs("height"),
                over_pairs("known_height"),
                "stated height",
                "camera above the ground, in the depth's unit",
            ),
            "height_spread": Measure(
                spread_of("height"), nan, "", "distance between the quartiles of `height`, relative"
            ),
        }

    def examples(self) -> dict[int, str]:
        """Return the indices of the pairs to show, each with its title.

        They are the best, the median and the worst pair by `PairMeasures.error`, the photometric error. If it is known
        for less than three pairs, they are spread evenly over all, and their titles are empty.
        """
        known = [place for place, pair in enumerate(self.pairs) if not isnan(pair.error)]
        if len(known) < EXAMPLES:
            return dict.fromkeys(evenly(len(self.pairs), EXAMPLES), "")
        ranked = sorted(known, key=lambda place: self.pairs[place].error)
        return {ranked[0]: "best", ranked[len(ranked) // 2]: "median", ranked[-1]: "worst"}

    def to_json(self) -> dict[str, Any]:
        """Return the report as dictionaries, lists and values for JSON."""
        return {
            "protocol": OWN,
            "verdict": asdict(self.verdict),
            "seen": self.seen,
            "frames": self.frames,
            "measures": {name: measure._asdict() for name, measure in self.measures.items()},
            "unmeasured": list(self.unmeasured),
            "pairs": [asdict(pair) for pair in self.pairs],
            "settings": SETTINGS,
            "data": self.data,
            "checkpoint": {
                "path": self.checkpoint,
                "metric": self.metric,
                "scale_source": self.scale_source,
                "scale": self.scale,
            },
        }

    def text(self) -> str:
        """Return the report as text: the verdict, the measures, what is missing, the settings."""
        rows = []
        for name, measure in self.measures.items():
            if measure.value == measure.value:
                has_reference = measure.reference == measure.reference
                reference = f"{measure.reference:>10.4f} {measure.against:<31}" if has_reference else " " * 42
                rows.append(f"{name:<15}{measure.value:>10.4f}{reference} {measure.meaning}")
        return "\n".join(
            [
                self.headline,
                "",
                f"{len(self.pairs)} pairs of frames of {self.data}: {self.frames}",
                f"checkpoint {self.checkpoint}: depth is said to be {self.scale}",
                "",
                f"{'':<15}{'network':>10}{'reference':>10}",
                *rows,
                *(["", *self.unmeasured] if self.unmeasured else []),
                "",
                f"protocol  {OWN}",
                *(f"{name:<8}  {text}" for name, text in SETTINGS.items()),
            ]
        )
