"""The site of the pages: its navigation is complete, its links lead somewhere, and it needs no internet."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """The module of a file in docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_site, notebook = script("build_site"), script("notebook")
PAGES: dict[PurePosixPath, str] = build_site.pages()
INDEX = (ROOT / "docs" / "index.md").read_text()


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, outside its code."""
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_of_the_site_lead_to_its_pages() -> None:
    lost = []
    for page, text in PAGES.items():
        if page.suffixes[:1] != [".md"]:
            continue  # code
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link:
                continue
            place, _, anchor = link.partition("#")
            target = PurePosixPath(build_site.os.path.normpath(page.parent / place)) if place else page
            is_asset = (ROOT / "docs" / target).is_file() and target.suffix in build_site.ASSETS
            if not is_asset and (target not in PAGES or (anchor and anchor not in anchors(PAGES[target]))):
                lost.append(f"{page}: {link}")
    assert lost == []


def test_pictures_lead_to_their_files() -> None:
    shown = [picture for text in PAGES.values() for picture in re.findall(r".!\[[^]]*\]\([^)]+\)..", text, re.DOTALL)]
    assert len(shown) >= 15
    assert [picture for picture in shown if not (picture.startswith("[") and picture.endswith("]("))] == []


def test_every_page_is_in_the_navigation_but_records() -> None:
    listed = [link for _, entries in build_site.navigation(INDEX) for _, link in entries]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    records = {page for page in pages if re.match(r"results/\d{4}-", page)}
    assert len(records) >= 40
    assert len(listed) == len(set(listed))
    assert {link for link in listed if not link.startswith("../")} == pages - records - {"index.md"}


def test_the_page_of_the_notebook_shows_its_cells() -> None:
    page = notebook.PAGE.read_text()
    cells = json.loads(notebook.NOTEBOOK.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert re.findall(r"```python\n(.*?)\n```", page, re.DOTALL) == code, "run `python docs/notebook.py`"
    assert all("".join(cell["source"]).split("\n")[0] in page for cell in cells)


def test_code_and_comments_are_as_a_reader_wants_them() -> None:
    code = PAGES[PurePosixPath("project/src/packdepth/records.py.md")]
    assert "# src/packdepth/records.py\n\n````python\n" in code
    assert not re.search(r"^<!--", PAGES[PurePosixPath("tutorials/own_video.md")], re.MULTILINE)


@pytest.mark.parametrize("module", [build_site, notebook], ids=lambda module: module.__name__)
def test_the_examples_of_the_scripts(module: ModuleType) -> None:
    tried = doctest.testmod(module)
    assert (tried.failed, tried.attempted >= 1) == (0, True)


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the extra 'docs' is not installed")
    build_site.build(tmp_path / "site")
    page = (tmp_path / "site" / "tutorials" / "own_video.html").read_text()
    assert "Use speeds from a logger" in page  # the navigation
    assert 'data-md-color-scheme="slate"' in page  # dark
    for file in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//", file.read_text()), file
        assert not re.search(r"<link[^>]* rel=\"?(?:stylesheet|preconnect)[^>]*https?://", file.read_text()), file
    assert "A rectified pair makes depth metric" in (tmp_path / "site" / "search.js").read_text()
