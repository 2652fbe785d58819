"""Episode: one task, the turns taken on it, and how it ends. No Gymnasium here.

An action is first decided upon: a mistake or an open draft is a finished step, a closed self-edit asks for an update.
`seal_env.episodes.settle` has the updates of many episodes done by one call of the inner loop and ends those episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from seal_env.domains.rewards import paid
from seal_env.episodes.drafting import Drafting
from seal_env.episodes.info import budget_info, task_info, update_info
from seal_env.episodes.jobs import NO_UPDATE, update_job
from seal_env.episodes.rehearsal import Rehearsal
from seal_env.episodes.runtime import Runtime
from seal_env.errors import GraderError, TaskError
from seal_env.panels import Panel
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.prompt import observation_text
from seal_env.types import Evaluation, InvalidSelfEdit, Outcome, Query, SelfEdit, Step, Task, UpdateJob, UpdateResult

BaseKey = tuple[str, int]
"""What the base model's answers depend on: the task, and the seed where the queries do (otherwise 0)."""

FAILED_REWARD: Final = math.nan


class PendingUpdate(NamedTuple):
    """The decision to end the episode with the update `edit`.

    outcome, reason: of the self-edit if the update succeeds.
    """

    edit: SelfEdit
    outcome: Outcome
    reason: str


class Episode:
    """One task and the turns taken on it.

    `over` is true from the moment at which no further action is possible. `timings` has seconds by phase. `result` is what
    came of the update, once there was one.

    Args:
        runtime: Shared with other episodes.
        task: To adapt to.
        seed: Of the augmentation, the adapter's initial weights and the order of the examples, in [0, 2**63).
        rehearsal: What there is of earlier tasks; None where nothing can be rehearsed.
    """

    def __init__(self, runtime: Runtime, task: Task[Any, Any], seed: int, rehearsal: Rehearsal | None = None) -> None:
        if not task.queries:
            raise TaskError(f"task {task.task_id} has no queries, by which an update could be scored")
        self.runtime, self.task, self.seed = runtime, task, seed
        self.over = False
        self.timings: dict[str, float] = {}
        self.result: UpdateResult | None = None
        self.drafting = Drafting(runtime, task, seed, rehearsal)
        self._turn = self._segment_turn = 0
        self._text = runtime.domain.render(self.drafting.segment)
        self._shown: dict[str, Evaluation | None] = {"before": None, "after": None}

    def opening(self) -> tuple[str, dict[str, Any]]:
        """The first observation and its info. Info says if the task is too long for the model; see `decide`."""
        problem = self.runtime.problem_of(self.task)
        return self._prompt(), self._info(Outcome.TASK_TOO_LONG if problem else Outcome.OK, problem)

    def _prompt(self) -> str:
        runtime, drafting = self.runtime, self.drafting
        rehearsal = drafting.rehearsal
        return observation_text(
            runtime.domain,
            runtime.tools,
            self._text,
            runtime.budget,
            max_turns=runtime.settings.max_turns,
            batch_size=runtime.settings.recipe.batch_size,
            segment=(drafting.index + 1, len(drafting.segments)),
            defaults=runtime.settings.training,
            names_tokens=runtime.settings.prompt_names_tokens,
            rehearsal="" if rehearsal is None else rehearsal.render(runtime.settings.max_rehearsed),
        )

    def decide(self, action: Any) -> Step | PendingUpdate:
        """Take one action: a finished step, or the update that the episode ends with (see `finish`).

        If the task is too long for the model, the episode is truncated, whatever the action.
        """
        assert not self.over
        self._turn += 1
        self._segment_turn += 1
        if too_long := self.runtime.problem_of(self.task):
            return self.fail(Outcome.TASK_TOO_LONG, too_long)
        calls = (parse_or_read if self.runtime.spec.reads_plain_text else parse)(action)
        problem = calls if isinstance(calls, InvalidSelfEdit) else self.drafting.apply(calls)
        if problem is not None:
            return self._continue(problem.outcome, problem.reason)
        self.timings["compile_seconds"] = self.drafting.seconds
        if self.drafting.draft.finetune:
            return self._close() if self.drafting.on_last_segment else self._next_segment(0.0, Outcome.OK, "")
        return self._continue(Outcome.OK, self.drafting.describe())

    def _next_segment(self, reward: float, outcome: Outcome, reason: str) -> Step:
        """Close this segment's draft; the next observation is the prompt for the next segment."""
        self.drafting.close_segment()
        self._segment_turn = 0
        self._text = self.runtime.domain.render(self.drafting.segment)
        return Step(self._prompt(), reward, False, False, self._info(outcome, reason))

    def _continue(self, outcome: Outcome, reply: str) -> Step | PendingUpdate:
        """A turn without an update: the reply is the next observation, unless it was the last turn."""
        settings, drafting = self.runtime.settings, self.drafting
        last = self._segment_turn >= settings.max_turns
        if last and outcome is Outcome.OK:
            outcome, reply = Outcome.MISSING_FINETUNE, f"No finetune call within {settings.max_turns} turns.\n{reply}"
        reason = "" if outcome is Outcome.OK else reply
        reward = 0.0 if outcome is Outcome.OK else settings.invalid_reward
        if last and not drafting.on_last_segment:
            return self._next_segment(reward, outcome, reason)
        if last and len(drafting.segments) > 1 and drafting.calls:  # one good self-edit at least
            drafting.force_finetune()
            return self._close(outcome, reason)
        self.over = self.over or last  # it may have failed meanwhile, by a limit of time
        return Step(reply, reward, last, False, self._info(outcome, reason))

    def _close(self, outcome: Outcome = Outcome.OK, reason: str = "") -> Step | PendingUpdate:
        """The self-edit is complete: no further action. outcome, reason: of the last segment."""
        self.over = True
        settings, edit = self.runtime.settings, self.drafting.compile()
        if not isinstance(edit, InvalidSelfEdit):
            return PendingUpdate(edit, outcome, reason)
        if settings.recipe.no_op_over_budget:
            return PendingUpdate(NO_UPDATE, edit.outcome, edit.reason)
        return self._end(edit.outcome, edit.reason, settings.invalid_reward)

    @property
    def base_key(self) -> BaseKey:
        """By which the base model's answers to this task are cached."""
        return self.task.task_id, self.seed if self.runtime.domain.queries_depend_on_seed else 0

    def base_job(self, queries_Q: Sequence[Query] | None = None) -> UpdateJob:
        """The base model's answers, to the task's queries or to others."""
        return update_job(self.runtime, self.task, self.seed, NO_UPDATE, queries_Q=queries_Q)

    def job(self, update: PendingUpdate) -> UpdateJob | None:
        """The update's own job; None where the base model's answers serve."""
        if not update.edit.optimizer_steps and not self.runtime.settings.save_adapters:
            return None
        save_to = self.runtime.adapter_directory(self.task.task_id)
        return update_job(self.runtime, self.task, self.seed, update.edit, save_to)

    def score(self, result: UpdateResult) -> Evaluation:
        """Score the answers of a result. Raises GraderError."""
        return self.runtime.domain.score(self.task, result.answers_Q, self.seed)

    def finish(self, update: PendingUpdate, base: Evaluation, result: UpdateResult) -> Step:
        """The end of the episode.

        Args:
            update: What `decide` gave.
            base: Of the base model's answers.
            result: What came of the update; the base model's own result if there was no job.
        """
        self.result = result
        if result.outcome.is_infrastructure:
            return self.fail(result.outcome, result.reason, update.edit)
        if result.outcome is Outcome.DIVERGED:
            reward = self.runtime.settings.invalid_reward
            return self._end(result.outcome, result.reason, reward, update.edit, base)
        try:
            adapted = self.score(result)
        except GraderError as error:
            return self.fail(Outcome.ENGINE_ERROR, str(error), update.edit)
        reward = paid(self.runtime.reward, base, adapted)
        return self._end(update.outcome, update.reason, reward, update.edit, base, adapted)

    def fail(self, outcome: Outcome, reason: str, edit: SelfEdit | None = None) -> Step:
        """End the episode after an infrastructure failure: truncated, and the reward is NaN."""
        self.over = True
        return self._end(outcome, reason, FAILED_REWARD, edit)

    def _end(
        self,
        outcome: Outcome,
        reason: str,
        reward: float,
        edit: SelfEdit | None = None,
        base: Evaluation | None = None,
        adapted: Evaluation | None = None,
    ) -> Step:
        self._shown = {"before": base, "after": adapted}
        calls = self.drafting.calls
        info = self._info(outcome, reason) | self.drafting.counts
        info |= update_info(self.runtime, self.task, calls, edit, self.result, self._shown)
        before, after = info["accuracy_before"], info["accuracy_after"]
        text = reason or f"The episode is over: accuracy {before:.2f} before, {after:.2f} after."
        truncated = outcome.is_infrastructure
        return Step(text, reward, not truncated, truncated, info)

    def _info(self, outcome: Outcome, reason: str) -> dict[str, Any]:
        segment = {"index": self.drafting.index, "count": len(self.drafting.segments), "turn": self._segment_turn}
        return {
            "task_id": self.task.task_id,
            "turn": self._turn,
            "outcome": str(outcome),
            "reason": reason,
            "task": task_info(self.runtime, self.drafting.segment, self._text),
            "budget": budget_info(self.runtime),
            "segment": segment,
        }

    @property
    def caption(self) -> str:
        """The task's id and, once the episode is over, the accuracy before and after the update."""
        if not self.over:
            return self.task.task_id
        scores = {name: f"{100 * each.accuracy:.0f} %" if each else "none" for name, each in self._shown.items()}
        return ", ".join([self.task.task_id, *(f"accuracy {name} {score}" for name, score in scores.items())])

    def panels(self) -> list[list[Panel]]:
        """The task as rows of panels, once it is over with predictions and gold answers."""
        return self.runtime.domain.panels(self.task, self._shown if self.over else None)
