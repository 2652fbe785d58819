"""The scores of a game."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from seal_env.report.formats import DASH, number, plain_table, share
from seal_env.report.self_edit_short import self_edit_short
from seal_env.tools.base import Tool

NAMES = {"person": "you", "none": "no update"}


def play_table(result: Mapping[str, Any], tools: Iterable[Tool[Any]]) -> Table:
    """A row for each player: its best self-edit, accuracy in per cent.

    Args:
        result: What `seal_env.experiments.play.play` returned.
        tools: Those of the environment.
    """
    table = plain_table("player", "tries", "accuracy\nin %", "best\nreward", "steps", "best self-edit")
    table.columns[-1].justify, table.columns[-1].overflow = "left", "fold"
    rewards = [each["reward"] for each in result["scores"] if "reward" in each]
    for each in result["scores"]:
        name = NAMES.get(each["player"], each["player"])
        if "reward" not in each:
            table.add_row(name, str(each["tries"]), DASH, DASH, DASH, Text(each["note"], "dim"))
            continue
        won = each["player"] != "none" and each["reward"] == max(rewards) > 0
        table.add_row(
            Text(name, "bold green" if won else ""),
            DASH if each["player"] == "none" else str(each["tries"]),
            share(each["accuracy"]),
            number(each["reward"]),
            str(each["optimizer_steps"]),
            DASH if each["player"] == "none" else Text(self_edit_short(each["self_edit"], tools)),
        )
    return table
