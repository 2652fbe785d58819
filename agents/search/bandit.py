"""A contextual bandit over self-edits: what to choose for a task, from a few numbers about its demonstrations.

Left out: interactions between arguments. Each argument of a self-edit is a bandit of its own (its values are the arms), all
receive the same reward, and so some hundred episodes are enough to learn from. Vowpal Wabbit does the learning.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.context import AgentContext
from seal_env.agents.demonstrations import demonstrations
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError, needs_extra
from seal_env.options import Options
from seal_env.self_edits.numeric_actions import Coordinate, DiscreteActions
from seal_env.tasks.arc.features import context_features, pair_features
from seal_env.tasks.arc.grid import MAX_SIDE, GridPair

with needs_extra("bandit"):
    from vowpalwabbit import Workspace

LEVELS = 4
"""Learning rates to choose from."""

LEARNER = "--cb_explore_adf --squarecb --gamma_scale 30 --gamma_exponent 0.5 -q ca --ignore_linear c --quiet -b 12"
"""A linear model of the reward of each value; the worse a value looks, the more rarely it is chosen (SquareCB)."""

PAIR_FEATURES = (
    "same size",
    "rows ratio",
    "columns ratio",
    "kept",
    "tiled",
    "enlarged",
    "input colours",
    "output colours",
    "new colours",
    "recoloured",
)
"""The features of a pair of grids that are used, on average over the demonstrations."""


def features(pairs: tuple[GridPair, ...]) -> NDArray[np.float64]:
    """The demonstrations of a task as numbers.

    Returns:
        Numbers from -1 to 1, named by FEATURES: 1, how outputs are related to inputs (see PAIR_FEATURES), what the
        demonstrations have in common, and the longest side of inputs and outputs as a share of 30.
    """
    of_pairs = [pair_features(pair) for pair in pairs]
    means = [float(np.mean([each[name] for each in of_pairs])) for name in PAIR_FEATURES]
    sides = [max(max(np.shape(pair[index])) for pair in pairs) / MAX_SIDE for index in (0, 1)]
    return np.array([1.0, *means, *context_features(pairs).values(), *sides])


_ANY = GridPair(((0,),), ((0,),))
FEATURES = ("one", *PAIR_FEATURES, *context_features((_ANY,)), "input side", "output side")
"""Names of the features, in order."""


class _Choice(NamedTuple):
    """A choice for one observation: the features, and the index and probability of each argument's value."""

    context: str
    values_C: tuple[int, ...]
    probabilities_C: tuple[float, ...]


class BanditAgent(Agent):
    """Chooses the value of each argument by the features of the task, and learns from the rewards of what it chose.

    Learning rates are LEVELS values of the action space's range, everything else has the values that the space samples.
    Equal seeds and equal rewards give equal actions.

    Args:
        action_space: Whose values are the arms.
        seed: Of the exploration.

    Raises:
        SettingError: Unless the space is a SelfEditSpace.
    """

    def __init__(self, action_space: gymnasium.Space[str], seed: int = 0) -> None:
        if not isinstance(action_space, SelfEditSpace):
            raise SettingError("action_space", action_space, "a SelfEditSpace, whose values are the arms")
        self._actions = DiscreteActions(action_space.spec, LEVELS)
        self._learners = [Workspace(f"{LEARNER} --random_seed 1") for _ in self._actions.coordinates]
        self._chosen: dict[tuple[str, str], list[_Choice]] = defaultdict(list)
        self.seed(seed)

    @classmethod
    def build(cls, options: Options, context: AgentContext) -> Self:
        """See Agent."""
        return cls(context.action_space, context.seed)

    def seed(self, seed: int) -> None:
        """Fix what is drawn from now on; what was learned stays."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: str, info: Info) -> str:
        """Choose a self-edit: any at first, more and more often the one with the best expected reward."""
        context = _context(info)
        distributions = [self._probabilities(number, context) for number in range(len(self._learners))]
        values = tuple(int(self._rng.choice(len(each), p=each)) for each in distributions)
        action = self._actions.decode(values)
        chances = tuple(float(each[value]) for each, value in zip(distributions, values, strict=True))
        self._chosen[observation, action].append(_Choice(context, values, chances))
        return action

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """Learn from self-edits that this agent chose. Infrastructure failures and other agents' self-edits are ignored."""
        for trajectory in trajectories:
            opening = trajectory.turns[0]
            pending = self._chosen.get((opening.observation, opening.action), [])
            if pending:
                choice = pending.pop(0)
                if not math.isnan(trajectory.reward):
                    self._learn(choice, trajectory.reward)

    def best(self, info: Info) -> str:
        """The self-edit with the best expected reward, without exploration."""
        context = _context(info)
        numbers = range(len(self._learners))
        return self._actions.decode([int(np.argmax(self._probabilities(number, context))) for number in numbers])

    def _probabilities(self, number: int, context: str) -> NDArray[np.float64]:
        predicted = np.array(self._learners[number].predict(_lines(context, self._actions.coordinates[number])))
        return np.asarray(predicted / predicted.sum(), dtype=np.float64)

    def _learn(self, choice: _Choice, reward: float) -> None:
        """Vowpal Wabbit takes costs, and the probability of the choice that had them."""
        for number, (value, chance) in enumerate(zip(choice.values_C, choice.probabilities_C, strict=True)):
            lines = _lines(choice.context, self._actions.coordinates[number])
            lines[1 + value] = f"0:{-reward:g}:{chance:.6g} {lines[1 + value]}"
            self._learners[number].learn(lines)


def _context(info: Info) -> str:
    """The task in Vowpal Wabbit's text format. One whose data are no grids has no features but the constant."""
    found = demonstrations(info)
    return _grid_context(found) if found else "shared |c 0:1"


@lru_cache(maxsize=1024)
def _grid_context(pairs: tuple[GridPair, ...]) -> str:
    return "shared |c " + " ".join(f"{index}:{value:.6g}" for index, value in enumerate(features(pairs)))


def _lines(context: str, coordinate: Coordinate) -> list[str]:
    """One decision in Vowpal Wabbit's text format: the task, then a line for each value."""
    return [context, *(f"|a {index}" for index in range(len(coordinate.values)))]
