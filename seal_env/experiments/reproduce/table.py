"""`seal-env reproduce arc` and `seal-env reproduce knowledge`: the paper's tables, on one machine.

Rows are agents that learn nothing (no update, the passage alone, templates), untrained self-edits, the same after GRPO and
after ReST-EM, and a search for each held-out task's own self-edit, which is the oracle. Every part is a run of
`seal-env eval` or `seal-env train`, or a journal, in a folder of its own: what was killed goes on with the same command.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from seal_env.agents.evaluation import EvalSample, by_task, read_samples
from seal_env.agents.trainers.outer_settings import GRPO, REST_EM, SEARCH, UNTRAINED, EvalSettings
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.experiments.outer_loops import Where, evaluate, train_grpo, train_rest_em
from seal_env.experiments.reproduce.presets import Preset
from seal_env.intervals import Interval, bootstrap_crossed
from seal_env.journal import Journal, write_whole
from seal_env.report.result_tables import reproduction_table
from seal_env.store import FILE_NAME

Accuracies = Mapping[str, float]
"""Mean accuracy of the updated model by task; a task that the machine failed is missing."""


class Reproduction:
    """One table, in the folder `where.out`. Its environment's settings go before those of the preset."""

    def __init__(self, preset: Preset, seeds: int, rows: Sequence[str], where: Where, console: Console) -> None:
        """seeds: how often everything is repeated. rows: which of the preset's. Raises SettingError."""
        if seeds < 1:
            raise SettingError("seeds", seeds, "at least 1")
        for row in rows:
            if row not in preset.rows:
                raise SettingError("rows", row, " or ".join(map(repr, preset.rows)))
        shared = {"cache_file": str(where.out / FILE_NAME)}
        environment = {**shared, **preset.environment, **where.environment}
        self.preset, self.seeds, self.rows, self.console = preset, seeds, tuple(rows), console
        self.where = replace(where, environment=environment)

    def run(self) -> dict[str, Any]:
        """The table; what table.json holds. Raises SealError; what is finished stays in the folder."""
        measure: dict[str, Callable[[int], Accuracies]] = {
            row: partial(self._agent, agent) for row, agent in self.preset.agents.items()
        }
        measure |= {UNTRAINED: self._untrained, GRPO: self._grpo, REST_EM: self._rest_em, SEARCH: self._search}
        found: dict[str, list[Accuracies]] = {row: [] for row in self.preset.rows if row in self.rows}
        for seed in range(self.seeds):
            for row, accuracies in found.items():
                accuracies.append(measure[row](seed))
        table = {"preset": asdict(self.preset), "seeds": self.seeds, "rows": compare(found), "seconds": self._seconds()}
        write_whole(self.where.out / "table.json", json.dumps(table, indent=1))
        self.console.print(reproduction_table(table))
        self.console.print(f"written   {self.where.out}", soft_wrap=True, markup=False)
        return table

    def _part(self, seed: int, row: str, **environment: Any) -> Where:
        return replace(
            self.where,
            environment={**self.where.environment, **environment},
            out=self.where.out / f"seed-{seed}" / row,
        )

    def _agent(self, agent: str, seed: int) -> Accuracies:
        """An agent that learns nothing: one self-edit for each task."""
        where = replace(self._part(seed, agent, subset=self.preset.held_out), options={})
        with self._timed(seed, agent):
            evaluate(agent, EvalSettings(samples=1, seed=seed), where, self.console)
        return accuracies(read_samples(Journal(where.out / "samples.jsonl")))

    def _untrained(self, seed: int) -> Accuracies:
        """What ReST-EM, or GRPO if there is no ReST-EM, measures before it begins."""
        if REST_EM in self.rows:
            return self._held_out(self._train_rest_em(seed) / "round-0")
        return self._held_out(self._train_grpo(seed) / "before")

    def _rest_em(self, seed: int) -> Accuracies:
        return self._held_out(self._train_rest_em(seed) / f"round-{self.preset.rest_em.rounds}")

    def _train_rest_em(self, seed: int) -> Path:
        where = self._part(seed, REST_EM, subset=self.preset.learn_on)
        with self._timed(seed, REST_EM):
            train_rest_em(replace(self.preset.rest_em, seed=seed), self.preset.held_out, where, self.console)
        return where.out

    def _grpo(self, seed: int) -> Accuracies:
        return self._held_out(self._train_grpo(seed) / "after")

    def _train_grpo(self, seed: int) -> Path:
        where = self._part(seed, GRPO, subset=self.preset.learn_on)
        with self._timed(seed, GRPO):
            train_grpo(replace(self.preset.grpo, seed=seed), self.preset.held_out, where, self.console)
        return where.out

    def _search(self, seed: int) -> Accuracies:
        """A search for each task, what is finished in a journal. Accuracy is with seeds that were not searched with."""
        from seal_env.agents.search.tpe import search_tasks  # here: Optuna is an extra

        where = self._part(seed, SEARCH, subset=self.preset.held_out, reward="accuracy")
        runtime = where.runtime()
        where.begin({"command": "search", "seed": seed, **asdict(self.preset.search)}, runtime)
        runtime.load()
        journal = Journal(where.out / "found.jsonl")
        with self._timed(seed, SEARCH):
            found = search_tasks(runtime, SealEnv(runtime=runtime).action_space, self.preset.search, seed, journal)
        return {each.task_id: each.reward for each in found if not math.isnan(each.reward)}

    @staticmethod
    def _held_out(folder: Path) -> Accuracies:
        return accuracies(read_samples(Journal(folder / "held-out.jsonl")))

    @contextmanager
    def _timed(self, seed: int, part: str) -> Iterator[None]:
        """Note what a part takes. What was killed is not counted; what has been finished already takes next to nothing."""
        began = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - began, 1)
        Journal(self.where.out / "seconds.jsonl").append({"seed": seed, "row": part, "seconds": seconds})

    def _seconds(self) -> dict[str, float]:
        spent: dict[str, float] = {}
        for record in Journal(self.where.out / "seconds.jsonl").read():
            spent[record["row"]] = spent.get(record["row"], 0.0) + record["seconds"]
        return spent


def accuracies(samples: Sequence[EvalSample]) -> Accuracies:
    """Mean accuracy by task."""
    return {task: float(np.mean([sample.accuracy for sample in mine])) for task, mine in by_task(samples).items()}


def compare(found: Mapping[str, Sequence[Accuracies]]) -> dict[str, Any]:
    """For each row: accuracy, by how much it is above the untrained self-edits task by task, and each seed's accuracy.

    A task that the machine failed in one of the seeds is left out of the intervals of that row.
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
