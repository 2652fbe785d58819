"""Plain sequences for seal-tiny: an endless stream of `mini` tasks of the train split, rendered as for the inner loop.

Each batch is a function of (seed, step) alone, so training resumes exactly. Rule instances of the eval split never occur;
no ARC task of any set is read. Loss falls on every output grid from the second demonstration on: an output can only be
known once one pair has been seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from recipes.step_data import IGNORED, Row
from seal_env.tasks.arc.grid import GridFormat
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.rules import Shape, draw_task
from seal_env.tasks.arc.prompt import example

OUTPUTS = re.compile(r"Output(\n.*?)\n\nInput|<\|assistant\|>(.*?<\|end\|>)", re.DOTALL)


@dataclass(frozen=True)
class StreamSettings:
    """One batch: `tasks` sequences of at most `max_tokens`.

    Curriculum: grids up to 4 a side for `small_steps`, then 5; from `wide_from` on, a `wide_share` of the tasks has grids up
    to `wide_side`.
    """

    tasks: int = 32
    max_tokens: int = 448
    small_steps: int = 800
    wide_from: int = 1600
    wide_share: float = 0.25
    wide_side: int = 9
    seed: int = 0


def batch_rows(tokenizer: PreTrainedTokenizerFast, settings: StreamSettings, step: int) -> list[Row]:
    """Rows (token ids, labels) of one step, shortest first."""
    rng = np.random.default_rng([settings.seed, step])
    lettered = GridFormat("lettered")
    rows: list[Row] = []
    while len(rows) < settings.tasks:
        wide = step >= settings.wide_from and rng.random() < settings.wide_share
        shape = Shape(max_side=settings.wide_side if wide else 4 if step < settings.small_steps else 5)
        _, pairs = draw_task(rng, "train", shape, tuple(GENERAL_FAMILIES), demonstrations=(2, 3) if wide else (3, 5))
        chat = [{"role": m.role, "content": m.content} for m in example(pairs[:-1], pairs[-1], lettered).messages]
        text = str(tokenizer.apply_chat_template(chat, tokenize=False))
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if len(encoded["input_ids"]) <= settings.max_tokens:
            rows.append((encoded["input_ids"], _labels(text, encoded["input_ids"], encoded["offset_mapping"])))
    return sorted(rows, key=lambda row: len(row[0]))


def _labels(text: str, ids: list[int], offsets: list[tuple[int, int]]) -> list[int]:
    """The ids inside outputs, each grid with the token that ends it; IGNORED elsewhere and for the first output."""
    spans = [match.span(1) if match.group(1) is not None else match.span(2) for match in OUTPUTS.finditer(text)][1:]
    keep = [any(start <= begin <= end for start, end in spans) for begin, _ in offsets]
    return [token if loss else IGNORED for token, loss in zip(ids, keep, strict=True)]


def to_tensors(rows: list[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded (ids, labels), both [rows, longest]. Causal attention needs no mask for padding on the right."""
    lengths = np.asarray([len(ids) for ids, _ in rows])
    filled = np.arange(lengths.max()) < lengths[:, None]
    padded = []
    for part, padding in enumerate((pad, IGNORED)):
        tokens = np.fromiter(chain.from_iterable(row[part] for row in rows), dtype=np.int64, count=int(lengths.sum()))
        padded.append(np.full(filled.shape, padding, dtype=np.int64))
        padded[-1][filled] = tokens
    return torch.from_numpy(padded[0]), torch.from_numpy(padded[1])
