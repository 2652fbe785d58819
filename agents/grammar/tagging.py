"""Parts of speech by rule: small words from lists, names from capital letters, verbs from their form and their neighbours.

Tags: DET, NUM, ADJ, NOUN, NAME, POSS ('s), PRON, PREP, TO, CONJ, SUB (who, that, because), ADV, NOT, AUX (be, have, do,
modals), VERB (the verb of a clause, after its auxiliaries), PART and ING (other participles), BASE (infinitives), PUNCT.
What takes more than a sentence to know is left out: what cannot be told is a noun.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.sentences import Token, Tokens
from seal_env.agents.grammar.verb_tags import OPEN, tag_verbs, verb_kinds

_NUMBER = re.compile(r"[$£€]?\s?\d[\d,.]*(?:%|s)?(?:[\u2013-]\d[\d,.]*)?")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)(?:-\w+)*|\d[\d,]*-\w+")
_WORD = re.compile(r"\w")
_NOUN_ENDINGS = (
    "s",
    "ed",
    "ing",
    "ion",
    "ment",
    "ness",
    "ity",
    "ship",
    "ance",
    "ence",
    "ism",
    "er",
    "or",
    "age",
    "ure",
    "gen",
)
_ALONE: Final = en.words("this these those all both each some many most several few her one another")
_NOUNS_AFTER_ARTICLES: Final = en.words("past plus down up like inside outside opposite round minus")
_PLACES_AND_TIMES: Final = en.words("here there now then today")
_NAME_LINKS: Final = en.words("de la le van von der den du da di del el al bin ibn y")
_LISTS: Final = (
    ("SUB", en.SUBORDINATORS),
    ("CONJ", en.CONJUNCTIONS),
    ("PRON", en.SUBJECT_PRONOUNS | en.OBJECT_PRONOUNS),
    ("ADV", en.ADVERBS),
    ("PREP", en.PREPOSITIONS),
)
SMALL_WORDS: Final = frozenset.union(
    en.DETERMINERS, en.POSSESSIVES, en.NUMBER_WORDS, en.BE, en.HAVE, en.DO, en.MODALS, *(words for _, words in _LISTS)
) | {"to", "not"}  # fmt: skip


@dataclass(frozen=True)
class Spelling:
    """What a passage's own spelling tells: words with a capital letter within its sentences, and words in small letters."""

    names: frozenset[str]
    common: frozenset[str]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[Token]]) -> Spelling:
        """As the sentences have them."""
        names, common = set(), set()
        for sentence in sentences:
            opens = True
            for token in sentence:
                if not _WORD.search(token.text):
                    opens = opens or token.text in ('"', "\u201c", ":")
                    continue
                if not opens and token.text[0].isupper():
                    names.add(token.text)
                elif token.text[0].islower():
                    common.add(token.text)
                opens = False
        return cls(frozenset(names), frozenset(common))


def tag_sentence(tokens: Sequence[Token], spelling: Spelling) -> Tokens:
    """The tokens with their tags; verbs with base and form too."""
    found: list[Token] = []
    for place, token in enumerate(tokens):
        found.append(replace(token, tag=_tag(place, tokens, found, spelling)))
    return tag_verbs(found)


def _tag(place: int, tokens: Sequence[Token], tagged: Sequence[Token], spelling: Spelling) -> str:
    """The tag of a word by itself; OPEN for what may be a verb."""
    token, lower = tokens[place], tokens[place].lower
    if token.title:
        return "NAME"
    if lower in ("'s", "\u2019s") or (token.text in ("'", "\u2019") and place and tokens[place - 1].lower.endswith("s")):
        return "POSS"
    if not _WORD.search(token.text):
        return "PUNCT"
    if _NUMBER.fullmatch(token.text) or (lower in en.NUMBER_WORDS and not _is_pronoun(place, tokens)):
        return "NUM"
    if _ORDINAL.fullmatch(token.text):
        return "ADJ"
    if (
        lower in _NAME_LINKS
        and tagged
        and tagged[-1].tag == "NAME"
        and place + 1 < len(tokens)
        and tokens[place + 1].text[0].isupper()
    ):
        return "NAME"
    first = not any(other.tag != "PUNCT" for other in tagged)
    if token.text[0].isupper() and (_is_name_at_first(place, tokens, spelling) if first else _is_name(token)):
        return "NAME"
    return _small_tag(place, tokens, tagged)


def _is_name(token: Token) -> bool:
    shouted = len(token.text) > 1 and token.text.isupper()
    return token.text != "I" and (token.lower not in SMALL_WORDS or shouted or token.lower in en.MONTHS)


def _is_name_at_first(place: int, tokens: Sequence[Token], spelling: Spelling) -> bool:
    """Of the word with which a sentence begins."""
    token = tokens[place]
    if not _is_name(token):
        return False
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if token.text in spelling.names or (following is not None and following.text[0].isupper()):
        return token.lower not in en.ADJECTIVES or token.text in spelling.names
    ordinary = bool(verb_kinds(token.lower)) or token.lower in en.ADJECTIVES | en.PERSON_NOUNS or token.lower.endswith("ly")
    return not (ordinary or token.lower in spelling.common or token.lower.endswith(_NOUN_ENDINGS))


def _is_pronoun(place: int, tokens: Sequence[Token]) -> bool:
    """Whether "one", "all" or "this" stands without a noun: "one needs", unlike "one needle"."""
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if tokens[place].lower not in _ALONE:
        return False
    if following is None or not _WORD.search(following.text):
        return True
    lower = following.lower
    forms = {form for base, form in verb_kinds(lower) if base not in en.AMBIGUOUS_NOUNS or form != "s"}
    degree = tokens[place].lower == "most" and lower.endswith("ed")
    verb = lower in en.MODALS | en.HAVE | en.BE | en.DO or (bool(forms & {"s", "past"}) and not degree)
    return verb or lower in en.PREPOSITIONS | en.CONJUNCTIONS | en.SUBORDINATORS | {"to"}


def _small_tag(place: int, tokens: Sequence[Token], tagged: Sequence[Token]) -> str:
    """Of a word that is no name and no number."""
    lower, before = tokens[place].lower, tagged[-1].tag if tagged else ""
    described = before in ("DET", "POSS", "ADJ", "NUM")
    if lower == "to":
        return "TO" if _begins_infinitive(place, tokens) else "PREP"
    if lower in en.BE | en.HAVE | en.DO | en.MODALS and not (described and lower in ("will", "might", "being")):
        return "ING" if lower in ("being", "having") else "BASE" if before == "TO" else "AUX"
    if lower in ("not", "never", "n't"):
        return "NOT"
    if lower in en.DETERMINERS | en.POSSESSIVES and (lower != "that" or before == "PREP"):
        return "PRON" if _is_pronoun(place, tokens) else "DET"
    if lower in en.ADJECTIVES and (described or before == "PREP"):
        return "ADJ"
    tag = _tag_by_neighbours(place, tokens, before) or next((tag for tag, words in _LISTS if lower in words), "")
    tag = tag or _open_tag(lower)
    return "BASE" if before == "TO" and tag in ("NOUN", "ADJ") else tag


def _tag_by_neighbours(place: int, tokens: Sequence[Token], before: str) -> str:
    """Of a small word that has another tag elsewhere: "the past", "from here", "because of", "over 300"."""
    lower, following = tokens[place].lower, tokens[place + 1].lower if place + 1 < len(tokens) else ""
    if (before == "DET" and lower in _NOUNS_AFTER_ARTICLES) or (before == "PREP" and lower in _PLACES_AND_TIMES):
        return "NOUN"
    if (lower, following) in (("because", "of"), ("due", "to")):
        return "PREP"
    counted = lower in ("over", "under", "about", "around") and re.match(r"[$£€]?\d", following)
    return "ADV" if counted else ""


def _open_tag(lower: str) -> str:
    if lower.endswith("ly") and lower not in en.NOT_ADVERBS:
        return "ADV"
    if verb_kinds(lower):
        return OPEN
    described = lower in en.ADJECTIVES or lower.endswith(en.ADJECTIVE_ENDINGS)
    return "ADJ" if described and lower not in en.NOUNS_LIKE_ADJECTIVES else "NOUN"


def _begins_infinitive(place: int, tokens: Sequence[Token]) -> bool:
    """Whether "to" stands before an infinitive, perhaps with an adverb between."""
    from_there = any(token.lower == "from" for token in tokens[max(0, place - 4) : place])
    for following in tokens[place + 1 : place + 3]:
        if from_there and following.lower in en.AMBIGUOUS_NOUNS:
            return False
        if following.lower in ("be", "have", "do") or _is_base(following.lower):
            return following.text[0].islower()
        if not following.lower.endswith("ly") and following.lower not in ("not", "further", "also", "best", "better"):
            return False
    return False


def _is_base(lower: str) -> bool:
    known = any(form == "base" for _, form in verb_kinds(lower))
    return known or lower.endswith(("ize", "ise", "ify", "ate")) or (lower.startswith("re") and lower[2:] in en.VERBS)
