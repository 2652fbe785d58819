"""One session of the server: an environment of its own, updates that train together with those of the others."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import seal_env
from seal_env.adapters.engine import EpisodeEngine
from seal_env.adapters.openenv.messages import SealAction, SealObservation, SealState
from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import Episode
from seal_env.errors import SealError, SettingError, needs_extra
from seal_env.journal import finite
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.types import Outcome, Step

with needs_extra("openenv"):
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import EnvironmentMetadata

LOG = logging.getLogger(__name__)
NAME = "seal_env"


class NoEpisodeError(SealError, RuntimeError):
    """A step without an episode: none was started in this session, or it is over."""


@dataclass(frozen=True)
class Shared:
    """What all sessions of a server share."""

    engine: EpisodeEngine
    settings: ServerSettings

    @property
    def limits(self) -> dict[str, Any]:
        """What clients are told with every reset."""
        return {
            "step_seconds": self.settings.step_seconds,
            "max_turns": self.engine.runtime.settings.max_turns,
            "max_action_characters": MAX_CHARACTERS,
            "sessions": self.settings.sessions,
        }


class SealSession(Environment[SealAction, SealObservation, SealState]):
    """SealEnv, one for each session: the same tasks and seeds as `gymnasium.make` gives, the same rewards and info."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared, self._runtime = shared, shared.engine.runtime
        self._env: SealEnv | None = None
        self._episode_id: str | None = None
        self._steps = 0

    def reset(self, seed: Any = None, episode_id: str | None = None, **options: Any) -> SealObservation:
        """See `seal_env.envs.env.SealEnv.reset`.

        Args:
            seed: Seeds everything random; None continues the session's random stream.
            episode_id: What `state` calls the episode; None is a random name.
            **options: `task_id`, or `split` and `index`, choose the task.

        Raises:
            SettingError, UnknownTaskError: For an illegal seed, an unknown option and an unknown task.
        """
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
            raise SettingError("seed", seed, "a whole number, at least 0, or None")
        self._env = self._env or SealEnv(runtime=self._runtime)
        text, info = self._env.reset(seed=seed, options=self._chosen(options))
        self._episode_id, self._steps = str(episode_id or uuid4()), 0
        metadata = _metadata(info, terminated=False, truncated=False) | {"limits": self._shared.limits}
        return SealObservation(text=text, info=finite(info), metadata=metadata)

    def _chosen(self, options: dict[str, Any]) -> dict[str, Any]:
        if "split" not in options and "index" not in options:
            return options
        split, index = options.pop("split", self._runtime.taskset.name), options.pop("index", None)
        if options or not isinstance(index, int):
            raise SettingError("options", {"index": index, **options}, "a task_id, or a split and an index")
        try:
            return {"task_id": self.get_task(split, index)["task_id"]}
        except IndexError as error:
            raise SettingError("index", index, f"0 to {self.num_tasks(split) - 1}") from error

    async def reset_async(self, seed: Any = None, episode_id: str | None = None, **options: Any) -> SealObservation:
        """See `reset`."""
        return await self._shared.engine.batches.in_thread(partial(self.reset, seed, episode_id, **options))

    def step(self, action: SealAction, timeout_s: float | None = None, **_: Any) -> SealObservation:
        """Not available: a step waits for those of other sessions. Raises NotImplementedError."""
        raise NotImplementedError("step_async")

    async def step_async(self, action: SealAction, timeout_s: float | None = None, **_: Any) -> SealObservation:
        """Take one action. Whatever the agent writes is an outcome, never an error.

        Args:
            action: A text.
            timeout_s: Seconds; the server's own limit holds too.

        Raises:
            NoEpisodeError: The episode is over, or none was started in this session.
        """
        episode = self._env.episode if self._env else None
        if episode is None or episode.over:
            raise NoEpisodeError("the episode is over, or none was started in this session: reset it first")
        self._steps += 1
        seconds = min(self._shared.settings.step_seconds, timeout_s or math.inf)
        text, reward, terminated, truncated, info = await self._timed(episode, action.text, seconds)
        return SealObservation(
            text=text,
            info=finite(info),
            metadata=_metadata(info, terminated=terminated, truncated=truncated),
            done=terminated or truncated,
            reward=reward if math.isfinite(reward) else None,
        )

    async def _timed(self, episode: Episode, text: str, seconds: float) -> Step:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._shared.engine.step(episode, text)
        except Exception as error:  # the client learns its first line
            if isinstance(error, TimeoutError) and limit.expired():
                return episode.fail(Outcome.ENGINE_ERROR, f"no result within the limit of {seconds:g} seconds")
            LOG.exception("a bug in a step of task %s", episode.task.task_id)
            raise

    @property
    def state(self) -> SealState:
        """The session's episode."""
        episode = self._env.episode if self._env else None
        if episode is None:
            return SealState()
        task_id, seed, over = episode.task.task_id, episode.seed, episode.over
        return SealState(episode_id=self._episode_id, step_count=self._steps, task_id=task_id, seed=seed, over=over)

    def get_metadata(self) -> EnvironmentMetadata:
        """What the server's page says of the environment."""
        about = f"Self-edits of {self._runtime.settings.model} on {len(self._runtime.taskset)} tasks of "
        about += f"{self._runtime.taskset.name} ({self._runtime.spec.name})"
        return EnvironmentMetadata(name=NAME, description=about, version=seal_env.__version__)

    def list_splits(self) -> list[dict[str, str]]:
        """The task set."""
        return [{"name": self._runtime.taskset.name, "type": "train"}]

    def num_tasks(self, split: str) -> int:
        """Number of tasks. Raises SettingError for another split."""
        if split != self._runtime.taskset.name:
            raise SettingError("split", split, repr(self._runtime.taskset.name))
        return len(self._runtime.taskset)

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """A task's name, by which it can be chosen. Raises IndexError."""
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(index)
        return {"task_id": self._runtime.taskset.task_ids[index], "index": index}

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, Any]]:
        """Tasks as by a slice."""
        return [self.get_task(split, index) for index in range(self.num_tasks(split))[start:stop]]

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """All tasks."""
        return self.get_task_range(split)


def _metadata(info: dict[str, Any], *, terminated: bool, truncated: bool) -> dict[str, Any]:
    about = {name: info[name] for name in ("task_id", "outcome", "reason")}
    return about | {"terminated": terminated, "truncated": truncated}
