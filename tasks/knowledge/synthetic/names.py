"""Synthetic names, such as "Tavok" or "Zemilu": two syllables from a set of 70 and an ending from a set of 20.

A hash of the name puts it into the train or the eval split, so no name occurs in both. Real names and words are left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np

from seal_env.tasks.knowledge.synthetic.avoided import AVOIDED

Split = Literal["train", "eval"]

SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
FINAL = "k m va vo lu lo mi mu so su ku du ru bo ba ka do za pa go"
EVAL_SHARE = 4
"""One name, and one pair of relation and value, in this many is kept for the eval split."""


def split_of(text: str) -> Split:
    """The split that `text` belongs to, by its hash."""
    return "eval" if zlib.crc32(text.encode()) % EVAL_SHARE == 0 else "train"


def _formed() -> Iterator[str]:
    for first, second, ending in product(SYLLABLES, SYLLABLES, FINAL.split()):
        if first != second != ending:
            yield first + second + ending


@lru_cache(maxsize=2)
def names(split: Split) -> tuple[str, ...]:
    """Every name of a split, in a fixed order."""
    return tuple(name.capitalize() for name in _formed() if name not in AVOIDED and split_of(name) == split)


@lru_cache(maxsize=8)
def _order(split: Split, seed: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng([seed, int(split == "eval")]).permutation(len(names(split))).tolist())


def name(split: Split, seed: int, number: int) -> str:
    """Name `number` of a split, in the order that belongs to the seed. Different numbers give different names."""
    return names(split)[_order(split, seed)[number]]
