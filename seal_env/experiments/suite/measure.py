"""`seal-env eval --suite`: an agent on every part of the standard suite, in a run folder that can be resumed."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gymnasium
from rich.console import Console

from seal_env.agents.base import Agent
from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import EvalSample, read_samples, sample_tasks, starts
from seal_env.agents.registry import check_options, get_agent, make_agent, missing_requirement
from seal_env.domains.overlap import refuse_overlap
from seal_env.domains.registry import load_taskset
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, TaskError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import Episodes, evaluate
from seal_env.experiments.open_run import open_run
from seal_env.experiments.reproduce.continual import TIMINGS, reproduce_continual
from seal_env.experiments.run_folder import FINISHED
from seal_env.experiments.settings import ContinualSettings, EvalSettings, SuiteSettings
from seal_env.experiments.suite.definition import MACHINE, OF_MODEL, Part, Suite, load_suite
from seal_env.experiments.suite.entry import FORMAT, TRAINED, Cost, Entry, Evidence, Row, journal_digest, row_of
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop.wrapped import model_of
from seal_env.journal import Journal, write_whole
from seal_env.redaction import redacted, redacted_message
from seal_env.report.formats import plural
from seal_env.report.result_tables import suite_table
from seal_env.store import FILE_NAME

RESULTS: Final = "results.json"
SAMPLES: Final = "samples.jsonl"
SECONDS: Final = "seconds.jsonl"


def run_suite(agent_name: str, chosen: SuiteSettings, config: ExperimentConfig, console: Console) -> dict[str, Any]:
    """Measure an agent on a version of the suite.

    Args:
        agent_name: A registered name, or "package.module:Class".
        chosen: The suite, and what the leaderboard says of the agent.
        config: The agent's own settings, settings that the suite leaves open, and the run folder.
        console: Where progress and the result are shown.

    Returns:
        The content of results.json: an entry of the leaderboard, see `seal_env.experiments.suite.entry`.

    Raises:
        SettingError: For a setting that would change what is measured, and a part or a suite that does not exist.
        SealError: Finished episodes stay in the folder.
    """
    assert chosen.suite is not None
    suite = load_suite(chosen.suite)
    _refuse_changes(suite, config.overrides)
    names = _parts(suite, chosen.parts)
    options = check_options(get_agent(agent_name), config.options)
    parts, where = plural(len(names), "part"), config.out if config.named else f"{config.out.parent}/"
    text = f"begin     eval {agent_name} on suite {suite.name}, {parts}: {', '.join(names)}; results in {where}"
    console.print(text, soft_wrap=True, markup=False)
    about = {"suite": suite.name, "digest": suite.digest, "label": chosen.label, "trained_on": chosen.trained_on}
    first = next(iter(suite.parts.values()))  # whatever the parts, so that a run can be extended by others
    begun = replace(config, env=first.env, overrides=first.environment(config.overrides))
    run = {"command": "eval suite", "agent": agent_name, **about}
    with open_run(begun, run, console, options, {"parts": list(names)}) as opened:
        opened.begin()
        inside = replace(config, out=opened.config.out, named=True, command=(), part=True)
        measured = _Suite(suite, agent_name, chosen, inside, console)
        rows, missing, failed = measured.rows([name for name in suite.parts if name in names or measured.has(name)])
        entry = measured.entry(rows, missing, options.model_dump(mode="json"), config.command)
        write_whole(opened.config.out / RESULTS, json.dumps(entry, indent=1) + "\n")
        opened.config.show(entry, suite_table(entry, suite.parts), console)
        opened.finish(failed)
    return entry


def _refuse_changes(suite: Suite, overrides: Mapping[str, Any]) -> None:
    for name, value in overrides.items():
        if name in OF_MODEL and overrides.get("model") in (None, *(part.model for part in suite.parts.values())):
            if name != "model":
                raise SettingError(name, value, f"nothing with the bundled models, unless suite={suite.name!r} is left out")
        elif name not in MACHINE | OF_MODEL:
            refuse(suite.name, name, value)


def refuse(suite: str, name: str, value: object) -> None:
    """Raise SettingError for a setting that a suite fixes."""
    legal = f"nothing: suite={suite!r} fixes what is measured (open are the agent, its options, model and device)"
    raise SettingError(name, value, legal)


def _parts(suite: Suite, given: Sequence[str] | None) -> tuple[str, ...]:
    for name in given or ():
        if name not in suite.parts:
            raise SettingError("parts", name, " or ".join(map(repr, suite.parts)))
    return tuple(name for name in suite.parts if not given or name in given)


@dataclass(frozen=True)
class _Measured:
    """What is measured: the agent, what it was trained on, its settings and the suite's folder."""

    agent: str
    trained_on: str | None
    config: ExperimentConfig
    console: Console


class _Suite:
    """The parts of a suite in an open folder. learns: the agent learns from the rewards of what it is measured on."""

    def __init__(self, suite: Suite, agent: str, chosen: SuiteSettings, config: ExperimentConfig, console: Console) -> None:
        self.suite, self.agent, self.chosen, self.console = suite, agent, chosen, console
        self.config = replace(config, overrides={"cache_file": str(config.out / FILE_NAME), **config.overrides})
        self.learns = False

    def has(self, name: str) -> bool:
        """Whether a part was measured already."""
        return (self.config.out / name / FINISHED).exists()

    def rows(self, names: Sequence[str]) -> tuple[dict[str, Row], dict[str, str], int]:
        """(the parts that are whole, why the agent does not work in others, number of infrastructure failures)."""
        rows: dict[str, Row] = {}
        missing: dict[str, str] = {}
        failed = 0
        of = _Measured(self.agent, self.chosen.trained_on, self.config, self.console)
        for number, name in enumerate(names, 1):
            part = self.suite.parts[name]
            count = plural(part.sequences or len(part.tasks) * part.samples, "episode")
            self.console.print(f"{name}, part {number} of {len(names)}: {count}", soft_wrap=True, markup=False)
            measured = _Part(name, part, of)
            reason = measured.missing()
            if reason:
                missing[name] = reason
                self.console.print(f"left out  {name}: {reason}", soft_wrap=True, markup=False)
                continue
            self.learns |= measured.learns
            failures = measured.run()
            failed += failures
            if not failures:
                rows[name] = measured.row()
        if not rows and not failed:
            raise SettingError("agent", self.agent, f"one that works in {' or '.join(names)}")
        return rows, missing, failed

    def entry(
        self, rows: Mapping[str, Row], missing: Mapping[str, str], options: dict[str, Any], command: Sequence[str]
    ) -> dict[str, Any]:
        """What results.json holds."""
        from seal_env.inner_loop.cache.key import ENGINE_VERSION  # here: it imports torch
        from seal_env.inner_loop.model.device import describe_device

        device = str(self.config.overrides.get("device", "auto"))
        return Entry(
            format=FORMAT,
            suite=self.suite.name,
            digest=self.suite.digest,
            label=self.chosen.label or self.agent,
            agent=self.agent,
            options=redacted({name: without_folders(value) for name, value in options.items()}),
            learns=self.learns,
            trained_on=self.chosen.trained_on,
            command=shown_command(command, self.suite.name, self.agent),
            versions=package_versions(),
            engine=ENGINE_VERSION,
            machine=describe_device(device, str(self.config.overrides.get("inner_loop", "batched"))),
            parts=dict(rows),
            not_applicable=dict(missing),
        ).model_dump(mode="json")


class _Part:
    """One part for one agent."""

    def __init__(self, name: str, part: Part, of: _Measured) -> None:
        self.name, self.part, self.of = name, part, of
        settings = part.environment(of.config.overrides)
        self.config = replace(of.config, env=part.env, overrides=settings, out=of.config.out / name)
        self.base = Journal(of.config.out / "base" / f"{name}.jsonl")
        self.fingerprint: str | None = None
        self.written: Agent | None = None

    @property
    def learns(self) -> bool:
        """Whether the agent learns from the rewards of what it is measured on."""
        return self.written is not None and self.written.learns

    def missing(self) -> str:
        """Why the agent does not work here; empty if it does, and then the base model is measured.

        Raises:
            TaskError: For tasks that are not those of the suite.
            SettingError: For a model that cannot take all of them, and a policy that was trained on them.
        """
        env: gymnasium.Env[str, str] = gymnasium.make(self.part.env, disable_env_checker=True, **self.config.overrides)
        try:
            runtime: Runtime = env.unwrapped.runtime  # type: ignore[attr-defined]
            self.part.check_tasks(runtime.settings)
            context = AgentContext.of(env, self.part.seed)
            if reason := missing_requirement(self.of.agent, context):
                return reason
            self._check_training(runtime)
            runtime.load()
            if len(runtime.taskset) < len(self.part.tasks):
                left = next(task for task in self.part.tasks if task not in runtime.taskset.task_ids)
                reason = runtime.problem_of(runtime.all_tasks[left])
                raise SettingError(
                    "model", runtime.settings.model, f"one that takes task {left!r} of {self.name!r}. {reason}"
                )
            self._measure_base(runtime, context)
            self.written = make_agent(self.of.agent, context, **self.config.options)
        finally:
            env.close()
        return ""

    def _check_training(self, runtime: Runtime) -> None:
        """Raise SettingError for a policy that was trained on a task of this part, or does not say on which ones."""
        trained_on = self.of.trained_on
        if not trained_on and (given := [name for name in TRAINED if self.config.options.get(name)]):
            raise SettingError("trained_on", None, f"the task set that {given[0]} was trained on")
        if trained_on:
            used = runtime.settings
            refuse_overlap(used.spec, load_taskset(used.spec, trained_on, used.options), runtime.all_tasks)

    def _measure_base(self, runtime: Runtime, context: AgentContext) -> None:
        if (base := model_of(runtime.inner_loop)) is not None:
            from seal_env.inner_loop.model.fingerprint import fingerprint_anywhere  # here: it imports torch

            self.fingerprint = fingerprint_anywhere(base.model, base.tokenizer)
        if not self.part.sequences:
            episodes = starts(runtime.taskset.task_ids, 1, self.part.seed)
            sample_tasks(runtime, make_agent("none", context), episodes, self.part.in_call, self.base)

    def run(self) -> int:
        """Measure what is not measured yet; the number of infrastructure failures."""
        part, console = self.part, self.of.console
        if part.sequences:
            settings = ContinualSettings(agents=(self.of.agent,), sequences=part.sequences, seed=part.seed)
            table = reproduce_continual(settings, self.config, console)
            return part.sequences - int(table["rows"][self.of.agent]["sequences"])
        plan = EvalSettings(samples=part.samples, seed=part.seed, in_call=part.in_call)
        report = evaluate(self.of.agent, plan, self.config, console, by_round, _Clock(self.config.out / SECONDS))
        return int(report["failed"]) + sum(sample.failed for sample in read_samples(self.base))

    def row(self) -> Row:
        """The part's row."""
        path = self.config.out / (f"{self.of.agent}.jsonl" if self.part.sequences else SAMPLES)
        digest = journal_digest(path.read_bytes())
        evidence = evidence_of(self.part, path, self.base.path, digest)
        about = {"model": self.config.overrides["model"], "fingerprint": self.fingerprint}
        return row_of(self.part, about, self._cost(path), evidence)

    def _cost(self, path: Path) -> Cost:
        counts, actions = _written(self.part, path)
        times = Journal(self.config.out / (TIMINGS if self.part.sequences else SECONDS))
        seconds = sum(record["seconds"] for record in times.read())
        assert self.written is not None
        written = [self.written.tokens_written(action) for action in actions]
        known = [count for count in written if count is not None]
        return Cost(
            **counts,
            policy_tokens=sum(known) if len(known) == len(written) else None,
            seconds=round(seconds, 3),
        )


def _written(part: Part, path: Path) -> tuple[dict[str, int], list[str]]:
    """(what the updates in a part's journal cost, all actions in it). Raises RunFolderError for a damaged one."""
    steps, tokens, actions = list[int](), list[int](), list[str]()
    if part.sequences:
        for record in Journal(path).read():
            steps += record["steps"]
            tokens += record["tokens"]
            actions += record["actions"]
    else:
        for sample in read_samples(Journal(path)):
            steps.append(sample.steps)
            tokens.append(sample.tokens)
            actions += sample.actions
    trained = sum(count for count, taken in zip(tokens, steps, strict=True) if taken)
    counts = {"updates": sum(count > 0 for count in steps), "steps": sum(steps), "example_tokens": trained}
    return counts, actions


def evidence_of(part: Part, path: Path, base: Path, digest: str) -> Evidence:
    """What is in the journal of a part, and in that of the base model. Raises RunFolderError for damaged ones."""
    success: dict[str, list[float]] = {}
    updated: dict[str, list[bool]] = {}
    before: dict[str, float] = {}
    if part.sequences:
        for record in Journal(path).read():
            key, matrix = str(record["number"]), record["retention"]
            success[key] = [sum(matrix[-1]) / len(matrix[-1])]
            before[key] = sum(matrix[0]) / len(matrix[0])
            updated[key] = [outcome == "ok" for outcome in record["outcomes"]]
    else:
        for sample in sorted(read_samples(Journal(path)), key=lambda each: each.number):
            success.setdefault(sample.task_id, []).append(sample.accuracy)
            updated.setdefault(sample.task_id, []).append(sample.outcome == "ok")
        before = {sample.task_id: sample.accuracy for sample in read_samples(Journal(base))}
    return Evidence(journal=digest, success=success, base=before, updated=updated)


def check_evidence(name: str, part: Part, row: Row, path: Path, base: Path) -> None:
    """Check that a part's row was made of these journals.

    Raises:
        TaskError: If it was not.
        RunFolderError: If a journal is damaged.
    """
    if not path.is_file() or journal_digest(path.read_bytes()) != row.evidence.journal:
        raise TaskError(f"{name}: {path.name} is not the journal that the entry was made of")
    if evidence_of(part, path, base, row.evidence.journal) != row.evidence:
        raise TaskError(f"{name}: the evidence is not what {path.name} holds")
    for field, count in _written(part, path)[0].items():
        if getattr(row.cost, field) != count:
            raise TaskError(f"{name}: cost.{field} is not what {path.name} holds")


def by_round(episodes: Episodes) -> Episodes:
    """The first episode of every task, then the second of every task: an agent that learns can learn between them."""
    return sorted(episodes, key=lambda each: each[0])


class _Clock:
    """Writes the wall time of each batch into a journal, so that what a stopped run took counts as well."""

    def __init__(self, path: Path) -> None:
        self._path, self._began = path, time.perf_counter()

    def __call__(self, samples: Sequence[EvalSample]) -> None:
        now = time.perf_counter()
        Journal(self._path).append({"episodes": len(samples), "seconds": round(now - self._began, 3)})
        self._began = now


def shown_command(command: Sequence[str], suite: str, agent: str) -> str:
    """The command line, without the program's path, folders of this machine, the run folder and secrets."""
    given = list(command[command.index("eval") :]) if "eval" in command else ["eval", "--suite", suite, "--agent", agent]
    while "--out" in given:
        at = given.index("--out")
        del given[at : at + 2]
    safe = (
        redacted_message(each) if "://" in each else str(redacted(without_folders(each)))
        for each in given
        if not each.startswith("--out=")
    )
    return shlex.join(("seal-env", *safe))


def without_folders(value: Any) -> Any:
    """An option or a word of a command, where each absolute path is relative to the working directory, or a name alone."""
    if isinstance(value, list):
        return [without_folders(each) for each in value]
    if not isinstance(value, str) or not value.strip():
        return value
    option, equals, given = value.partition("=") if value.startswith("--") else ("", "", value)
    return option + equals + ",".join(map(_shown_path, given.split(",")))


def _shown_path(text: str) -> str:
    path = Path(text)
    if "\n" in text or not path.is_absolute():
        return text
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
