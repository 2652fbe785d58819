"""Which demonstrations, in which order and under which transformation, the vote puts before the model.

Leave one demonstration out; show the others as they are and in two more orders; then one random prompt of these under each
of five symmetries (arXiv 2506.10943, ARC evaluation). The two orders are different ones, and not the original, as far as
there are so many: 2, 3, 4, 6 demonstrations give 2, 6, 12, 18 prompts, and 7, 11, 17, 23 with the symmetries.
With one demonstration there is nothing to leave out: it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import NamedTuple

import numpy as np

from seal_env.tasks.arc.grid import Grid, GridPair
from seal_env.tasks.arc.transforms import IDENTITY, TRANSFORMS, Transform

SHUFFLES = 2
SYMMETRIES = tuple(TRANSFORMS[name] for name in ("transpose", "flip-0", "flip-1", "rotate-90", "rotate-180"))

Shown = tuple[GridPair, ...]


class VotePrompt(NamedTuple):
    """Demonstrations and test input as shown, and the transformation that they have been through."""

    transform: Transform
    demonstrations: Shown
    test_input: Grid


def vote_prompts(demonstrations: Sequence[GridPair], test_input: Grid, seed: int) -> tuple[VotePrompt, ...]:
    """The prompts for one test input, all different; deterministic in the arguments."""
    rng = np.random.default_rng([seed, 3])
    selections = [tuple(demonstrations[:index]) + tuple(demonstrations[index + 1 :]) for index in range(len(demonstrations))]
    if len(demonstrations) < 2:
        selections = [tuple(demonstrations)]
    shown = list(dict.fromkeys(order for selection in selections for order in _orders(selection, rng)))
    prompts = [VotePrompt(IDENTITY, order, test_input) for order in shown]
    seen = {prompt[1:] for prompt in prompts}
    for transform in SYMMETRIES:
        picked = shown[int(rng.integers(len(shown)))]
        turned = VotePrompt(transform, tuple(map(transform.apply_pair, picked)), transform.apply(test_input))
        if turned[1:] not in seen:  # a symmetric task can look the same
            seen.add(turned[1:])
            prompts.append(turned)
    return tuple(prompts)


def _orders(selection: Shown, rng: np.random.Generator) -> list[Shown]:
    """The selection as it is, then in two more orders, as far as there are."""
    size = len(selection)
    orders = [tuple(range(size))]
    while len(orders) < min(1 + SHUFFLES, factorial(size)):
        order = tuple(rng.permutation(size).tolist())
        if order not in orders:
            orders.append(order)
    return [tuple(selection[index] for index in order) for order in orders]
