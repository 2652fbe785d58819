"""The country or state that a city is known to lie in: "Paris, France", "Chicago, Illinois".

Countries and their cities are those of CLDR and of the time-zone database, by Babel; large cities of the United States have
their state as well. Any other place before a country could be in a list with it: "Prussia, France".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from babel import Locale
from babel.core import get_global

from seal_env.tasks.knowledge.grading.text_token import Token
from seal_env.tasks.knowledge.grading.tokens import tokens

Name = tuple[str, ...]
"""Keys of a name's words."""

_LONGEST: Final = 5
"""Words of a country's name."""
_OTHER_NAMES: Final = {
    "GB": "England, Great Britain, Britain, UK",
    "US": "USA, America",
    "CZ": "Czech Republic",
    "TR": "Turkey",
    "MM": "Burma, Myanmar",
    "CI": "Ivory Coast",
    "NL": "Holland, The Netherlands",
}
_STATES: Final = {
    "Arizona": "Phoenix, Tucson",
    "California": "Los Angeles, San Diego, San Francisco, San Jose, Sacramento, Fresno, Oakland",
    "Colorado": "Denver",
    "Florida": "Miami, Tampa, Jacksonville, Orlando",
    "Georgia": "Atlanta",
    "Hawaii": "Honolulu",
    "Illinois": "Chicago",
    "Indiana": "Indianapolis",
    "Louisiana": "New Orleans",
    "Maryland": "Baltimore",
    "Massachusetts": "Boston",
    "Michigan": "Detroit",
    "Minnesota": "Minneapolis",
    "Missouri": "St. Louis",
    "Nebraska": "Omaha",
    "Nevada": "Las Vegas",
    "New Mexico": "Albuquerque",
    "New York": "New York, New York City, Buffalo",
    "Ohio": "Cleveland, Cincinnati",
    "Oklahoma": "Oklahoma City, Tulsa",
    "Pennsylvania": "Philadelphia, Pittsburgh",
    "Tennessee": "Nashville, Memphis",
    "Texas": "Houston, Dallas, San Antonio, Austin, Fort Worth, El Paso",
    "Washington": "Seattle",
    "Wisconsin": "Milwaukee",
}


def container_at(place: Sequence[Token], said: Sequence[Token], at: int) -> int:
    """Where the name of a country or state ends that begins at a token and in which the place lies; 0 if none does."""
    known = _containers().get(_name(place), frozenset()) if place and place[0].capital else frozenset()
    ends = range(min(at + _LONGEST, len(said)), at, -1) if known else ()
    return next((end for end in ends if _name(said[at:end]) in known), 0)


def _name(found: Sequence[Token]) -> Name:
    return tuple(token.key for token in found if token.kind != "mark")


def _names(text: str) -> list[Name]:
    return [_name(tokens(name, joined=False)) for name in text.split(", ")]


@cache
def _containers() -> Mapping[Name, frozenset[Name]]:
    """The names of the countries and states in which a city lies."""
    countries = {code: _names(name) for code, name in Locale("en").territories.items()}
    for code, names in _OTHER_NAMES.items():
        countries[code] += _names(names)
    found: dict[Name, set[Name]] = {}
    for zone, code in get_global("zone_territories").items():
        city = zone.rpartition("/")[2].replace("_", " ")
        for name in _names(city):
            found.setdefault(name, set()).update(countries.get(code, []))
    for state, cities in _STATES.items():
        for name in _names(cities):
            found.setdefault(name, set()).update(countries["US"], _names(state))
    return {name: frozenset(known) for name, known in found.items()}
