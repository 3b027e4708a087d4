"""Formats on disk, one file each, parsed into Clips without torch.

To add a format, add a file with a subclass of `Source`; nothing else changes. `docs/extending.md` shows a source of an
installed package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.sources.base import AnySource as AnySource
    from packdepth.sources.base import Source as Source

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"AnySource": "packdepth.sources.base", "Source": "packdepth.sources.base"}
)
