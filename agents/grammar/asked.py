"""What a rule asks: a question with its answer, and how useful it is beside others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seal_env.agents.grammar import english_words as en
from seal_env.agents.grammar.sentences import Tokens, written

PLAIN, FURTHER, DESCRIBED, IN_PLACE, DETAIL, REWORDED, GAP = range(7)
"""Ranks of questions, the most useful first: about names, numbers and main parts; about other parts; with a description in
place of a name; with the question word in the middle; about single words; the same in other words; about what is left."""

MOST_WORDS: Final = 32
"""Of a question."""

_NO_ANSWERS: Final = en.words(
    """it he she they them him her this that these those which who one place part addition order example fact result
    end brink way"""
)


@dataclass(frozen=True)
class Asked:
    """A question with its answer. rank: see PLAIN and the others."""

    question: str
    answer: str
    rank: int

    @property
    def is_fine(self) -> bool:
        """False if it is too long, or asks for a pronoun or for nothing."""
        named = bool(self.answer) and self.answer.lower() not in _NO_ANSWERS
        return named and 3 <= len(self.question.split()) <= MOST_WORDS


def answer_of(tokens: Tokens) -> str:
    """The tokens as an answer: without "his" or "their" before them, and signs around them."""
    if len(tokens) > 1 and tokens[0].lower in en.POSSESSIVES:
        tokens = tokens[1:]
    return written(tokens).strip(" ,;:'\u2019")


def is_empty(tokens: Tokens) -> bool:
    """Whether a noun phrase is no answer, such as "a result" or "the end" without anything more."""
    return tokens[-1].lower in _NO_ANSWERS and all(token.tag == "DET" for token in tokens[:-1])
