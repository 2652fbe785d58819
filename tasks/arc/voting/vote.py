"""The two-attempt vote of the paper's evaluation (arXiv 2506.10943, after the test-time-training code that it builds on).

Answers come in categories: "identity" for prompts as they are, one category for each transformation of the prompt (its
answers already mapped back). One more category, "all", holds them all.

1. Each category casts three votes: for its most common, second and third most common grid. Where there are fewer different
   grids, the votes left over go to the most common one. So a category that agrees gives all three votes to one grid.
2. The two grids with most votes are the attempts; among equals, the one for which more categories voted, then the one
   that was voted for first ("all" and "identity" vote first, then the others as they come).

Ties within a category go to the grid that comes first. Answers that are not a grid do not vote. The same answers in the
same order always give the same attempts.

Left out: the published code gives left-over votes to a grid put together of the category's most common rows (or columns).
Votes are left over only where there are at most two different grids, and then the most common rows are those of the more
common grid. It makes a difference only between two equally common grids, where the published code mixes their rows by
hash order: an answer that nobody gave, and not the same one twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seal_env.tasks.arc.grid import Grid

IDENTITY = "identity"
ALL = "all"
VOTES = 3
ATTEMPTS = 2


def vote(answers: Sequence[tuple[str, Grid | None]]) -> tuple[Grid, ...]:
    """Up to two different grids, the best first, from (category, answer) in order; none if no answer is a grid."""
    categories: dict[str, list[Grid]] = {ALL: [], IDENTITY: []}
    for category, grid in answers:
        if grid is not None:
            categories[ALL].append(grid)
            categories.setdefault(category, []).append(grid)
    ballots = [ballot(grids) for grids in categories.values() if grids]
    votes = Counter(grid for cast in ballots for grid in cast)
    supporters = Counter(grid for cast in ballots for grid in set(cast))
    ranked = sorted(votes, key=lambda grid: (votes[grid], supporters[grid]), reverse=True)  # stable: first voted for, first
    return tuple(ranked[:ATTEMPTS])


def ballot(grids: Sequence[Grid]) -> list[Grid]:
    """The three votes of one category, which has at least one grid; the most common comes first."""
    cast = [grid for grid, _ in Counter(grids).most_common(VOTES)]  # equal counts stay in order of first occurrence
    return cast + [cast[0]] * (VOTES - len(cast))
