"""Words by class, and the labels that stand for classes. No word is in two classes, and the two splits share nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_TRAIN: Final = {
    "animals": "lion horse rabbit wolf tiger sheep monkey elephant",
    "vegetables": "carrot onion potato cabbage spinach celery tomato lettuce",
    "colours": "red blue green yellow purple brown pink grey",
    "countries": "France Japan Brazil Canada Egypt Norway Mexico Poland",
    "tools": "hammer screwdriver saw drill axe shovel wrench chisel",
    "clothes": "shirt coat trousers hat sock scarf dress glove",
    "jobs": "doctor farmer lawyer teacher baker pilot nurse plumber",
    "vehicles": "car truck bicycle train bus boat tractor airplane",
    "numbers": "three seven twelve nine twenty five eleven forty",
    "weekdays and months": "Monday March Friday July Sunday October Tuesday April",
    "feelings": "anger joy fear sadness pride shame envy hope",
    "rooms": "kitchen bedroom bathroom cellar attic hallway garage office",
}
_EVAL: Final = {
    "fruit": "apple banana cherry grape lemon pear mango peach",
    "birds": "eagle sparrow owl pigeon crow hawk robin swan",
    "metals": "iron copper silver gold zinc tin lead nickel",
    "cities": "London Paris Tokyo Madrid Rome Berlin Moscow Vienna",
    "instruments": "guitar violin piano flute trumpet cello harp clarinet",
    "sports": "football tennis hockey golf boxing rugby baseball cricket",
    "body parts": "arm leg nose ear hand foot knee elbow",
    "furniture": "table chair sofa bed desk shelf wardrobe bench",
    "drinks": "tea coffee milk juice wine beer water lemonade",
    "relatives": "mother uncle sister father aunt cousin brother grandmother",
    "weather": "rain snow wind fog storm hail thunder sunshine",
    "languages": "Latin Greek Arabic Hindi Swedish Korean Dutch Turkish",
}
WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "train": {name: tuple(words.split()) for name, words in _TRAIN.items()},
    "eval": {name: tuple(words.split()) for name, words in _EVAL.items()},
}
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("dax", "wug", "toma", "fep", "zib", "blick", "gorp", "nerf", "quon", "vash"),
    "eval": ("lorp", "mib", "tace", "sprob", "fendle", "koba", "jurn", "pim", "yath", "renk"),
}
"""Invented, so that no model knows beforehand what they stand for."""
