"""Validation errors in plain words, each at the path under which a person finds it in the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import Problem

_NUMBER, _TRUTH, _TEXT = "must be a whole number", "must be true or false", "must be a text, in quotes"
_LIST, _TABLE = "must be a list, in square brackets", "must be a table"
_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "url_type": _TEXT,
    "url_parsing": "must be a web address, starting with https://",
    "url_scheme": "must be a web address, starting with {expected_schemes}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "frozen_set_type": _LIST,
    "set_type": _LIST,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "too_short": "must not be empty",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must look like {pattern}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "..."?` for the nearest known word, else `; known are ...`, else nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(names)}" if names else ""


def path_of(*parts: str | int) -> str:
    """Return the path of a setting as people write it: `routes[0].trackers`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def problems_of(error: ValidationError, data: Any, model: type[BaseModel], *path: str | int) -> list[Problem]:
    """Return what is wrong with `data`, one problem a setting.

    Args:
        error: What pydantic found.
        data: What was read.
        model: What it was read into.
        path: Where `data` stands in the file.
    """
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        location = _location(detail, data)
        messages = found.setdefault(path_of(*path, *location), [])
        message = _message(detail, location, model)
        if message not in messages:
            messages.append(message)
    return [Problem(where, " or ".join(messages)) for where, messages in found.items()]


def _location(detail: ErrorDetails, data: Any) -> list[str | int]:
    """Return the keys that lead to the setting, without pydantic's own names for the arms of a union."""
    location: list[str | int] = []
    for position, part in enumerate(detail["loc"]):
        last = position == len(detail["loc"]) - 1
        inside = isinstance(data, Mapping) and (part in data or (last and detail["type"] == "missing"))
        if inside or (isinstance(data, Sequence) and not isinstance(data, str) and isinstance(part, int)):
            location.append(part)
            data = data.get(part) if isinstance(data, Mapping) else data[int(part)]
    return location


def _message(detail: ErrorDetails, location: Sequence[str | int], model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "is not known here" + did_you_mean(str(location[-1]), _keys(model, location[:-1]))
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind in _WORDS:
        return _WORDS[kind].format_map(context).replace("'", '"')
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _keys(model: type[BaseModel] | None, location: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at `location` may have."""
    for part in location:
        field = model.model_fields.get(str(part)) if model else None
        if field is not None:
            model = _model_in(field.annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the settings model inside an annotation such as `tuple[Model, ...]`, None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
