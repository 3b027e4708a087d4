"""The base of everything a run file may say: typed, closed, immutable. And what is said when a file says more."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from packdepth.errors import InputError


def nearest(name: str, names: list[str]) -> str:
    """Half a sentence that names the valid name nearest to a misspelt one, or all valid names."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid names are {', '.join(names)}"


class Closed(BaseModel):
    """A part of a run file. An unknown key is an error that names the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    renamed: ClassVar[Mapping[str, str]] = {}
    """Today's name of each key that had another name in earlier versions, whose run files remain valid."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        names = list(cls.model_fields)
        values = {cls.renamed.get(key, key): value for key, value in values.items()}
        for key in values:
            if key not in names:
                raise ValueError(f"unknown key '{key}': {nearest(str(key), names)}")
            # Python takes True for 1 and pydantic 1 for True; who writes the one does not mean the other.
            value, kind = values[key], cls.model_fields[key].annotation
            if isinstance(value, bool) and kind in (int, float):
                raise ValueError(f"{key} must be a number (found {value})")
            if type(value) is int and kind is bool:
                raise ValueError(f"{key} must be true or false (found {value})")
        return values


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], values: Any, origin: str) -> Model:
    """`values` as a `model`; `origin`, such as the file they were read from, begins the sentence of an error."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
    if first["type"] == "union_tag_not_found":
        # Asked again with a wrong kind in place of the missing one, pydantic says which kinds there are.
        first["input"]["kind"] = ""
        try:
            return parse(model, values, origin)
        finally:
            del first["input"]["kind"]
    where = _location(first["loc"], values)
    raise InputError(f"{origin}: {f'{where}: ' if where else ''}{_wording(first)}")


_WORDINGS = {
    "missing": "is missing",
    "model_type": "must be a block of keys and values",
    "model_attributes_type": "must be a block of keys and values",
    "dict_type": "must be a block of keys and values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text, in quotes",
    "path_type": "must be a path",
}


def _wording(error: Any) -> str:
    """What is wrong, of one entry of pydantic's list of errors."""
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return _WORDINGS[kind]
    if kind == "value_error":  # raised by a validator of ours, in our words
        return str(context["error"])
    if kind == "union_tag_invalid":
        kinds = re.findall(r"'([^']*)'", context["expected_tags"])
        close = difflib.get_close_matches(context["tag"], kinds, n=1)
        unknown = "its kind is missing" if found["kind"] in ("", None) else f"unknown kind '{context['tag']}'"
        return f"{unknown}{f' (did you mean {close[0]!r}?)' if close else ''}; valid kinds are {', '.join(kinds)}"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"must hold {bound} item{'' if bound.endswith(' 1') else 's'}, not {context['actual_length']}"
    text = _WORDINGS.get(kind) or re.sub("^Input should ", "must ", error["msg"])
    if kind == "literal_error" and f"'{found}'" in context["expected"]:
        text += " in quotes"
    return f"{text} (found {_described(found)})"


def _described(found: Any) -> str:
    """What was found in place of something else."""
    if found is None:
        return "nothing"
    if isinstance(found, (dict, list)):
        return "a list" if isinstance(found, list) else "a block of keys and values"
    return repr(found)


def _location(parts: tuple[int | str, ...], values: Any) -> str:
    """`data.train[0].root` of pydantic's location, less the tags of unions that it contains."""
    text, tagged = "", False
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
            values = values[part] if isinstance(values, list) and part < len(values) else None
        elif not tagged and isinstance(values, dict) and values.get("kind") == part:
            tagged = True
            continue
        else:
            text += f".{part}"
            values = values.get(part) if isinstance(values, dict) else None
        tagged = False
    return text.removeprefix(".")
