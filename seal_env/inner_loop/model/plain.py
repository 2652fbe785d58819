"""What every inner loop needs to know of a model as transformers runs it; asked of the model itself, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from seal_env.errors import ModelError, SealError
from seal_env.inner_loop.model.devices import as_double
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.memory import is_device_failure, is_out_of_memory

ValueT = TypeVar("ValueT")

LIMITS = {torch.bfloat16: 0.1, torch.float16: 0.02}
"""How far two computations of one thing may be apart, relative in the Euclidean norm; 1e-4 for other types.

Two runs of one bf16 model of 16 to 28 layers that differ only in how fp32 sums are ordered are 0.02 to 0.03 apart; what
attends to the wrong tokens is 0.3 apart or more.
"""

ROW, PREFIX = 10, 6

TEXT = (
    "The old lighthouse stands on a small island north of the harbour. It was built of grey stone in the spring of 1874, "
    "and for many years a keeper and his family lived there. Every evening he climbed the stairs, cleaned the glass and lit "
    "the lamp, so that ships could find their way home. Today nobody lives on the island, but visitors come by boat in "
    "summer to see the tower, watch the birds and eat their lunch beside the sea."
)
SHIFT, DISTINCT = 5, 24
"""Tokens from the beginning of one row to that of the next; tokens that a tokenizer must have for the text."""


@dataclass(frozen=True)
class PlainModel:
    """What a model can do.

    Attributes:
        keeps: It computes logits at chosen positions alone.
        caches: It goes on from the keys and values of earlier tokens.
    """

    keeps: bool
    caches: bool


ABLE = PlainModel(keeps=True, caches=True)


def check_plain(base: FrozenLM) -> PlainModel:
    """What the model can do, which is found out once.

    Raises:
        ModelError: The model cannot run on tokens alone, or a token's logits depend on the tokens after it.
    """
    if "plain" not in base.checks:
        base.checks["plain"] = _check(base)
    found: PlainModel = base.checks["plain"]
    return found


@torch.no_grad()
def _check(base: FrozenLM) -> PlainModel:
    ids = sample_ids(base, 2, ROW)
    with refusing(base, "cannot run on tokens alone"):
        whole = base.model(input_ids=ids, use_cache=False).logits
        part = base.model(input_ids=ids[:1, :PREFIX], use_cache=False).logits
        distance = apart(part[0], whole[0, :PREFIX])
    if not distance < LIMITS.get(whole.dtype, 1e-4):
        raise ModelError(
            f"model={base.name!r} ({base.model.config.model_type}) is not causal: logits change by {distance:.1%} with the "
            f"tokens that follow. Use a model that was trained to write from left to right"
        )
    limit = LIMITS.get(whole.dtype, 1e-4)
    kept = _try(lambda: _kept(base, ids))
    continued = _try(lambda: _continued(base, ids))
    return PlainModel(
        kept is not None and kept.shape == whole[:1, 3:6:2].shape and apart(kept, whole[:1, 3:6:2]) < limit,
        continued is not None and apart(continued, whole[0, PREFIX : PREFIX + 2]) < limit,
    )


def _kept(base: FrozenLM, ids: torch.Tensor) -> torch.Tensor:
    at = torch.tensor([3, 5], device=ids.device)
    logits: torch.Tensor = base.model(input_ids=ids[:1], logits_to_keep=at, use_cache=False).logits
    return logits


def _continued(base: FrozenLM, ids: torch.Tensor) -> torch.Tensor:
    """Logits of two tokens after the prefix, [2, vocabulary], each from the keys and values of those before."""
    cache, logits = base.model(input_ids=ids[:1, :PREFIX], use_cache=True).past_key_values, []
    assert cache is not None
    for index in (PREFIX, PREFIX + 1):
        output = base.model(input_ids=ids[:1, index : index + 1], past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        logits.append(output.logits[0, -1])
    return torch.stack(logits)


def _try(work: Callable[[], ValueT]) -> ValueT | None:
    """The value, or None if the model's own code fails, which any error may tell."""
    try:
        return work()
    except Exception as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        return None


@contextmanager
def refusing(base: FrozenLM, what: str, advice: str = "Use another model") -> Iterator[None]:
    """A context in which every error of a model's own code becomes a ModelError; memory and the device excepted."""
    try:
        yield
    except (SealError, Warning):
        raise
    except Exception as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        name = f"model={base.name!r} ({base.model.config.model_type})"
        reason = f"{type(error).__name__}: {error}".strip().split("\n")[0].rstrip(".")
        raise ModelError(f"{name} {what}: {reason}. {advice}") from error


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """How far two tensors are apart, relative to the second, in the Euclidean norm."""
    ours, theirs = as_double(ours.detach()), as_double(theirs.detach())
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-30))


def sample_ids(base: FrozenLM, rows: int, length: int, begin: int = 0) -> torch.Tensor:
    """Some tokens, [rows, length], no row like another; padding is not among them.

    They are plain English after the tokenizer's BOS, if it writes one. In half precision a pretrained model's gradients are
    off by more than their size where it reads what it was never trained on, such as special tokens in a row.

    Args:
        base: The model.
        rows: Rows.
        length: Tokens of a row.
        begin: Another number gives other tokens.
    """
    count, pad = int(base.model.get_input_embeddings().weight.shape[0]), base.tokenizer.pad_token_id
    at = begin + torch.arange(length)[None] + SHIFT * torch.arange(rows)[:, None]
    words = base.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    if len(set(words)) < DISTINCT or max(words) >= count or pad in words:
        legal = [index for index in range(min(count, 48)) if index != pad]
        return torch.tensor(legal, device=base.device)[(at * (at + 3) // 2) % len(legal)]
    ids = torch.tensor(words)[at % len(words)]
    first = base.tokenizer(TEXT)["input_ids"][0]
    if first == base.tokenizer.bos_token_id != pad and first < count:
        ids[:, 0] = first
    return ids.to(base.device)
