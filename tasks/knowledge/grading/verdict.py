"""How a judge's answer is read: yes, no, or neither.

A verdict is a field of JSON, a word that opens a sentence ("Yes, it is", "Incorrect."), what follows a label ("Verdict:
correct"), or a sentence about the candidate ("The answer is not right"). Quotations and questions hold none. All verdicts in
an answer have to agree, and nothing may speak against a yes; otherwise there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from seal_env.thoughts import UnreadableError, after_thoughts, has_thought

LONGEST: Final = 4_000
"""Characters of an answer after its thoughts; a longer one has no verdict."""

_FENCE: Final = re.compile(r"```\w*\s*+(.*?)```", re.DOTALL)
_OBJECT: Final = re.compile(r"\{[^{}]*+\}")
_MARKUP: Final = re.compile(r"</?\w++>|\\boxed|[*_`{}\[\]#|~$]")
_PLAIN: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": " - ", "\u2014": " - "})
_QUOTATION: Final = re.compile(r"\"[^\"\n]*+\"|(?<!\w)'[^'\n]*+'(?!\w)")
_QUOTED: Final = re.compile(r"(?<=[:=] )\"(\w+)[.]?\"|(?<=say )\"(\w+)[.]?\"", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\bno\.\s*+(?=\d)", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[^.!?;\n]++[.!?;\n]?")

_YES: Final = r"(?P<yes>yes|yep|yeah|yup)\b"
_STOP: Final = r"\W*\Z|\s*[,;:.!(]|\s+-"
_NO: Final = rf"(?P<no>no|nope|nah)\b(?={_STOP}|\s+(?:it|this|that|the|because|they|he|she|since|as)\b)"
_RIGHT: Final = r"correct|right|true|accurate"
_WRONG: Final = r"incorrect|wrong|false|inaccurate"
_ADVERBS: Final = r"(?:(?:entirely|completely|fully|quite|exactly|indeed|clearly|also|factually|simply)\s++)*+"
_JUDGED: Final = rf"{_ADVERBS}(?P<negated>not\s+)?{_ADVERBS}(?:(?P<right>{_RIGHT})|(?P<wrong>{_WRONG}))\b"
_FILLERS: Final = (
    r"\W*(?:(?:so|hence|thus|therefore|overall|and|then|ok|okay|well|hmm?|my|the|final|i(?:'d| would)? (?:say|answer|judge))"
    r"\b\W*)*"
)
_OPENING: Final = re.compile(rf"{_FILLERS}(?:{_YES}|{_NO}|{_JUDGED}(?={_STOP}))", re.IGNORECASE)
_LABEL: Final = re.compile(
    rf"{_FILLERS}(?:verdict|judge?ment|conclusion|decision|result|grade|answer|evaluation|assessment)"
    rf"\s*(?:\bis\s*:?|[:=-])\s*(?:{_YES}|{_NO}|{_JUDGED}(?={_STOP}))",
    re.IGNORECASE,
)
_STATEMENT: Final = re.compile(
    r"(?<!reference )(?<!gold )(?<!expected )(?<!correct )(?<!right )\b(?:candidate|answer|response|prediction|reply|it|this"
    r"|that)(?:'s (?:answer|response|reply))?"
    rf"(?:\s+(?:is|was)|'s|\s+(?P<isnt>is|was)n't)\s+{_JUDGED}",
    re.IGNORECASE,
)
_IN_DOUBT: Final = re.compile(
    r"\b(?:if|whether|unless|unsure|not sure|unclear|uncertain|might|may|maybe|perhaps|could|would be|cannot say|hard to say"
    r"|depends|partial(?:ly)?|partly|half|somewhat|almost|nearly)\b"
    r"|(?:\b(?:not|never|hardly|cannot)|n't)\s+(?:think|believe|say|agree|see|find|consider)\b",
    re.IGNORECASE,
)
_AGAINST: Final = re.compile(
    rf"\b(?:no|nope|nah)\b(?={_STOP})"
    rf"|\A(?!.*\b(?:not|nothing|no|without|never)\b.*\b(?:{_WRONG})\b).*\b(?:{_WRONG})\b"
    r"|\b(?:but|however|although|though|except)\b.*(?:\b(?:not|no|never|without|fails|misses|lacks|omits)\b|n't\b)",
    re.IGNORECASE,
)
_FOR: Final = re.compile(r"\b(?:yes|yep|yeah|yup)\b", re.IGNORECASE)


def read_verdict(text: str) -> bool | None:
    """True for yes and False for no; None for anything else. Thoughts, fences and markup around the verdict do not count."""
    try:
        plain = after_thoughts(text)
    except UnreadableError:
        return None
    if len(plain) > LONGEST or has_thought(plain):
        return None
    fenced = _FENCE.findall(plain)
    plain = fenced[0].strip() if len(fenced) == 1 else plain
    said = _of_json(plain)
    return _of_words(plain if said is None else said)


def _of_json(text: str) -> str | None:
    """The verdict in JSON, which may stand among words; empty for JSON without one; None where there is no JSON."""
    for part in (text, *(_OBJECT.findall(text) if text.count("{") == 1 else ())):
        try:
            body: Any = json.loads(part)
        except (ValueError, RecursionError):
            continue
        said = body.get("verdict") if isinstance(body, dict) else body
        if isinstance(body, dict) and isinstance(said, bool):
            return "yes" if said else "no"
        return said if isinstance(said, str) else ""
    return None


def _of_words(text: str) -> bool | None:
    plain = _NUMBER.sub("number ", _MARKUP.sub(" ", _QUOTED.sub(r"\1\2", text.translate(_PLAIN)))).strip()
    plain = _QUOTATION.sub(" it ", plain) if re.search(r"\w", _QUOTATION.sub("", plain)) else plain.strip("\"' ")
    sentences = [each for each in _SENTENCE.findall(plain) if not each.endswith("?")]
    verdicts = {verdict for each in sentences for verdict in _verdicts(each)}
    if len(verdicts) != 1:
        return None
    (verdict,) = verdicts
    contrary = (_AGAINST, _IN_DOUBT) if verdict else (_FOR,)
    return None if any(each.search(sentence) for each in contrary for sentence in sentences) else verdict


def _verdicts(sentence: str) -> Iterator[bool]:
    """What a sentence says: at its beginning, and about the candidate unless it is in doubt."""
    opening = _LABEL.match(sentence) or _OPENING.match(sentence)
    if opening:
        yield _is_yes(opening)
    if not _IN_DOUBT.search(sentence):
        yield from map(_is_yes, _STATEMENT.finditer(sentence))


def _is_yes(found: re.Match[str]) -> bool:
    parts = found.groupdict()
    if parts.get("yes") or parts.get("no"):
        return bool(parts["yes"])
    negations = sum(bool(parts.get(name)) for name in ("negated", "wrong", "isnt"))
    return negations % 2 == 0
