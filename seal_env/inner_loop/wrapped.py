"""Inner loops around another inner loop. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seal_env.inner_loop.adapted import adapted_layers
from seal_env.types import AdaptedLayers, Example, InnerLoop, LoraSpec, Recipe, UpdateMethod

if TYPE_CHECKING:
    from seal_env.inner_loop.model.frozen_lm import FrozenLM


def hold(inner_loop: InnerLoop, holder: object) -> None:
    """Have an inner loop keep its workers, if it has any, until this holder and all others have released them."""
    if (method := getattr(inner_loop, "hold", None)) is not None:
        method(holder)


def release(inner_loop: InnerLoop, holder: object) -> None:
    """See `hold`."""
    if (method := getattr(inner_loop, "release", None)) is not None:
        method(holder)


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

    def hold(self, holder: object) -> None:
        """See `hold` above."""
        hold(self.inner, holder)

    def release(self, holder: object) -> None:
        """See `hold` above."""
        release(self.inner, holder)


def model_of(inner_loop: InnerLoop) -> FrozenLM | None:
    """The base model of an inner loop or of that within it; None for one that names none."""
    while isinstance(inner_loop, WrappedInnerLoop):
        inner_loop = inner_loop.inner
    return getattr(inner_loop, "base", None)
