"""Questions that offer what to choose from: "Who won, Ann or Bob?".

What is offered stands on both sides of "or", or of "and" behind "between", and before commas in front of it; of other
languages than English the word for "or" is known, and what stands beside it. The rule holds only where one of these is the
gold answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from seal_env.tasks.knowledge.grading.english import ARTICLES, LIGHT, words
from seal_env.tasks.knowledge.grading.text_token import Token

_OR: Final = words(
    "oder ou o eller czy lub vagy veya atau hoac или \u0430\u0431\u043e η أو या หรือ "
    "或 或者 还是 還是 または もしくは それとも 또는 혹은 아니면"
)
"""The word in other languages."""


def other_choices(asked: Sequence[Token], meant: Sequence[Token]) -> frozenset[str]:
    """A word of each thing that the question offers beside the gold answer; none if it does not offer the gold answer."""
    gold = [token.key for token in meant if _says_something(token)]
    if not gold:
        return frozenset()
    for at, token in enumerate(asked):
        between = token.key == "and" and any(before.key == "between" for before in asked[:at])
        if not between and (token.kind != "word" or token.key not in {"or", *_OR}):
            continue
        offered = [*_offered(asked, at)]
        taken = [keys for keys in offered if set(gold) <= set(keys) or set(keys) <= set(gold)]
        if any(gold[0] == keys[0] or gold[-1] == keys[0] for keys in taken):
            own = [next((key for key in keys if key not in gold), None) for keys in offered if keys not in taken]
            return frozenset(filter(None, own))
    return frozenset()


def _offered(asked: Sequence[Token], at: int) -> Iterator[list[str]]:
    """The words of each thing that is offered around "or", from the one that stands nearest to what divides them."""
    end = next((place for place in range(at + 1, len(asked)) if asked[place].kind == "mark"), len(asked))
    if right := _words(asked[at + 1 : end]):
        yield right
    end = at - (asked[at - 1].key == "," if at else 0)
    while end > 0:
        start = next((place + 1 for place in range(end - 1, -1, -1) if asked[place].kind == "mark"), 0)
        part = asked[start:end]
        if left := _words(part):
            yield left[::-1]
        if start == 0 or asked[start - 1].key != "," or asked[at].key in _OR:
            return
        before = next((place + 1 for place in range(start - 2, -1, -1) if asked[place].kind == "mark"), 0)
        if any(token.key in LIGHT - ARTICLES for token in asked[before : start - 1]):
            return
        end = start - 1


def _words(found: Sequence[Token]) -> list[str]:
    return [token.key for token in found if _says_something(token)]


def _says_something(token: Token) -> bool:
    return token.kind != "mark" and token.key not in LIGHT
