"""The frozen output head: cross-entropy, and the greedy choice, at chosen positions only and in pieces of bounded memory."""

from __future__ import annotations

from typing import Any

import torch

LOGITS_AT_ONCE = 2**26
"""Logits that are held at one time (256 MiB in fp32)."""


def _rows(head: torch.Tensor) -> int:
    return max(1, LOGITS_AT_ONCE // head.shape[0])


def _logits(states: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """[N, width] -> [N, vocabulary], in fp32 at least."""
    return (states @ head.T).to(torch.promote_types(head.dtype, torch.float32))


class _CrossEntropy(torch.autograd.Function):
    """The head never learns, so the gradient of the hidden states is made together with the loss; no logits are kept."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        losses = []
        gradient = torch.empty_like(states)
        rows = _rows(head)
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            log_odds = _logits(states[part], head).log_softmax(1)
            at_label = labels[part, None]
            losses.append(-log_odds.gather(1, at_label).squeeze(1))
            odds = log_odds.exp_()
            odds.scatter_add_(1, at_label, -torch.ones_like(at_label, dtype=odds.dtype))
            gradient[part] = (odds * shares[part, None]).to(head.dtype) @ head
        ctx.save_for_backward(gradient)
        return torch.cat(losses) * shares

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0][:, None].to(gradient.dtype), None, None, None


def cross_entropy(states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Losses [N] of hidden states [N, width] against labels [N], each times its share [N]; head is [vocabulary, width]."""
    losses: torch.Tensor = _CrossEntropy.apply(states, head, labels, shares)  # type: ignore[no-untyped-call]
    return losses


@torch.no_grad()
def choose(states: torch.Tensor, head: torch.Tensor, gold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The greedy token [N] after hidden states [N, width], and by how much the gold token [N] beats its best rival [N]."""
    chosen, margins = [], []
    rows = _rows(head)
    for start in range(0, len(states), rows):
        part = slice(start, start + rows)
        logits = _logits(states[part], head)
        chosen.append(logits.argmax(1))
        at_gold = logits.gather(1, gold[part, None]).squeeze(1)
        margins.append(at_gold - logits.scatter_(1, gold[part, None], -torch.inf).amax(1))
    return torch.cat(chosen), torch.cat(margins)
