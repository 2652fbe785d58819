"""Where an answer says what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import regex
import simplemma

from seal_env.tasks.knowledge.grading.english import ARTICLES, CHANGERS, COMPARERS, COUNTED, DEGREES, EDGES, LIGHT
from seal_env.tasks.knowledge.grading.spelling import american
from seal_env.tasks.knowledge.grading.text_token import Token

Span = tuple[int, ...]
"""Places of an answer's tokens, ascending."""

_DATED: Final = regex.compile(r"\d{4}(?:-\d\d){0,2}")
_DEGREE: Final = regex.compile("(?:er|est)$")
_PARTS_OF_DECADES: Final = {"early": (0, 3), "mid": (4, 6), "late": (7, 9)}
_SKIPPED: Final = ARTICLES | {"of"}
_LOOSE_FROM: Final = 3
_ENOUGH: Final = 0.75
_WHO: Final = frozenset(["who", "whom", "whose"])


def same(wanted: Token, said: Token) -> bool:
    """Whether two tokens say the same.

    That are equal keys, forms of one word in small letters, a date and its year, and a decade and a year in it.
    """
    if wanted.key == said.key:
        return wanted.kind == said.kind
    if wanted.kind == "number" and wanted.key.endswith("0s"):
        return bool(regex.fullmatch(rf"{wanted.key[:-2]}[1-9](?:-\d\d){{0,2}}", said.key))
    if "date" in (wanted.kind, said.kind):
        return {wanted.kind, said.kind} <= {"date", "number"} and _same_date(wanted, said)
    if wanted.kind == said.kind == "word" and not wanted.capital:
        return spelled(wanted.key) == spelled(said.key) and not is_degree(wanted.key) and not is_degree(said.key)
    return wanted.kind == said.kind == "word" and not said.capital and american(wanted.key) == american(said.key)


def _same_date(wanted: Token, said: Token) -> bool:
    """A date and a part of it that has its year; without the year only where none is wanted."""
    one, other = (token.key if token.kind == "date" else token.key.zfill(4) for token in (wanted, said))
    if _DATED.fullmatch(one) and _DATED.fullmatch(other):
        return one.startswith(other) or other.startswith(one)
    return wanted.kind == "date" and not _DATED.fullmatch(one) and other.endswith(f"-{one}")


@lru_cache(maxsize=65536)
def lemma(word: str) -> str:
    """The dictionary form of an English word."""
    plain = word.isascii() and word.islower() and word not in LIGHT
    return simplemma.lemmatize(word, lang="en").casefold() if plain else word


def spelled(word: str) -> str:
    """The dictionary form in American spelling."""
    return american(lemma(american(word)))


def is_degree(word: str) -> bool:
    """Whether it is a comparative or superlative: "older" is not "old"."""
    return word in DEGREES or (bool(_DEGREE.search(word)) and lemma(word) != word)


def alike(one: Token, other: Token) -> bool:
    """Whether two words begin alike, for most of their length: so much tells that a question is said again, nothing more."""
    if one.key == other.key or one.kind != "word" or other.kind != "word":
        return one.key == other.key
    if lemma(one.key) == lemma(other.key) and not is_degree(one.key) and not is_degree(other.key):
        return True
    root = max(4, -(-6 * max(len(one.key), len(other.key)) // 10))
    return min(len(one.key), len(other.key)) >= root and one.key[:root] == other.key[:root]


def spans(asked: Sequence[Token], meant: Sequence[Token], said: Sequence[Token]) -> list[Span]:
    """Every place where the answer says the gold answer, in one of the ways of saying it.

    Args:
        asked: Of the question.
        meant: Of the gold answer.
        said: Of the answer.
    """
    plain = [token for token in meant if token.kind != "mark"]
    core = _between(plain, lambda token: token.kind == "word" and token.key in EDGES) or plain
    fresh = [token for token in core if token.key not in EDGES and not any(alike(token, other) for other in asked)]
    asks_edges = _between(core, lambda token: token.kind == "word" and any(same(token, other) for other in asked))
    ways = [core] if _out_of_order(core, said) else [core, asks_edges, *_turned(core), *_counts(core, asked)]
    found = [span for way in ways for span in _find(way, said, asked)]
    if not found:
        found = [span for way in _persons(core, asked) for span in _find(way, said, asked)]
    if not fresh:
        found = [span for span in found if not _is_echo(span, said, asked)]
    if len(core) > 1 and fresh and len(fresh) < len(core) and not _out_of_order(core, said):
        found += _find(fresh, said, asked, loose=True)
    return found or _all_items(meant, said, asked) or _scattered(fresh, said, asked) or _in_period(core, said)


def _between(found: Sequence[Token], drop: Callable[[Token], bool]) -> list[Token]:
    """The tokens from the first to the last that is not dropped."""
    kept = [at for at, token in enumerate(found) if not drop(token)]
    return list(found[kept[0] : kept[-1] + 1]) if kept else []


def _out_of_order(core: Sequence[Token], said: Sequence[Token]) -> bool:
    """The answer has all names of the gold answer, in another order: "Ann beat Bob"."""
    names = [token for token in core if token.capital and token.kind == "word"]
    places = [next((at for at, other in enumerate(said) if other.key == name.key), -1) for name in names]
    return len(names) > 1 and -1 not in places and places != sorted(places)


def _is_echo(span: Span, said: Sequence[Token], asked: Sequence[Token]) -> bool:
    """The words of the question are said again, with the word behind them."""
    after = [token for token in said[span[-1] + 1 :] if token.kind != "mark"][:1]
    return bool(after) and any(
        one.key == said[span[-1]].key and other.key == after[0].key for one, other in pairwise(asked) if other.kind != "mark"
    )


def _turned(wanted: Sequence[Token]) -> Iterator[list[Token]]:
    """The "Second World War" for "World War II", and back; "Louis the Fourteenth" for "Louis XIV"."""
    core = [token for token in wanted if token.key not in ARTICLES]
    if len(core) > 1 and all(token.capital for token in core[:-1]) and core[-1].kind == "number":
        place = core[-1]._replace(key=_other_form(core[-1].key))
        yield from ([place, *core[:-1]], [*core[:-1], place])
    if len(core) > 1 and all(token.capital for token in core[1:]) and core[0].kind == "number":
        yield [*core[1:], core[0]._replace(key=_other_form(core[0].key))]


def _counts(core: Sequence[Token], asked: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The number alone of "3 people", if the question asks how many."""
    if (
        len(core) == 2
        and core[0].kind == "number"
        and core[1].key in COUNTED
        and any(token.key == "many" for token in asked)
    ):
        yield core[:1]


def _other_form(number: str) -> str:
    """The key of "second" for that of "two", and back."""
    return number.removesuffix("th") if number.endswith("th") else f"{number}th"


def _persons(core: Sequence[Token], asked: Sequence[Token]) -> Iterator[list[Token]]:
    """Shorter names of a person: without what stands before the surname."""
    named = len(core) > 1 and all(token.capital and token.kind == "word" for token in core) and core[0].key not in CHANGERS
    if named and any(token.key in _WHO for token in asked):
        yield [core[-1]]
        if len(core) > 2:
            yield list(core[1:])


def _find(wanted: Sequence[Token], said: Sequence[Token], asked: Sequence[Token], loose: bool = False) -> list[Span]:
    """The wanted tokens in order, with nothing between them but articles, "of", marks and words of the question.

    loose: and light words.
    """
    need = [token for token in wanted if token.key not in _SKIPPED] or list(wanted)
    skipped = [
        other.kind == "mark"
        or other.key in (LIGHT if loose else _SKIPPED)
        or (other.kind == "word" and any(other.key[:5] == token.key[:5] for token in asked))
        for other in said
    ]
    starts = [at for at, other in enumerate(said) if need and same(need[0], other)]
    return [span for start in starts if (span := _from(need, said, start, skipped))]


def _from(need: Sequence[Token], said: Sequence[Token], start: int, skipped: Sequence[bool]) -> Span:
    places, at = list[int](), start
    for token in need:
        while at < len(said) and skipped[at] and not same(token, said[at]):
            at += 1
        if at == len(said) or not same(token, said[at]):
            return ()
        places.append(at)
        at += 1
    return tuple(places)


def _all_items(meant: Sequence[Token], said: Sequence[Token], asked: Sequence[Token]) -> list[Span]:
    """Where the gold answer is a list: its items, in whatever order."""
    items: list[list[Token]] = [[]]
    for token in meant:
        if token.key in (",", ";", "and"):
            items.append([])
        elif token.kind != "mark" and token.key not in ARTICLES:
            items[-1].append(token)
    ways = [[item, *_persons(item, asked)] for item in items if item]
    found = [[span for way in each for span in _find(way, said, asked)] for each in ways]
    if len(found) < 2 or not all(found):
        return []
    return [tuple(sorted({place for places in found for place in places[0]}))]


def _scattered(fresh: Sequence[Token], said: Sequence[Token], asked: Sequence[Token]) -> list[Span]:
    """All of many wanted words in their order; three quarters of them in a text that says nothing else."""
    if len(fresh) < _LOOSE_FROM:
        return []
    places, missing, start = list[int](), list[Token](), 0
    for token in fresh:
        at = next((at for at in range(start, len(said)) if same(token, said[at])), None)
        if at is None:
            missing.append(token)
        else:
            places.append(at)
            start = at + 1
    if len(places) < _ENOUGH * len(fresh):
        return []
    if any(token.capital or token.kind != "word" or token.key in CHANGERS | COMPARERS for token in missing):
        return []
    others = [other for at, other in enumerate(said) if at not in places and other.kind != "mark" and other.key not in LIGHT]
    if missing and any(not any(alike(other, token) for token in asked) for other in others):
        return []
    return [tuple(places)]


def _in_period(core: Sequence[Token], said: Sequence[Token]) -> list[Span]:
    """A year of the century, or of the part of a decade, that is wanted."""
    first, last = _period(core)
    years = [(at, int(token.key)) for at, token in enumerate(said) if regex.fullmatch(r"\d{3,4}", token.key)]
    return [(at,) for at, year in years if first <= year <= last]


def _period(core: Sequence[Token]) -> tuple[int, int]:
    """The years of the century, or of the part of a decade, that is wanted; none where another thing is."""
    if len(core) != 2:
        return 0, -1
    one, other = core
    if other.key == "century" and (century := regex.fullmatch(r"(\d{1,2})th", one.key)):
        return 100 * int(century[1]) - 99, 100 * int(century[1])
    if one.key in _PARTS_OF_DECADES and (decade := regex.fullmatch(r"(\d{3})0s", other.key)):
        first, last = _PARTS_OF_DECADES[one.key]
        return 10 * int(decade[1]) + first, 10 * int(decade[1]) + last
    return 0, -1
