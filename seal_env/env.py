"""SealEnv: one self-edit, one real weight update, one reward."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from seal_env.errors import SettingError
from seal_env.inner_loop import make_inner_loop
from seal_env.prompts import observation_text
from seal_env.render import Panel, panels_ansi, panels_pixels
from seal_env.reward import reward as compute_reward
from seal_env.self_edit import Kept, apply_calls, compile_draft, describe_draft, keep_examples, parse
from seal_env.settings import Settings
from seal_env.spaces import PromptSpace, SelfEditSpace
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tools.base import Draft, EditContext
from seal_env.tools.registry import ARC_TOOLS
from seal_env.types import (
    Evaluation,
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
FAILED_REWARD: Final = math.nan
NO_UPDATE: Final = SelfEdit((), TrainingConfig(), optimizer_steps=0, tokens=0, candidates=0)
"""The self-edit that leaves the base model as it is."""

BASE_KEPT: Final = 1000
"""Evaluations of the base model that an environment keeps."""


class SealEnv(gymnasium.Env[str, str]):
    """SEAL on ARC: decide how a language model fine-tunes itself on a task, and be paid its accuracy afterwards.

    ## Description
    Each episode is one task. The agent reads its demonstrations and answers with a self-edit: JSON tool calls that say how
    to make training examples from the demonstrations and how to train on them. The environment then trains a LoRA adapter
    on the frozen base model for real and asks the test inputs of the updated model (arXiv 2506.10943, section 3.2).

    ## Action
    A JSON text. Accepted are a list of `{"name", "arguments"}`, one such object, an OpenAI assistant message or its
    `tool_calls`, and the paper's object with `data_generation` and `training`.

    | tool | arguments |
    |---|---|
    | `augment` | `use_X_augmentations` for X in `basic`, `size`, `chain`, `repeat`: true or false |
    | `training` | `strategy`, `learning_rate` in (0, 1], `num_train_epochs` 0..20 |
    | `finetune` | none; ends the episode |

    ## Observation
    Text: after `reset` the demonstrations, the tools and the budget; after a step without `finetune` the tools' reply, or
    what was wrong with the action. Test inputs and their outputs never appear in it.

    ## Reward
    0 for a step that only prepares; `invalid_reward` (0) for one with a mistake, which leaves the draft as it was. After
    `finetune`, by the setting `reward`: `accuracy` = test inputs solved / test inputs; `gain` = accuracy - the base model's
    accuracy; `solved` = 1 if all are solved; `cell_accuracy` = mean share of right cells. An update that diverged and a
    self-edit that is empty or over the budget earn `invalid_reward`.

    ## Episode end
    Terminated by `finetune`, or after `max_turns` actions. Truncated, with the reward nan and the outcome `out_of_memory`
    or `engine_error`, when the machine failed: such an episode says nothing about the agent and is to be dropped.

    ## Info
    `task_id`, `turn`, `outcome` (see Outcome) and `reason` always. After `finetune` also the self-edit as understood, its
    size, the losses, accuracies and predictions before and after, and the gold grids. Nothing that differs between equal
    runs: timings (seconds) are in `env.unwrapped.last_timings`.

    ## Seeds
    `reset(seed=...)` fixes the order of tasks, the augmentation, the adapter's initial weights and the order of training
    examples. `reset(options={"task_id": ...})` chooses the task.

    ## Registered ids
    `SEAL-ARC-v0` (12 tasks of ARC-AGI-1 by default), `SEAL-ARC-Mini-v0` (generated, grids up to 5x5).

    ## Cost
    An update is up to 375 optimizer steps: seconds for the embedded model on two cores, half a minute for a model of 1 B
    parameters on a GPU.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (declared so by Gymnasium)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 1,
    }

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """See `seal_env.settings.Settings` for the settings. Raises SettingError, UnknownTaskError or TaskError."""
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SettingError("render_mode", render_mode, "'ansi', 'rgb_array' or None")
        self.render_mode = render_mode
        self.settings = Settings.resolve(**settings)
        self.taskset = load_taskset(self.settings.subset)
        self.domain = ArcDomain(str(self.settings.grid_format), self.settings.evaluation)
        budget = self.settings.budget
        affordable = min(((budget.max_steps + 1) * self.settings.batch_size - 1) // budget.max_examples, 20)
        epochs = (min(1, affordable), min(3, affordable))
        self.action_space: gymnasium.Space[str] = SelfEditSpace(ARC_TOOLS, num_train_epochs=epochs)
        self.observation_space: gymnasium.Space[str] = PromptSpace()
        self.last_timings: dict[str, float] = {}
        self._budget = budget
        self._base: dict[tuple[str, int], tuple[UpdateResult, Evaluation | None]] = {}
        self._order: list[str] = []
        self._task: Task[Any, Any] | None = None
        self._done = True
        self._turn = 0
        self._seed = 0
        self._draft = Draft()
        self._kept: Kept | None = None
        self._calls: tuple[ToolCall, ...] = ()
        self._shown: dict[str, Evaluation | None] = {}
        self._saved = 0

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode.

        options: {"task_id": ...} chooses the task; without it tasks come in a seeded order, each once a round.
        Raises UnknownTaskError, SettingError for other options, and ModelError if the model does not load.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._order = []
        unknown = set(options or {}) - {"task_id"}
        if unknown:
            raise SettingError("options", sorted(unknown), "{'task_id': ...}")
        settings = self.settings
        self._inner_loop = make_inner_loop(settings.inner_loop, settings.model, settings.device)
        most = self._inner_loop.max_tokens(settings.recipe) + 1  # examples of so many tokens would not fit the model
        self._budget = replace(settings.budget, max_tokens=min(settings.max_tokens, most))
        self._task = self.taskset[str(options["task_id"])] if options and "task_id" in options else self._next_task()
        self._seed = int(self.np_random_seed) % 2**31
        self._draft, self._kept, self._calls = Draft(), None, ()
        self._turn, self._done, self._shown = 0, False, {}
        self.last_timings = {}
        description = self.domain.describe(self._task.context)
        text = observation_text(description, ARC_TOOLS, self._budget, settings.max_turns, settings.batch_size)
        return text, self._info(Outcome.OK, "")

    def _next_task(self) -> Task[Any, Any]:
        if not self._order:
            order = self.np_random.permutation(len(self.taskset)).tolist()
            self._order = [self.taskset.task_ids[index] for index in reversed(order)]
        return self.taskset[self._order.pop()]

    def step(self, action: Any) -> Step:
        """Take one action. Whatever the agent writes is an outcome, never an exception."""
        if self._done or self._task is None:
            raise gymnasium.error.ResetNeeded("the episode is over (or none was started): call reset() before step()")
        self._turn += 1
        began = time.perf_counter()
        calls = parse(action)
        if isinstance(calls, InvalidSelfEdit):
            return self._go_on(calls.outcome, calls.reason)
        context = EditContext(self._task.context, self._seed)
        draft = apply_calls(self._draft, calls, context, ARC_TOOLS)
        if isinstance(draft, InvalidSelfEdit):
            return self._go_on(draft.outcome, draft.reason)
        self._keep(draft)
        self._calls = (*self._calls, *calls)
        self.last_timings["compile_seconds"] = self.last_timings.get("compile_seconds", 0.0) + time.perf_counter() - began
        if draft.finetune:
            return self._finetune()
        return self._go_on(Outcome.OK, describe_draft(draft, self._kept, self._budget, self.settings.recipe))

    def _keep(self, draft: Draft) -> None:
        if draft.candidates is not None and draft.candidates is not self._draft.candidates:
            count = self._inner_loop.count_tokens
            self._kept = keep_examples(draft.candidates, self.domain.word, count, self._budget, self._seed)
        self._draft = draft

    def _go_on(self, outcome: Outcome, reply: str) -> Step:
        """A turn without an update: the reply is the next observation, unless it was the last turn."""
        last = self._turn >= self.settings.max_turns
        if last and outcome is Outcome.OK:
            outcome, reply = Outcome.MISSING_FINETUNE, f"No finetune call within {self.settings.max_turns} turns.\n{reply}"
        self._done = last
        reason = "" if outcome is Outcome.OK else reply
        reward = 0.0 if outcome is Outcome.OK else self.settings.invalid_reward
        return reply, reward, last, False, self._info(outcome, reason)

    def _finetune(self) -> Step:
        """Train, ask, score: the end of the episode."""
        assert self._task is not None
        self._done = True
        recipe = self.settings.recipe
        edit = compile_draft(self._draft, self._kept, self._budget, recipe)
        if isinstance(edit, InvalidSelfEdit):
            if not recipe.no_op_over_budget:
                return self._end(edit.outcome, edit.reason, self.settings.invalid_reward)
            outcome, reason, edit = edit.outcome, edit.reason, NO_UPDATE
        else:
            outcome, reason = Outcome.OK, ""
        base_result, base = self._ask_base()
        if base is None:
            return self._end(base_result.outcome, base_result.reason, FAILED_REWARD, edit)
        trains = edit.optimizer_steps > 0
        result = self._inner_loop.run([self._job(edit)])[0] if trains or self.settings.save_adapters else base_result
        if result is not base_result:
            self.last_timings |= dict(result.timings)
        if result.outcome.is_infrastructure:
            return self._end(result.outcome, result.reason, FAILED_REWARD, edit, result)
        if result.outcome is Outcome.DIVERGED:
            return self._end(result.outcome, result.reason, self.settings.invalid_reward, edit, result, base)
        adapted = self.domain.score(self._task, result.answers_Q, self._seed)
        value = compute_reward(self.settings.reward, base, adapted)
        return self._end(outcome, reason, value, edit, result, base, adapted)

    def _job(self, edit: SelfEdit, save: bool = True) -> UpdateJob:
        assert self._task is not None
        directory = None
        if save and self.settings.save_adapters:
            root, task_id = Path(self.settings.save_adapters), self._task.task_id
            while (directory := root / f"{self._saved:04d}-{task_id}").exists():  # of an earlier run, or of another copy
                self._saved += 1
            self._saved += 1
        settings = self.settings
        return UpdateJob(
            examples_E=edit.examples_E,
            training=edit.training,
            lora=settings.lora,
            recipe=settings.recipe,
            seed=self._seed,
            queries_Q=self.domain.questions(self._task, self._seed),
            decode=settings.decode == "failed",
            save_to=directory,
        )

    def _ask_base(self) -> tuple[UpdateResult, Evaluation | None]:
        """The base model's answers, once per task (and seed, which only the vote depends on); None if the machine failed."""
        assert self._task is not None
        key = (self._task.task_id, self._seed if self.settings.evaluation == "vote" else 0)
        if key not in self._base:
            result = self._inner_loop.run([self._job(NO_UPDATE, save=False)])[0]
            self.last_timings["base_seconds"] = result.timings.get("evaluate_seconds", 0.0)
            if result.outcome.is_infrastructure:
                return result, None
            if len(self._base) >= BASE_KEPT:
                del self._base[next(iter(self._base))]
            self._base[key] = (result, self.domain.score(self._task, result.answers_Q, self._seed))
        return self._base[key]

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
        assert self._task is not None
        truncated, decoded = outcome.is_infrastructure, self.settings.decode == "failed"
        info = self._info(outcome, reason) | {
            "self_edit": _as_json(self._calls),
            "examples": len(edit.examples_E) if edit else 0,
            "optimizer_steps": edit.optimizer_steps if edit else 0,
            "tokens": edit.tokens if edit else 0,
            "losses": [loss if math.isfinite(loss) else None for loss in result.losses_S] if result else [],
            "accuracy_before": base.accuracy if base else None,
            "accuracy_after": adapted.accuracy if adapted else None,
            "cell_accuracy_before": base.cell_accuracy if base and decoded else None,
            "cell_accuracy_after": adapted.cell_accuracy if adapted and decoded else None,
            "predictions_before": _as_lists(base.predictions_Q) if base else None,
            "predictions_after": _as_lists(adapted.predictions_Q) if adapted else None,
            "gold": _as_lists(tuple(pair.output for pair in self._task.queries)),
        }
        self._shown = {"before": base, "after": adapted}
        text = (
            reason
            or f"The episode is over: accuracy {info['accuracy_before']:.2f} before, {info['accuracy_after']:.2f} after."
        )
        return text, float(reward), not truncated, truncated, info

    def _info(self, outcome: Outcome, reason: str) -> dict[str, Any]:
        assert self._task is not None
        return {"task_id": self._task.task_id, "turn": self._turn, "outcome": str(outcome), "reason": reason}

    def render(self) -> Any:
        """`ansi`: text with coloured cells; `rgb_array`: uint8 [height, width, 3].

        Demonstrations (input, output), then for each test input: the input and, once the episode is over, the base model's
        prediction, the updated model's, and the gold output.
        """
        if self.render_mode is None:
            raise SettingError("render_mode", None, "'ansi' or 'rgb_array', given to gym.make")
        if self._task is None:
            raise gymnasium.error.ResetNeeded("call reset() before render()")
        rows = self._panels()
        picture: str | NDArray[np.uint8] = panels_ansi(rows) if self.render_mode == "ansi" else panels_pixels(rows)
        return picture

    def _panels(self) -> list[list[Panel]]:
        assert self._task is not None
        rows: list[list[Panel]] = [[("input", pair.input), ("output", pair.output)] for pair in self._task.context]
        for index, pair in enumerate(self._task.queries):
            row: list[Panel] = [("test input", pair.input)]
            if self._done:
                for name in ("before", "after"):
                    evaluation = self._shown.get(name)
                    attempts = evaluation.predictions_Q[index] if evaluation else ()
                    row.append((f"prediction {name}", attempts[0] if attempts else None))
                row.append(("gold", pair.output))
            rows.append(row)
        return rows


def _as_json(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
