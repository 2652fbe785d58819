"""`seal-env play`: a person writes self-edits for one task, and agents try the same task as often, with the same seed."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import gymnasium
from rich.console import Console
from rich.text import Text

from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.env import SealEnv
from seal_env.envs.render import panels_text
from seal_env.errors import MissingExtraError, SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.episode_log import EpisodeLog, episode_record
from seal_env.experiments.open_run import open_run
from seal_env.experiments.settings import PlaySettings
from seal_env.inner_loop.watch import watch_training
from seal_env.panels import Panel
from seal_env.report.episode_tables import accuracy_change, failure
from seal_env.report.formats import number, plural
from seal_env.report.training_view import TrainingView
from seal_env.types import InvalidSelfEdit, ToolCall

PERSON: Final = "person"
NO_UPDATE: Final = "none"


class Player(Protocol):
    """Who writes the self-edits."""

    def write(self, game: Game) -> str:
        """The next self-edit. Raises EOFError to leave the game."""
        ...

    def again(self) -> bool:
        """Whether to write another one."""
        ...


class Game:
    """One task with one seed.

    Args:
        env: The environment, its model loaded.
        settings: The task and the seed.
        console: Where everything is shown.
    """

    def __init__(self, env: gymnasium.Env[str, str], settings: PlaySettings, console: Console) -> None:
        seal = env.unwrapped
        assert isinstance(seal, SealEnv)
        self.env, self.seal, self.console, self.seed = env, seal, console, settings.seed
        options = None if settings.task is None else {"task_id": settings.task}
        self.task_id = str(env.reset(seed=settings.seed, options=options)[1]["task_id"])

    def show_task(self) -> None:
        """Draw the task, and what was found about it once an episode is over."""
        self.console.print(panels_text(self._panels()))

    def _panels(self) -> list[list[Panel]]:
        assert self.seal.episode is not None
        return self.seal.episode.panels()

    def problem_of(self, calls: Sequence[ToolCall]) -> str:
        """What keeps these calls, with `finetune` at their end, from being trained; empty if nothing does."""
        assert self.seal.episode is not None
        tried = copy.copy(self.seal.episode.drafting)
        tried.counts = Counter(tried.counts)
        problem = tried.apply(calls)
        if problem is None and tried.on_last_segment and isinstance(found := tried.compile(), InvalidSelfEdit):
            problem = found
        return "" if problem is None else problem.reason

    def attempt(self, agent: Agent) -> Trajectory:
        """One episode, with its update shown while it trains and the answers before and after it."""
        trajectory = run_episode(_Watched(self.env, self.console), agent, self.task_id, self.seed)
        after = self._panels()
        self.env.reset(seed=self.seed, options={"task_id": self.task_id})  # the same task without its answers
        known = self._panels()
        self.console.print(panels_text([row for row in after if row not in known]))
        info = trajectory.info
        if failure(info):
            self.console.print(Text(failure(info), "yellow"))
        self.console.print(f"accuracy  {accuracy_change(info)}, reward {number(trajectory.reward)}\n", markup=False)
        return trajectory


class _Watched(gymnasium.Wrapper[str, str, str, str]):
    """Shows every update while it trains."""

    def __init__(self, env: gymnasium.Env[str, str], console: Console) -> None:
        super().__init__(env)
        self._console = console

    def step(self, action: str) -> Any:
        """See gymnasium.Env."""
        with TrainingView(self._console) as view, watch_training(view.note):
            return self.env.step(action)


class _Person(Agent):
    """Has a player write."""

    def __init__(self, player: Player, game: Game) -> None:
        self._player, self._game = player, game

    def act(self, observation: str, info: Info) -> str:
        """See Agent."""
        return self._player.write(self._game)


def play(
    settings: PlaySettings, config: ExperimentConfig, player: Player, console: Console, out: Path | None = None
) -> dict[str, Any]:
    """Play one task.

    Args:
        settings: The task, the seed and the agents that compete.
        config: The environment.
        player: Writes the person's self-edits.
        console: Where everything is shown.
        out: A folder for a run folder of each player; None records nothing.

    Returns:
        `environment`, `task_id`, `seed`, and `scores` with a dict for each player: `player`, `tries`, `accuracy_before`,
        `accuracy` and `reward` of the best one, its `optimizer_steps` and `self_edit`, all `rewards`, and `note`, why one
        did not play.

    Raises:
        SealError: For settings that are not legal.
        EOFError: The person leaves before the first self-edit; nothing is recorded.
        KeyboardInterrupt: What was played stays on record.
    """
    env: gymnasium.Env[str, str] = gymnasium.make(config.env, disable_env_checker=True, **config.overrides)
    try:
        seal = env.unwrapped
        assert isinstance(seal, SealEnv)
        agents = _opponents(settings, AgentContext.of(env, settings.seed))
        with console.status(Text(f"loading {seal.settings.model}")):
            seal.runtime.load()
        game = Game(env, settings, console)
        with _recorded(out, [PERSON, *agents], game, config) as logs:
            base, own = _base(game), _person(game, player, logs.get(PERSON))
            played: dict[str, Sequence[Trajectory] | str] = {NO_UPDATE: [base], PERSON: own}
            for name, agent in agents.items():
                played[name] = _compete(name, agent, len(own), game, logs.get(name))
        scores = [_score(name, tried) for name, tried in played.items()]
        return {"environment": config.env, "task_id": game.task_id, "seed": settings.seed, "scores": scores}
    finally:
        env.close()


def _opponents(settings: PlaySettings, context: AgentContext) -> dict[str, Agent | str]:
    """The agents by name; why there is none where one does not work here. Raises SettingError for unknown ones."""
    found: dict[str, Agent | str] = {}
    for name in settings.against:
        if name in (PERSON, NO_UPDATE):
            raise SettingError("against", name, "agents that write self-edits")
        try:
            found[name] = make_agent(name, context)
        except (SettingError, MissingExtraError) as error:
            if isinstance(error, SettingError) and "where domain=" not in str(error):
                raise
            found[name] = str(error).rpartition(": ")[2]
    return found


def _base(game: Game) -> Trajectory:
    """The model without an update."""
    agent = make_agent(NO_UPDATE, AgentContext.of(game.env, game.seed))
    with game.console.status("the model answers as it is"):
        trajectory = run_episode(game.env, agent, game.task_id, game.seed)
    game.env.reset(seed=game.seed, options={"task_id": game.task_id})
    game.show_task()
    before = f"{100 * trajectory.info['accuracy_before']:.0f} %" if trajectory.info["accuracy_before"] is not None else "-"
    game.console.print(f"{game.task_id}: accuracy {before} without an update\n", markup=False)
    return trajectory


def _person(game: Game, player: Player, log: _Log | None) -> list[Trajectory]:
    """The person's episodes, until there are enough; or until it leaves. Raises EOFError before the first."""
    tried: list[Trajectory] = []
    while True:
        try:
            tried.append(game.attempt(_Person(player, game)))
            if log is not None:
                log.write(tried[-1])
            if not player.again():
                return tried
        except EOFError:
            if not tried:
                raise
            return tried


def _compete(name: str, agent: Agent | str, tries: int, game: Game, log: _Log | None) -> list[Trajectory] | str:
    """As many episodes of an agent, which learns from each."""
    if isinstance(agent, str):
        return agent
    tried: list[Trajectory] = []
    agent.seed(game.seed)
    for index in range(tries):
        with game.console.status(Text(f"{name}: self-edit {index + 1} of {plural(tries, 'self-edit')}")):
            trajectory = run_episode(game.env, agent, game.task_id, game.seed)
        if not trajectory.truncated:
            agent.learn([trajectory])
        tried.append(trajectory)
        if log is not None:
            log.write(trajectory)
    return tried


def _score(name: str, tried: Sequence[Trajectory] | str) -> dict[str, Any]:
    """A row of the result."""
    if isinstance(tried, str):
        return {"player": name, "tries": 0, "note": tried}
    known = [each for each in tried if not math.isnan(each.reward)]
    if not known:
        return {"player": name, "tries": len(tried), "note": "no update was scored" if tried else "did not play"}
    best = max(known, key=lambda each: each.reward)
    info = best.info
    return {
        "player": name,
        "tries": len(tried),
        "accuracy_before": info["accuracy_before"],
        "accuracy": info["accuracy_after"],
        "reward": best.reward,
        "rewards": [each.reward for each in tried],
        "optimizer_steps": info["optimizer_steps"],
        "self_edit": info["self_edit"],
        "note": "",
    }


class _Log:
    """The episodes of one player, in a run folder."""

    def __init__(self, name: str, game: Game, config: ExperimentConfig) -> None:
        self._table = {"environment": config.env, "agent": name, "seed": game.seed}
        self._log, self._used = EpisodeLog(config.out), game.seal.settings

    def write(self, trajectory: Trajectory) -> None:
        self._log.write(episode_record(len(self._log.records), self._table, self._used, trajectory))


@contextmanager
def _recorded(out: Path | None, names: Sequence[str], game: Game, config: ExperimentConfig) -> Iterator[Mapping[str, _Log]]:
    """A run folder for each player, below `out`; episodes are added to those of earlier games with the same settings."""
    if out is None:
        yield {}
        return
    given = {"max_turns": config.environment.get("max_turns"), "decode": config.environment.get("decode")}
    with ExitStack() as stack:
        logs = {}
        for name in names:
            run = {"environment": config.env, "agent": name, "seed": game.seed}
            mine = replace(config, out=out / name, named=True, command=())
            opened = stack.enter_context(open_run(mine, run, game.console, **given))
            opened.begin(game.seal.runtime)
            opened.finish()
            logs[name] = _Log(name, game, mine)
        yield logs
