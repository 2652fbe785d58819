"""A gate that tries again: an update that forgets too much is rolled back and repeated with more rehearsal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from seal_env.envs.wrappers.forgetting_gate import ForgettingGate
from seal_env.errors import SettingError
from seal_env.self_edits.with_rehearsal import with_rehearsal
from seal_env.types import Step

SHARES = (0.25, 0.5, 1.0)


class ReplayGate(ForgettingGate):
    """Repeats a self-edit with ever more rehearsal while the tasks learned before suffer more than `limit`.

    If even the last attempt does, or one cannot be trained (over the budget), the merge is rolled back as by
    `ForgettingGate`. `info` has `attempts`; `training_tokens` and `optimizer_steps` are sums over them. An attempt never
    rehearses less than the self-edit itself does.

    Args:
        env: SEAL-Continual-v0 with `max_rehearsed` above 0, or wrappers around it.
        measure: See `ForgettingGate`.
        limit: See `ForgettingGate`.
        shares: Of the documents of every earlier task, in [0, 1], for the second attempt and those after it.

    Raises:
        SettingError: As `ForgettingGate`; and if nothing can be rehearsed, or a share is not legal.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, str],
        measure: str = "exact_match",
        limit: float = 0.1,
        shares: Sequence[float] = SHARES,
    ) -> None:
        super().__init__(env, measure, limit)
        RecordConstructorArgs.__init__(self, measure=measure, limit=limit, shares=tuple(shares))
        if not self._continual.settings.max_rehearsed:
            raise SettingError("max_rehearsed", 0, "above 0 where a gate rehearses")
        if not all(0 <= share <= 1 for share in shares):
            raise SettingError("shares", tuple(shares), "from 0 to 1 each")
        self._shares = tuple(shares)
        self._actions: tuple[int, tuple[str, ...]] = (0, ())

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """See SealContinualEnv."""
        self._actions = (0, ())
        return super().reset(seed=seed, options=options)

    def step(self, action: str) -> Step:
        """See SealContinualEnv; a merge that forgets too much is repeated, and in the end rolled back."""
        learned = self._continual.position
        earlier = self._actions[1] if self._actions[0] == learned else ()
        self._actions = (learned, (*earlier, action))
        before = self._before(learned)
        steps = [self._play(action)]
        for share in self._shares:
            lost = self._lost(before, learned) if steps[-1].info.get("merged") and learned else -math.inf
            if lost <= self._limit:
                break
            self._continual.take_back()
            for each in earlier:
                self.env.step(each)
            tried = self._play(with_rehearsal(action, share, self._continual.runtime.spec.reads_plain_text, earlier))
            if not tried.truncated and not tried.info.get("merged"):
                return self._given_up(steps, lost)
            steps.append(tried)
        last = self._gated(steps[-1], before, learned)
        if not last.info.get("merged") and len(steps) == 1:
            return last
        return self._summed(last, steps)

    def _given_up(self, steps: Sequence[Step], lost: float) -> Step:
        """The update is rolled back, since with more rehearsal it cannot be trained; that is no mistake of the agent."""
        reward, changed = self._continual.sequence.without_update()
        last = steps[-1]
        info = last.info | {"forgetting": lost} | changed
        return self._summed(self._with_prompt(last._replace(reward=reward, info=info)), steps)

    def _summed(self, last: Step, steps: Sequence[Step]) -> Step:
        """The step with what all attempts took."""
        sums = {name: sum(step.info[name] for step in steps) for name in ("training_tokens", "optimizer_steps")}
        return last._replace(info=last.info | sums | {"attempts": len(steps)})
