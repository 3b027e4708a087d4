"""The run file of a segmentation network. Importing this module does not import torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from packdepth.blocks import Closed, parse
from packdepth.config import Augmentation, ImageSize
from packdepth.run_files import read_yaml
from packdepth.sources import AnySource

CHECKPOINTS = 10  # parts of a training, each of which ends with a checkpoint, unless the run file says otherwise


class SemanticData(Closed):
    """Images with label maps."""

    train: Annotated[list[AnySource], Field(min_length=1)]
    """Images to train on."""
    val: list[AnySource] = []
    """Images to evaluate the trained network on."""
    image_size: ImageSize
    """Height and width of the network's input in training, in pixels."""
    augmentation: Augmentation = Augmentation()
    """Random changes of the training images."""
    zoom: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest share of an image's height and width that a random crop covers; 1 turns cropping off."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Number of processes that load images; 0 loads them in the training process."""


class FpnConfig(Closed):
    """A feature pyramid network on a ResNet encoder (Lin et al., CVPR 2017; Kirillov et al., CVPR 2019)."""

    layers: Literal[18, 34, 50] = 18
    """Number of layers of the encoder."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 64
    """Number of channels of the pyramid."""


class SemanticTraining(Closed):
    """The training: AdamW with a learning rate that falls along a cosine.

    >>> SemanticTraining(steps=600).steps_between_checkpoints
    60
    """

    steps: PositiveInt
    """Number of optimizer steps."""
    batch_size: PositiveInt = 4
    """Number of images in a step."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate of the first step."""
    checkpoint_steps: PositiveInt | None = None
    """Number of steps from one checkpoint to the next; a tenth of all steps if left out."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the initial weights, of the order of the images and of the augmentation."""
    accelerator: Literal["auto", "cpu"] = "auto"
    """auto uses a GPU if there is one."""

    @property
    def steps_between_checkpoints(self) -> int:
        """The number of steps from one checkpoint to the next."""
        return self.checkpoint_steps or -(-self.steps // CHECKPOINTS)


class SemanticRun(Closed):
    """The whole experiment."""

    data: SemanticData
    network: FpnConfig = FpnConfig()
    training: SemanticTraining


def load_semantic_run(path: Path, overrides: tuple[str, ...] = ()) -> SemanticRun:
    """Read a run file. Raises InputError, one sentence, if it cannot be used.

    Args:
        path: the run file (YAML).
        overrides: changes of the form `key=value`, such as `training.steps=100`.
    """
    return parse(SemanticRun, read_yaml(path, overrides), str(path))
