"""Inner loops around another inner loop. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.inner_loop.adapted import adapted_layers
from seal_env.types import AdaptedLayers, Example, InnerLoop, LoraSpec, Recipe, UpdateMethod


class WrappedInnerLoop:
    """Says of updates what the inner loop within says. Subclasses add `run`.

    Args:
        inner: The inner loop within.
    """

    def __init__(self, inner: InnerLoop) -> None:
        self.inner = inner

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """See InnerLoop."""
        return self.inner.count_tokens(examples)

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop."""
        return self.inner.max_tokens(recipe)

    def adapted(self, lora: LoraSpec, method: UpdateMethod) -> AdaptedLayers:
        """See `seal_env.inner_loop.adapted.adapted_layers`."""
        return adapted_layers(self.inner, lora, method)
