"""The base of everything a run file may say: typed, closed, immutable."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def nearest(name: str, names: list[str]) -> str:
    """Half a sentence that names the valid name nearest to a misspelt one, or all valid names."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid names are {', '.join(names)}"


class Closed(BaseModel):
    """A part of a run file. An unknown key is an error that names the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        names = list(cls.model_fields)
        for key in values if isinstance(values, dict) else ():
            if key not in names:
                raise ValueError(f"unknown key '{key}': {nearest(str(key), names)}")
        return values
