"""Numeric actions: self-edits as arrays, for agents that cannot write text.

An array becomes one whole self-edit, and a self-edit an array. Each number and each choice among the arguments of the tools
is one coordinate. What it may be is read off the tools' schemas and the ranges of an ActionSpec; a new tool, or a new
argument, needs nothing here.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import ArrayLike, NDArray

from seal_env.errors import SettingError
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.untrusted_json import cut, shown
from seal_env.self_edits.validate import check_calls
from seal_env.tools.base import Tool
from seal_env.tools.number_range import Reals, is_bounded, reals, wholes
from seal_env.tools.schema import arguments_schema, declared_schema
from seal_env.types import InvalidSelfEdit

LEVELS = 9
MOST_VALUES = 100
"""A whole number with more legal values than this is offered in levels, as a real number is."""


@dataclass(frozen=True)
class Coordinate:
    """One argument of one tool, or one field of a nested argument.

    Attributes:
        tool: name of the tool.
        path: names of the argument and of the fields within.
        values: what it may be, in order; for a real number these are levels of `reals`.
        reals: the range of a real number.
    """

    tool: str
    path: tuple[str, ...]
    values: tuple[Any, ...]
    reals: Reals | None = None

    @property
    def argument(self) -> str:
        """ARGUMENT, or ARGUMENT.FIELD."""
        return ".".join(self.path)

    @property
    def name(self) -> str:
        """TOOL.ARGUMENT."""
        return f"{self.tool}.{self.argument}"

    def index(self, value: Any) -> int:
        """Index of the value, or of the nearest one if it is a number. Raises ValueError outside of their range."""
        if self.reals is not None:
            shares = list(map(self.reals.share, self.values))
            wanted = self.reals.share(value)
            return min(range(len(shares)), key=lambda index: abs(shares[index] - wanted))
        same = [index for index, each in enumerate(self.values) if each == value and type(each) is type(value)]
        if same:
            return same[0]
        numbers = [each for each in self.values if _is_number(each)]
        if _is_number(value) and numbers and min(numbers) <= value <= max(numbers):
            return self.values.index(min(numbers, key=lambda legal: abs(legal - value)))
        raise ValueError(f"one of {json.dumps(self.values)}")


def coordinates(spec: ActionSpec, levels: int = LEVELS) -> tuple[Coordinate, ...]:
    """Every argument of the tools as coordinates.

    Args:
        spec: the tools, and ranges of their numbers.
        levels: of a real number, and of a whole one with more than MOST_VALUES values.

    Raises:
        SettingError: for fewer than two levels, and for an argument that no number stands for: a text, a list, a number
            without bounds.
    """
    if levels < 2:
        raise SettingError("levels", levels, "at least 2")
    reader = _Reader(spec, levels)
    return tuple(found for tool in spec.tools for found in reader.read(tool.name, (), declared_schema(tool)))


class _Reader:
    """Reads coordinates off schemas."""

    def __init__(self, spec: ActionSpec, levels: int) -> None:
        self._ranges, self._levels = spec.ranges, levels
        self._published = {tool.name: arguments_schema(tool)["properties"] for tool in spec.tools}

    def read(self, tool: str, path: tuple[str, ...], schema: Mapping[str, Any]) -> Iterator[Coordinate]:
        """The coordinates of a value: one, or those of its fields."""
        if schema.get("type") == "object":
            for name, value in schema["properties"].items():
                yield from self.read(tool, (*path, name), value)
        elif "const" in schema or "enum" in schema or schema.get("type") == "boolean":
            values = [schema["const"]] if "const" in schema else schema.get("enum", [False, True])
            yield Coordinate(tool, path, tuple(values))
        elif "anyOf" in schema:
            yield self._optional(tool, path, schema)
        elif schema.get("type") in ("number", "integer"):
            yield self._number(tool, path, schema)
        else:
            raise self._refused(tool, path, "tools whose arguments are numbers or choices")

    def _optional(self, tool: str, path: tuple[str, ...], schema: Mapping[str, Any]) -> Coordinate:
        """A number or a choice, or nothing."""
        branches = [each for each in schema["anyOf"] if each.get("type") != "null"]
        found = list(self.read(tool, path, branches[0])) if len(branches) == 1 else []
        if len(found) != 1 or found[0].path != path:
            raise self._refused(tool, path, "tools whose arguments are numbers or choices")
        return Coordinate(tool, path, (*found[0].values, None))

    def _number(self, tool: str, path: tuple[str, ...], schema: Mapping[str, Any]) -> Coordinate:
        chosen = self._ranges.get(".".join((tool, *path)))
        if chosen is None and not is_bounded(schema):
            raise self._refused(tool, path, "tools whose numbers have bounds on both sides")
        if schema["type"] == "number":
            found = reals(schema, chosen)
            return Coordinate(
                tool, path, _unique(found.at(index / (self._levels - 1)) for index in range(self._levels)), found
            )
        numbers = wholes(schema, chosen)
        if len(numbers) <= MOST_VALUES:
            return Coordinate(tool, path, tuple(numbers))
        places = np.linspace(0, len(numbers) - 1, self._levels).round().astype(int).tolist()
        return Coordinate(tool, path, _unique(numbers[place] for place in places))

    def _refused(self, tool: str, path: tuple[str, ...], legal: str) -> SettingError:
        schema = self._published[tool][path[0]]
        return SettingError("tools", tool, f"{legal}, but {'.'.join(path)} is {shown(schema)}")


def write_self_edit(tools: Sequence[Tool[Any]], values: Iterable[tuple[Coordinate, Any]]) -> str:
    """One call of each tool, in order, with these values of its arguments."""
    calls: dict[str, dict[str, Any]] = {tool.name: {} for tool in tools}
    for coordinate, value in values:
        inner = calls[coordinate.tool]
        for name in coordinate.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[coordinate.path[-1]] = value
    return json.dumps([{"name": name, "arguments": given} for name, given in calls.items()])


class NumericActions(ABC):
    """Turns arrays of one form into self-edits, and back.

    Attributes:
        spec, levels: What it was made of.
        tools: Those of the spec.
        coordinates: What the numbers of an array stand for.
    """

    def __init__(self, spec: ActionSpec, levels: int = LEVELS) -> None:
        """Raises SettingError, see `coordinates`.

        Args:
            spec: the tools, and ranges of their numbers.
            levels: see `coordinates`.
        """
        self.spec, self.levels, self.tools = spec, levels, spec.tools
        self.coordinates = coordinates(spec, levels)

    @property
    @abstractmethod
    def space(self) -> Space[Any]:
        """The space of the arrays, of shape [coordinates]."""

    @abstractmethod
    def _value(self, coordinate: Coordinate, number: Any) -> Any:
        """What a number stands for."""

    @abstractmethod
    def _number(self, coordinate: Coordinate, value: Any) -> Any:
        """The number that stands for a value. Raises ValueError with what would be legal."""

    @abstractmethod
    def _numbers(self, action: ArrayLike) -> NDArray[Any]:
        """The action as an array of legal numbers. Raises SettingError."""

    def decode(self, action: ArrayLike) -> str:
        """The self-edit that an array stands for: a call of each tool, in the tools' order.

        Raises:
            SettingError: for an array that is not in the space.
        """
        numbers = self._numbers(action).tolist()
        values = [(each, self._value(each, number)) for each, number in zip(self.coordinates, numbers, strict=True)]
        return write_self_edit(self.tools, values)

    def encode(self, self_edit: Any) -> NDArray[Any]:
        """The array for which `decode` gives this self-edit, or the nearest one if a number of it lies between two levels.

        Args:
            self_edit: in any accepted form.

        Raises:
            SettingError: unless it is valid, has one call of each tool and keeps to the ranges.
        """
        arguments = self._arguments(self_edit)
        numbers = []
        for coordinate in self.coordinates:
            value = arguments[coordinate.tool]
            for name in coordinate.path:
                value = value[name]
            try:
                numbers.append(self._number(coordinate, value))
            except ValueError as error:
                raise SettingError(coordinate.name, value, str(error)) from None
        return np.array(numbers, dtype=self.space.dtype)

    def _arguments(self, self_edit: Any) -> dict[str, Any]:
        calls = parse(self_edit)
        checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, self.tools)
        if isinstance(checked, InvalidSelfEdit):
            raise SettingError("self_edit", cut(str(self_edit), 60), f"a self-edit. {checked.reason}")
        names, wanted = [tool.name for tool, _ in checked], [tool.name for tool in self.tools]
        if sorted(names) != sorted(wanted):
            raise SettingError("self_edit", names, f"one call each of {', '.join(wanted)}")
        return {tool.name: arguments.model_dump(mode="json") for tool, arguments in checked}

    def _array(self, action: ArrayLike, kinds: str, legal: str) -> NDArray[Any]:
        """The action as an array of the right shape whose numbers are of one of NumPy's kinds. Raises SettingError."""
        shape = (len(self.coordinates),)
        try:
            array, masked = np.asarray(action), np.ma.is_masked(action)
        except Exception:  # of any class: the action's own conversion may raise what it likes
            raise SettingError("action", action, f"an array of shape {shape}: {legal}") from None
        if array.shape != shape or masked:
            raise SettingError("action", action, f"an array of shape {shape}")
        if array.dtype.kind not in kinds:
            raise SettingError("action", action, legal)
        return array


class DiscreteActions(NumericActions):
    """`MultiDiscrete`: each number is an index into the coordinate's values. A real number has `levels` of them."""

    @property
    def space(self) -> spaces.MultiDiscrete:
        """MultiDiscrete with as many choices as each coordinate has values."""
        return spaces.MultiDiscrete([len(coordinate.values) for coordinate in self.coordinates])

    def _value(self, coordinate: Coordinate, number: int) -> Any:
        return coordinate.values[number]

    def _number(self, coordinate: Coordinate, value: Any) -> int:
        return coordinate.index(value)

    def _numbers(self, action: ArrayLike) -> NDArray[Any]:
        sizes = np.array([len(coordinate.values) for coordinate in self.coordinates])
        legal = f"whole numbers from 0 to below {sizes.tolist()}"
        array = self._array(action, "iu", legal)
        if (array < 0).any() or (array >= sizes).any():
            raise SettingError("action", action, legal)
        return array


class BoxActions(NumericActions):
    """`Box` in [-1, 1]: a real number is a point on its scale, anything else one of equal parts of the interval.

    A number beyond the interval, as a Gaussian policy draws it, counts as the nearer end.
    """

    @property
    def space(self) -> spaces.Box:
        """A flat Box of float32 in [-1, 1]."""
        return spaces.Box(-1.0, 1.0, (len(self.coordinates),), np.float32)

    def _value(self, coordinate: Coordinate, number: float) -> Any:
        share = (number + 1) / 2
        if coordinate.reals is not None:
            return coordinate.reals.at(share)
        count = len(coordinate.values)
        return coordinate.values[min(int(share * count), count - 1)]

    def _number(self, coordinate: Coordinate, value: Any) -> float:
        if coordinate.reals is not None:
            return 2 * coordinate.reals.share(value) - 1
        return (2 * coordinate.index(value) + 1) / len(coordinate.values) - 1

    def _numbers(self, action: ArrayLike) -> NDArray[Any]:
        array = self._array(action, "iuf", "finite numbers")
        if not np.isfinite(array).all():
            raise SettingError("action", action, "finite numbers")
        return array.clip(-1.0, 1.0)


NUMERIC_FORMS: Mapping[str, type[NumericActions]] = {"multi_discrete": DiscreteActions, "box": BoxActions}


def make_numeric_actions(name: str, spec: ActionSpec, levels: int = LEVELS) -> NumericActions:
    """The numeric actions of one form.

    Args:
        name: `multi_discrete` or `box`.
        spec: the tools, and ranges of their numbers.
        levels: see `coordinates`.

    Raises:
        SettingError: for an unknown form, and see `coordinates`.
    """
    if name not in NUMERIC_FORMS:
        raise SettingError("actions", name, " or ".join(map(repr, NUMERIC_FORMS)))
    return NUMERIC_FORMS[name](spec, levels)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
