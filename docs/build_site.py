"""Build the site of these pages.

    make docs

writes `site/index.html` with zensical (extra `docs`). The pages are those of this folder. `docs/index.md` is their
navigation: each heading is a section, each item of its lists a page. A link that leaves the folder, to code or to the
changelog, leads to a page with that file. The site needs no internet, and no server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
FOLDER = "docs"  # of ROOT: the pages
OTHERS = "project"  # of the site: pages of files outside FOLDER
ASSETS = (".css", ".js", ".jpg", ".png", ".svg")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".ipynb": "json"}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
PICTURE = re.compile(r"(?<!\[)!\[[^]]*\]\(([^)\s]+)\)")
Section = tuple[str, list[tuple[str, str]]]


def navigation(index: str) -> list[Section]:
    r"""Return the sections of an index: the title of each, and the titles and paths of its pages.

    Args:
        index: text of `docs/index.md`.

    >>> navigation("# packdepth\n\n## Learn\n\n* [The demo](tutorials/demo.md): all of it.\n")
    [('Learn', [('The demo', 'tutorials/demo.md')])]
    """
    sections = re.split(r"^## ", index, flags=re.MULTILINE)[1:]
    pages = [re.findall(r"^\* \[([^]]+)\]\(([^)#\s]+\.md)\)", text, re.MULTILINE) for text in sections]
    return [(text.partition("\n")[0], found) for text, found in zip(sections, pages, strict=True) if found]


def page_path(path: PurePosixPath) -> PurePosixPath:
    """Return the path on the site of the page of a file.

    Args:
        path: file, relative to the root of the repository.

    >>> page_path(PurePosixPath("docs/how-to/live.md")).as_posix()
    'how-to/live.md'
    >>> page_path(PurePosixPath("examples/my_terms.py")).as_posix()
    'project/examples/my_terms.py.md'
    """
    if path.parts[0] == FOLDER:
        return PurePosixPath(*path.parts[1:])
    return PurePosixPath(OTHERS, path if path.suffix == ".md" else f"{path}.md")


def target_of(page: PurePosixPath, link: str) -> PurePosixPath | None:
    """Return the file that a link leads to, relative to the root; None for a heading of the page, or another host.

    Args:
        page: file with the link, relative to the root.
        link: what stands in the parentheses.

    >>> target_of(PurePosixPath("docs/how-to/live.md"), "../extending.md#terms").as_posix()
    'docs/extending.md'
    """
    place = link.partition("#")[0]
    if "://" in link or link.startswith("mailto:") or not place:
        return None
    target = PurePosixPath(os.path.normpath(page.parent / place))
    return target / "README.md" if (ROOT / target).is_dir() else target


def on_site(page: PurePosixPath, text: str) -> str:
    """Return the text of a page with links as they are on the site, and without comments.

    Pictures lead to their files, since a phone shows them too small to read.

    Args:
        page: its file, relative to the root.
        text: what stands there.

    >>> on_site(PurePosixPath("docs/extending.md"), "see [records](../src/packdepth/records.py)")
    'see [records](project/src/packdepth/records.py.md)'
    >>> on_site(PurePosixPath("docs/how-to/live.md"), "![Depth](../images/city_depth.jpg)")
    '[![Depth](../images/city_depth.jpg)](../images/city_depth.jpg)'
    """
    here = page_path(page).parent

    def moved(match: re.Match[str]) -> str:
        target = target_of(page, match[2])
        if target is None:
            return match[0]
        path = target.relative_to(FOLDER) if target.suffix in ASSETS else page_path(target)
        anchor = match[2].partition("#")[1:]
        return f"{match[1]}{os.path.relpath(path, here)}{''.join(anchor)}{match[3]}"

    text = LINK.sub(moved, re.sub(r"^ *<!--.*?-->\n", "", text, flags=re.DOTALL | re.MULTILINE))
    return PICTURE.sub(lambda picture: f"[{picture[0]}]({picture[1]})", text)


def page_of(path: PurePosixPath) -> str:
    """Return the page of a file; of code a page that shows it, which the search leaves out.

    Args:
        path: file, relative to the root.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".md":
        return on_site(path, text)
    language = LANGUAGES.get(path.suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n````{language}\n{text}````\n"


def pages() -> dict[PurePosixPath, str]:
    """Return the text of each page of the site by its path: those of `docs/`, and all that they link to."""
    found: dict[PurePosixPath, str] = {}
    waiting = [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in sorted((ROOT / FOLDER).rglob("*.md"))]
    for path in waiting:  # grows
        if page_path(path) in found:
            continue
        found[page_path(path)] = page_of(path)
        if path.suffix == ".md":
            waiting += [target for target in links_of(path) if target.suffix not in ASSETS]
    return found


def links_of(page: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the files that a page of Markdown links to.

    Args:
        page: its file, relative to the root.
    """
    for _, link, _ in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        target = target_of(page, link)
        if target is not None:
            yield target


def configuration(index: str) -> str:
    """Return the settings of zensical with the navigation.

    Args:
        index: text of `docs/index.md`.
    """
    entries = ['{"Home" = "index.md"}']
    for title, listed in navigation(index):
        inside = [
            f"{{{json.dumps(name)} = {json.dumps(str(page_path(target)))}}}"
            for name, link in listed
            if (target := target_of(PurePosixPath(FOLDER, "index.md"), link)) is not None
        ]
        entries.append(f"{{{json.dumps(title)} = [{', '.join(inside)}]}}")
    settings = (ROOT / FOLDER / "site" / "zensical.toml").read_text(encoding="utf-8")
    lines = ",\n  ".join(entries)
    return settings.replace("[project]\n", f"[project]\nnav = [\n  {lines},\n]\n", 1)


def build(output: Path) -> None:
    """Build the site.

    Args:
        output: folder to write; what is there is replaced.

    Raises SystemExit if zensical is missing or finds a fault in a page.
    """
    if find_spec("zensical") is None:
        sys.exit("zensical, which builds the site, is not installed: pip install 'packdepth[docs]'")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for path, text in pages().items():
            file = place / FOLDER / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for asset in (path for path in (ROOT / FOLDER).rglob("*") if path.suffix in ASSETS):
            file = place / FOLDER / asset.relative_to(ROOT / FOLDER)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(asset, file)
        (place / "zensical.toml").write_text(configuration((ROOT / FOLDER / "index.md").read_text()), encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=place, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(place / "site", output)
    print(output / "index.html")


if __name__ == "__main__":
    build(ROOT / "site")
