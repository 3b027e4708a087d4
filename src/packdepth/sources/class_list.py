"""Class list of a clip folder: `semantic.yaml`, which names the classes of the label maps in semantic/, by class id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from packdepth.blocks import Closed, parse
from packdepth.classes import UNLABELED
from packdepth.files import replacing
from packdepth.reading import parse_yaml
from packdepth.sources.files import read_text

NAME = "semantic.yaml"
"""Name of the file, beside semantic/."""


class ClassList(Closed):
    """Content of a semantic.yaml."""

    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=UNLABELED)]
    """Names of the classes, by class id."""
    network: str | None = None
    """The segmentation network that predicted the label maps, if one did."""


def read_class_list(folder: Path) -> tuple[str, ...] | None:
    """Return the names of the classes of a clip's label maps, by class id, in lower case; None if none are stated.

    Args:
        folder: the clip folder.

    Raises InputError for a semantic.yaml that holds no such list.
    """
    path = folder / NAME
    if not path.exists():
        return None
    values = parse_yaml(read_text(path, "the classes of semantic/, such as classes: [road, sky]"), path)
    return tuple(name.lower().replace("_", " ").strip() for name in parse(ClassList, values, str(path)).classes)


def write_class_list(folder: Path, classes: Sequence[str], network: str | None = None) -> None:
    """Write the semantic.yaml of a clip.

    Args:
        folder: the clip folder.
        classes: names of the classes, by class id.
        network: the segmentation network that predicted the label maps, if one did.
    """
    values = ClassList(classes=tuple(classes), network=network).model_dump(mode="json", exclude_none=True)
    with replacing(folder / NAME) as file:
        file.write_text(yaml.safe_dump(values))
