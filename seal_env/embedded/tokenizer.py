"""The embedded model's tokenizer: byte-level BPE, learned from `english.txt` and from grids; one token a cell.

Each cell (" 7") is a token, and so is each row's beginning with its line break ("\\nb"). Any other text falls back to bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from seal_env.tasks.arc.grid import MAX_SIDE, GridFormat, to_grid

SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
VOCABULARY = 1024
SPLIT = r"\n{1,2}[A-Za-z]+| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s+"
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- if tools %}{{- '<|system|>' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- '<|end|>' }}{%- endif %}"
    "{%- for message in messages %}{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def _texts() -> Iterator[str]:
    """The training text: the sentences, and lettered grids of every width and height."""
    sentences = files("seal_env.embedded").joinpath("english.txt").read_text(encoding="utf-8")
    yield from [sentences] * 40
    rng = np.random.default_rng(0)
    lettered = GridFormat("lettered")
    for _ in range(100):
        grid = to_grid(rng.integers(0, 10, size=(MAX_SIDE, 4)))
        yield f"\n\nInput\n{lettered.write(grid)}\nOutput\n{lettered.write(grid)}"


def build_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    """Learn the tokenizer. Deterministic: equal text gives an equal tokenizer."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
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
