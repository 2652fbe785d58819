"""Which question word a noun phrase wants: who, what, when, how many, which."""

from __future__ import annotations

from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.asked import answer_of
from seal_env.agents.grammar.noun_phrases import head_of, is_year
from seal_env.agents.grammar.passage_reader import Subject, is_person_noun
from seal_env.agents.grammar.sentences import Tokens, written
from seal_env.agents.grammar.verb_tags import verb_kinds

_PLACES: Final = en.words("san santa los las st saint fort mount port lake new north south east west great la le el")
_WORDS: Final = en.ADJECTIVES | en.GROUP_NOUNS | en.PLACE_NOUNS | en.TIME_NOUNS | en.NUMBER_WORDS
_WORD_ENDINGS: Final = ("ion", "ment", "ity", "ism", "ness", "ship", "ics", "ive", "ian", "ese", "ish", "al", "ing")
_CURRENCIES: Final = ("$", "£", "€")
_MOST_MODIFIERS: Final = 3
_VAGUE: Final = en.words("same other such own only first last next several various certain main further different more most")


def is_title(tokens: Tokens) -> bool:
    """Whether a noun phrase is what the passage is about: "Tafogo", "the Tafogo", "the ship Tafogo"."""
    return tokens[-1].title and len(tokens) <= 3 and not any(token.tag in ("POSS", "PREP") for token in tokens)


def is_who(tokens: Tokens, human: bool, subject: Subject) -> bool:
    """Whether a noun phrase is of a person. human: it does, or suffers, what people do."""
    head = head_of(tokens)
    if head.title:
        return subject.is_person or (human and not subject.kind)
    if head.tag == "NOUN":
        return is_person_noun(head.lower.removesuffix("s")) or head.lower in en.PERSON_NOUNS
    lower = [token.lower for token in tokens]
    other = lower[-1] in en.GROUP_NOUNS | en.PLACE_NOUNS | en.MONTHS or any(word.isdigit() for word in lower)
    if head.tag != "NAME" or other:
        return False
    if any(word.rstrip(".") in en.PERSON_TITLES or is_person_noun(word) for word in lower):
        return True
    return lower[0] != "the" and (human or _looks_like_person(tokens))


def _looks_like_person(tokens: Tokens) -> bool:
    """Two to four names, none of them an English word."""
    names = [token.lower for token in tokens if token.tag == "NAME"]
    if not 2 <= len(names) == len(tokens) <= 4 or names[0] in _PLACES:
        return False
    return not any(verb_kinds(name) or name in _WORDS or name.endswith(_WORD_ENDINGS) for name in names)


def who(tokens: Tokens, human: bool, subject: Subject) -> str:
    """The word "who" or "what", see `is_who`."""
    return "who" if is_who(tokens, human, subject) else "what"


def is_time(tokens: Tokens) -> bool:
    """Whether a noun phrase is a date, a year or another time."""
    if not tokens:
        return False
    lower = [token.lower for token in tokens]
    if any(word in en.MONTHS | en.DAYS for word in lower) or any(map(is_year, tokens)):
        return not any(token.tag == "NOUN" and token.lower not in en.TIME_NOUNS for token in tokens)
    counted = any(token.tag == "NUM" for token in tokens)
    return lower[-1].endswith("0s") or (lower[-1] in en.TIME_NOUNS and not counted)


def number_in(tokens: Tokens) -> tuple[str, str] | None:
    """(question words, answer) for a noun phrase with a number: "how many pages", "198"; None for others."""
    place = next((each for each, token in enumerate(tokens) if token.tag == "NUM"), None)
    if place is None or is_year(tokens[place]):
        return None
    if any(token.lower not in en.APPROXIMATE | en.ARTICLES for token in tokens[:place]):
        return None
    end = next((each for each in range(place, len(tokens)) if tokens[each].tag != "NUM"), len(tokens))
    number, after = written(tokens[place:end]), tokens[end:]
    if number.startswith(_CURRENCIES):
        return "how much", answer_of(tokens[place:])
    share = _percentage(number, after)
    if share is not None:
        things, sign = share
        return f"what percentage {written(things)}".strip(), f"{number}{sign}"
    if not after or after[0].tag not in ("NOUN", "ADJ", "NAME") or after[0].lower in en.MONTHS:
        return None
    unit = after[0].lower in en.UNITS and len(after) == 1
    return f"how many {written(after)}", answer_of(tokens[place:]) if unit else number


def _percentage(number: str, after: Tokens) -> tuple[Tokens, str] | None:
    """(what it is a share of, the words for the sign) of "61%", "61 percent" and "61 per cent"."""
    first = after[0].lower if after else ""
    if number.endswith("%"):
        return after, ""
    if first == "percent":
        return after[1:], f" {after[0].text}"
    if first == "per" and len(after) > 1 and after[1].lower == "cent":
        return after[2:], f" {written(after[:2])}"
    return None


def named_kind(tokens: Tokens) -> tuple[str, str] | None:
    """(kind, name) of "the town of Vetek", "the river Gakoka" and "a machine called Zadok"; None for others."""
    names = next((place for place, token in enumerate(tokens) if token.tag == "NAME"), 0)
    if not names or any(token.tag != "NAME" or token.title for token in tokens[names:]):
        return None
    before = tokens[names - 1]
    kind = tokens[names - 2] if before.lower in ("of", "called", "named") and names > 1 else before
    return None if kind.tag != "NOUN" or kind.lower.endswith("ness") else (kind.lower, answer_of(tokens[names:]))


def what_kind(tokens: Tokens) -> tuple[str, str] | None:
    """(question words, answer) for what stands before a noun: "what kind of membrane", "double"; None where nothing does."""
    start = next((place for place, token in enumerate(tokens) if token.tag != "DET"), len(tokens))
    head, modifiers = tokens[-1], tokens[start:-1]
    plain = modifiers and all(token.tag in ("ADJ", "NOUN", "NAME") for token in modifiers) and head.tag == "NOUN"
    if not plain or len(modifiers) > _MOST_MODIFIERS or modifiers[0].lower in _VAGUE:
        return None
    if head.lower in en.TIME_NOUNS | {"people"}:
        return None
    return f"what {'' if head.lower in en.ATTRIBUTES else 'kind of '}{head.lower}", answer_of(modifiers)
