"""The errors on the frames that a network was trained on, and on the others."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from packdepth.evaluation.scores import ImageScores, mean_scores

MIN_UNTRAINED = 5  # evaluated frames that were not trained on; fewer do not carry a verdict; chosen


@dataclass(frozen=True)
class HeldOutScores:
    """The numbers of evaluated frames that were trained on and not, and the errors on both.

    >>> HeldOutScores(trained=52, untrained=8, error_trained=0.062, error_untrained=0.097).words
    '52 of the 60 frames were trained on: abs_rel 0.062 on them, 0.097 on the 8 others'
    """

    trained: int
    """The number of evaluated frames that were trained on."""
    untrained: int
    """The number of evaluated frames that were not trained on."""
    error_trained: float | None
    """abs_rel on the frames that were trained on, in the checkpoint's own row; None if there are none."""
    error_untrained: float | None
    """abs_rel on the others; None if there are none."""

    @property
    def judged(self) -> bool:
        """Whether the verdict is about the frames that were not trained on: there are both kinds, and enough of it."""
        return self.trained > 0 and self.untrained >= MIN_UNTRAINED

    @property
    def words(self) -> str:
        """The numbers in one sentence."""
        count = self.trained + self.untrained
        if not self.trained:
            return f"none of the {count} frames was trained on"
        if not self.untrained:
            return (
                f"all {count} frames were trained on, so that the numbers are better than on other drives; judge by "
                "another drive, or hold out the end of each by data.val_tail"
            )
        few = "" if self.judged else f", which are fewer than the {MIN_UNTRAINED} of a verdict: it is about all frames"
        return (
            f"{self.trained} of the {count} frames were trained on: abs_rel {self.error_trained:.3f} on them, "
            f"{self.error_untrained:.3f} on the {self.untrained} others{few}"
        )

    @property
    def warning(self) -> str:
        """The end of a verdict that is about training frames, too; empty if it is not."""
        if not self.trained or self.judged:
            return ""
        return f" (measured {'mostly ' if self.untrained else ''}on training frames)"

    def to_json(self) -> dict[str, Any]:
        """Return the numbers and the sentence for JSON."""
        return {
            "trained_on": self.trained,
            "not_trained_on": self.untrained,
            "abs_rel_trained_on": self.error_trained,
            "abs_rel_not_trained_on": self.error_untrained,
            "verdict_on": "frames not trained on" if self.judged else "all frames",
            "words": self.words,
        }


def only(images: Sequence[ImageScores], frames: AbstractSet[tuple[str, str]]) -> list[ImageScores]:
    """Return the scores of some frames.

    Args:
        images: scores of images.
        frames: the clip and the name of each of the frames.
    """
    return [image for image in images if (image.clip, image.frame) in frames]


def held_out_scores(images: Sequence[ImageScores], untrained: AbstractSet[tuple[str, str]], row: str) -> HeldOutScores:
    """Return the errors on the images that were trained on, and on the others.

    Args:
        images: scores of images; those without valid ground truth do not count.
        untrained: the clip and the name of each frame that was not trained on.
        row: the row of the errors, such as "plain".
    """
    counted = [image for image in images if row in image.rows]
    others = only(counted, untrained)
    trained = only(counted, {(image.clip, image.frame) for image in counted} - untrained)
    errors = [mean_scores(part, row)["abs_rel"] if part else None for part in (trained, others)]
    return HeldOutScores(len(trained), len(others), *errors)
