"""Label maps (semantic class ids), read from disk and checked: their ids and the meaning of these."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from packdepth.classes import UNLABELED, Label
from packdepth.errors import InputError, InputWarning
from packdepth.progress import counted
from packdepth.records import Clip, Readable

T = TypeVar("T")

GUIDED = "guidance.semantics.classes of the depth network"
LOOKED_AT = 20  # label maps, or a few more, whose content is looked at before a training


def common_classes(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the names of the classes of all label maps, by class id. Raises InputError if two clips differ in them.

    Args:
        clips: at least one clip, each with label maps.
    """
    first = clips[0]
    for clip in clips[1:]:
        check_classes(clip, first.class_names, f"those of {first.name}")
    return first.class_names


def check_classes(clip: Clip, classes: Sequence[str], whose: str) -> None:
    """Raise InputError, naming the first class that differs, unless label maps of a clip have certain classes.

    Args:
        clip: the clip.
        classes: names of the classes, by class id.
        whose: description of the label maps that have these classes, for the message.
    """
    for number, (found, expected) in enumerate(zip_longest(clip.class_names, classes, fillvalue="none")):
        if found != expected:
            unstated = "" if clip.classes is not None else ", as nothing states other ones than Cityscapes'"
            raise InputError(
                f"{clip.path}: class {number} of its label maps is {found}{unstated}, but {expected} in {whose}; give "
                f"label maps of the same classes, which semantic.yaml beside semantic/ names by id"
            )


def check_labeled(clips: Sequence[Clip], classes: Sequence[str] = ()) -> None:
    """Raise InputError, naming the image or the clip, unless each frame has a label map of the classes that guide.

    Args:
        clips: clips to train on, or to predict.
        classes: names of the classes that the depth network was trained with, by class id; empty if they are not known.
    """
    for clip in clips:
        for frame in clip.frames:
            label_map(frame.image, frame.semantic)
        check_guiding_classes(clip, classes)


def check_guiding_classes(clip: Clip, classes: Sequence[str]) -> None:
    """Raise InputError unless the label maps of a clip have the classes that guide the depth network.

    Args:
        clip: the clip.
        classes: names of the classes that the depth network was trained with, by class id; empty if they are not known,
            or if no label maps guide it.
    """
    if classes and any(frame.semantic is not None for frame in clip.frames):
        check_classes(clip, classes, "the training of the depth network")


def stated_classes(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the names of the classes of all label maps, by class id; none if no clip states them.

    Args:
        clips: at least one clip, each with label maps. Raises InputError if two differ in their classes.
    """
    classes = common_classes(clips)
    return classes if any(clip.classes is not None for clip in clips) else ()


def check_sky(clips: Sequence[Clip], label: int) -> None:
    """Raise InputError if a class id does not mean sky where the classes are stated. Warn if no map holds it.

    Args:
        clips: clips with label maps.
        label: the class id that the term `sky` takes for sky.
    """
    sky = Label.SKY.words
    for clip in clips:
        names = clip.classes
        if names is None:
            continue
        found = names[label] if label < len(names) else "none"
        if found != sky:
            advice = f"write label: {names.index(sky)}" if sky in names else "label it by a network that knows the sky"
            raise InputError(
                f"objective: sky.label: class {label} of the label maps of {clip.name} is {found}, not sky "
                f"(semantic.yaml of {clip.path}); {advice}"
            )
    maps = [frame.semantic for clip in clips for frame in clip.frames if frame.semantic is not None]
    chosen = some_of(maps)
    if not any((file.read() == label).any() for file in chosen):
        warnings.warn(
            f"objective: sky.label: none of {counted(len(chosen), 'label map')} that were looked at holds class "
            f"{label}; where no image shows the sky, the term does nothing",
            InputWarning,
            stacklevel=2,
        )


def some_of(items: Sequence[T]) -> Sequence[T]:
    """Return items from the first to the last, evenly spread: all, or `LOOKED_AT` and a few more.

    Args:
        items: the items, such as frames with label maps.

    >>> len(some_of(range(15))), some_of(range(101))[-1]
    (15, 100)
    """
    return items[:: max(len(items) // LOOKED_AT, 1)]


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


def check_ids(ids: np.ndarray, classes: int, name: str, stated: str = GUIDED) -> None:
    """Raise InputError for class ids that are too large. Unlabeled pixels (`UNLABELED`) are allowed.

    Args:
        ids: [H, W] uint8.
        classes: number of classes.
        name: file or argument that the message begins with.
        stated: where the classes are stated, for the message; by default those that guide a depth network.

    >>> check_ids(np.array([[0, 18, 255]], dtype=np.uint8), classes=19, name="a.png")
    """
    found = int(ids.max(where=ids != UNLABELED, initial=0))
    if found >= classes:
        raise InputError(
            f"{name}: holds class {found}, but there are {classes} classes, 0 to {classes - 1} ({stated}); give label "
            f"maps of these classes, with {UNLABELED} where there is none"
        )
