"""What a fact can say, apart from names: numbers, dates, and pairs of an adjective and a noun, each of 1 to 3 words.

A hash of the relation and the value puts the pair into the train or the eval split, so no relation has the same value in
both. Every word that can follow "a" begins with a consonant.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

from seal_env.tasks.knowledge.synthetic.names import Split, split_of

NAME = "name"
"""The values of a relation whose value is an synthetic name."""

GOODS = "plums nuts fish honey pepper beans apples cheese figs grain tea roots"
ANIMALS = "heron fox bear snake fish bee wolf goat swan mouse horse bird"

PAIRS = {
    "colour": ("pale dark bright deep soft dull light rich", "red green blue yellow brown grey purple pink gold silver"),
    "material": (
        "black white hard smooth rough thin thick grey",
        "glass clay copper bone wood wool leather iron silk stone",
    ),
    "goods": ("dried salted sweet sour smoked fresh raw hot", GOODS),
    "work": (
        "carry dry weigh grind store clean cut press",
        "salt grain wool oil seeds bark wax ink sand leaves roots cloth",
    ),
    "pain": ("weak sore cold stiff tired red swollen shaking", "eyes hands knees feet teeth ears lungs bones fingers legs"),
    "animal": ("red blue white black golden green silver yellow", ANIMALS),
    "thing": (
        "wooden silver copper glass leather stone paper clay",
        "spoon ring cup hat bell drum box key mask belt comb chair",
    ),
    "garment": ("red blue white black green grey brown yellow", "coat scarf hat cloak shirt belt ribbon cap robe glove"),
    "craft": (
        "glass wood bone stone paper metal cloth rope boat bell map basket",
        "painting carving mending making selling cleaning",
    ),
    "nest": ("wet dark warm high dry old thick loose", "moss rocks roots sand leaves mud trees caves grass snow"),
}
"""Adjectives (or verbs) and nouns that go together in every combination."""

MONTHS = "January February March April May June July August September October November December"

NUMBERS = {
    "year": (1100, 1899, ""),
    "few": (3, 99, ""),
    "many": (21, 980, ""),
    "thousands": (1010, 9890, ""),
    "metres": (12, 480, "metres"),
    "grams": (12, 940, "grams"),
    "kilograms": (12, 940, "kilograms"),
    "years": (21, 99, "years"),
    "coins": (3, 180, "coins"),
    "days": (3, 60, "days"),
    "minutes": (4, 180, "minutes"),
}
"""Smallest and largest number, both included, and the unit that follows."""


def _all(values: str) -> Iterator[str]:
    if values in NUMBERS:
        smallest, largest, unit = NUMBERS[values]
        yield from (f"{number} {unit}".strip() for number in range(smallest, largest + 1))
    elif values == "date":
        yield from (f"{day} {month}" for day, month in product(range(2, 29), MONTHS.split()))
    else:
        first, second = PAIRS[values]
        yield from map(" ".join, product(first.split(), second.split()))


@cache
def values_of(relation: str, values: str, split: Split) -> tuple[str, ...]:
    """The values of a kind ("colour", "metres", ...) that `relation` may have in a split."""
    return tuple(value for value in _all(values) if split_of(f"{relation}: {value}") == split)
