"""A rule of a generated task: what it does to a grid, and which grids suit it; and the parts that rules are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from seal_env.tasks.arc.grid import Array, GridPair

Split = Literal["train", "eval"]
Rng = np.random.Generator
Rule = Callable[[Array], Array]
Mask = NDArray[np.bool_]
T = TypeVar("T")
EVAL_SHARE = 0.2


@dataclass(frozen=True)
class RuleInstance:
    """One rule: its key, what it does, and which inputs suit it.

    background: share of cells drawn as 0. prepare: turns a random grid into one for which the rule is worth asking.
    colours: those that the rule singles out, so that grids show them. size: (rows, columns) of every input, if the rule
    needs it fixed. palette: the only colours that inputs show beside the background's 0, if not any. fair: whether the
    demonstrations (all pairs but the last) show what the last one asks. swaps: whether it swaps two colours beside its own
    work.
    """

    key: str
    apply: Rule
    suits: Callable[[Array], bool] = lambda array: True
    background: float = 0.3
    prepare: Callable[[Array, Rng], Array] = lambda array, rng: array
    colours: tuple[int, ...] = ()
    size: tuple[int, int] | None = None
    palette: tuple[int, ...] | None = None
    fair: Callable[[Sequence[GridPair]], bool] = lambda pairs: True
    swaps: bool = False

    @cached_property
    def behaviour(self) -> str:
        """A digest of what the rule makes of fixed grids: rules that do the same share it, whatever their keys."""
        digest = hashlib.sha256()
        for probe in _probes():
            digest.update(self._output(probe))
        return digest.hexdigest()

    def differs(self, other: RuleInstance) -> bool:
        """Whether the two rules behave differently; as `behaviour`, but done at the first grid that tells them apart."""
        return any(self._output(probe) != other._output(probe) for probe in _probes())

    def _output(self, probe: Array) -> bytes:
        try:
            output = self.apply(probe)
        except (ValueError, IndexError):  # the rule is not defined on grids of this size
            return b"undefined"
        return repr(output.shape).encode() + np.ascontiguousarray(output).tobytes()

    @property
    def split(self) -> Split:
        """`eval` for one in five behaviours, by hash: no rule of one split is in the other under a different key."""
        return "eval" if int(self.behaviour[:2], 16) < 256 * EVAL_SHARE else "train"


@cache
def _probes() -> tuple[Array, ...]:
    """Grids of all sizes that `mini` inputs have: dense ones of all colours, and ones that are half empty."""
    rng = np.random.default_rng(0)
    probes = []
    for rows, columns in product(range(2, 5), repeat=2):
        for empty in (0.0, 0.5):
            array = rng.integers(1, 10, size=(rows, columns)).astype(np.int8)
            array[rng.random(array.shape) < empty] = 0
            array.flags.writeable = False
            probes.append(array)
    return tuple(probes)


def with_swap(
    rng: Rng,
    name: str,
    rule: Rule,
    suits: Callable[[Array], bool] = lambda array: True,
    background: float = 0.3,
    prepare: Callable[[Array, Rng], Array] = lambda array, rng: array,
    always: bool = False,
) -> RuleInstance:
    """The rule followed by a swap of two colours (never 0), or half the time, unless `always`, by none."""
    if not always and rng.random() < 0.5:
        return RuleInstance(f"{name}/none", rule, suits, background, prepare)
    low, high = sorted(rng.choice(np.arange(1, 10), size=2, replace=False).tolist())
    table = np.arange(10, dtype=np.int8)
    table[[low, high]] = table[[high, low]]
    return RuleInstance(
        f"{name}/{low}-{high}", lambda array: table[rule(array)], suits, background, prepare, (low, high), swaps=True
    )


def pick(rng: Rng, table: dict[str, T]) -> tuple[str, T]:
    """One item of a table, with its name."""
    name = list(table)[int(rng.integers(len(table)))]
    return name, table[name]


SYMMETRIES: dict[str, Rule] = {
    "flip-rows": lambda a: a[::-1],
    "flip-columns": lambda a: a[:, ::-1],
    "rotate-90": lambda a: np.rot90(a),
    "rotate-180": lambda a: np.rot90(a, 2),
    "rotate-270": lambda a: np.rot90(a, 3),
    "transpose": lambda a: a.T,
    "anti-transpose": lambda a: np.rot90(a, 2).T,
}
