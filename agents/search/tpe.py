"""An agent that searches for each task's best self-edit, by Optuna's TPE."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

import gymnasium

from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError, needs_extra
from seal_env.options import Options
from seal_env.self_edits.numeric_actions import Coordinate, coordinates, write_self_edit

with needs_extra("search"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


class SearchAgent(Agent):
    """Searches for the best self-edit of every task. A task is recognised by the text of its observation.

    A self-edit is one call of each tool, its arguments within what the action space samples. Those without a reward yet
    count as bad ones (TPE's constant liar), so that a batch is spread out. Equal seeds give equal actions.

    Args:
        action_space: Whose ranges are searched.
        seed: Of the search.

    Raises:
        SettingError: Unless the space is a SelfEditSpace.
    """

    def __init__(self, action_space: gymnasium.Space[str], seed: int = 0) -> None:
        if not isinstance(action_space, SelfEditSpace):
            raise SettingError("action_space", action_space, "a SelfEditSpace, whose ranges are searched")
        self._coordinates = coordinates(action_space.spec)
        self._tools = action_space.tools
        self._distributions = {each.name: _distribution(each) for each in self._coordinates}
        self._studies: dict[str, optuna.Study] = {}
        self._pending: dict[tuple[str, str], list[optuna.Trial]] = defaultdict(list)
        self.seed(seed)

    @classmethod
    def build(cls, options: Options, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.action_space, context.seed)

    def seed(self, seed: int) -> None:
        """Fix what is drawn from now on; what was learned stays."""
        self._seed = seed
        for observation, study in self._studies.items():
            study.sampler = self._sampler(observation)

    def act(self, observation: str, info: Info) -> str:
        """The next self-edit to try on this task."""
        trial = self._study(observation).ask(self._distributions)
        action = self._write(trial.params)
        self._pending[observation, action].append(trial)
        return action

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """Learn the rewards of self-edits that this agent chose; others are ignored."""
        for trajectory in trajectories:
            opening = trajectory.turns[0]
            pending = self._pending.get((opening.observation, opening.action), [])
            if pending:
                failed = math.isnan(trajectory.reward)
                state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
                self._study(opening.observation).tell(pending.pop(0), None if failed else trajectory.reward, state)

    def _study(self, observation: str) -> optuna.Study:
        if observation not in self._studies:
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would report each study and each trial
            self._studies[observation] = optuna.create_study(sampler=self._sampler(observation), direction="maximize")
        return self._studies[observation]

    def _sampler(self, observation: str) -> optuna.samplers.TPESampler:
        own = zlib.crc32(f"{self._seed} {observation}".encode())
        return optuna.samplers.TPESampler(seed=own, constant_liar=True)

    def _write(self, values: Mapping[str, Any]) -> str:
        chosen = [(each, values[each.name]) for each in self._coordinates]
        rounded = [(each, value if each.reals is None else each.reals.at(each.reals.share(value))) for each, value in chosen]
        return write_self_edit(self._tools, rounded)


def _distribution(coordinate: Coordinate) -> BaseDistribution:
    values, reals = coordinate.values, coordinate.reals
    if reals is not None:
        return FloatDistribution(reals.low, reals.high, log=reals.is_log)
    if all(type(value) is int for value in values) and values == tuple(range(values[0], values[-1] + 1)):
        return IntDistribution(values[0], values[-1])
    return CategoricalDistribution(values)
