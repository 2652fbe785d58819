"""Episodes: what happens between a task and a reward. No Gymnasium here.

An action is first decided upon, one episode at a time: a mistake or an open draft is a finished step, a closed self-edit
asks for an update. `settle` then has all updates done by one call of the inner loop and ends those episodes; `play` is
both.
"""

from __future__ import annotations

import math
import time
from collections import ChainMap, Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from seal_env.domains.registry import domain_tools, load_tasks, make_domain
from seal_env.episodes.reward import reward as compute_reward
from seal_env.errors import GraderError
from seal_env.inner_loop import make_inner_loop
from seal_env.self_edits.compile import FilteredExamples, Rules, apply_calls, compile_draft, describe_draft, filter_examples
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.prompt import observation_text
from seal_env.settings import Settings
from seal_env.tools.base import Draft, EditContext
from seal_env.tools.text.documents import NOTHING_COUNTED
from seal_env.types import (
    Evaluation,
    InnerLoop,
    InvalidSelfEdit,
    Outcome,
    Panel,
    SelfEdit,
    Task,
    ToolCall,
    TrainingConfig,
    UpdateJob,
    UpdateMethod,
    UpdateResult,
)

Step = tuple[str, float, bool, bool, dict[str, Any]]
"""Observation, reward, terminated, truncated, info."""

BaseKey = tuple[str, int]
"""What the base model's answers depend on: the task, and the seed where the evaluation is a vote (otherwise 0)."""

FAILED_REWARD: Final = math.nan
NO_UPDATE: Final = SelfEdit((), TrainingConfig(), optimizer_steps=0, tokens=0, candidates=0)
"""The self-edit that leaves the base model as it is."""


class Runtime:
    """What the episodes of one environment, or of many that run together, have in common. `load` or `use` makes it ready."""

    inner_loop: InnerLoop

    def __init__(self, settings: Settings) -> None:
        """Raises UnknownTaskError, TaskError or SettingError for the task set."""
        self.settings = settings
        self.taskset = load_tasks(settings)
        self.domain = make_domain(settings)
        self.tools = domain_tools(settings.domain)
        self.budget = settings.budget
        self._saved = 0

    def load(self) -> None:
        """Use the inner loop that the settings name. Raises ModelError if the model does not load."""
        used = self.settings
        cache, evaluator = (used.cache, used.cache_file), (used.evaluator_url, used.evaluator_model)
        self.use(make_inner_loop(used.inner_loop, used.model, used.device, *cache, *evaluator))

    def use(self, inner_loop: InnerLoop) -> None:
        """Train with `inner_loop`, and let the budget drop examples that its model cannot take."""
        self.inner_loop = inner_loop
        most = inner_loop.max_tokens(self.settings.recipe) + 1
        self.budget = replace(self.settings.budget, max_tokens=min(self.settings.max_tokens, most))

    @property
    def rules(self) -> Rules:
        """What holds for every self-edit here."""
        return Rules(self.budget, self.settings.recipe, self.tools, self.settings.training)

    def adapter_directory(self, task_id: str) -> Path | None:
        """A new directory for an adapter, of no earlier run and of no other copy; None if adapters are not kept."""
        if not self.settings.save_adapters:
            return None
        while (directory := Path(self.settings.save_adapters) / f"{self._saved:04d}-{task_id}").exists():
            self._saved += 1
        self._saved += 1
        return directory


class BaseAnswers(NamedTuple):
    """What the base model says to a task's queries. evaluation: None if the machine failed."""

    result: UpdateResult
    evaluation: Evaluation | None


class BaseAnswerCache(dict[BaseKey, BaseAnswers]):
    """The base model's answers, so that it is asked once per key; at most `limit` of them, the oldest given up first."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def keep(self, key: BaseKey, answers: BaseAnswers) -> None:
        """Keep what the model said; a failure of the machine says nothing."""
        if answers.evaluation is not None:
            if len(self) >= self.limit:
                del self[next(iter(self))]
            self[key] = answers


class PendingUpdate(NamedTuple):
    """The decision to end the episode with the update `edit`. outcome, reason: of the self-edit if it goes well."""

    edit: SelfEdit
    outcome: Outcome
    reason: str


class Episode:
    """One task, the draft of a self-edit on it, and the turns taken.

    The agent is shown the task's parts one after the other and closes a draft on each; they are learned together. `over` is
    true from the moment at which no further action is possible. timings: seconds by phase.
    """

    def __init__(self, runtime: Runtime, task: Task[Any, Any], seed: int) -> None:
        """seed: of the augmentation, the adapter and the order of the examples, in [0, 2**31)."""
        self.runtime, self.task, self.seed = runtime, task, seed
        self.over = False
        self.timings: dict[str, float] = {}
        self.parts = runtime.domain.segments(task.context)
        self.draft = Draft()
        self.kept: FilteredExamples | None = None
        self._part = 0
        self._closed: tuple[Any, ...] | None = None
        self._counts = Counter(NOTHING_COUNTED) if runtime.domain.reads_plain_text else Counter[str]()
        self._turn = self._turns_of_part = 0
        self._calls: tuple[ToolCall, ...] = ()
        self._shown: dict[str, Evaluation | None] = {"before": None, "after": None}

    def opening(self) -> tuple[str, dict[str, Any]]:
        """The first observation and its info."""
        return self._prompt(), self._info(Outcome.OK, "")

    def _prompt(self) -> str:
        settings, domain = self.runtime.settings, self.runtime.domain
        place = (self._part + 1, len(self.parts))
        description = domain.render(self.parts[self._part])
        return observation_text(
            domain,
            self.runtime.tools,
            description,
            self.runtime.budget,
            settings.max_turns,
            settings.recipe.batch_size,
            place,
            settings.training,
        )

    @property
    def _last_part(self) -> bool:
        return self._part + 1 == len(self.parts)

    def decide(self, action: Any) -> Step | PendingUpdate:
        """Take one action: a finished step, or the update that the episode will end with (see `finish`)."""
        assert not self.over
        self._turn += 1
        self._turns_of_part += 1
        began = time.perf_counter()
        calls = (parse_or_read if self.runtime.domain.reads_plain_text else parse)(action)
        if isinstance(calls, InvalidSelfEdit):
            return self._go_on(calls.outcome, calls.reason)
        context = EditContext(self.parts[self._part], self.seed)
        draft = apply_calls(self.draft, calls, context, self.runtime.tools)
        if isinstance(draft, InvalidSelfEdit):
            return self._go_on(draft.outcome, draft.reason)
        self._keep(draft)
        self._calls = (*self._calls, *calls)
        self.timings["compile_seconds"] = self.timings.get("compile_seconds", 0.0) + time.perf_counter() - began
        if draft.finetune:
            return self._close() if self._last_part else self._next_part(0.0, Outcome.OK, "")
        return self._go_on(Outcome.OK, describe_draft(draft, self.kept, self.runtime.rules))

    def _keep(self, draft: Draft) -> None:
        """Take over a draft. What it is trained on is worded and counted only where somebody wants to know."""
        same, self.draft = draft.candidates is self.draft.candidates, draft
        if (draft.finetune and not self._last_part) or (self.kept is not None and same):
            return
        candidates = self._candidates()
        if candidates is not None:
            runtime = self.runtime
            count = runtime.inner_loop.count_tokens
            self.kept = filter_examples(candidates, runtime.domain.render_example, count, runtime.budget, self.seed)

    def _candidates(self) -> tuple[Any, ...] | None:
        """What all parts so far are learned from; None if there is nothing."""
        own = self.runtime.domain.add_default_examples(self.parts[self._part], self.draft.candidates)
        return self._closed if own is None else (*(self._closed or ()), *own)

    def _next_part(self, reward: float, outcome: Outcome, reason: str) -> Step:
        """Close this part's draft; the next observation is the prompt for the next part."""
        info = self._info(outcome, reason)
        self._closed = self._candidates()
        self._counts.update(self.draft.counts)
        self.draft, self.kept = Draft(training=self.draft.training), None
        self._part, self._turns_of_part = self._part + 1, 0
        return self._prompt(), reward, False, False, info

    def _go_on(self, outcome: Outcome, reply: str) -> Step | PendingUpdate:
        """A turn without an update: the reply is the next observation, unless it was the last turn."""
        settings = self.runtime.settings
        last = self._turns_of_part >= settings.max_turns
        if last and outcome is Outcome.OK:
            outcome, reply = Outcome.MISSING_FINETUNE, f"No finetune call within {settings.max_turns} turns.\n{reply}"
        reason = "" if outcome is Outcome.OK else reply
        reward = 0.0 if outcome is Outcome.OK else settings.invalid_reward
        if last and not self._last_part:
            return self._next_part(reward, outcome, reason)
        if last and len(self.parts) > 1:
            self._keep(replace(self.draft, finetune=True))
            return self._close(outcome, reason)
        self.over = last
        return reply, reward, last, False, self._info(outcome, reason)

    def _close(self, outcome: Outcome = Outcome.OK, reason: str = "") -> Step | PendingUpdate:
        """All is written: no further action, whatever comes of it. outcome, reason: of the last part."""
        self.over = True
        self._counts.update(self.draft.counts)
        settings, runtime = self.runtime.settings, self.runtime
        edit = compile_draft(self.draft, self.kept, runtime.rules)
        if not isinstance(edit, InvalidSelfEdit):
            return PendingUpdate(edit, outcome, reason)
        if settings.recipe.no_op_over_budget:
            return PendingUpdate(NO_UPDATE, edit.outcome, edit.reason)
        return self._end(edit.outcome, edit.reason, settings.invalid_reward)

    @property
    def base_key(self) -> BaseKey:
        """By which the base model's answers to this task are kept."""
        return self.task.task_id, self.seed if self.runtime.settings.evaluation == "vote" else 0

    def base_job(self) -> UpdateJob:
        """Ask the base model."""
        return self._job(NO_UPDATE, None)

    def job(self, update: PendingUpdate) -> UpdateJob | None:
        """The update's own job; None where the base model's answers will do."""
        if not update.edit.optimizer_steps and not self.runtime.settings.save_adapters:
            return None
        return self._job(update.edit, self.runtime.adapter_directory(self.task.task_id))

    def _job(self, edit: SelfEdit, save_to: Path | None) -> UpdateJob:
        settings = self.runtime.settings
        return UpdateJob(
            examples_E=edit.examples_E,
            training=edit.training,
            lora=settings.lora,
            recipe=settings.recipe,
            seed=self.seed,
            queries_Q=self.runtime.domain.queries(self.task, self.seed),
            decode=settings.decode == "failed",
            save_to=save_to,
            method=cast(UpdateMethod, settings.method),
        )

    def base_answers(self, result: UpdateResult) -> BaseAnswers:
        """Score what came of `base_job`. A grader that cannot be reached is a failure of the machine."""
        self.timings["base_seconds"] = result.timings.get("evaluate_seconds", 0.0)
        if result.outcome.is_infrastructure:
            return BaseAnswers(result, None)
        try:
            return BaseAnswers(result, self._score(result))
        except GraderError as error:
            return BaseAnswers(replace(result, outcome=Outcome.ENGINE_ERROR, reason=str(error)), None)

    def _score(self, result: UpdateResult) -> Evaluation:
        return self.runtime.domain.score(self.task, result.answers_Q, self.seed)

    def finish(self, update: PendingUpdate, answers: BaseAnswers, result: UpdateResult | None) -> Step:
        """The end of the episode. result: what came of `job`, None if there was none."""
        base, settings = answers.evaluation, self.runtime.settings
        if base is None:
            return self._end(answers.result.outcome, answers.result.reason, FAILED_REWARD, update.edit)
        if result is None:
            result = answers.result
        else:
            self.timings |= dict(result.timings)
        if result.outcome.is_infrastructure:
            return self._end(result.outcome, result.reason, FAILED_REWARD, update.edit, result)
        if result.outcome is Outcome.DIVERGED:
            return self._end(result.outcome, result.reason, settings.invalid_reward, update.edit, result, base)
        try:
            adapted = self._score(result)
        except GraderError as error:
            return self._end(Outcome.ENGINE_ERROR, str(error), FAILED_REWARD, update.edit, result)
        value = compute_reward(settings.reward, base, adapted)
        return self._end(update.outcome, update.reason, value, update.edit, result, base, adapted)

    def abort(self, reason: str) -> Step:
        """End an episode whose agent could not be asked: truncated, and no number for a reward."""
        self.over = True
        return self._end(Outcome.ENGINE_ERROR, reason, FAILED_REWARD)

    def _end(
        self,
        outcome: Outcome,
        reason: str,
        reward: float,
        edit: SelfEdit | None = None,
        result: UpdateResult | None = None,
        base: Evaluation | None = None,
        adapted: Evaluation | None = None,
    ) -> Step:
        truncated, decoded = outcome.is_infrastructure, self.runtime.settings.decode == "failed"
        partial = self.runtime.domain.partial_metric
        info = self._info(outcome, reason) | {
            "self_edit": _as_json(self._calls),
            "examples": len(edit.examples_E) if edit else 0,
            "optimizer_steps": edit.optimizer_steps if edit else 0,
            "tokens": edit.tokens if edit else 0,
            **self._counts,
            "losses": [loss if math.isfinite(loss) else None for loss in result.losses_S] if result else [],
            "accuracy_before": base.accuracy if base else None,
            "accuracy_after": adapted.accuracy if adapted else None,
            f"{partial}_before": base.partial if base and decoded else None,
            f"{partial}_after": adapted.partial if adapted and decoded else None,
            "predictions_before": _as_lists(base.predictions_Q) if base else None,
            "predictions_after": _as_lists(adapted.predictions_Q) if adapted else None,
            "gold": _as_lists(self.runtime.domain.gold(self.task)),
        }
        self._shown = {"before": base, "after": adapted}
        text = (
            reason
            or f"The episode is over: accuracy {info['accuracy_before']:.2f} before, {info['accuracy_after']:.2f} after."
        )
        return text, float(reward), not truncated, truncated, info

    def _info(self, outcome: Outcome, reason: str) -> dict[str, Any]:
        info = {"task_id": self.task.task_id, "turn": self._turn, "outcome": str(outcome), "reason": reason}
        return info | {"part": self._part} if len(self.parts) > 1 else info

    def panels(self) -> list[list[Panel]]:
        """The task as rows of panels, once it is over with predictions and gold answers."""
        return self.runtime.domain.panels(self.task, self._shown if self.over else None)


def play(episodes: Sequence[Episode], actions: Sequence[Any], kept: BaseAnswerCache) -> list[Step]:
    """One action in each of several episodes of one runtime; one call of the inner loop at most, see `settle`."""
    return settle(episodes, [episode.decide(action) for episode, action in zip(episodes, actions, strict=True)], kept)


def settle(episodes: Sequence[Episode], decisions: Sequence[Step | PendingUpdate], kept: BaseAnswerCache) -> list[Step]:
    """What each episode's last decision comes to: a finished step stays as it is, and an update ends its episode.

    All is done by one call of the inner loop at most. It holds the update of every episode that ends with one, and one
    question to the base model for every task whose answers are not among `kept`, which grows by them.
    """
    updates = {place: decision for place, decision in enumerate(decisions) if isinstance(decision, PendingUpdate)}
    asking = {episodes[place].base_key: episodes[place] for place in updates if episodes[place].base_key not in kept}
    jobs: dict[BaseKey | int, UpdateJob] = {key: episode.base_job() for key, episode in asking.items()}
    jobs |= {place: job for place, update in updates.items() if (job := episodes[place].job(update)) is not None}
    results = dict(zip(jobs, episodes[0].runtime.inner_loop.run(list(jobs.values())), strict=True)) if jobs else {}
    asked = {key: episode.base_answers(results[key]) for key, episode in asking.items()}
    known = ChainMap(asked, kept)
    steps = [
        episode.finish(decision, known[episode.base_key], results.get(place))
        if isinstance(decision, PendingUpdate)
        else decision
        for place, (episode, decision) in enumerate(zip(episodes, decisions, strict=True))
    ]
    for key, answers in asked.items():
        kept.keep(key, answers)
    return steps


def _as_json(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
