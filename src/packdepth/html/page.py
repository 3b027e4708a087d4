"""The page of a report: a verdict in plain words, then pictures, then numbers, then the protocol."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from packdepth.files import replacing
from packdepth.html import STYLE, TEMPLATES

SENTENCE = re.compile(r"(?<=\.) |; ")  # end of the first sentence of a verdict
SCRIPT = Markup((files("packdepth.html") / "cloud.js").read_text(encoding="utf-8"))


class Verdict(NamedTuple):
    """A verdict in plain words."""

    words: str
    """The verdict: one sentence, and others that explain it."""
    notes: Sequence[str] = ()
    """Sentences in small print below it."""

    @property
    def parts(self) -> tuple[str, str]:
        """The first sentence, up to a period or a semicolon, and the rest.

        >>> Verdict("Good: off by 11 %; guessing is off by 20 %.").parts
        ('Good: off by 11 %', 'Guessing is off by 20 %.')
        """
        first, *rest = SENTENCE.split(self.words, maxsplit=1)
        return first, "".join(word[:1].upper() + word[1:] for word in rest)


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
