"""What no rule has asked for yet: a part of a sentence with the question word where the answer was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.asked import GAP, IN_PLACE, Asked, answer_of, is_empty
from seal_env.agents.grammar.clause import in_mid_sentence
from seal_env.agents.grammar.clauses import without_quotes
from seal_env.agents.grammar.noun_phrases import Span, head_of, noun_phrases, with_attached, with_coordinated
from seal_env.agents.grammar.passage_reader import Subject
from seal_env.agents.grammar.question_words import is_time, number_in, who
from seal_env.agents.grammar.sentences import Tokens, as_sentence, written

LEAST_WORDS: Final = 8
MOST_WORDS: Final = 28
_REFERRING: Final = en.REFERRING | en.OBJECT_PRONOUNS | {"such"}
_BREAKS: Final = frozenset((";", ":", "\u2014", "\u2013", "(", ")", "[", "]"))


def asked_for_gaps(sentences: Iterable[Tokens], known: Iterable[str], subject: Subject) -> list[Asked]:
    """Questions for names, numbers and things of tagged sentences that are no answer among `known`."""
    done = {answer.casefold() for answer in known}
    found: list[Asked] = []
    for sentence in sentences:
        for part in _parts(without_quotes(sentence)):
            for asked in _of_part(part, subject):
                if asked.answer.casefold() not in done:
                    done.add(asked.answer.casefold())
                    found.append(asked)
    return found


def _parts(sentence: Tokens) -> Iterator[Tokens]:
    """The sentence in parts that stand between brackets, dashes and semicolons."""
    start = 0
    for place, token in enumerate(sentence):
        if token.text in _BREAKS or token.text in (".", "?", "!"):
            yield sentence[start:place]
            start = place + 1
    yield sentence[start:]


def _of_part(part: Tokens, subject: Subject) -> Iterator[Asked]:
    if not part or part[0].lower in _REFERRING:
        return
    for span in noun_phrases(part):
        if any(token.title for token in span.of(part)) and len(span.of(part)) < 4:
            continue
        possessor = next((place for place in range(span.start, span.end) if part[place].tag == "POSS"), None)
        if possessor is not None:
            yield from _gap(part, Span(span.start, possessor + 1), "whose", answer_of(part[span.start : possessor]))
        for wider in dict.fromkeys((with_coordinated(part, with_attached(part, span)), span)):
            answer = wider.of(part)
            named = any(token.tag in ("NAME", "NUM") for token in answer)
            if is_empty(answer) or head_of(answer).tag == "PRON" or not (named or wider == with_attached(part, span)):
                continue
            numbered = number_in(answer)
            if numbered is not None:
                yield from _gap(part, wider, *numbered)
            else:
                word = "when" if is_time(answer) else who(answer, human=False, subject=subject)
                start = (
                    wider.start - 1
                    if word == "when" and wider.start and part[wider.start - 1].lower in ("in", "on")
                    else wider.start
                )
                yield from _gap(part, Span(start, wider.end), word, answer_of(answer))


def _gap(part: Tokens, span: Span, word: str, answer: str) -> Iterator[Asked]:
    start, end = _window(part, span)
    while start < span.start and part[start].tag in ("PUNCT", "CONJ", "SUB", "ADV"):
        start += 1
    before, after = in_mid_sentence(part[start : span.start]), part[span.end : end]
    question = as_sentence(f"{written(before)} {word} {written(after)}", "?")
    named = any(token.tag in ("NAME", "NUM") for token in span.of(part))
    if start < span.start and part[start].tag in ("VERB", "AUX"):
        return
    if LEAST_WORDS <= len(question.split()) <= MOST_WORDS + 2:
        yield Asked(question, answer, IN_PLACE if named else GAP)


def _window(part: Tokens, span: Span) -> tuple[int, int]:
    """What of the part is asked: all of it, or if that is too long what stands between commas around the answer."""
    if len(part) <= MOST_WORDS:
        return 0, len(part)
    commas = [-1, *(place for place, token in enumerate(part) if token.text == ","), len(part)]
    left, right = (max(each for each in commas if each < span.start), min(each for each in commas if each >= span.end))
    while right - left < LEAST_WORDS + 1 and (left > -1 or right < len(part)):
        if left > -1:
            left = max(each for each in commas if each < left)
        else:
            right = min(each for each in commas if each > right)
    return left + 1, right
