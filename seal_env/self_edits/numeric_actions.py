"""Self-edits as numbers, for agents that cannot write text: an array becomes one whole self-edit, and a self-edit an array.

Each argument of each tool is one coordinate. What it may be is read off the tools' JSON schemas and, where a SelfEditSpace
samples from a narrower range, off that space; a new tool, or a new argument, needs nothing here.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import ArrayLike, NDArray

from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.untrusted_json import cut, shown
from seal_env.self_edits.validate import check_calls
from seal_env.tools.registry import json_schemas
from seal_env.types import InvalidSelfEdit

LEVELS = 9
MOST_VALUES = 100
"""A whole number with more legal values than this is offered in levels, as a real number is."""

_SAMPLED = ("learning_rate", "num_train_epochs")  # the arguments for which SelfEditSpace has a range
_LOG_FROM = 10.0  # a range of positive numbers that spans this factor is on a logarithmic scale
_INSET = 1e-3  # of the range: how far a number keeps from a bound that is not legal itself


@dataclass(frozen=True)
class Reals:
    """The real numbers from low to high, to 3 significant digits, on a linear or a logarithmic scale."""

    low: float
    high: float
    is_log: bool

    def at(self, share: float) -> float:
        """The number at a share of the way from low (0) to high (1)."""
        if self.is_log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        return min(max(float(f"{value:.3g}"), self.low), self.high)

    def share(self, value: float) -> float:
        """How far `value` is from low (0) to high (1). Raises ValueError outside of them."""
        if not self.low <= value <= self.high:
            raise ValueError(f"a number from {self.low:g} to {self.high:g}")
        if self.low == self.high:
            return 0.5
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Coordinate:
    """One argument of one tool: the values it may take, in order; for a real number these are levels of `reals`."""

    tool: str
    argument: str
    values: tuple[Any, ...]
    reals: Reals | None = None

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
        if value in self.values:
            return self.values.index(value)
        if isinstance(value, int) and self.values[0] <= value <= self.values[-1]:
            return self.values.index(min(self.values, key=lambda legal: abs(legal - value)))
        raise ValueError(f"one of {json.dumps(self.values)}")


def coordinates(space: SelfEditSpace, levels: int = LEVELS) -> tuple[Coordinate, ...]:
    """Every argument of the space's tools. levels: of a real number.

    Raises SettingError for fewer than two levels, and for an argument that no number stands for: a text, say.
    """
    if levels < 2:
        raise SettingError("levels", levels, "at least 2")
    ranges = {name: getattr(space, name) for name in _SAMPLED}
    return tuple(
        _coordinate(tool, argument, legal, ranges.get(argument), levels)
        for tool, schema in json_schemas(space.tools).items()
        for argument, legal in schema["properties"].items()
    )


def _coordinate(
    tool: str, argument: str, legal: Mapping[str, Any], narrowed: tuple[float, float] | None, levels: int
) -> Coordinate:
    kind = legal.get("type")
    if "const" in legal or "enum" in legal:
        return Coordinate(tool, argument, tuple(legal["enum"]) if "enum" in legal else (legal["const"],))
    if kind == "boolean":
        return Coordinate(tool, argument, (False, True))
    if kind not in ("integer", "number"):
        raise SettingError("tools", tool, f"tools whose arguments are numbers or choices, but {argument} is {shown(legal)}")
    low, high = narrowed or _bounds(tool, argument, legal)
    if kind == "number":
        lowest = low if narrowed else _lowest(legal)
        reals = Reals(low, high, lowest > 0 and high / low >= _LOG_FROM)
        return Coordinate(tool, argument, _spread(reals, levels), reals)
    first, last = math.ceil(low), math.floor(high)
    if last - first < MOST_VALUES:
        return Coordinate(tool, argument, tuple(range(first, last + 1)))
    whole = np.linspace(first, last, levels).round().astype(int).tolist()
    return Coordinate(tool, argument, tuple(dict.fromkeys(whole)))


def _bounds(tool: str, argument: str, legal: Mapping[str, Any]) -> tuple[float, float]:
    low = _lowest(legal)
    high = legal.get("maximum", legal.get("exclusiveMaximum"))
    if low is None or high is None:
        raise SettingError("tools", tool, f"tools whose numbers have bounds on both sides, but {argument} is {shown(legal)}")
    inset = 1 if legal["type"] == "integer" else _INSET * (high - low)
    return low + inset * ("minimum" not in legal), high - inset * ("maximum" not in legal)


def _lowest(legal: Mapping[str, Any]) -> Any:
    return legal.get("minimum", legal.get("exclusiveMinimum"))


def _spread(reals: Reals, levels: int) -> tuple[float, ...]:
    """Levels at equal distances on the scale, without repeats."""
    return tuple(dict.fromkeys(reals.at(index / (levels - 1)) for index in range(levels)))


class SelfEditCodec(ABC):
    """Turns arrays of one form into self-edits, and back. `coordinates` says what each number of an array stands for."""

    def __init__(self, space: SelfEditSpace, levels: int = LEVELS) -> None:
        """space: which tools, and ranges. Raises SettingError, see `coordinates`."""
        self.tools = space.tools
        self.coordinates = coordinates(space, levels)

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
        """One whole self-edit: a call of each tool, in the tools' order. Raises SettingError for any other array."""
        arguments: dict[str, dict[str, Any]] = {tool.name: {} for tool in self.tools}
        for coordinate, number in zip(self.coordinates, self._numbers(action).tolist(), strict=True):
            arguments[coordinate.tool][coordinate.argument] = self._value(coordinate, number)
        return json.dumps([{"name": tool, "arguments": given} for tool, given in arguments.items()])

    def encode(self, self_edit: Any) -> NDArray[Any]:
        """The array for which `decode` gives this self-edit, or the nearest one if a number of it lies between two levels.

        self_edit: in any accepted form. Raises SettingError unless it is valid, has one call of each tool and keeps to the
        ranges.
        """
        arguments = self._arguments(self_edit)
        numbers = []
        for coordinate in self.coordinates:
            value = arguments[coordinate.tool][coordinate.argument]
            try:
                numbers.append(self._number(coordinate, value))
            except ValueError as error:
                raise SettingError(coordinate.name, value, str(error)) from None
        return np.array(numbers, dtype=self.space.dtype)

    def _arguments(self, self_edit: Any) -> dict[str, dict[str, Any]]:
        calls = parse(self_edit)
        checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, self.tools)
        if isinstance(checked, InvalidSelfEdit):
            raise SettingError("self_edit", cut(str(self_edit), 60), f"a self-edit. {checked.reason}")
        names, wanted = [tool.name for tool, _ in checked], [tool.name for tool in self.tools]
        if sorted(names) != sorted(wanted):
            raise SettingError("self_edit", names, f"one call each of {', '.join(wanted)}")
        return {tool.name: arguments.model_dump() for tool, arguments in checked}

    def _check_shape(self, array: NDArray[Any], action: object) -> None:
        if array.shape != (len(self.coordinates),):
            raise SettingError("action", action, f"an array of shape ({len(self.coordinates)},)")


class DiscreteCodec(SelfEditCodec):
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
        array = np.asarray(action)
        self._check_shape(array, action)
        sizes = np.array([len(coordinate.values) for coordinate in self.coordinates])
        if not np.issubdtype(array.dtype, np.integer) or (array < 0).any() or (array >= sizes).any():
            raise SettingError("action", action, f"whole numbers from 0 to below {sizes.tolist()}")
        return array


class BoxCodec(SelfEditCodec):
    """`Box` in [-1, 1]: a real number is a place on its scale, anything else one of equal parts of the interval.

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
        array = np.asarray(action)
        self._check_shape(array, action)
        if not (np.issubdtype(array.dtype, np.number) and np.isfinite(array).all()):
            raise SettingError("action", action, "finite numbers")
        return array.clip(-1.0, 1.0)


CODECS: Mapping[str, type[SelfEditCodec]] = {"multi_discrete": DiscreteCodec, "box": BoxCodec}


def make_codec(name: str, space: SelfEditSpace, levels: int = LEVELS) -> SelfEditCodec:
    """The codec `name`. Raises SettingError for an unknown one, and see `coordinates`."""
    if name not in CODECS:
        raise SettingError("codec", name, " or ".join(map(repr, CODECS)))
    return CODECS[name](space, levels)
