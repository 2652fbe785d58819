"""Self-edits in the form that TRL takes: prompts, tools that record decisions, and the rewards of a whole batch.

    from trl import GRPOTrainer
    from seal_env.agents.trainers.trl_episodes import prompt_dataset, self_edit_environments, self_edit_reward

    GRPOTrainer(
        model, self_edit_reward(runtime), train_dataset=prompt_dataset(runtime, starts),
        environment_factory=self_edit_environments(runtime),  # for models whose template has tool calls
    )

All updates of a batch are one call of the inner loop: tools only record what is decided, the reward function settles it.
The function is asynchronous: TRL runs it on its event loop, where calls that overlap share a batch.
Without environments each completion is a whole action, as it always is where the domain learns from texts.
`seal_env.agents.trainers.grpo` makes whole runs of it. `datasets` is not a dependency of seal-env: it comes with the extra
`grpo`.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial, reduce
from operator import or_
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np

from seal_env.agents.evaluation import MANY
from seal_env.agents.lm.chat import PolicyChat, as_action
from seal_env.agents.rollouts import Start
from seal_env.domains.base import DomainSpec
from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.episodes.settle_async import settle_async
from seal_env.errors import SettingError, UpdateError, needs_extra
from seal_env.inner_loop.async_loop import AsyncInnerLoop
from seal_env.tools.base import Arguments, Tool
from seal_env.tools.schema import Schema, arguments_schema, legal_values
from seal_env.types import Outcome, Step

with needs_extra("grpo"):
    from datasets import Dataset

CLOSED: Final = "The self-edit is closed: the adapter is trained on it and answers the queries."
MOST_JOBS: Final = 10_000
"""A batch of TRL's is one call of the inner loop, however large it is."""
OVER: Final = "The episode is over; this call changes nothing."


class SelfEditEnvironment:
    """One episode in which a policy calls the tools of the self-edit one by one, as TRL's `environment_factory` wants it.

    `environment_type` adds a public method for each tool. Each call is a turn of the episode; what was wrong with it
    is the reply. The update itself is left to `self_edit_reward`.

    Attributes:
        episode: The episode.
        decisions: What came of each turn.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.decisions: list[Step | PendingUpdate] = []
        self.episode: Episode

    def reset(self, task_id: str, seed: int, **_: Any) -> None:
        """Begin an episode. Rows of the same prompt share task and seed. Raises UnknownTaskError."""
        self.episode, self.decisions = Episode(self.runtime, self.runtime.taskset[task_id], int(seed)), []

    def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        return self._take([{"name": name, "arguments": dict(arguments)}])

    def _take(self, action: Any) -> str:
        if self.episode.over:
            return OVER
        decision = self.episode.decide(action)
        self.decisions.append(decision)
        return CLOSED if isinstance(decision, PendingUpdate) else decision.observation


def self_edit_environments(runtime: Runtime) -> Callable[[], SelfEditEnvironment]:
    """TRL's `environment_factory` for an environment.

    Args:
        runtime: Of the environment, its model loaded.

    Raises:
        SettingError: If an episode has too few turns, and where the domain learns from texts.
    """
    if runtime.spec.reads_plain_text:
        raise whole_actions_only(runtime.spec)
    if runtime.settings.max_turns < len(runtime.tools):
        legal = f"at least {len(runtime.tools)}: every tool call is a turn"
        raise SettingError("max_turns", runtime.settings.max_turns, legal)
    return partial(environment_type(runtime.tools), runtime)


def environment_type(tools: Sequence[Tool[Any]]) -> type[SelfEditEnvironment]:
    """SelfEditEnvironment with a method for each tool: its name, its arguments with their types, and both descriptions."""
    return type("SelfEditEnvironment", (SelfEditEnvironment,), {tool.name: _tool_method(tool) for tool in tools})


def whole_actions_only(domain: DomainSpec) -> SettingError:
    """The error for tool calls one by one in a domain that learns from texts."""
    legal = f"'off' where domain={domain.name!r}: a completion is a whole action there"
    return SettingError("tool_calls", "on", legal)


def _tool_method(tool: Tool[Any]) -> Callable[..., str]:
    """A method that takes a tool's arguments, with their names, types and descriptions where transformers reads them."""
    schemas, hints = arguments_schema(tool)["properties"], get_type_hints(tool.arguments)
    types = {name: _plain_type(hints[name]) for name in schemas}

    def call(self: SelfEditEnvironment, /, **arguments: Any) -> str:
        return self._call(tool.name, arguments)

    lines = "\n".join(f"    {name}: {_described(schema, hints[name])}" for name, schema in schemas.items())
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    taken = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=each) for name, each in types.items()]
    call.__name__ = tool.name
    call.__qualname__ = f"SelfEditEnvironment.{tool.name}"
    call.__doc__ = f"{tool.description}\n\nArgs:\n{lines}" if schemas else tool.description
    call.__annotations__ = types | {"return": str}
    setattr(call, "__signature__", inspect.Signature([own, *taken], return_annotation=str))  # noqa: B010 (no attribute yet)
    return call


def _plain_type(annotation: Any) -> Any:
    """A type of an argument as transformers knows it: a dict for a model within."""
    if isinstance(annotation, type) and issubclass(annotation, Arguments):
        return dict
    inner = tuple(map(_plain_type, get_args(annotation)))
    if inner == get_args(annotation):
        return annotation
    return reduce(or_, inner) if get_origin(annotation) in (Union, UnionType) else get_origin(annotation)[inner]


def _described(schema: Schema, annotation: Any) -> str:
    """An argument's description in one line, with the fields of a model within, which its type does not name."""
    words = " ".join(schema["description"].split())
    return words if _plain_type(annotation) == annotation else f"{words} It is {legal_values(schema)}."


def self_edit_reward(runtime: Runtime, engine: AsyncInnerLoop | None = None) -> Callable[..., Any]:
    """TRL's reward function for self-edits, to be awaited: the returns of a batch of episodes, whose updates train together.

    With environments, their episodes are settled; a completion that called no tool is read as a whole action. Without, each
    completion is the action of a new episode of `task_id` and `seed`. An episode that is left open is a mistake.

    Args:
        runtime: Of the environment, its model loaded.
        engine: Shared with others on TRL's event loop; None makes one for it.

    Returns:
        An asynchronous function. It gives a number for each completion, and None after an infrastructure failure, which TRL
        leaves out (before 1.6 it counts as 0). It raises UpdateError if all of a batch failed so: a step without any reward
        teaches nothing, and a run that resumes takes it again. It raises SettingError if the data set does not say of which
        episodes the completions are.
    """
    engines, base = _Engines(runtime, engine), BaseAnswerCache(MANY)

    async def self_edit(  # a function, since TRL before 1.14 awaits nothing else
        completions: Sequence[Any],
        task_id: Sequence[str] = (),
        seed: Sequence[int] = (),
        environments: Sequence[SelfEditEnvironment] | None = None,
        log_metric: Callable[[str, float], None] = lambda _name, _value: None,
        **_: Any,
    ) -> list[float | None]:
        if environments is None:
            if not len(completions) == len(task_id) == len(seed):
                legal = "a data set of prompt_dataset, whose columns task_id and seed name each episode"
                raise SettingError("train_dataset", f"{len(task_id)} task_id, {len(seed)} seed", legal)
            environments = [SelfEditEnvironment(runtime) for _ in completions]
            for environment, task, number in zip(environments, task_id, seed, strict=True):
                environment.reset(task, number)
        for environment, completion in zip(environments, completions, strict=True):
            if not environment.decisions:
                environment._take(as_action(_text(completion)))  # noqa: SLF001 (every public method is a tool)
        episodes = [environment.episode for environment in environments]
        decided = [environment.decisions for environment in environments]
        ends = await settle_async(episodes, [decisions[-1] for decisions in decided], base, engines.here())
        outcomes = [_outcome(episode, end) for episode, end in zip(episodes, ends, strict=True)]
        if outcomes and all(outcome.is_infrastructure for outcome in outcomes):
            reason = ends[0].info["reason"]
            raise UpdateError(f"no self-edit of a batch has a reward, since all failed: {outcomes[0]}: {reason}")
        log_metric("self_edit/valid", float(np.mean([outcome is Outcome.OK for outcome in outcomes])))
        log_metric("self_edit/failed", float(np.mean([outcome.is_infrastructure for outcome in outcomes])))
        wrong = runtime.settings.invalid_reward
        return [_return(*each, wrong) for each in zip(decided, ends, outcomes, strict=True)]

    return self_edit


class _Engines:
    """The engine of the event loop that runs.

    Args:
        runtime: Whose inner loop it has.
        given: The only one there is; None makes one for each event loop.
    """

    def __init__(self, runtime: Runtime, given: AsyncInnerLoop | None) -> None:
        self._runtime, self._given = runtime, given
        self._made: tuple[asyncio.AbstractEventLoop, AsyncInnerLoop] | None = None

    def here(self) -> AsyncInnerLoop:
        if self._given is not None:
            return self._given
        running, inner_loop = asyncio.get_running_loop(), self._runtime.inner_loop
        if self._made is None or self._made[0] is not running or self._made[1].inner_loop is not inner_loop:
            self._made = running, AsyncInnerLoop(inner_loop, most=MOST_JOBS, max_waiting=MOST_JOBS)
        return self._made[1]


def _return(decisions: Sequence[Step | PendingUpdate], end: Step, outcome: Outcome, invalid_reward: float) -> float | None:
    """Sum of the rewards, the mistake of leaving the episode open included; None if it is no number."""
    total = sum(turn.reward for turn in decisions[:-1] if not isinstance(turn, PendingUpdate)) + end.reward
    left_open = outcome is Outcome.MISSING_FINETUNE and end.info["outcome"] == Outcome.OK
    total += invalid_reward if left_open else 0.0
    return None if math.isnan(total) else total


def _text(completion: Any) -> str:
    """The text of a completion, or the content of the last message that the policy wrote."""
    if isinstance(completion, str):
        return completion
    contents = [message.get("content") for message in completion if message["role"] == "assistant"]
    return str(contents[-1] or "") if contents else ""


def _outcome(episode: Episode, end: Step) -> Outcome:
    outcome = Outcome(end.info["outcome"])
    return Outcome.MISSING_FINETUNE if outcome is Outcome.OK and not episode.over else outcome


def prompt_dataset(runtime: Runtime, episodes: Sequence[Start], chat: PolicyChat | None = None) -> Dataset:
    """The prompts of episodes, as TRL's `train_dataset`.

    Args:
        runtime: Of the environment.
        episodes: One for each row.
        chat: How the policy is prompted; None is for tool calls. Of a mix of styles each row has one, in turn, and its
            completion is a self-edit by itself.

    Returns:
        Columns `prompt` (system and user message), `task_id` and `seed`.
    """
    asked = chat or PolicyChat(runtime.tools)
    openings = {start.task_id: Episode(runtime, runtime.taskset[start.task_id], 0).opening() for start in episodes}
    chats = {task_id: asked.parts(*opening) for task_id, opening in openings.items()}
    chosen = [chats[start.task_id][number % len(chats[start.task_id])] for number, start in enumerate(episodes)]
    prompts = [[asdict(message) for message in chat] for chat in chosen]
    return Dataset.from_list(
        [{"prompt": prompt, **start._asdict()} for prompt, start in zip(prompts, episodes, strict=True)]
    )
