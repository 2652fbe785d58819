"""The bundled model's tokenizer: byte-level BPE in two stages, words first, then phrases of the prompts; one token a cell.

Each cell (" 7") is a token, and so is each row's beginning with its line break ("\\nb"). Words are learned from
`prompts.txt`, `plain_english.txt` and grids; phrases from `prompts.txt` alone, by merges that may cross words, so that a
sentence of a prompt takes a token or two (SuperBPE, arXiv 2503.13423, has the idea). A digit, "true" and "false" stay tokens
of their own, because there a model decides. Any other text falls back to bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from seal_env.tasks.arc.grid import MAX_SIDE, GridFormat, to_grid

SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
WORD_VOCABULARY = 1664
VOCABULARY = 2048
ROW_START = r"\n[A-Za-z](?= [0-9])"
WORDS = rf"{ROW_START}| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s+"
PHRASES = rf"{ROW_START}| (?:true|false)| ?[0-9]|\n*(?:[^\n0-9 ]| (?![0-9]|true|false))+|\s+"
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- if tools %}{{- '<|system|>' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- '<|end|>' }}{%- endif %}"
    "{%- for message in messages %}{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _texts() -> Iterator[str]:
    """What words are learned from: prompts and self-edits, plain English, lettered grids of every width and height."""
    yield from [_read("prompts.txt")] * 20
    yield from [_read("plain_english.txt")] * 2
    rng = np.random.default_rng(0)
    lettered = GridFormat("lettered")
    for _ in range(100):
        grid = to_grid(rng.integers(0, 10, size=(MAX_SIDE, 4)))
        yield f"\n\nInput\n{lettered.write(grid)}\nOutput\n{lettered.write(grid)}"


def _splitting(tokenizer: Tokenizer, pattern: str) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _learn_words() -> Tokenizer:
    """Byte-level BPE within words."""
    tokenizer = _splitting(Tokenizer(models.BPE()), WORDS)
    trainer = trainers.BpeTrainer(
        vocab_size=WORD_VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return tokenizer


def _join_phrases(words: Tokenizer) -> Tokenizer:
    """More merges, learned from the prompts, that may cross words: the most frequent pair of neighbours each time."""
    learned = json.loads(words.to_str())["model"]
    vocabulary: dict[str, int] = dict(learned["vocab"])
    merges = [tuple(pair) for pair in learned["merges"]]
    pieces = [words.encode(piece).tokens for piece in re.findall(PHRASES, _read("prompts.txt"))]
    while len(vocabulary) < VOCABULARY:
        counts = Counter(pair for piece in pieces for pair in pairwise(piece))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        vocabulary.setdefault("".join(best), len(vocabulary))
        pieces = [_merge(piece, best) for piece in pieces]
    return _splitting(Tokenizer(models.BPE(vocab=vocabulary, merges=merges)), PHRASES)


def _merge(piece: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for token in piece:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged


def build_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    """Learn the tokenizer. Deterministic: equal text gives an equal tokenizer."""
    tokenizer = _join_phrases(_learn_words())
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.decoder = decoders.ByteLevel()
    return for_transformers(tokenizer, max_length)


def for_transformers(tokenizer: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer that knows `SPECIAL_TOKENS`, with their roles and the chat template, as transformers takes it."""
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped
