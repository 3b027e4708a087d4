"""Public names of a package that are imported when they are first used, so that importing the package is instant."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package with lazy names.

        __all__ = list(HOMES)
        __getattr__, __dir__ = lazy_names(__name__, HOMES)

    Args:
        package: the name of the package, such as "packdepth.evaluation".
        homes: the name of the module that defines each public name.

    >>> get, names = lazy_names("packdepth", {"Camera": "packdepth.geometry.camera"})
    >>> get("Camera").__module__
    'packdepth.geometry.camera'
    >>> names()
    ['Camera']
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(homes[name]), name)

    def names() -> list[str]:
        return sorted(homes)

    return get, names
