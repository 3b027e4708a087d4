"""Backbones of Hugging Face's transformers as encoders: ResNet, ConvNeXt, Swin, DINOv2, DINOv3, HGNetV2 and others.

The package transformers (extra `transformers`) is imported when an encoder is built, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from packdepth.errors import InputError
from packdepth.networks.blocks import PartBlock
from packdepth.networks.encoders.encoder import STRIDES, Encoder, EncoderBlock, normalized
from packdepth.networks.hub import (
    IMAGENET,
    ModelRecord,
    opening,
    read_config,
    read_record,
    reading,
    transformers_module,
)

WIDTHS = (32, 64, 128, 256, 256)  # channels of the features that are made of others, at strides 2 to 32
GROUPS = 8  # groups of the group normalization in the stem
TOKEN_STRIDE = 16  # pixels of the image for each patch of a vision transformer: the image is resized for other patches
ADDED = "hidden_states_norms."  # normalizations of the features that a backbone adds to the model: never pretrained
TAPS = 4  # number of layers of a vision transformer whose tokens are features


class TransformersEncoderBlock(EncoderBlock):
    """A backbone of transformers, by its name on the Hub or its folder. Checkpoints hold its configuration and weights.

    It needs the extra `transformers`, in prediction, too.

    >>> TransformersEncoderBlock(model="facebook/dinov2-small").is_pretrained
    True
    """

    kind: Literal["transformers"] = "transformers"
    model: str
    """The name of the model on the Hub, such as facebook/dinov2-small, or its folder."""
    pretrained_weights: bool = True
    """Start from the weights of the model; if `false`, only its configuration is used."""
    record: ModelRecord | None = Field(default=None, repr=False)
    """Description of the model. Training reads it from the model and writes it into checkpoints; leave it out."""

    training_options: ClassVar[frozenset[str]] = EncoderBlock.training_options | {"model", "pretrained_weights"}

    @model_validator(mode="before")
    @classmethod
    def _former_record(cls, values: Any) -> Any:
        """Read the description as the first checkpoints with this encoder hold it, in `config` and `normalize`."""
        if not isinstance(values, dict) or "config" not in values or "normalize" not in values:
            return values
        rest = {name: value for name, value in values.items() if name not in ("config", "normalize")}
        config, normalize = values["config"], values["normalize"]
        if config is None or normalize is None:
            return rest
        return rest | {"record": {"config": config, "mean": normalize["mean"], "std": normalize["deviation"]}}

    def architecture(self) -> dict[str, Any]:
        """Return the options that must be equal in two encoders; a digest stands for the configuration."""
        block = self.completed()
        assert block.record is not None
        return super(TransformersEncoderBlock, block).architecture() | {"record": block.record.identity}

    def completed(self, before: PartBlock | None = None) -> Self:
        """Return the block with the description of the model.

        Args:
            before: the block of the training that is resumed, which describes its model already; None otherwise.

        Raises InputError without the extra, if there is no such model, and if the files of a pretrained one do not say
        how its images are normalized.
        """
        if self.record is not None:
            return self
        if isinstance(before, TransformersEncoderBlock) and before.record is not None and before.model == self.model:
            return self.model_copy(update={"record": before.record})
        default = None if self.pretrained_weights else IMAGENET
        record = read_record(self.model, read_config(self.model), "encoder.model", default)
        return self.model_copy(update={"record": record})

    def build(self, channels_in: int = 3) -> TransformersEncoder:
        """Return the encoder with random weights.

        Raises InputError without the extra, and if transformers has no backbone of this kind.
        """
        record = self.completed().record
        assert record is not None
        return TransformersEncoder(record.config, record.mean, record.std, channels_in, self.model)

    @property
    def is_pretrained(self) -> bool:
        """Whether the encoder starts from the weights of the model."""
        return self.pretrained_weights

    def describe(self) -> str:
        """Return the name of the model."""
        return f"{self.model} of transformers" + (" pretrained" if self.pretrained_weights else "")

    def pretrained(self) -> dict[str, Tensor]:
        """Return the weights of the model.

        Raises InputError if there are none, or if they lack layers of the backbone.
        """
        with torch.device("meta"):
            model: Any = self.build().model
        with reading(self.model):
            loaded, report = type(model).from_pretrained(
                self.model, config=model.config, use_safetensors=True, output_loading_info=True, **opening()
            )
        missing = sorted(name for name in report["missing_keys"] if not name.startswith(ADDED))
        if missing:
            raise InputError(
                f"encoder.model: the weights of {self.model} lack {missing[0]} and {len(missing) - 1} more of the "
                f"backbone {type(model).__name__}; name another model"
            )
        weights: dict[str, Tensor] = loaded.state_dict()
        return weights


class TransformersEncoder(Encoder):
    """A backbone of transformers, with the strides that it lacks.

    A hierarchical backbone gives the features of its strides, often 4 to 32; a small stem of convolutions gives those
    of stride 2. A vision transformer has one stride: tokens of four of its layers, from early to late, are projected
    and resized to strides 4 to 32. Its image is resized so that a patch covers 16 pixels.

    Args:
        config: configuration of the model.
        mean: mean of its images, in [0, 1].
        deviation: standard deviation of its images.
        channels_in: 3 for one image, 6 for a pair.
        name: name of the model, for errors.

    Raises InputError if transformers has no backbone of this kind.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        mean: Sequence[float] = IMAGENET.mean,
        deviation: Sequence[float] = IMAGENET.std,
        channels_in: int = 3,
        name: str = "this model",
    ) -> None:
        super().__init__()
        transformers = transformers_module()
        self.mean, self.deviation = tuple(mean), tuple(deviation)
        values = {key: value for key, value in config.items() if key not in ("out_features", "out_indices")}
        kind = values.pop("model_type", "")
        with reading(name):
            parsed = transformers.AutoConfig.for_model(kind, **values)
            parsed.num_channels = channels_in
            if hasattr(parsed, "stem_channels"):  # HGNetV2 counts the image among the channels of its stem
                parsed.stem_channels = [channels_in, *parsed.stem_channels[1:]]
            names: list[str] = list(getattr(parsed, "stage_names", None) or [])
            patch = getattr(parsed, "patch_size", 1)
            self.patch = patch if isinstance(patch, int) and patch > 4 else 1  # Swin's patches of 4 are a stride
            if self.patch > 1:
                layers = len(names) - 1  # the first is the stem
                names = [names[round(layers * (tap + 1) / TAPS)] for tap in range(TAPS)]
            parsed.out_features = names
            self.model: nn.Module = transformers.AutoBackbone.from_config(parsed)
        self.taps, widths = self._taps()
        self.stem = nn.Sequential(
            nn.Conv2d(channels_in, WIDTHS[0], 3, stride=2, padding=1, bias=False),
            nn.GroupNorm(GROUPS, WIDTHS[0]),
            nn.ELU(inplace=True),
            nn.Conv2d(WIDTHS[0], WIDTHS[0], 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, WIDTHS[0]),
            nn.ELU(inplace=True),
        )
        self.project = nn.ModuleList(
            nn.Identity() if is_native else nn.Conv2d(width, WIDTHS[level + 1], 1)
            for level, ((_, is_native), width) in enumerate(zip(self.taps, widths, strict=True))
        )
        self.channels = [
            WIDTHS[0],
            *(
                width if is_native else WIDTHS[level + 1]
                for level, ((_, is_native), width) in enumerate(zip(self.taps, widths, strict=True))
            ),
        ]

    @property
    def body(self) -> nn.Module:
        """The model of transformers."""
        return self.model

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five feature maps [B, C_s, H / s, W / s], finest first."""
        image = normalized(image, self.mean, self.deviation)
        maps = self._maps(image)
        height, width = image.shape[-2:]
        features = [self.stem(image)]
        for (index, is_native), project, stride in zip(self.taps, self.project, STRIDES[1:], strict=True):
            x = project(maps[index])
            if not is_native:
                size = [height // stride, width // stride]
                x = resized(x, size, antialias=stride > TOKEN_STRIDE)
            features.append(x)
        return features

    def _maps(self, image: Tensor) -> Sequence[Tensor]:
        """Return the feature maps of the model."""
        if self.patch not in (1, TOKEN_STRIDE):
            size = [pixels // TOKEN_STRIDE * self.patch for pixels in image.shape[-2:]]
            image = resized(image, size, antialias=True)
        maps: Sequence[Tensor] = self.model(image).feature_maps
        return maps

    def _taps(self) -> tuple[list[tuple[int, bool]], list[int]]:
        """Return the source of the features of the strides 4 to 32.

        Returns:
            The index of the feature map of each stride with whether it has that stride, and the channels of the maps.
        """
        side = 4 * STRIDES[-1]
        channels = next(p.shape[1] for p in self.model.parameters() if p.ndim == 4)
        was_training = self.model.training
        with torch.no_grad():
            self.model.eval()
            maps = self._maps(torch.zeros(1, channels, side, side))
        self.model.train(was_training)
        strides = [side // x.shape[-1] for x in maps]
        if self.patch > 1:
            taps = [(index, False) for index in range(TAPS)]
        else:
            taps = []
            for stride in STRIDES[1:]:
                nearest = min(strides, key=lambda other: max(other, stride) / min(other, stride))
                taps.append((max(i for i, other in enumerate(strides) if other == nearest), nearest == stride))
        return taps, [maps[index].shape[1] for index, _ in taps]


def resized(x: Tensor, size: list[int], antialias: bool) -> Tensor:
    """Return maps that are resized bilinearly, in their dtype; always computed in float32 or wider.

    Args:
        x: maps [B, C, h, w].
        size: height and width of the result.
        antialias: whether to average what becomes smaller. Torch has no such layer in bfloat16 on CPUs.

    >>> resized(torch.ones(1, 1, 4, 4, dtype=torch.bfloat16), [2, 2], antialias=True).dtype
    torch.bfloat16
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.interpolate(wide, size, mode="bilinear", align_corners=False, antialias=antialias).to(x.dtype)
