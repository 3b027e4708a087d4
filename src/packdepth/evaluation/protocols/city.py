"""The protocol on drives that `packdepth city` rendered."""

from __future__ import annotations

from packdepth.evaluation.protocol import Protocol

CITY = Protocol(
    name="city",
    about="clips that `packdepth city` rendered, against their exact depth; the sky has none",
    source={"kind": "folder", "root": "."},
    boundaries=True,
)
