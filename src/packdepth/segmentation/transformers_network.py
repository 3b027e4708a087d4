"""Segmentation networks of Hugging Face's transformers (extra `transformers`).

The package transformers is imported when a network is loaded, not before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from packdepth.errors import InputError
from packdepth.networks.blocks import NetworkSemantics
from packdepth.networks.hub import (
    IMAGENET,
    PREPROCESSOR,
    opening,
    read_config,
    read_normalization,
    reading,
    transformers_module,
)
from packdepth.networks.layers.padding import pad_to_multiple
from packdepth.networks.semantic_network import SemanticNetwork, Semantics

STRIDE = 32  # images are padded to multiples of it, because the encoders of these models have this stride
PROBE = 128  # pixels, height and width of the image from whose feature maps the strides are read; a multiple of STRIDE
KINDS = ("ForSemanticSegmentation", "ForUniversalSegmentation")  # endings of the names of model classes that are used


class TransformersSemantics(NetworkSemantics):
    """A segmentation network of Hugging Face's transformers, such as SegFormer or Mask2Former.

    >>> TransformersSemantics(model="models/segformer", store="reference").held
    False
    """

    kind: Literal["transformers"] = "transformers"
    model: str
    """The name of the model on the Hub, or a folder."""
    store: Literal["value", "reference"] = "value"
    """Whether checkpoints of the depth network hold a copy of the model, or only its name."""

    @property
    def name(self) -> str:
        """The name or the folder of the model."""
        return self.model

    @property
    def held(self) -> bool:
        """Whether checkpoints of the depth network hold a copy of the model."""
        return self.store == "value"

    def build(self, copy: Path | None = None) -> SemanticNetwork:
        """Return the network. Raises InputError if it cannot be loaded.

        Args:
            copy: a copy of the model to load in its place.
        """
        return load_pretrained(str(copy or self.model))


class Pretrained(SemanticNetwork):
    """A model of transformers that predicts logits of classes (SegFormer), or queries with masks (Mask2Former).

    Its feature maps are those of the pixel decoder if there is one, otherwise those of the encoder.

    Args:
        model: the model, an instance of a class of transformers.
        mean: mean of the model's training images, three values for RGB in [0, 1].
        std: standard deviation of the model's training images, three values for RGB in [0, 1].

    Raises InputError if the model has no feature maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, mean: Sequence[float] = IMAGENET.mean, std: Sequence[float] = IMAGENET.std) -> None:
        super().__init__()
        self.model = model.eval()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.classes = tuple(name for _, name in sorted(model.config.id2label.items()))
        with torch.no_grad():
            features = self(torch.zeros(1, 3, PROBE, PROBE)).features
        if not features:
            raise InputError(f"{type(model).__name__} gives no feature maps; name a model such as SegFormer")
        self.strides = tuple(PROBE // feature.shape[-1] for feature in features)
        self.channels = tuple(feature.shape[1] for feature in features)

    def forward(self, image: Tensor) -> Semantics:
        """Return feature maps and logits.

        For queries with masks, the score of a class at a pixel is the sum of the queries' scores, weighted by their
        masks.

        Args:
            image: [B, 3, H, W], RGB in [0, 1].
        """
        padded = pad_to_multiple((image - self.mean) / self.std, STRIDE)
        output = self.model(pixel_values=padded, output_hidden_states=True, return_dict=True)
        if "masks_queries_logits" in output:
            scores = output.class_queries_logits.softmax(-1)[..., :-1]  # [B, Q, K], without the class "no object"
            logits = torch.einsum("bqk,bqhw->bkhw", scores, output.masks_queries_logits.sigmoid())
            maps = output.pixel_decoder_hidden_states
        else:
            logits, maps = output.logits, output.hidden_states
        finest_first = sorted((x for x in maps or () if x.dim() == 4), key=lambda x: -x.shape[-1])
        height, width = (
            -(-size * cells // full)
            for size, cells, full in zip(image.shape[-2:], logits.shape[-2:], padded.shape[-2:], strict=True)
        )
        return Semantics(tuple(finest_first), logits[..., :height, :width])

    def save(self, folder: Path) -> None:
        """Write the model so that `load_pretrained` can read it.

        Args:
            folder: an existing folder.
        """
        self.model.save_pretrained(folder)
        content = {"image_mean": self.mean.flatten().tolist(), "image_std": self.std.flatten().tolist()}
        (folder / PREPROCESSOR).write_text(json.dumps(content) + "\n")


def load_pretrained(name: str) -> Pretrained:
    """Load a model from the Hub or from a folder. Only safetensors are read; no code of the model is executed.

    Args:
        name: the name of the model on the Hub, or the path of a folder.

    Raises InputError if the extra is not installed, if there is no such model, or if it is not a segmentation network.
    """
    transformers, config = transformers_module(), read_config(name)
    kind, model = str((config.architectures or ["an unknown kind"])[0]), None
    if kind.endswith(KINDS) and not kind.startswith("Auto"):
        with reading(name):
            model = getattr(transformers, kind).from_pretrained(name, use_safetensors=True, **opening())
    if model is None:
        raise InputError(f"{name}: is no segmentation network ({kind}); name a model such as SegFormer")
    return Pretrained(model, *(read_normalization(name) or IMAGENET))
