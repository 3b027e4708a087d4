"""Sizes of packdepth's dependencies, and the time of its imports.

    python bench/install.py

prints a table of the installed distributions that the core needs, and of those that each extra adds, from the records
of pip; and the processor time that some imports take in fresh interpreters, the best of several.
"""

from __future__ import annotations

import importlib.metadata
import re
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

PACKAGE = "packdepth"
TRIES = 5
IMPORTS = {
    "import packdepth": "import packdepth",
    "packdepth --help": "from packdepth.cli import main; main(['--help'])",
    "packdepth doctor": "from packdepth.cli import main; main(['doctor'])",
    "import torch": "import torch",
}


def needed(names: Iterable[str], extra: str = "") -> set[str]:
    """Return the installed distributions that some need, themselves among them."""
    found: set[str] = set()
    todo = [(name, extra) for name in names]
    while todo:
        name, chosen = todo.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        if key in found and not chosen:
            continue
        found.add(key)
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": chosen}):
                todo += [(requirement.name, each) for each in (requirement.extras or {""})]
    return found


def size(name: str) -> int:
    """Return the bytes of the files of a distribution, from its record."""
    return sum(file.size or 0 for file in importlib.metadata.files(name) or ())


def seconds(code: str) -> float:
    """Return the smallest processor time of a fresh interpreter that runs some code."""
    found = []
    for _ in range(TRIES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass"
        subprocess.run([sys.executable, "-c", text], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def main() -> None:
    """Print the tables."""
    core = needed([PACKAGE])
    sizes = {name: size(name) for name in core - {PACKAGE}}
    print(f"core: {len(sizes)} distributions, {sum(sizes.values()) / 1e6:.0f} MB")
    for name, count in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"  {name:<24}{count / 1e6:8.1f} MB  {importlib.metadata.version(name)}")
    for extra in importlib.metadata.metadata(PACKAGE).get_all("Provides-Extra") or ():
        more = needed([PACKAGE], extra) - core
        print(f"extra {extra:<16}{sum(map(size, more)) / 1e6:8.1f} MB more, {len(more)} distributions")
    for label, code in IMPORTS.items():
        print(f"{label:<20}{seconds(code):6.2f} s")
    print(f"Python {sys.version.split()[0]} at {Path(sys.executable)}")


if __name__ == "__main__":
    main()
