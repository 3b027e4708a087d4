"""docs/troubleshooting.md quotes what the code says, and every finding of the data check has a place there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import packdepth

SOURCE = Path(packdepth.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
ROWS = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ") and "|---" not in line]
CHECKS = [SOURCE / "inspection" / "findings.py", *sorted((SOURCE / "data").glob("*.py"))]  # where findings are made


def templates(path: Path) -> Iterator[str]:
    """Yield the texts in a file, in which any number of characters stands for each value, as regular expressions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value)
        if isinstance(node, ast.JoinedStr):
            parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+" for p in node.values]
            yield "".join(parts)


TEMPLATES = sorted({text for path in SOURCE.rglob("*.py") for text in templates(path) if len(text) > 12})
LITERALS = [re.sub(r"\\(.)", r"\1", template.replace(".+", "\0")) for template in TEMPLATES]  # \0 stands for a value


def titles() -> set[str]:
    """Return the titles of all findings, by the calls that make them."""
    found = set()
    for path in CHECKS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                first = node.args[0] if node.func.id in ("Finding", "Disagreement") else None
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def is_said(quote: str) -> bool:
    """Return whether the code can say a quote, in which `...` stands for a value."""
    words = [word for part in quote.split("...") if (word := part.strip())]
    pattern = re.compile(r"[^\0]*(\0)?[^\0]*".join(map(re.escape, words)), re.DOTALL)
    return any(pattern.search(text) for text in LITERALS if all(word in text for word in words))


QUOTES = [quote for row in ROWS for quote in re.findall(r"`([^`]+)`", row[1]) if quote != "-o FOLDER"]


@pytest.mark.parametrize("quote", [quote for quote in QUOTES if quote.strip(". ")])
def test_what_the_page_quotes_is_what_the_code_says(quote: str) -> None:
    assert is_said(quote)


def test_what_nobody_says_is_no_quote() -> None:
    assert not is_said("its speeds reach ... km/h, and no road vehicle is this fast")
    assert not is_said("the moon is made of ... cheese")


def test_every_finding_has_a_place_on_the_page_and_no_other_has() -> None:
    assert {title for row in ROWS for title in re.findall(r"\*\*(.+?)\*\*", row[1])} == titles()
