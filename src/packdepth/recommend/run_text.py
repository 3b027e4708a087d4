"""The text of a run file with a comment beside each value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from packdepth.recommend.choices import Choice

ORDER = (
    *("data.train", "data.val_tail", "data.image_size", "data.context", "data.drop_static", "data.augmentation"),
    *("data.workers", "data.cache", "camera", "networks.depth", "networks.pose", "objective"),
    *(
        "training.epochs",
        "training.best_after",
        "training.best_by",
        "training.epoch_steps",
        "training.batch_size",
        "training.depth_learning_rate",
    ),
    *("training.pose_learning_rate", "training.optimizer", "training.schedule", "training.seed"),
    *("training.accelerator", "training.devices"),
)
"""Order of the values in the file."""
LINE = 100  # characters, of a value with its comment beside it


def run_text(choices: Sequence[Choice], headline: str) -> str:
    """Return the text of a run file: a line for each value, with its reason as a comment beside or above it.

    Args:
        choices: the values.
        headline: the comment at the top.

    >>> print(run_text([Choice("data.image_size", [96, 320], "in the shape of the images")], "My drive."))
    # My drive.
    data:
      image_size: [96, 320]  # in the shape of the images
    <BLANKLINE>
    """
    lines, block = [f"# {line}" for line in headline.splitlines()], ""
    for choice in sorted(choices, key=lambda choice: ORDER.index(choice.key)):
        head, _, name = choice.key.partition(".")
        if name and head != block:
            lines.append(f"{head}:")
        block = head
        indent, name = ("  ", name) if name else ("", head)
        if isinstance(choice.value, list) and choice.value and isinstance(choice.value[0], dict):
            lines.append(f"{indent}{name}:")
            whys = choice.why.split("\n")
            for value, why in zip(choice.value, whys, strict=True):
                lines += _lines(f"{indent}  - {_flow(value)}", why)
        else:
            lines += _lines(f"{indent}{name}: {_flow(choice.value)}", choice.why)
    return "\n".join(lines) + "\n"


def run_values(choices: Sequence[Choice]) -> dict[str, Any]:
    """Return the content of the run file as a mapping.

    Args:
        choices: the values.

    >>> run_values([Choice("data.image_size", [96, 320], "")])
    {'data': {'image_size': [96, 320]}}
    """
    values: dict[str, Any] = {}
    for choice in choices:
        head, _, name = choice.key.partition(".")
        if name:
            values.setdefault(head, {})[name] = choice.value
        else:
            values[head] = choice.value
    return values


def _lines(text: str, why: str) -> list[str]:
    """Return a line with its comment beside it, or above it if both are too long for one line."""
    beside = f"{text}  # {why}"
    if len(beside) <= LINE:
        return [beside]
    return [f"{' ' * (len(text) - len(text.lstrip()))}# {why}", text]


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").strip()
