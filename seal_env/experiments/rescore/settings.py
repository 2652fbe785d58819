"""With what stored episodes are scored: the settings that the run had, and those that take their place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import seal_env
from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import get_domain
from seal_env.domains.rewards import Reward
from seal_env.episodes.runtime import Runtime
from seal_env.errors import RunFolderError, SealError, SettingError
from seal_env.experiments.run_folder import Tables, with_cache_file
from seal_env.experiments.stored_episodes import StoredJournal
from seal_env.settings import Settings
from seal_env.tasks.knowledge.grading.registry import name_of

UNUSED: Final = ("cache", "cache_file", "evaluator", "evaluator_url", "evaluator_model", "save_adapters")
"""Settings of a run on which scores do not depend."""
OF_JUDGES: Final = ("grader_model", "grader_url")


@dataclass(frozen=True)
class Changes:
    """What takes the place of a run's own settings of scoring; None is the run's own.

    Attributes:
        grader: A grader's name or a function; of custom tasks their metric.
        reward: A reward's name or a function.
        reward_over: See `Settings.reward_over`.
        grader_model: Of a judge.
        grader_url: Of a judge.
    """

    grader: str | Callable[..., Any] | None = None
    reward: str | Reward | None = None
    reward_over: str | None = None
    grader_model: str | None = None
    grader_url: str | None = None

    def apply(self, recorded: Mapping[str, Any], spec: DomainSpec) -> dict[str, Any]:
        """The recorded settings with these changes.

        Raises:
            SettingError: For a grader where there is none to choose, and a function of the run that is not given again.
        """
        found = dict(recorded)
        if self.grader is not None:
            if not spec.grading:
                raise SettingError("grader", self.grader, f"None: there is none to choose where domain={spec.name!r}")
            found = {name: value for name, value in found.items() if name not in OF_JUDGES}
            found[spec.grading] = _guarded("grader", self.grader)
        if self.reward is not None:
            found["reward"] = _guarded("reward", self.reward)
        for name in ("reward_over", *OF_JUDGES):
            if (value := getattr(self, name)) is not None:
                found[name] = value
        for name, argument in (("reward", "reward"), (spec.grading, "grader")):
            if ":" in str(value := found.get(name)) and isinstance(value, str):
                raise SettingError(argument, value, "given again: the run folder has the name of a function, and no more")
        return found


class Scorers(NamedTuple):
    """What scores the episodes of a journal. own: as the run did; None if a judge or a function did. No model is loaded."""

    new: Runtime
    own: Runtime | None


def scorers(tables: Tables, journal: StoredJournal, changes: Changes, out: Path) -> Scorers:
    """With what the episodes of a journal are scored again.

    Args:
        tables: Of settings.toml.
        journal: The episodes.
        changes: To the run's settings.
        out: The file for the result; a judge's verdicts are cached beside it.

    Raises:
        SettingError, UnknownTaskError, TaskError: For settings that are not legal and tasks that do not load.
    """
    recorded = {name: value for name, value in tables["environment"].items() if name not in UNUSED}
    if journal.held_out:
        recorded["subset"] = tables["run"]["held_out"]
    spec = get_domain(recorded["domain"])
    if spec.grading and journal.grader:
        recorded[spec.grading] = journal.grader  # the default depends on the task set
    new = Runtime(Settings.resolve(**with_cache_file(changes.apply(recorded, spec), out.parent)))
    return Scorers(new, new if changes == Changes() and not new.settings.options.asks_judge else _own(recorded))


def _own(recorded: Mapping[str, Any]) -> Runtime | None:
    try:
        settings = Settings.resolve(**recorded, cache="off")
    except SettingError:  # a function, of which there is the name alone, or something that is registered no longer
        return None
    return None if settings.options.asks_judge else Runtime(settings)


def check_recorded(folder: Path, tables: Tables, other_version: bool) -> None:
    """Refuse a run that cannot be scored again.

    Raises:
        RunFolderError: For a run of another version, and one whose wrong answers were not decoded.
    """
    version = tables.get("versions", {}).get("seal-env", "an unknown version")
    if version != seal_env.__version__ and not other_version:
        reason = "its tasks may have been others (--other-version takes it all the same)"
        raise RunFolderError(f"{str(folder)!r} was recorded by seal-env {version}, this is {seal_env.__version__}: {reason}")
    if tables.get("environment", {}).get("decode") == "never":
        raise RunFolderError(
            f"{str(folder)!r} holds no wrong answers, because of decode='never': record with decode='failed'"
        )


def _guarded(field: str, value: Any) -> Any:
    """A function whose errors name it, if `value` is one: it may need what is not on record."""
    if not callable(value):
        return value

    @functools.wraps(value)
    def call(*given: Any) -> Any:
        try:
            return value(*given)
        except SealError:
            raise
        except Exception as error:
            legal = f"a pure function of what is on record; it raised {type(error).__name__}: {error}"
            raise SettingError(field, name_of(value), legal) from error

    return call
