"""A gate on forgetting: an update that forgets too much is rolled back (STABLE, arXiv 2510.16089)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from seal_env.envs.continual_env import SealContinualEnv
from seal_env.errors import SettingError
from seal_env.types import Step

MEASURES = ("exact_match", "bits", "kl")


class ForgettingGate(gymnasium.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Rolls a merge back if the tasks learned before it suffer more than `limit`.

    The first update of a sequence has nothing to forget and always passes. `info` has `forgetting`, what was measured, and
    `rolled_back`; the reward of an update that is rolled back is that of the model without it.

    Args:
        env: SEAL-Continual-v0, or wrappers around it.
        measure: `exact_match`, by how much the mean score on the tasks learned before falls (in [-1, 1]); `bits`, by how
            many bits a token their gold answers become less likely; `kl`, how far the next-token distributions over their
            gold answers move, in bits a token. `bits` and `kl` need no answers, only a pass over the gold ones.
        limit: Of the measure.

    Raises:
        SettingError: For an unknown measure, a limit that is not a number, or another environment.
    """

    def __init__(self, env: gymnasium.Env[str, str], measure: str = "exact_match", limit: float = 0.1) -> None:
        RecordConstructorArgs.__init__(self, measure=measure, limit=limit)
        super().__init__(env)
        if measure not in MEASURES:
            raise SettingError("measure", measure, " or ".join(map(repr, MEASURES)))
        if math.isnan(limit):
            raise SettingError("limit", limit, "a number")
        if not isinstance(env.unwrapped, SealContinualEnv):
            raise SettingError("env", type(env.unwrapped).__name__, "SEAL-Continual-v0")
        self._continual = env.unwrapped
        if self._continual.settings.consolidation == "retrieval" and measure != "exact_match":
            raise SettingError("measure", measure, "'exact_match' where consolidation='retrieval': there is no one model")
        self._continual.keeps_undo = True
        self._measure, self._limit = measure, limit
        self._state: tuple[int, Any] | None = None

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """See SealContinualEnv."""
        self._state = None
        return self.env.reset(seed=seed, options=dict(options or {}))

    def step(self, action: str) -> Step:
        """See SealContinualEnv; a merge that forgets too much is rolled back."""
        learned = self._continual.position
        before = self._before(learned)
        return self._gated(self._play(action), before, learned)

    def _play(self, action: str) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return Step(observation, float(reward), terminated, truncated, info)

    def _gated(self, step: Step, before: Any, learned: int) -> Step:
        """The step, whose merge is rolled back if it forgets too much."""
        observation, reward, terminated, truncated, info = step
        if info.get("merged") and learned:
            lost = self._lost(before, learned)
            info |= {"forgetting": lost, "rolled_back": False}
            if lost > self._limit:
                reward, changed = self._continual.roll_back()
                return self._with_prompt(Step(observation, reward, terminated, truncated, info | changed))
        return Step(observation, float(reward), terminated, truncated, info)

    def _with_prompt(self, step: Step) -> Step:
        """The step with the prompt for the next task as it is after a roll-back, unless the sequence is over."""
        return step if step.terminated else step._replace(observation=self._continual.sequence.opening()[0])

    def _before(self, learned: int) -> Any:
        """What the measure compares with; the same through all turns of a task."""
        if self._measure == "exact_match" or not learned:
            return None
        if self._state is None or self._state[0] != learned:
            from seal_env.inner_loop.continual import forgetting  # here: torch

            measure: Any = forgetting.gold_bits if self._measure == "bits" else forgetting.gold_log_probabilities
            self._state = learned, measure(self._continual.model.current, self._continual.queries(learned))
        return self._state[1]

    def _lost(self, before: Any, learned: int) -> float:
        if self._measure == "exact_match":
            *_, earlier, now = self._continual.retention.rows
            return sum((a or 0.0) - (b or 0.0) for a, b in zip(earlier[:learned], now[:learned], strict=True)) / learned
        from seal_env.inner_loop.continual import forgetting  # here: torch

        model, queries = self._continual.model.current, self._continual.queries(learned)
        if self._measure == "bits":
            return float(forgetting.gold_bits(model, queries) - before)
        return float(forgetting.mean_divergence(before, model, queries))
