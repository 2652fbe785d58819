"""Episodes: what happens between a task and a reward. No Gymnasium here.

An action is first decided upon, one episode at a time: a mistake or an open draft is a finished step, a closed self-edit
asks for an update. `settle` then has all updates done by one call of the inner loop and ends those episodes; `play` is
both.
"""

from __future__ import annotations

import math
import time
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from seal_env.inner_loop import make_inner_loop
from seal_env.prompts import observation_text
from seal_env.render import Panel
from seal_env.reward import reward as compute_reward
from seal_env.self_edit import Kept, apply_calls, compile_draft, describe_draft, keep_examples, parse
from seal_env.settings import Settings
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tools.base import Draft, EditContext
from seal_env.tools.registry import ARC_TOOLS
from seal_env.types import (
    Evaluation,
    InnerLoop,
    InvalidSelfEdit,
    Outcome,
    SelfEdit,
    Task,
    ToolCall,
    TrainingConfig,
    UpdateJob,
    UpdateResult,
)

Step = tuple[str, float, bool, bool, dict[str, Any]]
"""Observation, reward, terminated, truncated, info."""

BaseKey = tuple[str, int]
"""What the base model's answers depend on: the task, and the seed where the evaluation is a vote (otherwise 0)."""

FAILED_REWARD: Final = math.nan
NO_UPDATE: Final = SelfEdit((), TrainingConfig(), optimizer_steps=0, tokens=0, candidates=0)
"""The self-edit that leaves the base model as it is."""


class World:
    """What the episodes of one environment, or of many that run together, have in common. `load` or `use` makes it ready."""

    inner_loop: InnerLoop

    def __init__(self, settings: Settings) -> None:
        """Raises UnknownTaskError, TaskError or SettingError for the task set."""
        self.settings = settings
        self.taskset = load_taskset(settings.subset)
        self.domain = ArcDomain(str(settings.grid_format), settings.evaluation)
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


class KeptAnswers(dict[BaseKey, BaseAnswers]):
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


class Update(NamedTuple):
    """The decision to end the episode with the update `edit`. outcome, reason: of the self-edit if it goes well."""

    edit: SelfEdit
    outcome: Outcome
    reason: str


class Episode:
    """One task, the draft of a self-edit on it, and the turns taken.

    `over` is true from the moment at which no further action is possible. timings: seconds by phase.
    """

    def __init__(self, world: World, task: Task[Any, Any], seed: int) -> None:
        """seed: of the augmentation, the adapter and the order of the examples, in [0, 2**31)."""
        self.world, self.task, self.seed = world, task, seed
        self.over = False
        self.timings: dict[str, float] = {}
        self.draft = Draft()
        self.kept: Kept | None = None
        self._turn = 0
        self._calls: tuple[ToolCall, ...] = ()
        self._shown: dict[str, Evaluation | None] = {}

    def opening(self) -> tuple[str, dict[str, Any]]:
        """The first observation and its info."""
        settings, description = self.world.settings, self.world.domain.describe(self.task.context)
        text = observation_text(description, ARC_TOOLS, self.world.budget, settings.max_turns, settings.batch_size)
        return text, self._info(Outcome.OK, "")

    def decide(self, action: Any) -> Step | Update:
        """Take one action: a finished step, or the update that the episode will end with (see `finish`)."""
        assert not self.over
        self._turn += 1
        began = time.perf_counter()
        calls = parse(action)
        if isinstance(calls, InvalidSelfEdit):
            return self._go_on(calls.outcome, calls.reason)
        draft = apply_calls(self.draft, calls, EditContext(self.task.context, self.seed), ARC_TOOLS)
        if isinstance(draft, InvalidSelfEdit):
            return self._go_on(draft.outcome, draft.reason)
        self._keep(draft)
        self._calls = (*self._calls, *calls)
        self.timings["compile_seconds"] = self.timings.get("compile_seconds", 0.0) + time.perf_counter() - began
        if draft.finetune:
            return self._close()
        return self._go_on(Outcome.OK, describe_draft(draft, self.kept, self.world.budget, self.world.settings.recipe))

    def _keep(self, draft: Draft) -> None:
        if draft.candidates is not None and draft.candidates is not self.draft.candidates:
            world = self.world
            count = world.inner_loop.count_tokens
            self.kept = keep_examples(draft.candidates, world.domain.word, count, world.budget, self.seed)
        self.draft = draft

    def _go_on(self, outcome: Outcome, reply: str) -> Step:
        """A turn without an update: the reply is the next observation, unless it was the last turn."""
        settings = self.world.settings
        last = self._turn >= settings.max_turns
        if last and outcome is Outcome.OK:
            outcome, reply = Outcome.MISSING_FINETUNE, f"No finetune call within {settings.max_turns} turns.\n{reply}"
        self.over = last
        reason = "" if outcome is Outcome.OK else reply
        reward = 0.0 if outcome is Outcome.OK else settings.invalid_reward
        return reply, reward, last, False, self._info(outcome, reason)

    def _close(self) -> Step | Update:
        """The draft is closed: no further action, whatever comes of it."""
        self.over = True
        settings = self.world.settings
        edit = compile_draft(self.draft, self.kept, self.world.budget, settings.recipe)
        if not isinstance(edit, InvalidSelfEdit):
            return Update(edit, Outcome.OK, "")
        if settings.recipe.no_op_over_budget:
            return Update(NO_UPDATE, edit.outcome, edit.reason)
        return self._end(edit.outcome, edit.reason, settings.invalid_reward)

    @property
    def base_key(self) -> BaseKey:
        """By which the base model's answers to this task are kept."""
        return self.task.task_id, self.seed if self.world.settings.evaluation == "vote" else 0

    def base_job(self) -> UpdateJob:
        """Ask the base model."""
        return self._job(NO_UPDATE, None)

    def job(self, update: Update) -> UpdateJob | None:
        """The update's own job; None where the base model's answers will do."""
        if not update.edit.optimizer_steps and not self.world.settings.save_adapters:
            return None
        return self._job(update.edit, self.world.adapter_directory(self.task.task_id))

    def _job(self, edit: SelfEdit, save_to: Path | None) -> UpdateJob:
        settings = self.world.settings
        return UpdateJob(
            examples_E=edit.examples_E,
            training=edit.training,
            lora=settings.lora,
            recipe=settings.recipe,
            seed=self.seed,
            queries_Q=self.world.domain.questions(self.task, self.seed),
            decode=settings.decode == "failed",
            save_to=save_to,
        )

    def base_answers(self, result: UpdateResult) -> BaseAnswers:
        """Score what came of `base_job`."""
        self.timings["base_seconds"] = result.timings.get("evaluate_seconds", 0.0)
        return BaseAnswers(result, None if result.outcome.is_infrastructure else self._score(result))

    def _score(self, result: UpdateResult) -> Evaluation:
        return self.world.domain.score(self.task, result.answers_Q, self.seed)

    def finish(self, update: Update, answers: BaseAnswers, result: UpdateResult | None) -> Step:
        """The end of the episode. result: what came of `job`, None if there was none."""
        base, settings = answers.evaluation, self.world.settings
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
        adapted = self._score(result)
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
        truncated, decoded = outcome.is_infrastructure, self.world.settings.decode == "failed"
        info = self._info(outcome, reason) | {
            "self_edit": _as_json(self._calls),
            "examples": len(edit.examples_E) if edit else 0,
            "optimizer_steps": edit.optimizer_steps if edit else 0,
            "tokens": edit.tokens if edit else 0,
            "losses": [loss if math.isfinite(loss) else None for loss in result.losses_S] if result else [],
            "accuracy_before": base.accuracy if base else None,
            "accuracy_after": adapted.accuracy if adapted else None,
            "cell_accuracy_before": base.partial if base and decoded else None,
            "cell_accuracy_after": adapted.partial if adapted and decoded else None,
            "predictions_before": _as_lists(base.predictions_Q) if base else None,
            "predictions_after": _as_lists(adapted.predictions_Q) if adapted else None,
            "gold": _as_lists(tuple(pair.output for pair in self.task.queries)),
        }
        self._shown = {"before": base, "after": adapted}
        text = (
            reason
            or f"The episode is over: accuracy {info['accuracy_before']:.2f} before, {info['accuracy_after']:.2f} after."
        )
        return text, float(reward), not truncated, truncated, info

    def _info(self, outcome: Outcome, reason: str) -> dict[str, Any]:
        return {"task_id": self.task.task_id, "turn": self._turn, "outcome": str(outcome), "reason": reason}

    def panels(self) -> list[list[Panel]]:
        """Rows of captioned grids: the demonstrations, then each test input, once it is over with predictions and gold."""
        rows: list[list[Panel]] = [[("input", pair.input), ("output", pair.output)] for pair in self.task.context]
        for index, pair in enumerate(self.task.queries):
            row: list[Panel] = [("test input", pair.input)]
            if self.over:
                for name in ("before", "after"):
                    evaluation = self._shown.get(name)
                    attempts = evaluation.predictions_Q[index] if evaluation else ()
                    row.append((f"prediction {name}", attempts[0] if attempts else None))
                row.append(("gold", pair.output))
            rows.append(row)
        return rows


def play(episodes: Sequence[Episode], actions: Sequence[Any], kept: KeptAnswers) -> list[Step]:
    """One action in each of several episodes of one world; one call of the inner loop at most, see `settle`."""
    return settle(episodes, [episode.decide(action) for episode, action in zip(episodes, actions, strict=True)], kept)


def settle(episodes: Sequence[Episode], decisions: Sequence[Step | Update], kept: KeptAnswers) -> list[Step]:
    """What each episode's last decision comes to: a finished step stays as it is, and an update ends its episode.

    All is done by one call of the inner loop at most. It holds the update of every episode that ends with one, and one
    question to the base model for every task whose answers are not among `kept`, which grows by them.
    """
    updates = {place: decision for place, decision in enumerate(decisions) if isinstance(decision, Update)}
    asking = {episodes[place].base_key: episodes[place] for place in updates if episodes[place].base_key not in kept}
    jobs: dict[BaseKey | int, UpdateJob] = {key: episode.base_job() for key, episode in asking.items()}
    jobs |= {place: job for place, update in updates.items() if (job := episodes[place].job(update)) is not None}
    results = dict(zip(jobs, episodes[0].world.inner_loop.run(list(jobs.values())), strict=True)) if jobs else {}
    asked = {key: episode.base_answers(results[key]) for key, episode in asking.items()}
    known = ChainMap(asked, kept)
    steps = [
        episode.finish(decision, known[episode.base_key], results.get(place)) if isinstance(decision, Update) else decision
        for place, (episode, decision) in enumerate(zip(episodes, decisions, strict=True))
    ]
    for key, answers in asked.items():
        kept.keep(key, answers)
    return steps


def _as_json(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
