"""Grading by words: an answer is right if it says the gold answer and nothing that rivals it.

Saying it (`spans`):

- Only the first answer of a prediction counts, and of that the first sentence; what a base model invents behind it does not.
- Case, accents, articles and punctuation do not matter, nor whether a number, an amount, a share or a date is in digits or
  in words, nor hyphens and apostrophes within words. Signs, units, the order of words and words such as "before" do; so
  does "fifth" for "five", and the case of letters in units ("Mb", "MB").
- Words of the gold answer that the question has already may be left out at its ends.
- Words in small letters may be inflected ("ship", "ships") and in British spelling; names and numbers may not differ in a
  letter or digit, but names may be shortened as is usual ("U.S.", "J. K.", "Mt.", an abbreviation in brackets).
- A city may stand with the country or state that it is known to lie in. A year says its date, its decade and its century; a
  date says its year. "Who?" is answered by a surname.
- One of several alternatives is enough ("A or B", "A / B", "A; B"). What stands in brackets need not be said, nor a remark
  in small letters behind a name, nor the second year of a season ("1963-64").

Rivals (`rivals`, `denials`, `lists`): a denial or a doubt, an alternative, a list, another number of the same kind, a longer
name, a word that makes something else of the answer ("before 1852", "West Virginia"), and more words than an answer needs.

The rules know English. Where the question is in another language, or the gold answer in another script, an answer may hold
nothing but the gold answer and words of the question.

Left out, since it takes knowledge of the world: synonyms, nicknames, demonyms ("Mongolian" for "Mongol") and conversions. A
judge is for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.abbreviations import one_of_both
from seal_env.tasks.knowledge.grading.answer_text import first_answer
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tasks.knowledge.grading.compared import is_other_choice
from seal_env.tasks.knowledge.grading.english import DENIALS, FALSITY, LIGHT, NO, YES
from seal_env.tasks.knowledge.grading.foreign import is_foreign, says_no_more
from seal_env.tasks.knowledge.grading.forms import in_one_form
from seal_env.tasks.knowledge.grading.reading import Reading
from seal_env.tasks.knowledge.grading.rivals import is_rivalled
from seal_env.tasks.knowledge.grading.spans import spans
from seal_env.tasks.knowledge.grading.text_token import Token
from seal_env.tasks.knowledge.grading.tokens import tokens

LONGEST: Final = 2000
"""Characters of a prediction; a longer one is wrong without a look."""
MOST_TOKENS: Final = 80
TOKENS_FOR_EACH: Final = 4
"""Words and marks of an answer: at most 80, and four for each of the gold answer."""

_ALTERNATIVES: Final = regex.compile(
    r"\s+and/or\s+|(?<!\bmore)\s+or\s+(?!less\b)|\s+/\s+|(?<=[^\W\d_]{3})/(?=[^\W\d_]{3})|;\s*"
)
_BRACKETS: Final = regex.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_REMARK: Final = regex.compile(r"(?<=[\w)]),\s+(?!and\b|or\b)[a-z].*", regex.DOTALL)
_SECOND_YEAR: Final = regex.compile(r"(?<=\b[0-9]{4})[-/\N{EN DASH}][0-9]{2}\b(?![-/])(?: seasons?\b)?")
_NAMED: Final = regex.compile(r"^an?\s(?:[^\W\d_]+\s){1,4}(?:called|named|known as)\s")
_ASKS: Final = regex.compile(r"\?\W*$")
_STRUCK: Final = regex.compile(r"~~|<(?:del|strike)\b", regex.IGNORECASE)
"""Marks of text that is crossed out."""
_HYPHEN: Final = regex.compile(r"\p{Dash_Punctuation}|\N{MINUS SIGN}")

known_tokens = lru_cache(maxsize=4096)(tokens)
"""`tokens` of questions and gold answers, which come again and again."""


class LexicalGrader:
    """See the module. Deterministic; it has no settings and needs no model."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        if len(prediction) > LONGEST or (_STRUCK.search(prediction) and not _STRUCK.search(gold)):
            return False
        gold, answer = in_one_form(question, gold, first_answer(prediction, question))
        meant = known_tokens(gold, True)
        said = tokens(answer, True)
        asks = bool(_ASKS.search(answer)) and not gold.endswith("?")
        if (keys := _keys(meant)) and not asks and keys in (_keys(said), _keys(tokens(prediction, True))):
            return True
        for joined in (True, False) if _HYPHEN.search(f"{question}{gold}{answer}") else (True,):
            said = said if joined else tokens(answer, False)
            if len(said) > MOST_TOKENS + TOKENS_FOR_EACH * len(meant):
                return False
            if any(_agrees(question, each, said, joined) for each in _alternatives(gold)):
                return True
        return False

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader."""
        return [self.grade(*attempt) for attempt in attempts]


def _keys(found: Sequence[Token]) -> list[str]:
    return [token.key for token in found if token.kind != "mark"]


def _agrees(question: str, gold: str, answer: Sequence[Token], joined: bool) -> bool:
    asked, meant = known_tokens(question, joined), known_tokens(gold, joined)
    said = one_of_both(answer, meant)
    if len(meant) == 1 and meant[0].key in YES | NO:
        return _agrees_whether(meant[0].key, said)
    readings = (Reading(asked, meant, said, span) for span in spans(asked, meant, said))
    if is_foreign(asked, gold):
        return any(says_no_more(reading) and not is_other_choice(reading) for reading in readings)
    return any(not is_rivalled(reading) for reading in readings)


def _agrees_whether(gold: str, said: Sequence[Token]) -> bool:
    """Yes or no at the beginning, and nothing of the other."""
    meant, other = (YES, NO | DENIALS | FALSITY) if gold in YES else (NO, YES | {"but", "maybe", "perhaps"})
    if not said or said[0].key not in meant or any(token.key in other for token in said):
        return False
    after = said[1] if len(said) > 1 else said[0]  # "no one", "no idea" are something else than "no"
    return meant is YES or after.kind == "mark" or after.key in LIGHT | NO


@lru_cache(maxsize=4096)
def _alternatives(gold: str) -> tuple[str, ...]:
    """The gold answer, and each of its alternatives by itself."""
    plain = _BRACKETS.sub(" ", gold)
    name = _REMARK.sub("", plain)
    short = name if regex.search("[A-Z0-9]", name) and not regex.search(r"\band\b", gold) else plain
    named = _NAMED.split(plain, maxsplit=1)[-1]
    found = dict.fromkeys((gold, plain, short, named, _SECOND_YEAR.sub("", plain), *_ALTERNATIVES.split(plain)))
    return tuple(text for text in found if regex.search(r"\w", text))
