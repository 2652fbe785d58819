"""Names such as "Tavok" or "Zemilu": two syllables from a set of 70 and an ending from a set of 20.

A hash of the name puts it into the train or the eval split, so the splits share none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

Split = Literal["train", "eval"]

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
ENDINGS = "k m va vo lu lo mi mu so su ku du ru bo ba ka do za pa go"
EVAL_SHARE = 4
"""One name, and one pair of relation and value, in this many belongs to the eval split."""


def split_of(text: str) -> Split:
    """The split that `text` belongs to, by its hash."""
    return "eval" if zlib.crc32(text.encode()) % EVAL_SHARE == 0 else "train"


@cache
def avoided_names() -> frozenset[str]:
    """Names that could be formed but exist, in lower case; they are never used.

    Found by comparing every name that can be formed with Faker's given and family names of all languages, GeoNames'
    countries and towns of more than 15,000 people, and the headwords of two English dictionaries (GCIDE, Webster's 1934).
    """
    return frozenset((Path(__file__).parent / "avoided.txt").read_text(encoding="utf-8").split())


def _formed() -> Iterator[str]:
    syllables = ["".join(pair) for pair in product(CONSONANTS, VOWELS)]
    for first, second, ending in product(syllables, syllables, ENDINGS.split()):
        if first != second != ending:
            yield first + second + ending


@cache
def names(split: Split) -> tuple[str, ...]:
    """Every name of a split, in a fixed order."""
    avoided = avoided_names()
    return tuple(name.capitalize() for name in _formed() if name not in avoided and split_of(name) == split)


@lru_cache(maxsize=8)
def _order(split: Split, seed: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng([seed, int(split == "eval")]).permutation(len(names(split))).tolist())


def name(split: Split, seed: int, number: int) -> str:
    """Name `number` of a split, in the order that belongs to the seed. Different numbers give different names."""
    return names(split)[_order(split, seed)[number]]
