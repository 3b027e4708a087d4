"""Lazy public names of a package: each is imported at its first use, so that importing the package is instant."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` for the `__init__.py` of a package.

    Args:
        package: the package's own `__name__`.
        modules: the module that defines each public name, as `module` or, if the name is another one there, as
            `module:name`.

    >>> names, get, _ = lazy_names("packdepth", {"Camera": "packdepth.geometry.camera"})
    >>> names, get("Camera").__name__
    (['Camera'], 'Camera')
    """

    def get(name: str) -> Any:
        """Return a public name. Raises AttributeError for any other."""
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, other = modules[name].partition(":")
        return getattr(importlib.import_module(module), other or name)

    def names() -> list[str]:
        """Return the public names, for completion."""
        return sorted(modules)

    return list(modules), get, names
