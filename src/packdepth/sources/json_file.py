"""JSON files of data sets, checked for the fields that packdepth needs."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from packdepth.blocks import parse
from packdepth.reading import parse_json
from packdepth.sources.files import read_text


class Content(BaseModel):
    """Part of a JSON file that another project writes. Keys that the model does not name are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Content)


def read_json(path: Path, model: type[Model], what: str) -> Model:
    """Read a JSON file and check its fields.

    Args:
        path: the file. Raises InputError, naming the field, if its content does not fit the model.
        model: class of the content.
        what: description of the file, for the message.
    """
    return parse(model, parse_json(read_text(path, what), path, what), str(path))
