"""Which self-edits of a round ReST-EM learns from, and what it means if there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from seal_env.agents.evaluation import EvalSample, by_task
from seal_env.types import Outcome

MORE: Final = "more --samples, or easier tasks (--subset)"
NONE_SELECTED: Final[Mapping[str, tuple[str, str]]] = {
    "rewarded": ("none of them solved its task", f"--keep best, {MORE}"),
    "contrast": ("no task was solved by some of its self-edits and not by others", f"--keep rewarded, {MORE}"),
    "gained": ("none of them solved a task that the base model does not solve without an update", f"--keep best, {MORE}"),
    "best": ("none of them had a reward above 0", MORE),
}
"""By the setting `keep`, why nothing was selected, and what to try."""


def choose(samples: Sequence[EvalSample], keep: str) -> list[EvalSample]:
    """Choose the self-edits to learn from. keep: see `RestEmSettings.keep`."""
    chosen: list[EvalSample] = []
    for mine in by_task(samples).values():
        solved = [sample for sample in mine if sample.solved]
        if keep == "best":
            best = max(mine, key=lambda sample: sample.reward)
            chosen += [best] if best.reward > 0 else []
        elif keep == "gained":
            chosen += [sample for sample in solved if sample.accuracy_before < 1]
        elif keep == "rewarded" or len(solved) < len(mine):
            chosen += solved
    return chosen


def selection_in_words(number: int, samples: Sequence[EvalSample], chosen: Sequence[EvalSample], keep: str) -> str:
    """How many self-edits of round `number` were selected; if none was, why, what that means and what to try."""
    if chosen:
        return f"round {number}   selected {len(chosen)} of {len(samples)} self-edits"
    why, advice = NONE_SELECTED[keep]
    outcomes = Counter(sample.outcome for sample in samples)
    if outcomes and Outcome.OK not in outcomes:
        why = f"none of them could be trained ({outcomes.most_common(1)[0][0]})"
        advice = "another --policy-model, more --max-new-tokens, or --constrained for tool calls"
    unchanged = "The policy has nothing to learn from and stays as it is."
    return f"round {number}   selected none of {len(samples)} self-edits: {why}. {unchanged} Try {advice}."
