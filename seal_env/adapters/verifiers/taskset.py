"""The taskset: prompts of the environment's tasks, and rewards of finished traces by real updates."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import Field

from seal_env.adapters.engine import EpisodeEngine
from seal_env.adapters.verifiers.engines import engine_of, runtime_of
from seal_env.agents.lm.chat import PolicyChat, as_action
from seal_env.episodes.episode import Episode
from seal_env.errors import needs_extra
from seal_env.journal import finite
from seal_env.types import Outcome, Step

with needs_extra("verifiers"):
    import verifiers.v1 as vf
    from verifiers.v1.dialects.chat import message_to_wire

ENVIRONMENT = ("task_id", "outcome", "reason", "self_edit", "losses", "gold")
"""Of info, beside measures before and after: what a trace keeps."""


class SealTaskConfig(vf.TaskConfig):
    """How tasks are scored: `--env.taskset.task.*`."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the environment, as of `gymnasium.make`."""
    window: float = Field(0.3, ge=0)
    """Seconds that the first update of a batch waits for others."""
    batch: int = Field(32, ge=1)
    """Most updates that train together."""
    at_once: int = Field(1, ge=1)
    """Batches that run side by side; above 1 where inner_loop=ray spreads them over several workers."""

    async def engine(self) -> EpisodeEngine:
        """The engine that all rollouts share. Raises SealError for settings that are not legal."""
        return await engine_of(self.settings, self.window, self.batch, self.at_once)


class SealTasksetConfig(vf.TasksetConfig):
    """Which tasks there are: `--env.taskset.*`."""

    task: SealTaskConfig = SealTaskConfig()
    seed: int = Field(0, ge=0)
    """Of the tasks' own seeds; rollouts of one task share its seed."""
    style: str | None = None
    """How texts are asked for where a domain learns from texts, see `seal_env.agents.lm.options`; None is the default."""


class SealData(vf.TaskData):
    """A task of the environment."""

    task_id: str
    seed: int
    domain: str
    tools: tuple[str, ...]
    wants_texts: bool = False


class SealTask(vf.Task[SealData, vf.State, SealTaskConfig]):
    """One episode. Its reward needs nothing but the trace, so that saved traces can be scored again."""

    @vf.reward
    async def self_edit(self, trace: vf.Trace) -> float:
        """The episode's return, by a real update. Raises vf.TaskError after an infrastructure failure: no measurement."""
        engine = await self.config.engine()
        episode = episode_of(engine, self.data)
        total, last = 0.0, None
        for message in trace.assistant_messages:
            if episode.over:
                break
            last = await engine.step(episode, action_of(message))
            total += last.reward
        if last is None:
            raise vf.TaskError("the policy gave no answer")
        outcome = Outcome(last.info["outcome"])
        if not episode.over:
            total += engine.runtime.settings.invalid_reward
            outcome = Outcome.MISSING_FINETUNE if outcome is Outcome.OK else outcome
        if math.isnan(total):
            raise vf.TaskError(f"{outcome}: {last.info['reason']}")
        self._record(trace, last, outcome)
        return total

    def _record(self, trace: vf.Trace, last: Step, outcome: Outcome) -> None:
        measures = {name for name in last.info if name.endswith(("_before", "_after"))}
        kept = {name: value for name, value in last.info.items() if name in measures or name in ENVIRONMENT}
        trace.info["seal"] = finite(kept) | {"outcome": str(outcome)}
        trace.record_metric("valid", float(outcome is Outcome.OK))
        for name in ("accuracy_before", "accuracy_after", "optimizer_steps"):
            trace.record_metric(name, float(last.info.get(name) or 0.0))


def episode_of(engine: EpisodeEngine, data: SealData) -> Episode:
    """A new episode of a task."""
    return Episode(engine.runtime, engine.runtime.taskset[data.task_id], data.seed)


def action_of(message: vf.AssistantMessage) -> str:
    """An answer as an action: the message as JSON if it has tool calls, otherwise its text, see `as_action`."""
    return json.dumps(message_to_wire(message)) if message.tool_calls else as_action(message.content or "")


class SealTaskset(vf.Taskset[SealTask, SealTasksetConfig]):
    """The tasks of an environment, in its order; those that are too long for its model are left out."""

    def load(self) -> Iterator[SealTask]:
        """Load the environment and its model, on which prompts depend. Raises SealError for settings that are not legal."""
        runtime = runtime_of(self.config.task.settings)
        chat = PolicyChat.of(runtime, self.config.style)
        tools = tuple(tool.name for tool in runtime.tools)
        for index, task_id in enumerate(runtime.taskset.task_ids):
            seed = int(np.random.SeedSequence((self.config.seed, index)).generate_state(1)[0]) >> 1
            *systems, user = chat.messages(*Episode(runtime, runtime.taskset[task_id], seed).opening())
            yield SealTask(
                SealData(
                    id=task_id,
                    name=task_id,
                    prompt=user.content,
                    system_prompt="\n\n".join(message.content for message in systems) or None,
                    task_id=task_id,
                    seed=seed,
                    domain=runtime.spec.name,
                    tools=tools,
                    wants_texts=chat.wants_texts,
                ),
                self.config.task,
            )
