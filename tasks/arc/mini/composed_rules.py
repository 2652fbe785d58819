"""The composed families of `mini`: two or three simple rules, one after the other.

A small model that knows the parts rarely does them in a row by reading demonstrations, but an update teaches it to. Which
training examples help depends on the parts: turned grids contradict a rule with a direction, and a permutation of colours
blurs a rule with colours of its own but is fresh practice for one without.
"""

from __future__ import annotations

from collections.abc import Callable

from seal_env.tasks.arc.grid import Array
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.rule import Rng, RuleInstance
from seal_env.tasks.arc.mini.table_rules import TABLE_FAMILIES

PARTS = GENERAL_FAMILIES | TABLE_FAMILIES
OFTEN = (
    ("paint", "paint", "paint"),
    ("stamp", "stamp", "stamp"),
    ("stamp", "paint"),
    ("cipher", "paint"),
    ("recolour", "paint"),
    ("keep", "paint"),
    ("rays", "paint"),
    ("tile", "paint"),
    ("scale", "paint"),
    ("mirror", "paint"),
    ("crop", "paint"),
    ("crop", "tile"),
    ("crop", "scale"),
    ("crop", "mirror"),
    ("stamp", "tile"),
    ("select", "tile"),
)
PRACTICE = (
    *OFTEN,
    ("stamp", "stamp"),
    ("neighbour", "paint"),
    ("gravity", "paint"),
    ("gravity", "crop"),
    ("rays", "crop"),
    ("crop", "symmetry"),
)
"""What the bundled model is trained on; what OFTEN has, more often."""
MINI = (
    ("cipher", "paint"),
    ("stamp", "mirror"),
    ("scale", "paint"),
    ("crop", "tile"),
    ("crop", "mirror"),
    ("stamp", "scale"),
    ("scale", "stamp"),
    ("tile", "stamp"),
    ("stamp", "stamp", "tile"),
    ("keep", "paint", "paint"),
    ("recolour", "paint", "paint"),
    ("scale", "paint", "paint"),
    ("tile", "paint", "paint"),
)
"""What `mini` tasks are made of: four kinds of composition that training has too, and nine that it has not."""


def compose(parts: list[RuleInstance]) -> RuleInstance:
    """The rule that applies all parts in order; inputs are drawn as for the first one."""

    def rule(array: Array) -> Array:
        for part in parts:
            array = part.apply(array)
        return array

    first = parts[0]
    return RuleInstance(
        "+".join(part.key for part in parts),
        rule,
        first.suits,
        first.background,
        first.prepare,
        first.colours,
        next((part.size for part in parts if part.size is not None), None),
        first.palette,
        first.fair,
    )


def _family(names: tuple[str, ...]) -> Callable[[Rng], RuleInstance]:
    """Compositions of these families in which every part matters, and none swaps colours beside its own work."""

    def draw(rng: Rng) -> RuleInstance:
        while True:
            parts = [_without_swap(name, rng) for name in names]
            if len({part.size for part in parts if part.size is not None}) > 1:
                continue
            whole = compose(parts)
            shorter = [compose(parts[:index] + parts[index + 1 :]) for index in range(len(parts))]
            if all(whole.differs(rule) for rule in shorter):
                return whole

    return draw


def _without_swap(name: str, rng: Rng) -> RuleInstance:
    while True:
        instance = PARTS[name](rng)
        if not instance.swaps:
            return instance


def _families(compositions: tuple[tuple[str, ...], ...]) -> dict[str, Callable[[Rng], RuleInstance]]:
    return {"-".join(names): _family(names) for names in compositions}


MINI_FAMILIES = _families(MINI)
PRACTICE_FAMILIES = _families(PRACTICE)
OFTEN_FAMILIES = _families(OFTEN)
