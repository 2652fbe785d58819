"""Steps of many adapters on a GPU as CUDA graphs, since a small model's kernels take less time than their launches.

A graph is recorded for each number of tasks and each length that occurs. Both are rounded up, so that there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from recipes.fast_weights import FastWeights, hidden_states, row_mask
from recipes.precision import half_precision

LENGTH_MULTIPLE = 64
"""Lengths are multiples of it."""


@dataclass(frozen=True)
class Recorded:
    """A graph, what it reads and what it writes."""

    graph: torch.cuda.CUDAGraph
    ids: torch.Tensor
    owners: torch.Tensor
    rates: torch.Tensor
    losses: torch.Tensor


class InnerGraphs:
    """Steps of the first adapters by documents, on CUDA."""

    def __init__(self, model: Any, fast: FastWeights) -> None:
        self.model, self.fast = model, fast
        self._recorded: dict[torch.Size, Recorded] = {}
        self._pool, self._stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def step(self, ids: torch.Tensor, owners: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
        """A step of the first adapters; their losses before it, [tasks], in memory that the next step overwrites.

        Args:
            ids: [tasks, length], on the GPU.
            owners: See `pack_tasks`; of the same shape.
            rates: [tasks].
        """
        if ids.shape not in self._recorded:
            self._recorded[ids.shape] = self._record(ids, owners, rates)
        found = self._recorded[ids.shape]
        for read, given in ((found.ids, ids), (found.owners, owners), (found.rates, rates)):
            read.copy_(given)
        found.graph.replay()
        return found.losses

    def _record(self, ids: torch.Tensor, owners: torch.Tensor, rates: torch.Tensor) -> Recorded:
        """A new graph; the adapters stay as they are."""
        before = [state.clone() for state in self.fast.state]
        inputs = (ids.clone(), owners.clone(), rates.clone())
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            document_step(self.model, self.fast, *inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Another thread pins memory for the next steps, which must not end a recording.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            losses = document_step(self.model, self.fast, *inputs)
        for state, unchanged in zip(self.fast.state, before, strict=True):
            state.copy_(unchanged)
        return Recorded(graph, *inputs, losses)


def document_step(
    model: Any, fast: FastWeights, ids: torch.Tensor, owners: torch.Tensor, rates: torch.Tensor
) -> torch.Tensor:
    """One step of the first adapters by documents, of which all tokens but the first carry loss; the losses, [tasks].

    ids, owners: [tasks, length]; rates: [tasks]. Nothing in it depends on the values, so it can be recorded.
    """
    adapters = fast.leading(len(ids))
    taken = [weight for pair in adapters.values() for weight in pair]
    kept = (owners[:, 1:] == owners[:, :-1]) & (owners[:, 1:] >= 0)
    with half_precision(ids.device):
        hidden = hidden_states(model, ids, adapters, fast.scale, row_mask(owners))[:, :-1]
        logits = functional.linear(hidden, model.model.embed_tokens.weight).float()
    each = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view_as(kept)
    losses = (each * kept).sum(1) / kept.sum(1).clamp(min=1)
    fast.step(torch.autograd.grad(losses.sum(), taken), rates)
    return losses.detach()
