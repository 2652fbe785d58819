"""`seal-env run`: an agent on a number of episodes, shown live, written to a run folder line by line. It can be resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gymnasium
from gymnasium.utils.seeding import np_random
from rich.console import Console, RenderableType
from rich.text import Text

from seal_env.agents.base import Agent, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import check_options, get_agent, make_agent
from seal_env.agents.replays import Recorded, replay
from seal_env.agents.rollouts import Start, run_episode
from seal_env.envs.base import SealBaseEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.episode_log import EpisodeLog, episode_record, trajectory_of
from seal_env.experiments.open_run import OpenRun, open_run
from seal_env.experiments.run_folder import with_cache_file
from seal_env.experiments.settings import RunSettings
from seal_env.inner_loop.cache.loop import CacheStatistics, statistics_of
from seal_env.journal import write_whole
from seal_env.report.episode_progress import EpisodeProgress
from seal_env.report.episode_tables import episode_table, summary_text
from seal_env.report.terminal import results_of, show_result
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.validate import check_calls
from seal_env.types import InvalidSelfEdit


def run(agent_name: str, settings: RunSettings, config: ExperimentConfig, console: Console) -> list[Trajectory]:
    """Run an agent on tasks, in the order of the subset.

    Whatever stops the run (an interrupt, an error) is raised after the finished episodes have been written and reported.
    A run that is resumed does the episodes that are missing and tries those again that an infrastructure failure ended.

    Args:
        agent_name: A registered name, or "package.module:Class".
        settings: How many episodes, and the seed.
        config: The environment by its id, the agent's own settings, and the run folder.
        console: Where progress and the result are shown.

    Returns:
        All episodes; of those that were finished before, what is on record.

    Raises:
        SealError: Nothing is left behind if the run cannot begin.
    """
    options = check_options(get_agent(agent_name), config.options)
    table = {"environment": config.env, "agent": agent_name, "episodes": settings.episodes, "seed": settings.seed}
    settings_of_env = {"max_turns": config.environment.get("max_turns"), "decode": config.environment.get("decode")}
    with open_run(config, table, console, options, **settings_of_env) as opened:
        given = with_cache_file(config.overrides, opened.config.out)
        # Gymnasium's own checker warns of rewards that are not numbers, which here stand for infrastructure failures.
        env: gymnasium.Env[str, str] = gymnasium.make(config.env, disable_env_checker=True, **given)
        try:
            return _Run(env, agent_name, settings, opened, console).run()
        finally:
            env.close()


class _Run:
    """A run in a folder that is open."""

    def __init__(
        self, env: gymnasium.Env[str, str], agent_name: str, settings: RunSettings, opened: OpenRun, console: Console
    ) -> None:
        seal = env.unwrapped
        assert isinstance(seal, SealBaseEnv)
        self.env, self.seal, self.opened, self.console, self.seed = env, seal, opened, console, settings.seed
        config = opened.config
        check_self_edit(config.options.get("self_edit"), seal.runtime)
        self.agent = make_agent(agent_name, AgentContext.of(env, settings.seed), **config.options)
        with console.status(Text(f"loading {seal.settings.model}")):
            seal.runtime.load()
        used = seal.settings
        self.count = len(seal.taskset) // used.sequence if settings.episodes is None else settings.episodes
        self.table = {"environment": config.env, "agent": agent_name, "seed": settings.seed}

    def run(self) -> list[Trajectory]:
        """Run the episodes that are missing, and report all."""
        self.opened.begin(self.seal.runtime)
        log = EpisodeLog(self.opened.config.out)
        self._learn_again(log)
        known_before, began = statistics_of(self.seal.runtime.inner_loop), time.perf_counter()
        earlier = sum(sum(each["timings"].values()) for each in log.records.values())
        played = {index: trajectory_of(record) for index, record in log.records.items()}
        ended = False
        try:
            with EpisodeProgress(self.console, self.count, len(log.records)) as progress:
                for index, start in enumerate(self._starts()):
                    if index in log.records:
                        continue
                    progress.start(start.task_id)
                    trajectory = _episode(self.env, self.agent, start)
                    log.write(episode_record(index, self.table, self.seal.settings, trajectory))
                    played[index] = trajectory
                    progress.finish(trajectory)
            log.sort()
            ended = True
        finally:
            cached = statistics_of(self.seal.runtime.inner_loop).since(known_before)
            trajectories = [played[index] for index in sorted(played)]
            shown = self._shown(trajectories, time.perf_counter() - began + earlier, cached)
            self._report([log.records[index] for index in sorted(log.records)] if ended else None, shown)
        self._write_cache(cached)
        self.opened.finish(sum(each.truncated for each in trajectories))
        return trajectories

    def _starts(self) -> list[Start]:
        """The task and the seed of each episode: those of an environment that is seeded once."""
        ids, stride, stream = self.seal.taskset.task_ids, self.seal.settings.sequence, np_random(self.seed)[0]
        seeds = [self.seed, *(int(stream.integers(2**31)) for _ in range(self.count - 1))]
        return [Start(ids[index * stride % len(ids)], seed) for index, seed in enumerate(seeds)]

    def _learn_again(self, log: EpisodeLog) -> None:
        """Have an agent that learns choose and learn as it did. In sequences of tasks it begins again from the first."""
        if not self.agent.learns or not log.records:
            return
        if self.seal.settings.sequence > 1:
            log.forget()
            return
        starts = self._starts()
        for index, record in sorted(log.records.items()):
            self.agent.seed(starts[index].seed)
            recorded = Recorded(starts[index], record["actions"], record["reward"])
            (turns,) = replay(self.seal.runtime, self.agent, [recorded], self.agent.act_all)
            self.agent.learn([Trajectory(record["task_id"], turns, truncated=False, timings={})])

    def _write_cache(self, cached: CacheStatistics) -> None:
        """Write cache.json: how many results were cached. Nothing is written for a run without a cache."""
        if cached.jobs:
            counts = asdict(cached) | {"hit_rate": cached.hit_rate}
            write_whole(self.opened.config.out / "cache.json", json.dumps(counts) + "\n")

    def _shown(
        self, trajectories: Sequence[Trajectory], elapsed: float, cached: CacheStatistics
    ) -> Sequence[RenderableType]:
        """What is shown of the episodes."""
        if not trajectories:
            return ()
        tools, metrics = self.seal.runtime.tools, self.seal.runtime.spec.metrics
        table = episode_table(trajectories, results_of(self.console), tools, metrics)
        return table, "", summary_text(trajectories, elapsed, cached, metrics)

    def _report(self, records: Sequence[Mapping[str, Any]] | None, shown: Sequence[RenderableType]) -> None:
        """Show the result. None stands for a run that was stopped: what is finished is a note then."""
        console = self.console
        if shown:
            console.print()
        if records is None:
            for each in shown:
                console.print(each, soft_wrap=isinstance(each, str), markup=False)
        else:
            show_result(console, records, *shown)
        console.print(f"written   {self.opened.config.out}", soft_wrap=True, markup=False)


def check_self_edit(self_edit: str | None, runtime: Runtime) -> None:
    """Raise SettingError for the self-edit of a fixed agent that is not legal with these tools."""
    if self_edit is None:
        return
    calls = (parse_or_read if runtime.spec.reads_plain_text else parse)(self_edit)
    checked = calls if isinstance(calls, InvalidSelfEdit) else check_calls(calls, runtime.tools)
    if isinstance(checked, InvalidSelfEdit):
        raise SettingError("self_edit", self_edit[:60], f"a self-edit. {checked.reason}")


def _episode(env: gymnasium.Env[str, str], agent: Agent, start: Start) -> Trajectory:
    """One episode, from which the agent learns unless an infrastructure failure ended it."""
    agent.seed(start.seed)
    trajectory = run_episode(env, agent, start.task_id, start.seed)
    if not trajectory.truncated:
        agent.learn([trajectory])
    return trajectory
