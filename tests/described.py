"""Descriptions of checkpoints, as training writes them."""

from __future__ import annotations

from typing import Any

from packdepth.checkpoint import Meta


def described(**changes: Any) -> Meta:
    """The description of a metric network after its first step, with other values of the fields that are named."""
    known: dict[str, Any] = {
        "packdepth": "0.1.0",
        "created": "2026-01-01T00:00:00Z",
        "epoch": 1,
        "step": 1,
        "metric": True,
        "scale_source": "velocity (speed)",
        "clips": ["a/b"],
        "frames": 6,
    }
    return Meta(**known | changes)
