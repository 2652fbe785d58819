"""`seal-env reproduce arc` and `seal-env reproduce knowledge`: the paper's tables.

Rows are agents that do not learn (no update, the passage alone), self-edits of the policy before training, after GRPO and
after ReST-EM, and an upper bound: a search for each held-out task's own self-edit, or the generator's own texts. Every part
is a run of `seal-env eval` or `seal-env train`, or a journal, in a folder of its own. Resumable: rerun the same command.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import EvalSample, by_task, mean_cost, metric_by_task, read_samples
from seal_env.agents.registry import make_agent
from seal_env.domains.overlap import refuse_overlap
from seal_env.domains.registry import load_taskset
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import evaluate
from seal_env.experiments.open_run import open_run
from seal_env.experiments.reproduce.chosen import best_of, best_template
from seal_env.experiments.reproduce.presets import GRPO, REST_EM, SEARCH, UNTRAINED, Preset, Row
from seal_env.experiments.run_folder import FINISHED
from seal_env.experiments.settings import EvalSettings
from seal_env.experiments.train import train_grpo, train_rest_em
from seal_env.intervals import Interval, bootstrap_crossed
from seal_env.journal import Journal, write_whole
from seal_env.report.formats import duration
from seal_env.report.progress import Progress
from seal_env.report.result_tables import reproduction_table
from seal_env.report.work import Work
from seal_env.settings import Settings
from seal_env.store import FILE_NAME

Accuracies = Mapping[str, float]
"""Mean accuracy of the updated model by task; tasks with infrastructure failures only are missing."""


class Measured(NamedTuple):
    """One row for one seed.

    Attributes:
        accuracies: By task.
        metrics: Means of the domain's further measures by task, by name.
        failed: Number of infrastructure failures.
        steps: Mean number of optimizer steps of an update; nan if it is not known.
    """

    accuracies: Accuracies
    metrics: Mapping[str, Mapping[str, float]]
    failed: int = 0
    steps: float = math.nan

    @classmethod
    def of(cls, samples: Sequence[EvalSample]) -> Measured:
        """What the samples of an evaluation come to."""
        names = dict.fromkeys(name for sample in samples for name in sample.metrics)
        metrics = {name: metric_by_task(samples, name) for name in names}
        failed = sum(sample.failed for sample in samples)
        return cls(accuracies(samples), metrics, failed, mean_cost(samples).get("steps", math.nan))


class Reproduction:
    """One table.

    Args:
        preset: What is measured.
        seeds: Number of repetitions of everything.
        rows: Names of the rows to measure; None is all of the preset's.
        config: Overrides and options go before the preset's; the folder is the table's.
        console: Where progress and the table are shown.
        allow_overlap: Whether tasks to learn from may be among the held-out ones.

    Raises:
        SettingError: For a row that the preset does not have, no seed, task sets that share tasks, or GRPO of a policy whose
            sampling is constrained.
    """

    def __init__(
        self,
        preset: Preset,
        seeds: int,
        rows: Sequence[str] | None,
        config: ExperimentConfig,
        console: Console,
        allow_overlap: bool = False,
    ) -> None:
        if seeds < 1:
            raise SettingError("seeds", seeds, "at least 1")
        for row in rows or ():
            if row not in preset.rows:
                raise SettingError("rows", row, " or ".join(map(repr, preset.rows)))
        overrides = {**preset.overrides, **config.overrides}
        self.preset, self.seeds, self.console = preset, seeds, console
        self.config = replace(config, overrides=overrides, options={**preset.policy, **config.options})
        wanted = {name: row for name, row in preset.rows.items() if rows is None or name in rows}
        self.rows = [name for name, row in wanted.items() if self._can_be_measured(row, named=rows is not None)]
        if GRPO in self.rows and self.config.policy.constrained:
            raise SettingError("constrained", True, f"False where {GRPO!r} is a row: TRL samples from the whole vocabulary")
        self.allow_overlap = allow_overlap
        self._work = Work(dict.fromkeys(map(self._part_of, self.rows), seeds))
        self._begun: set[tuple[int, str]] = set()
        chooses = any(row.templates for name, row in wanted.items() if name in self.rows)
        if not allow_overlap and (chooses or {UNTRAINED, GRPO, REST_EM} & set(self.rows)):
            used = Settings.resolve(**self.config.environment)
            train, held_out = (load_taskset(used.spec, name, used.options) for name in (preset.train_set, preset.held_out))
            refuse_overlap(used.spec, train, held_out)

    def _can_be_measured(self, row: Row, named: bool) -> bool:
        """Whether the agent of an optional row can be made for the held-out tasks. Raises SettingError if it is named."""
        if row.agent is None or not row.optional:
            return True
        runtime = self.config.runtime(subset=self.preset.held_out)
        try:
            make_agent(row.agent, AgentContext.of(SealEnv(runtime=runtime)), **row.options)
        except SettingError:
            if named:
                raise
            return False
        return True

    def run(self) -> dict[str, Any]:
        """Measure the table.

        Returns:
            The content of table.json.

        Raises:
            SealError: What is finished stays in the folder.
        """
        run = {"command": "reproduce", "preset": json.dumps(self.preset.record()), "allow_overlap": self.allow_overlap}
        extent = {"seeds": self.seeds, "rows": list(self.rows)}
        with open_run(self.config, run, self.console, self.config.policy, extent) as opened:
            opened.begin()
            out = opened.config.out
            overrides = {"cache_file": str(out / FILE_NAME), **self.config.overrides}
            self.config = replace(opened.config, overrides=overrides, named=True, command=(), part=True)
            found = self._measured()
            table = self._table(found)
            write_whole(out / "table.json", json.dumps(table, indent=1))
            opened.config.show(table, reproduction_table(table), self.console)
            opened.finish(sum(each.failed for measured in found.values() for each in measured))
        return table

    def _measured(self) -> dict[str, list[Measured]]:
        """Each row's measurements, seed by seed."""
        measure: dict[str, Callable[[int], Measured]] = {
            name: partial(self._agent, name, row) for name, row in self.preset.rows.items() if row.agent is not None
        }
        measure |= {UNTRAINED: self._untrained, GRPO: self._grpo, REST_EM: self._rest_em, SEARCH: self._search}
        found: dict[str, list[Measured]] = {row: [] for row in self.rows}
        for seed in range(self.seeds):
            for row, measured in found.items():
                measured.append(measure[row](seed))
        return found

    def _table(self, found: Mapping[str, Sequence[Measured]]) -> dict[str, Any]:
        compared = compare({row: [each.accuracies for each in measured] for row, measured in found.items()})
        rows = {
            name: {
                "label": self.preset.rows[name].label,
                **row,
                "metrics": metric_means(found[name]),
                "steps": _mean_steps(found[name]),
            }
            for name, row in compared.items()
        }
        return {"preset": self.preset.record(), "seeds": self.seeds, "rows": rows, "seconds": self._seconds()}

    def _part_of(self, row: str) -> str:
        """The part in which a row is measured: the untrained policy is measured where it is or would be trained."""
        return (GRPO if GRPO in self.rows and REST_EM not in self.rows else REST_EM) if row == UNTRAINED else row

    def _part(self, seed: int, row: str, **environment: Any) -> ExperimentConfig:
        overrides = {**self.config.overrides, **environment}
        return replace(self.config, overrides=overrides, out=self.config.out / f"seed-{seed}" / row)

    def _agent(self, name: str, row: Row, seed: int) -> Measured:
        """An agent that does not learn: one self-edit for each task, after a choice where the row has one to make."""
        assert row.agent is not None
        config = replace(self._part(seed, name, subset=self.preset.held_out), options=row.options)
        with self._timed(seed, name):
            settings = EvalSettings(samples=row.best_of, seed=seed, in_call=self.preset.in_call)
            if row.best_of > 1:
                return Measured.of(best_of(row.agent, settings, config, self.console))
            if row.templates:
                chosen = best_template(row.agent, row.templates, self.preset.train_set, settings, config, self.console)
                config = replace(config, options={**row.options, **chosen}, out=config.out / "held-out")
            evaluate(row.agent, settings, config, self.console)
        return Measured.of(read_samples(Journal(config.out / "samples.jsonl")))

    def _untrained(self, seed: int) -> Measured:
        """The policy as ReST-EM measures it before the first round, or GRPO if that alone is a row."""
        if self._part_of(UNTRAINED) == GRPO:
            return self._held_out(self._train_grpo(seed) / "before")
        return self._held_out(self._train_rest_em(seed) / "round-0")

    def _rest_em(self, seed: int) -> Measured:
        return self._held_out(self._train_rest_em(seed) / f"round-{self.preset.rest_em.rounds}")

    def _train_rest_em(self, seed: int) -> Path:
        config = self._part(seed, REST_EM, subset=self.preset.train_set)
        with self._timed(seed, REST_EM):
            settings = self.preset.rest_em.model_copy(update=self._update(seed))
            untrained_only = REST_EM not in self.rows
            train_rest_em(settings, self.preset.held_out, config, self.console, untrained_only)
        return config.out

    def _update(self, seed: int) -> dict[str, Any]:
        return {"seed": seed, "allow_overlap": self.allow_overlap}

    def _grpo(self, seed: int) -> Measured:
        return self._held_out(self._train_grpo(seed) / "after")

    def _train_grpo(self, seed: int) -> Path:
        config = self._part(seed, GRPO, subset=self.preset.train_set)
        with self._timed(seed, GRPO):
            settings = self.preset.grpo.model_copy(update=self._update(seed))
            train_grpo(settings, self.preset.held_out, config, self.console)
        return config.out

    def _search(self, seed: int) -> Measured:
        """A search for each task; what is finished is in a journal. Accuracy is measured with seeds that chose nothing."""
        from seal_env.agents.search.per_task import search_tasks  # here: Optuna is an extra

        config = self._part(seed, SEARCH, subset=self.preset.held_out, reward="accuracy")
        run = {"command": "search", "seed": seed, **self.preset.search.model_dump()}
        with open_run(config, run, self.console) as opened, self._timed(seed, SEARCH):
            runtime = config.runtime()
            runtime.load()
            opened.begin(runtime)
            journal = Journal(config.out / "found.jsonl")
            space, count = SealEnv(runtime=runtime).action_space, len(runtime.taskset) * self.preset.search.episodes
            with Progress(self.console, Work({SEARCH: count}), "self-edits") as progress:

                def report(done: int) -> None:
                    if progress.begun:
                        progress.reach(done)
                    else:
                        progress.begin(SEARCH, SEARCH, count, done)

                found = search_tasks(runtime, space, self.preset.search, seed, journal, report)
            failed = sum(each.failed for each in found)
            opened.finish(failed)
        return Measured({each.task_id: each.reward for each in found if not math.isnan(each.reward)}, {}, failed)

    @staticmethod
    def _held_out(folder: Path) -> Measured:
        return Measured.of(read_samples(Journal(folder / "held-out.jsonl")))

    @contextmanager
    def _timed(self, seed: int, part: str) -> Iterator[None]:
        """Record the seconds of a part. Parts that were killed are not counted; finished ones take next to nothing."""
        finished = (self.config.out / f"seed-{seed}" / part / FINISHED).exists()
        first = (seed, part) not in self._begun
        if first:
            self._begun.add((seed, part))
            self._work.skip(part, 0)
            (done, parts), so_far = self._work.counts, f"{duration(self._work.elapsed)} so far, {self._work.in_words()}"
            text = f"part      {done + 1} of {parts}: seed {seed}, {part}; {so_far}"
            self.console.print(text, soft_wrap=True, markup=False)
        began = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - began, 1)
        if first:
            (self._work.skip if finished else self._work.count)(part, 1)
        Journal(self.config.out / "seconds.jsonl").append({"seed": seed, "row": part, "seconds": seconds})

    def _seconds(self) -> dict[str, float]:
        spent: dict[str, float] = {}
        for record in Journal(self.config.out / "seconds.jsonl").read():
            spent[record["row"]] = spent.get(record["row"], 0.0) + record["seconds"]
        return spent


def accuracies(samples: Sequence[EvalSample]) -> Accuracies:
    """Mean accuracy by task."""
    return {task: float(np.mean([sample.accuracy for sample in mine])) for task, mine in by_task(samples).items()}


def _mean_steps(seeds: Sequence[Measured]) -> float | None:
    """Mean number of optimizer steps of an update; None if it is not known."""
    known = [mine.steps for mine in seeds if not math.isnan(mine.steps)]
    return float(np.mean(known)) if known else None


def metric_means(seeds: Sequence[Measured]) -> dict[str, Any]:
    """Further measures of a row: means over seeds and tasks, with their intervals."""
    means: dict[str, Any] = {}
    for name in dict.fromkeys(name for mine in seeds for name in mine.metrics):
        tasks = sorted({task for mine in seeds for task in mine.metrics.get(name, {})})
        values_SN = np.array([[mine.metrics.get(name, {}).get(task, math.nan) for task in tasks] for mine in seeds])
        if not np.isnan(values_SN).any(axis=0).all():
            means[name] = bootstrap_crossed(values_SN)._asdict()
    return means


def compare(found: Mapping[str, Sequence[Accuracies]]) -> dict[str, Any]:
    """Compare the rows of a table.

    Args:
        found: The accuracies of each seed, by row.

    Returns:
        For each row: accuracy, gain over the untrained self-edits (paired by task), and each seed's accuracy. A task without
        an accuracy in one of the seeds is excluded from the intervals of that row.
    """
    tasks = sorted({task for seeds in found.values() for mine in seeds for task in mine})
    values = {
        row: np.array([[mine.get(task, math.nan) for task in tasks] for mine in seeds]) for row, seeds in found.items()
    }
    rows: dict[str, Any] = {}
    for row, values_SN in values.items():
        above: Interval | None = None
        if UNTRAINED in values and row != UNTRAINED:
            above = bootstrap_crossed(values_SN - values[UNTRAINED])
        rows[row] = {
            "accuracy": bootstrap_crossed(values_SN)._asdict(),
            "above_untrained": None if above is None else above._asdict(),
            "by_seed": np.nanmean(values_SN, axis=1).tolist(),
        }
    return rows
