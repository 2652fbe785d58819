"""Settings of the commands themselves, beside those of the environment and the agent. No torch here."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from seal_env.errors import SettingError
from seal_env.options import Names, Options

LABEL: Final = r"^[A-Za-z0-9_.,:+()/ -]{1,60}$"
"""What the leaderboard may call an agent."""


class RunSettings(Options):
    """Settings of `seal-env run`."""

    episodes: int | None = Field(None, ge=1)
    """Number of episodes; None is each task of the subset once."""
    seed: int = Field(0, ge=0)
    """Fixes everything random."""


class PlaySettings(Options):
    """Settings of `seal-env play`."""

    task: str | None = None
    """Id of the task; None is the first one in the order that the seed makes."""
    seed: int = Field(0, ge=0)
    """Fixes everything random, for all players alike."""
    against: Names = ("random", "search")
    """Agents that try the same task, separated by commas, as often as you do."""


class EvalSettings(Options):
    """Settings of `seal-env eval`."""

    samples: int = Field(5, ge=1)
    """Self-edits for each task."""
    seed: int = Field(0, ge=0)
    """Fixes everything random."""
    in_call: int = Field(32, ge=1)
    """Episodes whose updates train together."""


class SuiteSettings(Options):
    """Settings of `seal-env eval` for the standard suite."""

    suite: str | None = None
    """Measure on a version of the standard suite (v1), which fixes tasks, seeds and budgets; see docs/leaderboard.md."""
    parts: Names | None = None
    """Parts of the suite, separated by commas; None is all."""
    label: str | None = None
    """What the leaderboard calls the agent; None is its name."""
    trained_on: str | None = None
    """Task set that the policy was trained on. One that shares tasks with the suite is refused."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label is not None and not re.fullmatch(LABEL, self.label):
            raise SettingError("label", self.label, "1 to 60 letters, digits, spaces and any of _ . , : + ( ) / -")
        return self


class TableSettings(Options):
    """Settings of `seal-env reproduce` for a table of agents and policies."""

    seeds: int = Field(3, ge=1)
    """Number of repetitions of the whole experiment."""
    held_out: str | None = None
    """Task set to measure on; None is the preset's."""
    allow_overlap: bool = False
    """Whether tasks to learn from may be among the held-out ones."""
    rows: Names | None = None
    """Rows to measure, separated by commas; None is all of the table."""


class ContinualSettings(Options):
    """Settings of `seal-env reproduce continual`."""

    agents: Names = ("passage_only", "oracle_texts", "local_hf")
    """Agents, separated by commas; each learns the same sequences."""
    designs: Names = ("none",)
    """Ways to retain what was learned, separated by commas (docs/continual.md); each agent gets a row for each of them. A
    finished run can be extended by further ones."""
    sequences: int = 8
    """Sequences for each agent; each begins in the task set where the one before it ended."""
    seed: int = Field(0, ge=0)
    """Fixes everything random."""
    gate: Literal["exact_match", "bits", "kl"] | None = None
    """Undo an update that forgets more than the limit by this measure: exact_match, bits or kl; None is no gate."""
    limit: float = 0.1
    """Of the gate."""
