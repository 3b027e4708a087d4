"""Weights and configurations of models of Hugging Face's transformers, from the Hub or from a folder.

Only safetensors are read; no code of a model is executed. The package transformers is imported when it is needed.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from packdepth.errors import InputError

WEIGHTS = "model.safetensors"
PREPROCESSOR = "preprocessor_config.json"
EXTRA = "semantic"  # the extra that installs transformers


def require_transformers() -> None:
    """Raise InputError, which names the extra, unless transformers is installed."""
    if not importlib.util.find_spec("transformers"):
        raise InputError(f"models of transformers need the extra {EXTRA}: pip install 'packdepth[{EXTRA}]'")


@contextmanager
def loading(name: str, option: str) -> Iterator[None]:
    """Turn what transformers raises into one sentence.

    Args:
        name: name or folder of the model.
        option: the option of the run file that names it.

    Raises InputError if the block of the with statement fails.
    """
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{option}: {name} cannot be loaded by transformers ({reason}); without a network, download the model "
            f"elsewhere (hf download {name} --local-dir FOLDER), copy the folder here and name it"
        ) from None


def hub_weights(name: str, option: str) -> dict[str, Tensor]:
    """Return the weights of a model.

    Args:
        name: name of the model on the Hub, or its folder.
        option: the option of the run file that names it, for an error.

    Raises InputError without the extra, and if there is no such model.
    """
    require_transformers()
    from safetensors.torch import load_file
    from transformers.utils.hub import cached_file

    with loading(name, option):
        path = cached_file(name, WEIGHTS)
        assert path is not None
        return load_file(path)


def hub_json(name: str, file: str, option: str) -> dict[str, Any]:
    """Return the content of a JSON file of a model; an empty dict if the model has no such file.

    Args:
        name: name of the model on the Hub, or its folder.
        file: name of the file.
        option: the option of the run file that names it, for an error.
    """
    require_transformers()
    from transformers.utils.hub import cached_file

    with loading(name, option):
        path = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        content: dict[str, Any] = json.loads(Path(path).read_text()) if path else {}
    return content
