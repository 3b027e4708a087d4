"""The run file of a segmentation network, and its checkpoint. Importing this takes no torch.

A checkpoint is a folder, as of depth networks: `weights.safetensors`, `run.yaml`, `meta.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt

from packdepth.blocks import Closed, parse
from packdepth.checkpoint import META, RUN, WEIGHTS, replaced
from packdepth.city.classes import Label
from packdepth.config import Augmentation, ImageSize, read_yaml
from packdepth.errors import InputError
from packdepth.records import Clip, Frame
from packdepth.sources import AnySource
from packdepth.sources.camvid import CLASSES as CAMVID_CLASSES
from packdepth.sources.camvid import CamVid

if TYPE_CHECKING:
    from torch import Tensor

STREET_CLASSES = tuple(label.words for label in Label)  # of Cityscapes, the city and whatever follows them
UNLABELED = 255  # a class id that is not judged and teaches nothing


class SemanticData(Closed):
    """Images with classes."""

    train: Annotated[list[AnySource], Field(min_length=1)]
    val: list[AnySource] = []
    image_size: ImageSize
    """Height and width of what the network sees in training, in pixels."""
    augmentation: Augmentation = Augmentation()
    zoom: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least share of an image's height and width that a random crop shows; 1 shows all of it."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that load images; 0 loads them in the training process."""


class FpnConfig(Closed):
    """A feature pyramid on a ResNet encoder (Lin et al. 2017; Kirillov et al. 2019)."""

    layers: Literal[18, 34, 50] = 18
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 64
    """Channels of the pyramid."""


class SemanticTraining(Closed):
    """How the network is trained: AdamW, its learning rate falling along a cosine."""

    steps: PositiveInt
    batch_size: PositiveInt = 4
    learning_rate: PositiveFloat = 1e-3
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    accelerator: Literal["auto", "cpu"] = "auto"


class SemanticRun(Closed):
    """The whole experiment."""

    data: SemanticData
    network: FpnConfig = FpnConfig()
    training: SemanticTraining


class SemanticMeta(Closed):
    """What a checkpoint of a segmentation network says of itself."""

    packdepth: str
    """The version that wrote it."""
    created: str
    """Date and time, UTC."""
    steps: int
    classes: list[str]
    """By class id."""
    images: int
    """It was trained on."""
    mean_iou: float | None = None
    """Of the validation images, all pixels of them together, over the classes that occur; None without any."""
    iou: dict[str, float] = {}
    """Of each class that occurs in them."""


def load_semantic_run(path: Path, overrides: tuple[str, ...] = ()) -> SemanticRun:
    """The run file at `path`, with `key=value` overrides. Raises InputError, one sentence, if it cannot be used."""
    return parse(SemanticRun, read_yaml(path, overrides), str(path))


def classes_of(sources: Sequence[AnySource]) -> tuple[str, ...]:
    """The classes that these sources label, by id. Raises InputError if they have different ones."""
    kinds = {source.kind: CAMVID_CLASSES[:-1] if isinstance(source, CamVid) else STREET_CLASSES for source in sources}
    if len(set(kinds.values())) > 1:
        raise InputError(f"data: {' and '.join(kinds)} have different classes; train on one of them")
    return next(iter(kinds.values()))


def labeled(sources: Sequence[AnySource]) -> list[tuple[Clip, Frame]]:
    """Their targets with classes. Raises InputError for a source that has none."""
    frames = []
    for source in sources:
        targets = [(clip, frame) for clip in source.clips() for frame in clip.frames if clip.is_target(frame)]
        found = [(clip, frame) for clip, frame in targets if frame.semantic is not None]
        if not found:
            raise InputError(
                f"{getattr(source, source.place)}: no frame of this {source.kind} data has classes; "
                f"add them, or leave it out"
            )
        frames += found
    return frames


def write_semantic(folder: Path, run: SemanticRun, meta: SemanticMeta, weights: dict[str, Tensor]) -> None:
    """Write a checkpoint so that `folder` holds the old one or the new one, never a part."""
    from safetensors.torch import save_file

    with replaced(folder) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary / WEIGHTS)
        (temporary / RUN).write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))
        (temporary / META).write_text(meta.model_dump_json(indent=2) + "\n")


def read_semantic(folder: Path) -> tuple[SemanticRun, SemanticMeta]:
    """The run and the description of a checkpoint. Raises InputError if `folder` is none."""
    missing = [name for name in (WEIGHTS, RUN, META) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: is no checkpoint of a segmentation network (it lacks {', '.join(missing)}); "
            f"give a folder that `packdepth semantics train` wrote"
        )
    try:
        run = parse(SemanticRun, yaml.safe_load((folder / RUN).read_text()), str(folder / RUN))
        meta = parse(SemanticMeta, json.loads((folder / META).read_text()), str(folder / META))
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: its description cannot be read: {' '.join(str(error).split())}") from None
    return run, meta
