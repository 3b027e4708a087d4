"""Models of Hugging Face's transformers, in a folder or on the Hub: their configuration and the images they expect.

The package transformers (extra `transformers`) is imported when a model is read, not before. Only configurations in
JSON and weights in safetensors are read; no code that comes with a model is executed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import field_validator
from torch import Tensor

from packdepth.blocks import Closed
from packdepth.errors import InputError
from packdepth.reading import read_weights_file, reason_of, refuse_special

PREPROCESSOR, WEIGHTS = "preprocessor_config.json", "model.safetensors"
FILES = f"config.json, {PREPROCESSOR} and {WEIGHTS}"  # content of the folder of a model
# Parts of a configuration that depend on the place, the program and the precision that it was read with.
NO_ARCHITECTURE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
# Parts by which transformers would load code of others: kernels and code from the Hub, other libraries' formats.
FOREIGN_CODE = (
    "attn_implementation",
    "_attn_implementation",
    "experts_implementation",
    "auto_map",
    "quantization_config",
)
Triple = tuple[float, float, float]
_ON_THIS_MACHINE = ContextVar("_ON_THIS_MACHINE", default=False)  # whether the Hub may not be asked


@contextmanager
def on_this_machine() -> Iterator[None]:
    """Read models in a block from folders and from the cache of the Hub alone, never over the network.

    A checkpoint, which a stranger may have written, asks the network for nothing.

    >>> with on_this_machine():
    ...     opening()
    {'trust_remote_code': False, 'local_files_only': True}
    """
    token = _ON_THIS_MACHINE.set(True)
    try:
        yield
    finally:
        _ON_THIS_MACHINE.reset(token)


def opening() -> dict[str, Any]:
    """Return the options with which every file of a model is opened: none of its code is executed, nor asked for.

    >>> opening()
    {'trust_remote_code': False, 'local_files_only': False}
    """
    return {"trust_remote_code": False, "local_files_only": _ON_THIS_MACHINE.get()}


class Normalization(NamedTuple):
    """Normalization of the images that a model expects."""

    mean: Triple  # of RGB in [0, 1]
    std: Triple  # of RGB in [0, 1]


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # for models that come without their own


class ModelRecord(Closed):
    """The description of a model, with which a checkpoint needs nothing else.

    >>> record = ModelRecord(config={"model_type": "glpn"}, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    >>> record.identity
    'glpn e475d7cb'
    """

    config: dict[str, Any]
    """The model's configuration."""
    mean: Triple
    """Mean that is subtracted from RGB in [0, 1]."""
    std: Triple
    """Standard deviation that RGB is divided by."""

    @field_validator("config")
    @classmethod
    def _plain(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration without `FOREIGN_CODE`. Raises ValueError if it names no type of model."""
        if not isinstance(config.get("model_type"), str):
            raise ValueError("names no model_type, such as depth_anything; take another checkpoint")
        return {name: value for name, value in config.items() if name not in FOREIGN_CODE}

    @property
    def model_type(self) -> str:
        """The type of the model, such as depth_anything."""
        return str(self.config["model_type"])

    @property
    def identity(self) -> str:
        """The type of the model and a digest of its description, which would fill a page of an error message."""
        values = self.model_dump() | {"config": _portable(self.config)}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.model_type} {digest}"


def read_record(name: str, config: Any, field: str, default: Normalization | None = None) -> ModelRecord:
    """Return the description of a model.

    Args:
        name: the name of the model on the Hub, or the path of its folder.
        config: the configuration that `read_config` returned.
        field: field of the run file that names the model, for an error.
        default: normalization of images if the files of the model do not say; None if they must.

    Raises InputError if transformers is not installed, or if the files do not say how images are normalized.
    """
    normalization = read_normalization(name) or default
    if normalization is None:
        raise InputError(
            f"{field}: {name} does not say how its images are normalized; copy the model's preprocessor_config.json, "
            f"with image_mean and image_std, beside its config.json"
        )
    return ModelRecord(config=_portable(json.loads(json.dumps(config.to_dict()))), **normalization._asdict())


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without `NO_ARCHITECTURE`."""
    return {name: value for name, value in config.items() if name not in NO_ARCHITECTURE}


def transformers_module() -> Any:
    """Return the package transformers, with its progress bars switched off.

    Raises InputError if it is not installed.

    >>> transformers_module().__name__
    'transformers'
    """
    if not importlib.util.find_spec("transformers"):
        raise InputError("models of transformers need the extra transformers: pip install 'packdepth[transformers]'")
    module = importlib.import_module("transformers")
    module.utils.logging.disable_progress_bar()
    return module


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the errors of a model that cannot be read into one sentence, an InputError.

    Args:
        name: the name of the model on the Hub, or the path of its folder.

    >>> with reading("models/mine"):
    ...     raise OSError("There is no config.json. Try another")
    Traceback (most recent call last):
    packdepth.errors.InputError: models/mine: is no folder here, and cannot be loaded from the Hub (There is no \
config.json); give the folder of a model (config.json, preprocessor_config.json and model.safetensors), or the name \
of a model on the Hub
    """
    for file in Path(name).iterdir() if Path(name).is_dir() else ():
        refuse_special(file)
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # transformers raises many classes for a configuration that is none
        reason = reason_of(error).split(". ")[0]
        if _ON_THIS_MACHINE.get() and not Path(name).is_dir():
            raise InputError(
                f"{name}: is a model that the checkpoint names, and is not on this machine ({reason}); get it with "
                f"hf download {name}, if you trust its author, or ask for a checkpoint that holds a copy"
            ) from error
        what = "cannot be loaded by transformers"
        if not Path(name).is_dir():
            what = "is no folder here, and cannot be loaded from the Hub"
        raise InputError(
            f"{name}: {what} ({reason}); give the folder of a model ({FILES}), or the name of a model on the Hub"
        ) from error


def read_config(name: str) -> Any:
    """Return the configuration of a model.

    Args:
        name: the name of the model on the Hub, or the path of its folder.

    Raises InputError if transformers is not installed, or if the model cannot be read.
    """
    transformers = transformers_module()
    with reading(name):
        config = transformers.AutoConfig.from_pretrained(name, **opening())
        config._attn_implementation = None  # the library's own
        for part in FOREIGN_CODE:
            vars(config).pop(part, None)
        return config


def read_normalization(name: str) -> Normalization | None:
    """Return the normalization of the images that a model expects; None if its files do not say.

    Args:
        name: the name of the model on the Hub, or the path of its folder.

    Raises InputError if transformers is not installed, or if the file cannot be read.
    """
    transformers = transformers_module()
    with reading(name):
        path = transformers.utils.hub.cached_file(
            name,
            PREPROCESSOR,
            local_files_only=_ON_THIS_MACHINE.get(),
            _raise_exceptions_for_missing_entries=False,
        )
        content = json.loads(Path(path).read_text()) if path else {}
        if content.get("do_normalize") is False:
            return Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        if "image_mean" not in content or "image_std" not in content:
            return None
        mean, std = ((float(r), float(g), float(b)) for r, g, b in (content["image_mean"], content["image_std"]))
        return Normalization(mean, std)


def read_hub_weights(name: str) -> dict[str, Tensor]:
    """Return the weights of a model, by the names of the tensors.

    Args:
        name: the name of the model on the Hub, or the path of its folder.

    Raises InputError if transformers is not installed, or if the model cannot be read.
    """
    transformers = transformers_module()
    with reading(name):
        return read_weights_file(
            Path(transformers.utils.hub.cached_file(name, WEIGHTS, local_files_only=_ON_THIS_MACHINE.get()))
        )
