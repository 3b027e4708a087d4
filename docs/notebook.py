"""Run the notebook and write the page that shows it with what its cells print and draw.

    python docs/notebook.py

writes `docs/tutorials/notebook.md` and `docs/images/notebook_*.png` (extra `city`). A test compares the code of the
page with that of `examples/notebook.ipynb`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

DOCS = Path(__file__).resolve().parent
NOTEBOOK = DOCS.parent / "examples" / "notebook.ipynb"
PAGE = DOCS / "tutorials" / "notebook.md"
NOTE = "<!-- Written by `python docs/notebook.py` from examples/notebook.ipynb: change the notebook, not this page. -->"
LINES = 20  # of output: of longer ones, the first and the last are shown
WIDTH = 448  # pixels: least width of a picture


def run(code: str, names: dict[str, Any]) -> tuple[str, Any]:
    r"""Run a cell and return what it prints, and the value of the expression at its end.

    Args:
        code: the cell.
        names: the variables of the notebook, which the cell changes.

    >>> run("print(1)\n2 + 3", {})
    ('1\n', 5)
    """
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, NOTEBOOK.name, "exec", dont_inherit=True), names)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval", dont_inherit=True), names)
    return printed.getvalue(), value


def shortened(text: str) -> str:
    """Return a text with at most `LINES` lines: the first and the last ones.

    Args:
        text: what was printed.
    """
    lines = text.rstrip().splitlines()
    kept = LINES // 2
    return "\n".join(lines if len(lines) <= LINES else [*lines[:kept], "...", *lines[-kept:]])


def shown(value: Any, number: int) -> str:
    """Return the value of a cell as Markdown; a picture is written to `docs/images/`.

    Args:
        value: the value.
        number: number of the picture, if it is one.
    """
    if not isinstance(value, Image.Image):
        return f"```text\n{value!r}\n```"
    scale = max(1, WIDTH // value.width)
    name = f"notebook_{number}.png"
    value.resize((value.width * scale, value.height * scale)).save(DOCS / "images" / name, optimize=True)
    return f"![Output of the cell](../images/{name})"


def write_page() -> None:
    """Run the notebook in an empty folder and write the page."""
    parts, names, number = [], {"__name__": "__main__"}, 0
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for cell in json.loads(NOTEBOOK.read_text())["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(text)
                continue
            parts.append(f"<!-- examples/notebook.ipynb -->\n```python\n{text}\n```")
            printed, value = run(text, names)
            if printed.strip():
                parts.append(f"```text\n{shortened(printed)}\n```")
            if value is not None:
                number += isinstance(value, Image.Image)
                parts.append(shown(value, number))
        os.chdir(here)
    title, *rest = parts
    heading, _, first = title.partition("\n\n")
    PAGE.write_text("\n\n".join([heading, NOTE, first, *rest]) + "\n", encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    write_page()
