"""Measures of forgetting, on teacher-forced gold answers.

These are two of the three measures with which STABLE (arXiv 2510.16089) decides whether to accept an update; the third, the
drop in exact answers, needs an inner loop's answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from seal_env.inner_loop.model.devices import as_double
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.answer import check_length
from seal_env.inner_loop.tokens.chat_template import EncodedQuery
from seal_env.types import Query

BATCH_TOKENS = 2**14
"""Limit on the tokens of a forward pass, padding included, unless one query alone has more."""

BATCH_LOGITS = 2**26
"""Limit on the logits of a forward pass (256 MiB in fp32), unless one query alone has more."""


def gold_bits(model: FrozenLM, queries: Sequence[Query]) -> float:
    """Mean of -log2 p over the tokens of all gold answers, each given the prompt and the gold tokens before it.

    The token that ends an answer counts too.

    Raises:
        ValueError: There are no queries.
        ModelError: A query is too long for the model.
    """
    total, count = 0.0, 0
    for log_odds, gold in _passes(model, queries):
        total -= float(as_double(log_odds.gather(1, gold[:, None])).sum())
        count += len(gold)
    return total / count / math.log(2)


def gold_log_probabilities(model: FrozenLM, queries: Sequence[Query]) -> torch.Tensor:
    """Natural log-probabilities of every token at every position of the gold answers: what `mean_divergence` compares with.

    Returns:
        [positions, vocabulary], in fp32 or better, on the CPU.

    Raises:
        ValueError: There are no queries.
        ModelError: A query is too long for the model.
    """
    return torch.cat([log_odds.cpu() for log_odds, _ in _passes(model, queries)])


def mean_divergence(earlier: torch.Tensor, model: FrozenLM, queries: Sequence[Query]) -> float:
    """Mean over the positions of the gold answers of KL(earlier || now), in bits.

    Args:
        earlier: `gold_log_probabilities` of the same queries.
        model: The model now.
        queries: The queries.

    Raises:
        ValueError: There are no queries, or `earlier` belongs to others.
        ModelError: A query is too long for the model.
    """
    total, start = 0.0, 0
    others = f"earlier, {tuple(earlier.shape)}, is not of these queries' positions and this model's vocabulary"
    for now, gold in _passes(model, queries):
        before = earlier[start : start + len(gold)].to(now)
        if before.shape != now.shape:
            raise ValueError(others)
        start += len(gold)
        total += float(as_double(torch.nn.functional.kl_div(now, before, reduction="none", log_target=True)).sum())
    if start != len(earlier):
        raise ValueError(others)
    return total / start / math.log(2)


def _passes(model: FrozenLM, queries: Sequence[Query]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each batch of queries, in their order: log-probabilities [positions, vocabulary] and gold tokens [positions]."""
    if not queries:
        raise ValueError("there is nothing to measure without queries")
    encoded_Q = [model.encoder.query(query) for query in queries]
    for query, encoded in zip(queries, encoded_Q, strict=True):
        check_length(query, encoded, model.max_tokens)
    for batch in _batches(encoded_Q, model.model.get_output_embeddings().weight.shape[0]):
        yield _read(model, batch)


def _batches(encoded_Q: Sequence[EncodedQuery], vocabulary: int) -> list[list[EncodedQuery]]:
    """Neighbouring queries, as many as fit into a pass."""
    batches: list[list[EncodedQuery]] = []
    for encoded in encoded_Q:
        together = [*(batches[-1] if batches else ()), encoded]
        tokens = len(together) * max(map(_length, together))
        logits = len(together) * len(_answer_positions(together)) * vocabulary
        if batches and tokens <= BATCH_TOKENS and logits <= BATCH_LOGITS:
            batches[-1] = together
        else:
            batches.append([encoded])
    return batches


def _length(encoded: EncodedQuery) -> int:
    return len(encoded.prompt_T) + len(encoded.gold_T) - 1


def _answer_positions(batch: Sequence[EncodedQuery]) -> list[int]:
    """Positions at which the next token of some query is a gold token."""
    return sorted({position for encoded in batch for position in range(len(encoded.prompt_T) - 1, _length(encoded))})


@torch.no_grad()
def _read(model: FrozenLM, batch: Sequence[EncodedQuery]) -> tuple[torch.Tensor, torch.Tensor]:
    """One forward pass. Rows are padded on the right, where causal attention does not look."""
    longest = max(map(_length, batch))
    rows = [[*encoded.prompt_T, *encoded.gold_T[:-1]] for encoded in batch]
    pad = model.pad_id
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=model.device)
    positions = _answer_positions(batch)
    chosen_at = torch.tensor(positions, device=model.device)
    logits = model.model(input_ids=ids, logits_to_keep=chosen_at, use_cache=False).logits
    column_of = {position: column for column, position in enumerate(positions)}
    at = [
        (row, column_of[len(encoded.prompt_T) - 1 + offset])
        for row, encoded in enumerate(batch)
        for offset in range(len(encoded.gold_T))
    ]
    chosen = logits[[row for row, _ in at], [column for _, column in at]]
    gold = torch.tensor([token for encoded in batch for token in encoded.gold_T], device=model.device)
    return chosen.to(torch.promote_types(chosen.dtype, torch.float32)).log_softmax(1), gold
