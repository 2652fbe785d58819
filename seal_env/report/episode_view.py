"""One episode as text: how it ended, what the agent wrote, and the losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from seal_env.report.episode_tables import accuracy_change, failure
from seal_env.report.formats import DASH, duration, metric_heading, number, plural
from seal_env.report.self_edit_short import self_edit_short
from seal_env.tools.base import Tool

LONGEST_ACTION: Final = 4000
"""Characters of an action that are shown."""
BARS: Final = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
MOST_BARS: Final = 60


def episode_view(record: Mapping[str, Any], tools: Sequence[Tool[Any]], metrics: Sequence[str]) -> RenderableType:
    """An episode from its line of episodes.jsonl.

    Args:
        record: The line.
        tools: Those of the environment.
        metrics: Names of the domain's further measures.
    """
    parts: list[RenderableType] = [Text("\n".join(_facts(record, tools, metrics)))]
    for turn, action in enumerate(record["actions"]):
        reward = number(record["rewards"][turn])
        parts.append(Text(f"\nturn {turn + 1}: {record['outcomes'][turn]}, reward {reward}", "bold"))
        written = str(action)
        cut = f" ... ({len(written):,} characters)" if len(written) > LONGEST_ACTION else ""
        parts.append(Padding(Text(f"{written[:LONGEST_ACTION]}{cut}"), (0, 0, 0, 2), expand=False))
        if record["reasons"][turn]:
            parts.append(Padding(Text(record["reasons"][turn], "yellow"), (0, 0, 0, 2), expand=False))
    return Group(*parts)


def _facts(record: Mapping[str, Any], tools: Sequence[Tool[Any]], metrics: Sequence[str]) -> Iterator[str]:
    yield f"episode   {record['episode']}: {record['task_id']}"
    yield f"outcome   {failure(record) or record['outcome']}"
    yield f"reward    {number(record['reward'])}"
    yield f"accuracy  {accuracy_change(record)}"
    for name in metrics:
        before, after = number(record.get(f"{name}_before")), number(record.get(f"{name}_after"))
        if before != DASH or after != DASH:
            yield f"{metric_heading(name):<9} {before} -> {after}"
    if "sequence" not in record and record.get("correct_after") is not None:
        before, after = sum(record["correct_before"]), sum(record["correct_after"])
        yield f"queries   {before} of {len(record['correct_after'])} right before the update, {after} after it"
    if (written := self_edit_short(record.get("self_edit", ()), tools)) and "sequence" not in record:
        yield f"self-edit {written}"
    if record.get("optimizer_steps"):
        trained = f"{plural(record['optimizer_steps'], 'step')} on {plural(record['examples'], 'example')}"
        yield f"trained   {trained}, {record['training_tokens']:,} tokens"
    if losses := [loss for loss in record.get("losses", ()) if loss is not None]:
        yield f"loss      {losses[0]:.3f} -> {losses[-1]:.3f}  {curve(losses)}"
    yield f"took      {duration(sum(record['timings'].values()))}"


def curve(values: Sequence[float], most: int = MOST_BARS) -> str:
    """Values as bars of eight heights, from the least to the greatest one; beyond `most`, bars are means of neighbours."""
    count = min(most, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means), max(means)
    return "".join(BARS[round((each - low) / (high - low) * (len(BARS) - 1))] if high > low else BARS[0] for each in means)
