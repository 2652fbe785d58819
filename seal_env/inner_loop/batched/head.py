"""The output head: cross-entropy, and the greedy choice, at chosen positions only and in pieces of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from seal_env.inner_loop.batched.kernels import find_kernels

LOGITS_AT_ONCE = 2**26
"""Limit on the logits in memory at one time (256 MiB in fp32)."""

TILE = 256
"""Rows that a GPU's matrix product takes at a time."""


def _rows(head: torch.Tensor) -> int:
    return max(1, LOGITS_AT_ONCE // head.shape[0])


def _logits(states: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """[N, width] -> [N, vocabulary], in fp32 at least."""
    return (states @ head.T).to(torch.promote_types(head.dtype, torch.float32))


def _change(
    states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, losses: torch.Tensor
) -> torch.Tensor:
    """The gradient of the logits, [N, vocabulary]; the losses [N] are written."""
    log_odds = _logits(states, head).log_softmax(1)
    losses.copy_(-log_odds.gather(1, labels[:, None]).squeeze(1))
    odds = log_odds.exp_()
    odds.scatter_add_(1, labels[:, None], -torch.ones_like(labels[:, None], dtype=odds.dtype))
    return odds.mul_(shares[:, None]).to(head.dtype)


@dataclass(frozen=True)
class Anchor:
    """What the model said before the update, which is to stay much the same.

    Attributes:
        states: Its last hidden states, [N, width].
        weights: Of KL(before || now) at each position, [N].
    """

    states: torch.Tensor
    weights: torch.Tensor

    def change(
        self, part: slice, states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient of the logits, [n, vocabulary], and the losses, [n], at some of the positions.

        Args:
            part: Which ones.
            states: Of the model now, there alone, as all that follows.
            head: The output head.
            labels: Labels.
            shares: Shares.
        """
        now, before = _logits(states, head).log_softmax(1), _logits(self.states[part], head).log_softmax(1)
        weights, odds = self.weights[part].to(now), before.exp()
        losses = -now.gather(1, labels[:, None]).squeeze(1) + weights * (odds * (before - now)).sum(1)
        gradient = (1 + weights[:, None]) * now.exp() - weights[:, None] * odds
        gradient.scatter_add_(1, labels[:, None], -torch.ones_like(labels[:, None], dtype=gradient.dtype))
        return gradient.mul_(shares[:, None]).to(head.dtype), losses


class _CrossEntropy(torch.autograd.Function):
    """Gradients are computed with the loss, a sum, so that no logits are stored; the head's only if it is trained."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        head: torch.Tensor,
        labels: torch.Tensor,
        shares: torch.Tensor,
        anchor: Anchor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        exact = torch.promote_types(head.dtype, torch.float32)
        losses = torch.empty(len(states), dtype=exact, device=states.device)
        gradient = torch.empty_like(states)
        head_gradient = torch.zeros_like(head, dtype=exact) if ctx.needs_input_grad[1] else None
        kernels = find_kernels("head", head.device) if exact == torch.float32 and anchor is None else None
        rows = _rows(head) if kernels is None else max(TILE, 2 * _rows(head) // TILE * TILE)
        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            if anchor is not None:
                change, losses[part] = anchor.change(part, states[part], head, labels[part], shares[part])
            elif kernels is None:
                change = _change(states[part], head, labels[part], shares[part], losses[part])
            else:  # in place of the logits, without a copy in fp32
                change = states[part] @ head.T
                kernels.cross_entropy_in_place(change, labels[part], shares[part], losses[part])
            gradient[part] = change @ head
            if head_gradient is not None:
                head_gradient += change.T @ states[part]
        ctx.save_for_backward(gradient, None if head_gradient is None else head_gradient.to(head.dtype))
        shared = losses * shares
        ctx.mark_non_differentiable(shared)
        return shared.sum(), shared

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, head_gradient = ctx.saved_tensors
        scale = gradients[0].to(gradient.dtype)
        return gradient * scale, None if head_gradient is None else head_gradient * scale, None, None, None


def cross_entropy(
    states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, anchor: Anchor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses [N] of hidden states [N, width] against labels [N], each times its share [N]: (their sum, themselves).

    head is [vocabulary, width]. Only the sum has a gradient. With an anchor its divergence is part of the losses.
    """
    total, losses = _CrossEntropy.apply(states, head, labels, shares, anchor)  # type: ignore[no-untyped-call]
    return total, losses


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
