"""JSON files of data sets, checked against what we need of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from packdepth.blocks import parse
from packdepth.errors import InputError
from packdepth.sources.files import read_text


class Content(BaseModel):
    """A part of a JSON file that others write: what is not named here is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Content)


def read_json(path: Path, model: type[Model], what: str) -> Model:
    """The content of a JSON file. Raises InputError, naming the field, where it is not what it should be."""
    try:
        values = json.loads(read_text(path, what))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no valid JSON ({error}); it should be {what}; copy it again") from None
    return parse(model, values, str(path))
