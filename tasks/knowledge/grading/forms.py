"""Ways of writing that say the same, in one form: "1914-1918" for "1914 to 1918", "500 AD" for "AD 500"."""

from __future__ import annotations

import calendar
from typing import Final

import regex

from seal_env.tasks.knowledge.grading.english import DENIALS, LIGHT

_ENDS: Final = regex.compile(r"</s>|<eos>", regex.IGNORECASE)
_TAG: Final = regex.compile(r"</?[a-z][a-z0-9]{0,9}\s?/?>", regex.IGNORECASE)
_NEXT: Final = regex.compile(r"</[a-z][a-z0-9]{0,9}>\s*(?=<[a-z])", regex.IGNORECASE)
"""Between the items of a list in HTML."""
_OPENING: Final = regex.compile(
    r"(?:(?:sure|certainly|of course|absolutely)[!,.:]\s+(?=\w))?(?:that would be\s+(?=\w))?", regex.IGNORECASE
)
_NONE_OTHER: Final = regex.compile(r"\bnone other than\s+(?=\w)", regex.IGNORECASE)
_KIND: Final = regex.compile(
    r"\b[Tt]he (?:(?:city|town|village|port) of|play|opera|novel|musical|ballet|poem|film|song)\s+(?=\p{Lu})"
)
_JUNIOR: Final = regex.compile(r",(?=\s+(?:Jr|Sr)\b)")
_ERA: Final = regex.compile(r"\bA\.?D\.?\s+(\d{1,4})\b(?![.,]\d)")
_YEARS: Final = regex.compile(r"(?:\b[Ff]rom )?\b(\d{3,4})(?: to | until |\s?[-\N{EN DASH}]\s?)(\d{3,4})\b")
_MONTH: Final = regex.compile(r"\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)(?:\.|\b)(?!\w)")
_MONTHS: Final = {name: full for name, full in zip(calendar.month_abbr, calendar.month_name, strict=True) if name}
_TIME: Final = regex.compile(
    r"^(?:an?|one|1) (?=(?:second|minute|hour|day|week|month|year|decade|century)\W*$)", regex.IGNORECASE
)
_WHOLE: Final = regex.compile(r"(?<![\d.,-])(\d+)\.0+(?![\d.,])")
_TWO_WORDS: Final = regex.compile(r"([a-z]{3,})[ ]([a-z]{3,})")


def in_one_form(question: str, gold: str, answer: str) -> tuple[str, str]:
    """The gold answer and the answer, so that they differ in no way of writing."""
    answer = _ENDS.split(answer, maxsplit=1)[0]
    answer = answer if "<" in gold else _TAG.sub("", _NEXT.sub(", ", answer)).strip()
    answer = _NONE_OTHER.sub("", _OPENING.sub("", answer, count=1) or answer)
    if not _KIND.search(gold):
        answer = _KIND.sub("", answer)
    both = [_ERA.sub(r"\1 AD", _JUNIOR.sub("", text)) for text in (gold, answer)]
    if _YEARS.fullmatch(gold.strip()):
        both = [_YEARS.sub(r"\1-\2", text) for text in both]
    if regex.search(r"\b(?:when|month)\b", question, regex.IGNORECASE):
        both = [_MONTH.sub(lambda found: _MONTHS[found[1][:3]], text) for text in both]
    if _TIME.match(gold):
        both = [_TIME.sub("one ", text) for text in both]
    if question.lower().startswith("how many"):
        both[1] = _counted(gold, both[1])
    if regex.match(r"who\b", question, regex.IGNORECASE):
        both[1] = _first_name_first(gold, both[1])
    return _as_one_word(both[0], both[1]), _as_one_word(both[1], both[0])


def _counted(gold: str, answer: str) -> str:
    """A count without a point, if the gold answer has none; "none" as zero."""
    if gold.strip().lower() in ("0", "zero") and answer.strip(" .").lower() == "none":
        return "0"
    return _WHOLE.sub(r"\1", answer) if gold.strip().isdecimal() else answer


def _first_name_first(gold: str, answer: str) -> str:
    """A person with the first name first: "Mira Vald" for "Vald, Mira"."""
    names = answer.strip(" .").split(", ")
    return gold if len(names) == 2 and f"{names[1]} {names[0]}".lower() == gold.strip().lower() else answer


def _as_one_word(text: str, other: str) -> str:
    """Two words as one, if the other text writes them so: "website" for "web site"."""
    parts = _TWO_WORDS.fullmatch(text.strip(" ."))
    if parts is None or not (LIGHT | DENIALS).isdisjoint(parts.groups()):
        return text
    one = "".join(parts.groups())
    return one if other.strip(" .") == one else text
