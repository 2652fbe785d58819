"""Ranges of numbers: what a number may be, read off its schema, as something to draw from and to divide into levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.tools.base import SAMPLE_RANGE

Range = tuple[float, float]

OPEN_SPAN: Final = 100
"""A number without a bound on one side is drawn from this far to the other one; without any, from so far around 0."""
_LOG_FROM: Final = 10.0  # a range of positive numbers that spans this factor is on a logarithmic scale
_INSET: Final = 1e-3  # of the range: how far a number stays from a bound that is not legal itself
_LARGEST: Final = 2**53  # what JSON readers hold exactly


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


def is_bounded(schema: Mapping[str, Any]) -> bool:
    """Whether a number has bounds on both sides, or a declared sampling range."""
    return SAMPLE_RANGE in schema or None not in (_lowest(schema), _highest(schema))


def reals(schema: Mapping[str, Any], chosen: Range | None = None) -> Reals:
    """The range of a real number: the chosen one, else the declared sampling range, else what is legal.

    A chosen range has the scale of the range that it narrows.
    """
    own = _declared(schema)
    if own is None:
        low, high = _closed(schema)
        inset = _INSET * (high - low)
        is_log = _is_log(low, high)
        own = low + inset * ("exclusiveMinimum" in schema), high - inset * ("exclusiveMaximum" in schema)
    else:
        is_log = _is_log(*own)
    if chosen is None:
        return Reals(*own, is_log)
    low, high = chosen
    return Reals(low, high, _is_log(low, high) or (is_log and low > 0))


def wholes(schema: Mapping[str, Any], chosen: Range | None = None) -> range:
    """The range of a whole number, as `reals`, in steps of `multipleOf`. Raises SettingError if there is no number in it."""
    chosen = chosen or _declared(schema)
    low, high = chosen or _closed(schema)
    first, last = math.ceil(low), math.floor(high)
    if chosen is None:
        first += "exclusiveMinimum" in schema and first == low
        last -= "exclusiveMaximum" in schema and last == high
    step = int(schema.get("multipleOf", 1))
    found = range(max(-(-first // step) * step, -_LARGEST), min(last, _LARGEST) + 1, step)
    if not found:
        raise SettingError("range", (low, high), "a range with a whole number in it")
    return found


def _is_log(low: float, high: float) -> bool:
    return low > 0 and high / low >= _LOG_FROM


def _declared(schema: Mapping[str, Any]) -> Range | None:
    return tuple(schema[SAMPLE_RANGE]) if SAMPLE_RANGE in schema else None


def _closed(schema: Mapping[str, Any]) -> Range:
    """Both bounds, legal or not."""
    low, high = _lowest(schema), _highest(schema)
    if low is None:
        low = -OPEN_SPAN if high is None else high - OPEN_SPAN
    return low, low + OPEN_SPAN * (2 if _lowest(schema) is None else 1) if high is None else high


def _lowest(schema: Mapping[str, Any]) -> Any:
    return schema.get("minimum", schema.get("exclusiveMinimum"))


def _highest(schema: Mapping[str, Any]) -> Any:
    return schema.get("maximum", schema.get("exclusiveMaximum"))
