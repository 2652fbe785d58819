"""What an experiment works on: an environment, an agent and a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.registry import check_options, get_agent
from seal_env.episodes.runtime import Runtime
from seal_env.experiments.run_folder import with_cache_file
from seal_env.registration import environments
from seal_env.report.terminal import show_result
from seal_env.settings import Settings


@dataclass(frozen=True)
class ExperimentConfig:
    """An environment, an agent's settings, and the folder of an experiment.

    Attributes:
        env: Gymnasium id of the environment.
        overrides: Settings of the environment that are not those of its id.
        options: The agent's own settings; those of the agent `local_hf` where a policy is trained.
        out: The run folder.
        track: Services that get the metrics too: names in `seal_env.report.services.SERVICES`.
        named: Whether somebody has named the folder; otherwise an unfinished run beside it with the same settings is resumed
            instead, and a name that is taken gets a number.
        command: The command line of the experiment, for messages that say how to resume it.
        part: Whether it is a part of a larger one.
    """

    env: str
    overrides: Mapping[str, Any]
    options: Mapping[str, Any]
    out: Path
    track: Sequence[str] = ()
    named: bool = True
    command: Sequence[str] = ()
    part: bool = False

    @property
    def environment(self) -> dict[str, Any]:
        """All settings of the environment that are not defaults."""
        return {**environments()[self.env], **self.overrides}

    def settings(self, **settings: Any) -> Settings:
        """The environment's settings, resolved.

        Unless the settings say otherwise, an episode has one turn, the cache is in the run folder, and answers are decoded
        only where a score depends on their text.

        Args:
            settings: Settings that override the environment's.

        Raises:
            SettingError: For settings that are not legal.
        """
        given = with_cache_file({"max_turns": 1, **self.environment, **settings}, self.out)
        resolved = Settings.resolve(**given)
        if "decode" not in given and not resolved.scores_need_text:
            resolved = Settings.resolve(**given, decode="never")
        return resolved

    def runtime(self, **settings: Any) -> Runtime:
        """The environment's runtime; see `settings`.

        Raises:
            SettingError, UnknownTaskError, TaskError: For settings that are not legal and tasks that do not load.
        """
        return Runtime(self.settings(**settings))

    @property
    def policy(self) -> LocalPolicyOptions:
        """The options of a policy that is trained. Raises SettingError."""
        checked = check_options(get_agent("local_hf"), self.options)
        assert isinstance(checked, LocalPolicyOptions)
        return checked

    def show(self, document: Any, table: Table, console: Console) -> None:
        """Show a result as a table, or as a document of JSON, and the path of the run folder. That of a part is a note."""
        console.print()
        if self.part:
            console.print(table)
        else:
            show_result(console, document, table)
        console.print()
        console.print(f"written   {self.out}", soft_wrap=True, markup=False)
