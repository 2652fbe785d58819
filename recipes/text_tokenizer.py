"""The tokenizer of seal-tiny-text: a token for each word of the synthetic passages, a token for each syllable of a name.

Nothing is learned: the words are those of the tables from which passages and questions of the train split are made, the
syllables those of synthetic names. Digits are single. An instruction of the writing prompts is one token. Any other text
falls back to syllables and bytes. Held-out wordings are not looked at; all of their words occur in others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from recipes.tokenizer import SPECIAL_TOKENS, for_transformers
from seal_env.agents.lm.text_styles import STYLES, SYSTEM
from seal_env.tasks.knowledge.synthetic.names import CONSONANTS, VOWELS
from seal_env.tasks.knowledge.synthetic.vocabulary import CLOSINGS, KINDS, MONTHS, NUMBERS, PAIRS

PIECES = r"(?:Question|Answer):| ?[A-Za-z]+| ?[0-9]|\n| ?[^\sA-Za-z0-9]|\s+"
"""How text is cut up before words become tokens."""
SPACE = "Ġ"
"""The space before a word, in the byte-level alphabet."""


def _wordings() -> Iterator[str]:
    """All templates for training, and all words of values."""
    for kind in KINDS:
        yield from (f"The {kind.noun}", f"a {kind.noun} {kind.at} {kind.at.capitalize()}", *kind.opens, *kind.pronouns)
        for relation in kind.relations:
            yield from (*relation.says, *relation.asks, *relation.finds, *relation.known)
    yield from CLOSINGS
    yield from (f"{first} {second}" for first, second in PAIRS.values())
    yield from (MONTHS, "It He She its his her and is", *(unit for _, _, unit in NUMBERS.values()))


def words() -> tuple[str, ...]:
    """Every word with which the passages, questions and texts of the train split are written, names left out."""
    return tuple(sorted({word for text in _wordings() for word in re.findall("[A-Za-z]+", re.sub(r"\{\w+\}", "", text))}))


def build_text_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    """Build the tokenizer. Deterministic."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *alphabet))}
    merges: list[tuple[str, str]] = []

    def merge(first: str, second: str) -> None:
        merges.append((first, second))
        vocabulary.setdefault(first + second, len(vocabulary))

    for consonant, vowel in product(CONSONANTS, VOWELS):
        merge(consonant, vowel)
        merge(consonant.upper(), vowel)
        merge(SPACE, consonant.upper() + vowel)
    for token in ("Question:", "Answer:", *(f"{SPACE}{digit}" for digit in range(10)), *(SPACE + word for word in words())):
        vocabulary.setdefault(token, len(vocabulary))
    for word in words():
        if word[0].isupper():
            vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    sentences = (SYSTEM, *(style.instruction for style in STYLES.values()))
    tokenizer.add_tokens([AddedToken(sentence, normalized=False) for sentence in sentences])
    return for_transformers(tokenizer, max_length)
