"""Label maps (semantic class ids) that guide a depth network, read from disk and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packdepth.classes import UNLABELED, Label
from packdepth.errors import InputError
from packdepth.records import Clip, Readable
from packdepth.run_files import read_yaml


def check_labeled(clips: Sequence[Clip]) -> None:
    """Raise InputError, naming the image, unless each frame has a label map.

    Args:
        clips: clips to train on.
    """
    for clip in clips:
        for frame in clip.frames:
            label_map(frame.image, frame.semantic)


def check_sky(clips: Sequence[Clip], label: int) -> None:
    """Raise InputError if the network that labeled a clip did not mean sky by a class id.

    Only clips that `packdepth semantics label` labeled say which classes they have, in `semantic.yaml`.

    Args:
        clips: clips with label maps.
        label: the class id that the term `sky` takes for sky.
    """
    for clip in clips:
        maps = clip.frames[0].semantic
        file = None if maps is None else Path(maps.path).parent.with_suffix(".yaml")
        content = read_yaml(file) if file is not None and file.is_file() else None
        if not isinstance(content, dict) or not isinstance(content.get("classes"), list):
            continue
        sky, names = Label.SKY.words, [str(name).lower() for name in content["classes"]]
        found = names[label] if label < len(names) else "none"
        if found != sky:
            advice = f"write label: {names.index(sky)}" if sky in names else "label it by a network that knows the sky"
            raise InputError(
                f"objective: sky.label: class {label} of the label maps of {clip.name} is {found}, not sky ({file}); "
                f"{advice}"
            )


def label_map(image: Readable, semantic: Readable | None) -> Readable:
    """Return the label map of an image. Raises InputError, naming the image, if there is none.

    Args:
        image: the image, for the message.
        semantic: its label map, if there is one.
    """
    if semantic is None:
        raise InputError(
            f"{image.path}: has no label map, but label maps guide the depth network; "
            f"write the semantic/ of its clip with packdepth semantics label"
        )
    return semantic


def read_label_map(file: Readable, classes: int) -> np.ndarray:
    """Return the class ids of a label map: [H, W] uint8. Raises InputError for an id that is too large.

    Args:
        file: the label map.
        classes: number of classes that guide the depth network; ids are smaller, or `UNLABELED`.
    """
    ids = file.read()
    check_ids(ids, classes, str(file.path))
    return ids


def check_ids(ids: np.ndarray, classes: int, name: str) -> None:
    """Raise InputError for class ids that are too large. Unlabeled pixels (`UNLABELED`) are allowed.

    Args:
        ids: [H, W] uint8.
        classes: number of classes that guide the depth network.
        name: file or argument that the message begins with.

    >>> check_ids(np.array([[0, 18, 255]], dtype=np.uint8), classes=19, name="a.png")
    """
    found = int(ids.max(where=ids != UNLABELED, initial=0))
    if found >= classes:
        raise InputError(
            f"{name}: holds class {found}, but the depth network is guided by {classes} classes, 0 to {classes - 1} "
            f"(guidance.semantics.classes); give label maps of these classes, with {UNLABELED} where there is none"
        )
