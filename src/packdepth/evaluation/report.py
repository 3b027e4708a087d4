"""What an evaluation found, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packdepth.evaluation.ego_motion import EgoMotionErrors
from packdepth.evaluation.protocols import Protocol
from packdepth.files import replacing
from packdepth.inference.info import depth_unit

Scores = dict[str, float]


@dataclass(frozen=True)
class Report:
    """One checkpoint under one protocol."""

    protocol: Protocol
    data: str
    """The clip's folder."""
    checkpoint: str
    metric: bool
    """Whether the checkpoint's depth is in metres."""
    scale_source: str
    images: int
    """How many were judged."""
    metrics: dict[str, Scores]
    """Of the network: plain, scaled, flip, flip_scaled."""
    baselines: dict[str, Scores]
    """What needs no network: baseline, baseline_scaled, and for sparse truth pixel_median, pixel_median_scaled."""
    ego_motion: EgoMotionErrors | None
    """Of the network; None where the clip has no poses or stands."""
    ego_motion_baseline: EgoMotionErrors | None
    """Of the clip's mean translation, without rotation: what the clip gives away."""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "protocol": self.protocol.name,
            "images": self.images,
            "metrics": self.metrics,
            **self.baselines,
            "ego_motion": asdict(self.ego_motion) if self.ego_motion else None,
            "ego_motion_baseline": asdict(self.ego_motion_baseline) if self.ego_motion_baseline else None,
            "settings": self.protocol.settings(),
            "data": self.data,
            "checkpoint": {"path": self.checkpoint, "metric": self.metric, "scale_source": self.scale_source},
        }

    def write(self, path: Path) -> None:
        """Write the JSON; a failure leaves what was there."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def table(self) -> str:
        """The report as text: what the protocol fixes, the scores, ego-motion."""
        rows = {**self.metrics, **self.baselines}
        names = list(self.metrics["plain"])
        return "\n".join(
            [
                self.protocol.describe(),
                "",
                f"{self.images} images of {self.data}",
                f"checkpoint {self.checkpoint}: depth is {depth_unit(self.metric, self.scale_source)}",
                "",
                f"{'':<20}" + "".join(f"{name:>10}" for name in names),
                *(f"{row:<20}" + "".join(f"{scores[name]:>10.4f}" for name in names) for row, scores in rows.items()),
                *self._ego_motion_lines(),
            ]
        )

    def _ego_motion_lines(self) -> list[str]:
        if self.ego_motion is None or self.ego_motion_baseline is None:
            return []
        columns = {"network": self.ego_motion, "baseline": self.ego_motion_baseline}
        rows = {
            "translation": "error as a share of the distance travelled",
            "translation_scaled": "the same after one factor for all motions",
            "scale": "that factor",
            "length_ratio": "mean length, predicted over measured",
            "rotation": "error, degrees a frame",
        }
        return [
            "",
            f"ego-motion over {self.ego_motion.motions} motions, {self.ego_motion.distance:.1f} m; "
            "the baseline is their mean translation without rotation",
            "",
            f"{'':<20}" + "".join(f"{column:>10}" for column in columns),
            *(
                f"{row:<20}" + "".join(f"{getattr(errors, row):>10.4f}" for errors in columns.values()) + f"  {meaning}"
                for row, meaning in rows.items()
            ),
        ]
