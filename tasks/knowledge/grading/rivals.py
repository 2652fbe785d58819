"""What rivals the gold answer in an answer that says it: denials, alternatives, lists, other numbers and longer names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from seal_env.tasks.knowledge.grading import english
from seal_env.tasks.knowledge.grading.bystanders import is_told_by
from seal_env.tasks.knowledge.grading.compared import is_other_choice
from seal_env.tasks.knowledge.grading.deeds import is_another_deed
from seal_env.tasks.knowledge.grading.denials import is_asked, is_denied
from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT
from seal_env.tasks.knowledge.grading.lists import SEPARATORS, is_answered_again, is_chosen, is_listed, is_verb
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.spans import alike
from seal_env.tasks.knowledge.grading.text_token import Token

MOST_EXTRA: Final = 18
"""Words of a first sentence that are neither the gold answer's nor the question's."""
MOST_EXTRA_ALONE: Final = 3
"""The same, where no word of the question is said again."""
_LINKS: Final = 3
"""Times that a sentence has the same preposition."""
_COMPANY: Final = frozenset(["with", "for"])
_NEAR: Final = 3
_BEFORE_SUBJECTS: Final = frozenset(["and", "but", "that", "was", "is", "then", "actually"])
_MEASURED: Final = frozenset(["when", "where", "how", "year", "date"])


def is_rivalled(reading: Reading) -> bool:
    """Whether the answer names something else besides, or takes back what it says."""
    return (
        reading.span[0] > reading.end
        or _is_strung(reading)
        or is_asked(reading)
        or _is_longer_name(reading)
        or _is_accompanied(reading)
        or _is_changed(reading)
        or _is_somebody_else(reading)
        or _is_done_by_another(reading)
        or _is_kin(reading)
        or is_told_by(reading)
        or is_another_deed(reading)
        or _other_number(reading)
        or is_denied(reading)
        or is_chosen(reading)
        or is_other_choice(reading)
        or is_listed(reading)
        or is_answered_again(reading)
    )


def _is_strung(reading: Reading) -> bool:
    """More extra words than an answer needs, or words strung together: "Kiel in 1525 in Paris in the navy"."""
    sentence = range(min(reading.end, len(reading.said)))
    extra = sum(at in reading.extra for at in sentence)
    links = Counter(reading.said[at].key for at in sentence if reading.said[at].key in english.PREPOSITIONS)
    return extra > (MOST_EXTRA if _is_restated(reading) else MOST_EXTRA_ALONE) or max(links.values(), default=0) > _LINKS


def _is_restated(reading: Reading) -> bool:
    """The answer says words of the question again."""
    plain = LIGHT | english.FRAMES
    return any(
        at not in reading.span and at not in reading.extra and token.kind != "mark" and token.key not in plain
        for at, token in enumerate(reading.said[: reading.end])
    )


def _is_longer_name(reading: Reading) -> bool:
    """The gold answer is part of a longer name, or all there is but for other words: "New York", "Smith's brother"."""
    said, low, high = reading.said, reading.span[0], reading.span[-1]
    behind = max(reading.around, default=high) + 1
    before, after = reading.at(low - 1), reading.at(behind)
    if said[low].glued or (after and after.glued and behind in reading.extra):
        return True
    whose = any(token.key == "whose" for token in reading.asked)
    if said[high].possessive and not whose and not any(token.possessive for token in reading.meant):
        return True
    name = any(said[at].capital for at in reading.span)
    if name and after and behind in reading.extra and after.kind == "word" and after.capital:
        return True
    first_name = bool(name and before and low - 1 in reading.extra and before.kind == "word" and before.capital)
    if first_name and (high + 1 in reading.around or not _may_have_first_name(reading)):
        return True
    if first_name and reading.extra == {low - 1}:
        return False
    if name and reading.extra and _is_described(reading):
        return False
    bare = SEPARATORS | ARTICLES | english.FRAMES | {"of"}
    bare |= {"is", "was"} if any(token.key == "answer" for token in said) else set()
    return bool(reading.extra) and all(
        at in reading.span or at in reading.extra or token.kind == "mark" or token.key in bare
        for at, token in enumerate(said)
    )


def _is_described(reading: Reading) -> bool:
    """What the named is stands beside the name: "the engineer Mira Valdén", "Paris, the capital of France"."""
    said, low, high = reading.said, reading.span[0], reading.span[-1]
    first = reading.at(high + 3)
    if said[high + 1 :] and said[high + 1].key == "," and first and said[high + 2].key in ARTICLES:
        return not first.capital and first.kind == "word" and min(reading.extra) > high
    who = any(token.key == "who" for token in reading.asked) and len(reading.span) > 1 and low - 1 in reading.extra
    return who and not any(
        said[at].capital
        or said[at].kind != "word"
        or said[at].possessive
        or at > high
        or said[at].key == "like"
        or is_verb(said[at].key)
        for at in reading.extra
    )


def _is_accompanied(reading: Reading) -> bool:
    """Another person stands before or behind the named one: "Bob Ray with Jane Smith"."""
    said, low, high = reading.said, reading.span[0], reading.span[-1]
    if not said[low].capital or _is_restated(reading) or all(token.key != "who" for token in reading.asked):
        return False
    others = (at for at in reading.extra if at < reading.end and said[at].capital and said[at].kind == "word")
    between = (said[at + 1 : low] if at < low else said[high + 1 : at] for at in others)
    return any(1 <= len(words) <= _NEAR and words[-1].key in _COMPANY for words in between)


def _may_have_first_name(reading: Reading) -> bool:
    low = reading.span[0]
    restated = {at for at, token in enumerate(reading.said) if token.key not in LIGHT and token.kind != "mark"}
    restated -= reading.extra | set(reading.span)
    place = any(token.key in english.PLACES for token in reading.asked)
    names = [token for token in reading.meant if token.kind != "mark" and token.key not in LIGHT]
    return len(names) == len(reading.span) and low - 2 not in reading.extra and (len(restated) >= 2 or not place)


def _is_changed(reading: Reading) -> bool:
    """A word before the gold answer makes something else of it: "before 1852", "West Virginia"."""
    after = [token.key for token in reading.said[reading.span[-1] + 1 : reading.span[-1] + 3]]
    rate = after[:1] == ["per"] and "per" not in reading.given and reading.said[reading.span[0]].kind == "number"
    if rate or tuple(after) in english.LIMITS:  # "5 per hour", "half as many"
        return True
    at = reading.before
    if at < 0 or reading.said[at].key in reading.given:
        return False
    if (
        _is_by_then(reading, at)
        or {reading.said[at].key, reading.meant[0].key} == {"from", "to"}
        or _is_elsewhere(reading, at)
    ):
        return True
    if reading.said[at].key == "to" and any(
        (token.key == "from" and place + 1 in reading.extra) or (place == at - 1 and token.kind == "number")
        for place, token in enumerate(reading.said[:at])
    ):
        return True
    if at and (reading.said[at - 1].key, reading.said[at].key) in english.LIMITS:
        return True
    measured = any(token.key in _MEASURED for token in reading.asked) or any(token.kind != "word" for token in reading.meant)
    return reading.said[at].key in english.CHANGERS or (measured and reading.said[at].key in english.COMPARERS)


def _is_by_then(reading: Reading, at: int) -> bool:
    """Some time that a date ends or begins: "by 1508", "since 1508"; but "it has been a city since 1508"."""
    asked = reading.asked and reading.asked[0].key == "when" and reading.said[reading.span[0]].kind != "word"
    lasts = any(token.key in ("has", "have", "had") for token in reading.said[:at])
    return bool(asked) and (reading.said[at].key == "by" or (reading.said[at].key == "since" and not lasts))


def _is_elsewhere(reading: Reading, at: int) -> bool:
    """Another place or time by a preposition alone: "around the bridge" for "by the bridge"."""
    one, other = reading.meant[0].key, reading.said[at].key
    asked = any(token.key in ("when", "where") for token in reading.asked)
    if asked and other == "from" and at > 1 and reading.said[at - 2].kind == "number":  # "50 km from Paris"
        return True
    return asked and one != other and {one, other} <= english.POSITIONS


def _is_somebody_else(reading: Reading) -> bool:
    """Another person by a title or a pronoun alone ("Mrs. Brown"), or one who suffers what the other does ("beaten by")."""
    meant, said = ({token.key for token in tokens} for tokens in (reading.meant, reading.said[: reading.end]))
    if any(meant & own and said & other and not said & own for own, other in english.COUNTERPARTS):
        return True
    spoken = reading.said[reading.span[0] : reading.span[-1]]
    names = [at for at, token in enumerate(reading.meant) if token.capital]
    if len(names) > 1:
        return _is_passive(reading.meant[names[0] : names[-1]]) != _is_passive(spoken)
    both = (reading.meant, spoken) if _is_passive(reading.meant) else (spoken, reading.meant)
    return _is_passive(both[0]) and not any(token.key == "by" for token in both[1])


def _is_passive(found: Sequence[Token]) -> bool:
    keys = {token.key for token in found}
    return "by" in keys and bool(keys & english.PASSIVE)


def _is_done_by_another(reading: Reading) -> bool:
    """Another name does what the question asks who did: "Jon Aske built it for Mira Vald", "built by Jon Aske for her"."""
    asked, said = reading.asked, reading.said
    if len(asked) < 2 or asked[0].key != "who" or asked[1].key in LIGHT or not said[reading.span[0]].capital:
        return False
    for at in range(reading.end):
        if at in reading.span or not alike(said[at], asked[1]):
            continue
        doer = at - 1 - (at > 1 and said[at - 1].key == "who")
        start = doer
        while _is_another(reading, start):
            start -= 1
        lead = reading.at(start)
        if (
            start < doer
            and not said[doer].possessive
            and (lead is None or lead.kind == "mark" or lead.key in _BEFORE_SUBJECTS)
        ):
            return True
        after = reading.at(at + 1)
        end = at + 2
        while _is_another(reading, end):
            end += 1
        behind = reading.at(end)
        ends = behind is None or behind.kind == "mark" or behind.key in english.PREPOSITIONS
        if after and after.key == "by" and end > at + 2 and ends and not said[end - 1].possessive:
            return True
    return False


def _is_another(reading: Reading, at: int) -> bool:
    """A word of a name that is neither the gold answer's nor the question's."""
    return at in reading.extra and reading.said[at].capital and reading.said[at].kind == "word"


def _is_kin(reading: Reading) -> bool:
    """Somebody told by whom they belong to: "the father of Mira Vald"."""
    said, low = reading.said, reading.span[0]
    return (
        low > 1
        and said[low].capital
        and said[low - 1].key == "of"
        and "of" not in {token.key for token in reading.meant}
        and said[low - 2].key in english.KIN
        and said[low - 2].key not in reading.given
    )


def _other_number(reading: Reading) -> bool:
    """The gold answer is a number or a code, and the first sentence has another one of its kind."""
    wanted = [reading.said[at] for at in reading.span]
    if len(wanted) == 1 and _is_code(wanted[0]) and any(_is_code(reading.said[at]) for at in reading.extra):
        return True
    if any(token.kind == "word" for token in wanted):
        wanted = wanted[:1] if wanted[0].kind != "word" else []
    kinds = {_kind(token) for token in wanted}
    return any(
        token.kind in ("number", "date") and at in reading.extra and token.key not in reading.given and _kind(token) in kinds
        for at, token in enumerate(reading.said[: reading.end])
    )


def _is_code(token: Token) -> bool:
    """Letters and digits in one word: "B12"."""
    return token.kind == "word" and not token.key.isalpha() and any(map(str.isdecimal, token.key))


def _kind(token: Token) -> str:
    if token.kind == "date" or (token.key.isdecimal() and len(token.key) == 4) or token.key.endswith("s"):
        return "date"
    if token.key.endswith("th"):
        return "place"
    return "share" if token.key.endswith("%") else "money" if " " in token.key else "count"
