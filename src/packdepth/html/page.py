"""The page of a report: a verdict in plain words, then pictures, then numbers, then the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from packdepth.files import replacing
from packdepth.html import STYLE, TEMPLATES

SCRIPT = Markup((files("packdepth.html") / "cloud.js").read_text(encoding="utf-8"))


class Verdict(NamedTuple):
    """A verdict in plain words."""

    words: str
    """The verdict: one sentence, and others that explain it."""
    notes: Sequence[str] = ()
    """Sentences in small print below it."""

    @property
    def first(self) -> str:
        """The first sentence, or the part before the first semicolon.

        >>> Verdict("Good: off by 11 %. Lengths agree.").first
        'Good: off by 11 %.'
        """
        return self.words[: self._end]

    @property
    def rest(self) -> str:
        """Everything after the first sentence.

        >>> Verdict("Good: off by 11 %. Lengths agree.").rest
        ' Lengths agree.'
        """
        return self.words[self._end :]

    @property
    def _end(self) -> int:
        """The length of the first sentence."""
        ends = [place + 1 for mark in (". ", "; ") if (place := self.words.find(mark)) >= 0]
        return min(ends, default=len(self.words))


class Section(NamedTuple):
    """A section of a page."""

    title: str
    """The heading."""
    content: Markup
    """Everything below it: parts that `packdepth.html` and `packdepth.charts` return."""


@dataclass(frozen=True)
class Page:
    """The page of a report. It needs no other file.

    >>> page = Page("demo", [Verdict("Good")], [], [Section("Numbers", Markup("<p>1</p>"))], [])
    >>> page.html().index("Good") < page.html().index("<h1>demo</h1>") < page.html().index("<h2>Numbers</h2>")
    True
    """

    title: str
    """The title."""
    verdicts: Sequence[Verdict]
    """The verdicts; several if several things are compared."""
    pictures: Sequence[Section]
    """Images, clouds, maps."""
    numbers: Sequence[Section]
    """Tables and charts of numbers."""
    protocol: Sequence[Section]
    """How it was measured, and what to do next."""

    @property
    def sections(self) -> list[Section]:
        """All sections in the order of the page."""
        return [*self.pictures, *self.numbers, *self.protocol]

    def html(self) -> str:
        """Return the page as HTML."""
        has_cloud = any('<canvas class="cloud"' in section.content for section in self.sections)
        template = TEMPLATES.get_template("page.html")
        return template.render(page=self, style=STYLE, script=SCRIPT if has_cloud else "")

    def write(self, path: Path) -> None:
        """Write the page. If that fails, the file is as it was.

        Args:
            path: the file.
        """
        with replacing(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
