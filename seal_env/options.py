"""Options: pydantic models of keyword arguments, whose errors name the field, the value and what would be legal.

What comes in are keyword arguments of users; what goes out is a frozen model, or a SettingError.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from seal_env.errors import SettingError
from seal_env.printable import HALF_CHARACTER


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return tuple(value) if isinstance(value, list) else value


def _path(value: object) -> object:
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    return os.path.expanduser(path) if isinstance(path, str) else path


def _json_object(value: object) -> object:
    """A JSON object, or its text, as canonical text; anything else as it is."""
    try:
        found = json.loads(value, object_pairs_hook=_unique) if isinstance(value, str) else value
        text = json.dumps(found, sort_keys=True, allow_nan=False)
        json.dumps(found, ensure_ascii=False).encode()
        same = json.loads(text) == found  # keys that are numbers become texts
        return text if isinstance(found, Mapping) and same else [value]
    except (ValueError, TypeError, RecursionError):
        return [value]  # no text, and so not legal


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names: a list of texts, or one text with commas between them."""
PathText = Annotated[str, BeforeValidator(_path)]
"""A path: a text or an `os.PathLike`, held as a text. A `~` at its start is the home folder."""
Paths = Annotated[tuple[PathText, ...], BeforeValidator(_names)]
"""Paths: a list of them, or one text with commas between them."""
JsonText = Annotated[str, BeforeValidator(_json_object), "a JSON object"]
"""A JSON object: a mapping or its text, held as a text."""


class Options(BaseModel):
    """Base of every group of settings. The docstring below each field is its line in `--help` and in the docs.

    Values are not coerced, except that a whole number counts as a float; see also `Names` and `PathText`.

    Raises:
        SettingError: For an unknown name or a value that is not legal; names the field, the value and what would be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    if not TYPE_CHECKING:  # type checkers see pydantic's own, with the types of the fields

        def __init__(self, **given: Any) -> None:
            unknown = [name for name in given if name not in type(self).model_fields]
            if unknown:
                raise unknown_setting(unknown[0], given[unknown[0]], type(self).model_fields)
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise _setting_error(type(self), error, given) from None
            for name, value in given.items():
                if any(isinstance(each, str) and HALF_CHARACTER.search(each) for each in _parts(value)):
                    raise SettingError(name, value, "whole characters, which UTF-8 can write")

    @classmethod
    def checked(cls, **given: Any) -> Self:
        """The options with these values, which a type checker need not know. Raises SettingError."""
        return cls(**given)


def _parts(value: object) -> Iterable[object]:
    """A value, or what a list of texts or paths holds."""
    given = value if isinstance(value, list | tuple) else (value,)
    return (os.fspath(each) if isinstance(each, os.PathLike) else each for each in given)


def unknown_setting(name: str, value: object, known: Iterable[str]) -> SettingError:
    """The error for a setting that does not exist, with what comes close."""
    close = get_close_matches(name, list(known), n=1)
    return SettingError(name, value, f"a known setting{f'; did you mean {close[0]!r}?' if close else ''}")


def _setting_error(model: type[Options], error: ValidationError, given: Mapping[str, Any]) -> SettingError:
    first = error.errors(include_url=False)[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, SettingError):
        return inner
    name = str(first["loc"][0])
    field, bounds = model.model_fields[name], _bounds(model.model_fields[name].metadata)
    beyond = bounds and first["type"].startswith(("greater_than", "less_than"))
    return SettingError(name, given.get(name), bounds if beyond else legal(field))


def legal(field: FieldInfo) -> str:
    """What a field may be, in words: `'lora' or 'full'`, `a whole number, at least 1`, `a text or None`."""
    words = next((each for each in field.metadata if isinstance(each, str)), _legal_type(field.annotation))
    bounds = _bounds(field.metadata)
    return f"{words}, {bounds}" if bounds else words


def _legal_type(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        return _legal_type(get_args(kind)[0])
    if origin is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_legal_type(each) for each in get_args(kind)))
    if origin is tuple:
        return "a list of texts, or one text with commas between them"
    names = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text", type(None): "None"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _bounds(metadata: Iterable[Any]) -> str:
    words = []
    for each in metadata:
        for kind, name, word in ((Ge, "ge", "at least"), (Gt, "gt", "above"), (Le, "le", "at most"), (Lt, "lt", "below")):
            if isinstance(each, kind):
                words.append(f"{word} {getattr(each, name):g}")
    return " and ".join(words)
