"""Grading by words: is what the gold answer says said by the prediction?

Rules, each about how answers are written and none about what they are about:

- The gold answer itself is right.
- Only the first answer of a prediction counts; what a base model invents after it does not.
- Case, accents, punctuation, function words and hedges do not matter, nor whether a number is in digits or in words.
- Words that the question has already tell nothing, unless it offers a choice ("red or green?"). Of the gold answer's other
  words three quarters must be said, each in any form that begins alike ("Mongol", "Mongolian").
- A number that is wanted may be rounded, but not be exchanged for another; neither may a month. A year is in its decade and
  in its century.
- A shorter form of the gold answer is right if it has its last word, which tells what or who it is ("Euler" for "Leonhard
  Euler", "1508" for "9 March 1508"), or all its numbers ("40" for "40 metres"), and if it says nothing else; of a list, if
  it has the last word of each thing ("Vald and Aske" for "Mira Vald and Jon Aske").
- One of several alternatives is enough: "A or B", "A / B", "A; B". What stands in brackets need not be said, nor a remark in
  small letters behind a name or number ("Ostrel, a town"), nor the second year of a season ("1963-64").
- An answer that declines, or that denies what is wanted, is wrong.

The rules were found by looking at published verdicts of GPT-4.1 on one half of the questions; `benchmarks.graders` reports
how often they agree on the other half. Nothing is fitted: between two thirds and all of the words, agreement is nearly the
same. What takes knowledge of the world is left out: "Constantinople" is not "Istanbul". That is safe where answers are
names, numbers and dates; a judge is for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

from seal_env.tasks.knowledge.grading.answer_text import QUOTE, first_answer, is_number, words
from seal_env.tasks.knowledge.grading.base import Attempt

ENOUGH: Final = 0.75
"""Share of the wanted words that must be said."""

_SMALL_WORDS: Final = """
a an the of in on at to for from by with and or as is are was were be been being it its this that these those he she they his
her their there which who whom whose what when where why how do does did done has have had will would can could may might
must shall should than then so such also about into over under between during after before
approximately around roughly nearly almost circa early late mid
"""
_FUNCTION_WORDS: Final = frozenset(_SMALL_WORDS.split())
_YEAR: Final = "january february march april may june july august september october november december"
_MONTHS: Final = frozenset(_YEAR.split())
_ALTERNATIVES: Final = re.compile(r"(?<!\bmore)\s+or\s+(?!less\b)|\s+/\s+|(?<=[^\W\d_]{3})/(?=[^\W\d_]{3})|;\s*")
_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SECOND_YEAR: Final = re.compile(r"(?<=\b[0-9]{4})[-/\N{EN DASH}][0-9]{2}\b")
_REMARK: Final = re.compile(r"(?<=[\w)]),\s+(?!and\b|or\b)[a-z].*", re.DOTALL)
_BETWEEN: Final = re.compile(r",\s*|\s+and\s+|\s*&\s*")
_DECADE: Final = re.compile(rf"\b([0-9]{{3}}0)['{QUOTE}]?s\b")
_CENTURY: Final = re.compile(r"\b([0-9]{1,2}) centur(?:y|ies)\b")
_DECLINES: Final = re.compile(
    rf"\b(?:(?:do|does|did) ?n[o'{QUOTE}]t know|not sure|unsure|no idea|can ?not (?:answer|say|be determined|determine)"
    r"|(?:is|are|was|were) (?:unknown|unclear)|no information|not (?:mentioned|specified|stated))\b",
    re.IGNORECASE,
)
_DENIAL: Final = rf"(?:\b(?:not|never|neither|nor|without)|n['{QUOTE}]t)\b"
_DENIAL_REACH: Final = 3
_SHORTEST_ROOT: Final = 3
_ROOT_SHARE: Final = 0.6
_EXACT_BELOW: Final = 10_000
"""Whole numbers below are years and counts, which nobody rounds."""


class LexicalGrader:
    """See the module. Deterministic; it has no settings, needs no model, and grades thousands of answers a second."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader. Raises nothing."""
        if words(gold) and words(prediction) == words(gold):
            return True
        answer = first_answer(prediction, question)
        if _DECLINES.search(answer) and not _DECLINES.search(gold):
            return False
        return any(_agrees(_compare(question, wanted, answer)) for wanted in _alternatives(gold))

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader."""
        return [self.grade(*attempt) for attempt in attempts]


class _Comparison(NamedTuple):
    """A gold answer and an answer, as words.

    gold: words of the gold answer. wanted: those that the question has not, or all if it has them all. said: words of the
    answer that may stand for them. extra: those of them that the question has not. period_said: words for a period that are
    made good by a year in it. heads: the last wanted word, or that of each thing where the gold answer is a list. denied:
    the answer says that it is not so.
    """

    gold: tuple[str, ...]
    wanted: tuple[str, ...]
    said: tuple[str, ...]
    extra: tuple[str, ...]
    period_said: frozenset[str]
    heads: tuple[str, ...]
    denied: bool

    def is_said(self, word: str) -> bool:
        """Whether a wanted word is in the answer, in one form or another."""
        return word in self.period_said or _among(word, self.said)


def _compare(question: str, gold: str, answer: str) -> _Comparison:
    asked, said, all_words = words(question), words(answer), words(gold, signs=False)
    whole = _content(all_words)
    wanted = tuple(word for word in whole if not _among(word, asked))
    if not wanted:
        wanted, said = whole, said if "or" in asked else _without_echo(said, asked)
    extra = tuple(word for word in said if word not in _FUNCTION_WORDS and not _among(word, asked))
    denied = not re.search(_DENIAL, f"{question} {gold}", re.IGNORECASE) and _denies(answer, wanted)
    denied = denied or _other_month(gold, answer)
    heads = _heads(gold, wanted) if "and" in all_words else wanted[-1:]
    return _Comparison(whole, wanted, said, extra, _period_said(gold, said), heads, denied)


def _agrees(pair: _Comparison) -> bool:
    if pair.denied or not pair.wanted or _exchanged(pair):
        return False
    return sum(map(pair.is_said, pair.wanted)) / len(pair.wanted) >= ENOUGH or _is_short_form(pair)


def _exchanged(pair: _Comparison) -> bool:
    """A number that is wanted is missing, and another one is there."""
    numbers = [word for word in pair.wanted if is_number(word)]
    return not all(map(pair.is_said, numbers)) and any(is_number(word) and not _among(word, numbers) for word in pair.extra)


def _is_short_form(pair: _Comparison) -> bool:
    if not pair.extra or not all(_among(word, pair.gold) for word in pair.extra):
        return False
    numbers = [pair.is_said(word) for word in pair.wanted if is_number(word)]
    if len(pair.heads) == 1 and numbers and all(numbers):
        return True
    return all(map(pair.is_said, pair.heads)) and (not numbers or any(numbers))


def _alternatives(gold: str) -> list[str]:
    """The gold answer, and each of its alternatives by itself."""
    plain = _BRACKETS.sub(" ", gold)
    short = _without_remark(_SECOND_YEAR.sub("", plain))
    return [text for text in dict.fromkeys((gold, plain, short, *_ALTERNATIVES.split(plain))) if words(text)]


def _without_remark(gold: str) -> str:
    name = _REMARK.sub("", gold)
    return name if re.search("[A-Z0-9]", name) and not re.search(r"\band\b", gold) else gold


def _heads(gold: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The last word of each thing in a list."""
    things = [_content(words(part, signs=False)) for part in _BETWEEN.split(gold)]
    return tuple(thing[-1] for thing in things if thing and thing[-1] in wanted) or wanted[-1:]


def _content(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in found if word not in _FUNCTION_WORDS) or found


def _among(word: str, others: Collection[str]) -> bool:
    return word in others or any(_alike(word, other) for other in others)


def _alike(one: str, other: str) -> bool:
    """Two forms of a word: they begin alike, for most of their length. Or two roundings of a number."""
    if is_number(one):
        return is_number(other) and _rounded_alike(one, other)
    root = max(_SHORTEST_ROOT, ceil(_ROOT_SHARE * max(len(one), len(other))))
    return min(len(one), len(other)) >= root and one[:root] == other[:root]


def _rounded_alike(one: str, other: str) -> bool:
    """Equal to as many significant digits, at least two, as the one with fewer has."""
    if "." not in one + other and min(Decimal(one), Decimal(other)) < _EXACT_BELOW:
        return False
    digits = min(len(number.replace(".", "").strip("0")) for number in (one, other))
    return digits >= 2 and f"{Decimal(one):.{digits - 1}e}" == f"{Decimal(other):.{digits - 1}e}"


def _without_echo(said: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """An answer without the words of the question that it says again, if it says at least half of them again."""
    topic = _content(asked)
    if 2 * sum(_among(word, said) for word in topic) < len(topic):
        return said
    left = list(said)
    for word in asked:
        again = next((at for at, other in enumerate(left) if word == other or _alike(word, other)), None)
        if again is not None:
            del left[again]
    return tuple(left)


def _period_said(gold: str, said: Sequence[str]) -> frozenset[str]:
    """The words for the decade or the century that is wanted, if a year in it is said."""
    decade, century = _DECADE.search(gold), _CENTURY.search(" ".join(words(gold)))
    if decade:
        first, last, found = int(decade[1]), int(decade[1]) + 9, {decade[1]}
    elif century:
        last, found = 100 * int(century[1]), {century[1], "century"}
        first = last - 99
    else:
        return frozenset()
    years = (int(word) for word in said if re.fullmatch("[0-9]{3,4}", word))
    return frozenset(found) if any(first <= year <= last for year in years) else frozenset()


def _other_month(gold: str, answer: str) -> bool:
    wanted = _months(gold)
    said = _months(answer) if wanted else set()
    return bool(said) and wanted.isdisjoint(said)


def _months(text: str) -> set[str]:
    """Months that stand next to a number."""
    found = words(text)
    pairs = [*pairwise(found), *pairwise(found[::-1])]
    return {word for word, beside in pairs if word in _MONTHS and is_number(beside)}


def _denies(answer: str, wanted: Sequence[str]) -> bool:
    """A denial stands close before the first wanted word."""
    if not re.search(_DENIAL, answer, re.IGNORECASE):
        return False
    parts = answer.split()
    at = next((at for at, part in enumerate(parts) if any(_among(word, wanted) for word in words(part))), 0)
    return bool(re.search(_DENIAL, " ".join(parts[max(0, at - _DENIAL_REACH) : at]), re.IGNORECASE))
