"""`seal-env eval`: an agent measured, in a run folder that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console

from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import EvalSample, sample_tasks, starts, summary
from seal_env.agents.registry import check_options, get_agent, make_agent
from seal_env.agents.rollouts import Start
from seal_env.envs.env import SealEnv
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.open_run import open_run
from seal_env.experiments.settings import EvalSettings
from seal_env.journal import Journal, write_whole
from seal_env.report.progress import Progress
from seal_env.report.result_tables import evaluation_table
from seal_env.report.work import Work

SELF_EDITS: Final = "self-edits"

Episodes = Sequence[tuple[int, Start]]
"""See `starts`."""


def evaluate(
    agent_name: str,
    settings: EvalSettings,
    config: ExperimentConfig,
    console: Console,
    arranged: Callable[[Episodes], Episodes] = lambda episodes: episodes,
    after: Callable[[Sequence[EvalSample]], None] = lambda samples: None,
) -> dict[str, Any]:
    """Measure an agent.

    Args:
        agent_name: A registered name, or "package.module:Class".
        settings: How much is measured.
        config: The environment, the agent's settings and the run folder.
        console: Where progress and the result are shown.
        arranged: The episodes -> the same in the order in which they are run.
        after: Called after each batch with all samples so far.

    Returns:
        The content of eval.json.

    Raises:
        SealError: Finished self-edits stay in the folder.
    """
    options = check_options(get_agent(agent_name), config.options)
    run = {"command": "eval", "agent": agent_name, **settings.model_dump()}
    with open_run(config, run, console, options) as opened:
        config, runtime = opened.config, opened.config.runtime()
        agent = make_agent(agent_name, AgentContext.of(SealEnv(runtime=runtime), settings.seed), **config.options)
        runtime.load()
        opened.begin(runtime)
        episodes = arranged(starts(runtime.taskset.task_ids, settings.samples, settings.seed))
        work = Work({SELF_EDITS: len(episodes)})
        with opened.track() as tracker, Progress(console, work, SELF_EDITS) as progress:

            def on_batch(samples: Sequence[EvalSample]) -> None:
                if progress.begun:
                    progress.reach(len(samples))
                    tracker.log(len(samples), scalars(summary(samples)))
                    after(samples)
                else:
                    progress.begin(SELF_EDITS, agent_name, len(episodes), len(samples))

            journal = Journal(config.out / "samples.jsonl")
            samples = sample_tasks(runtime, agent, episodes, settings.in_call, journal, on_batch)
        report = {"agent": agent_name, "subset": runtime.settings.subset, **summary(samples)}
        usage = getattr(agent, "usage", None)
        if usage is not None:
            report["usage"] = asdict(usage)
        write_whole(config.out / "eval.json", json.dumps(report, indent=1))
        config.show(report, evaluation_table(report), console)
        opened.finish(report["failed"])
    return report


def scalars(report: Mapping[str, Any]) -> dict[str, float]:
    """The means of a summary that are worth tracking."""
    means = {name: report[name] for name in ("accuracy", "reward", "solved", "valid") if name in report}
    return {name: interval["mean"] for name, interval in {**means, **report.get("metrics", {})}.items()}
