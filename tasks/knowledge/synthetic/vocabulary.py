"""What synthetic passages are made of, from `passages.toml`: kinds of things, their relations, the values of those."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from string import Template
from typing import Any

from seal_env.tasks.knowledge.synthetic.names import Split, split_of

NAME = "name"
"""`Relation.values` of relations whose values are names, each used in one passage only."""


@dataclass(frozen=True)
class Relation:
    """A relation between a thing and a value, with its templates. `passages.toml` explains the slots and the fields."""

    name: str
    values: str
    says: tuple[str, ...]
    asks: tuple[str, ...]
    held_out: tuple[str, ...]
    finds: tuple[str, ...] = ()
    finds_held_out: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """True if the value is a name."""
        return self.values == NAME


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    Attributes:
        noun: What it is called: "ship".
        opens: First sentences of its passages.
        relations: Relations that its passages draw from.
        article: "the " or "", before its name.
        pronouns: One of them is drawn for each passage.
        at: Preposition for being there: "in" or "on".
    """

    noun: str
    opens: tuple[str, ...]
    relations: tuple[Relation, ...]
    article: str = ""
    pronouns: tuple[str, ...] = ("it",)
    at: str = "in"


def _relation(name: str, table: Mapping[str, Any], families: Mapping[str, Any]) -> Relation:
    fields = {"name": name, **families.get(table.get("family", ""), {}), **table}
    words = {key: value for key, value in fields.items() if isinstance(value, str)}
    templates = {key: _filled(value, words) for key, value in fields.items() if isinstance(value, list)}
    return Relation(name, words["values"], **templates)


def _filled(templates: list[str], words: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(Template(template).substitute(words) for template in templates)


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


_TABLES = tomllib.loads((Path(__file__).parent / "passages.toml").read_text(encoding="utf-8"))
CLOSINGS: tuple[str, ...] = tuple(_TABLES["closings"])
MONTHS: str = _TABLES["months"]
NUMBERS: dict[str, tuple[int, int, str]] = _tuples(_TABLES["numbers"])
PAIRS: dict[str, tuple[str, str]] = _tuples(_TABLES["pairs"])
RELATIONS = {name: _relation(name, table, _TABLES["families"]) for name, table in _TABLES["relations"].items()}
KINDS = tuple(
    Kind(noun, **{**_tuples(table), "relations": tuple(RELATIONS[name] for name in table["relations"])})
    for noun, table in _TABLES["kinds"].items()
)


def _all_values(values: str) -> Iterator[str]:
    if values in NUMBERS:
        smallest, largest, unit = NUMBERS[values]
        yield from (f"{number} {unit}".strip() for number in range(smallest, largest + 1))
    elif values == "date":
        yield from (f"{day} {month}" for day, month in product(range(2, 29), MONTHS.split()))
    else:
        first, second = PAIRS[values]
        yield from map(" ".join, product(first.split(), second.split()))


@cache
def values_of(relation: Relation, split: Split) -> tuple[str, ...]:
    """The values, of 1 to 3 words each, that a relation without names has in a split; splits share none.

    A hash of the relation's name and the value decides to which split the pair belongs.
    """
    return tuple(value for value in _all_values(relation.values) if split_of(f"{relation.name}: {value}") == split)
