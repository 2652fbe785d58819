"""What a shell offers for the value of an option: environments, agents, task sets, tools, run folders. No torch here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from seal_env.agents.registry import agents
from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import DEFAULT_DOMAIN, domains, get_domain
from seal_env.errors import SealError
from seal_env.experiments.run_folder import SETTINGS
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.registration import environments

Values = Mapping[str, str]
"""Values by name, each with a line that shells other than bash show beside it."""
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _specs(context: click.Context) -> Iterable[DomainSpec]:
    """The domain that the options so far choose; all where none of them does."""
    chosen = context.params
    if chosen.get("domain"):
        return [get_domain(chosen["domain"])]
    if "env" in chosen and chosen["env"] in environments():
        return [get_domain(environments()[chosen["env"]].get("domain", DEFAULT_DOMAIN))]
    return domains().values()


def _agents(_: click.Context) -> Values:
    return {name: spec.summary for name, spec in agents().items()}


def _task_sets(context: click.Context) -> Values:
    return {name: entry.description for spec in _specs(context) for name, entry in spec.tasksets.items()}


def _tasks(context: click.Context) -> Values:
    """The tasks of the set that is chosen, or of those that learn by default."""
    found: dict[str, str] = {}
    for spec in _specs(context):
        default = environments().get(context.params.get("env") or "", {}).get("subset", spec.train_set)
        taskset = spec.load(context.params.get("subset") or default, spec.options())
        found |= dict.fromkeys(taskset.task_ids, "")
    return found


def _tools(context: click.Context) -> Values:
    return {tool.name: tool.description for spec in _specs(context) for tool in spec.tools}


def _rewards(context: click.Context) -> Values:
    from seal_env.domains.rewards import REWARDS

    return dict.fromkeys((*REWARDS, *(spec.partial_metric for spec in _specs(context))), "")


def _graders(_: click.Context) -> Values:
    from seal_env.tasks.knowledge.grading.registry import GRADERS

    return dict.fromkeys(GRADERS, "")


def _inner_loops(_: click.Context) -> Values:
    from seal_env.inner_loop import INNER_LOOPS
    from seal_env.inner_loop.workers.remote import REMOTE_INNER_LOOPS

    return dict.fromkeys((*INNER_LOOPS, *REMOTE_INNER_LOOPS), "")


def _suites(_: click.Context) -> Values:
    from seal_env.experiments.suite.definition import load_suite, suite_names

    return {name: load_suite(name).summary for name in suite_names()}


def _parts(context: click.Context) -> Values:
    from seal_env.experiments.suite.definition import load_suite, suite_names

    return dict.fromkeys(load_suite(context.params.get("suite") or suite_names()[-1]).parts, "")


def _rows(context: click.Context) -> Values:
    from seal_env.experiments.reproduce.presets import TABLES

    presets = TABLES[str(context.info_name)].presets
    chosen = presets.get(context.params.get("preset") or "", next(iter(presets.values())))
    return {name: row.label for name, row in chosen.rows.items()}


def _designs(_: click.Context) -> Values:
    from seal_env.experiments.reproduce.designs import PARTS

    return {name: part.summary for name, part in PARTS.items()}


def _forms(_: click.Context) -> Values:
    from seal_env.agents.lm.served.forms import FORMS

    return dict.fromkeys(FORMS, "")


def _styles(_: click.Context) -> Values:
    from seal_env.agents.lm.text_styles import ALL_STYLES

    return {name: style.summary for name, style in ALL_STYLES.items()}


_MODELS: Final = dict.fromkeys(MODEL_DIRECTORIES, "bundled with seal-env")
_VALUES: Final[Mapping[str, Callable[[click.Context], Values]]] = {
    "agent": _agents,
    "against": _agents,
    "agents": _agents,
    "domain": lambda _: {spec.name: spec.summary for spec in domains().values()},
    "subset": _task_sets,
    "held_out": _task_sets,
    "trained_on": _task_sets,
    "sets": _task_sets,
    "task": _tasks,
    "task_id": _tasks,
    "tools": _tools,
    "reward": _rewards,
    "grader": _graders,
    "inner_loop": _inner_loops,
    "model": lambda _: _MODELS,
    "policy_model": lambda _: {"same": "the base model of the environment", **_MODELS},
    "device": lambda _: {"auto": "CUDA where there is one", "cpu": "", "cuda": "", "mps": ""},
    "suite": _suites,
    "parts": _parts,
    "rows": _rows,
    "designs": _designs,
    "forms": _forms,
    "mix": _styles,
}
_LISTS: Final = frozenset(("against", "agents", "tools", "parts", "rows", "designs", "forms", "mix"))
"""Options whose names are separated by commas."""
_FILES: Final = {"out": "dir", "save_adapters": "dir", "policy_adapter": "dir", "self_edit": "file", "cache_file": "file"}
"""What the shell itself completes, by option."""
_PATHS: Final = frozenset(("subset", "held_out", "sets", "model", "policy_model"))
"""Options that take a path, too: it is completed where no name fits."""


def completer(option: str) -> Completer | None:
    """What a shell offers for the value of an option, given by the name of its value; None for nothing."""
    if option in _FILES:
        return lambda context, parameter, incomplete: [CompletionItem(incomplete, type=_FILES[option])]
    if option not in _VALUES:
        return None

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if option in _LISTS else ("", "", incomplete)
        values: Values = {}
        with suppress(SealError, KeyError):  # it is said when the command is run
            values = _VALUES[option](context)
        taken = before.split(",")
        fit = {name: text for name, text in values.items() if name.startswith(last) and name not in taken}
        if not fit and option in _PATHS:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(f"{before}{comma}{name}", help=text or None) for name, text in fit.items()]

    return complete


def run_folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The run folders in runs/, or in the folder that is typed in, the newest first; any folder if there is none."""
    parent = Path(os.path.dirname(incomplete) or "runs")
    found = [(path.stat().st_mtime, str(path.parent)) for path in parent.glob(f"*/{SETTINGS}")]
    fit = [CompletionItem(name) for _, name in sorted(found, reverse=True) if name.startswith(incomplete)]
    return fit or [CompletionItem(incomplete, type="dir")]
