"""The order in which training examples are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from seal_env.inner_loop.tokens.chat_template import EncodedExample


def seeded_batches(
    examples_E: Sequence[EncodedExample], epochs: int, seed: int, batch_size: int
) -> Iterator[list[EncodedExample]]:
    """Each epoch's batches, in a permutation drawn from (seed + epoch), as Accelerate's seedable sampler draws it."""
    for epoch in range(epochs):
        order = torch.randperm(len(examples_E), generator=torch.Generator().manual_seed(seed + epoch)).tolist()
        for start in range(0, len(order), batch_size):
            yield [examples_E[index] for index in order[start : start + batch_size]]
