"""Self-edits that others wrote, for the passages that they were written for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from seal_env.agents.base import Agent, Info
from seal_env.errors import PolicyError, SettingError, TaskError
from seal_env.options import Options, PathText
from seal_env.tasks.knowledge.files import read_passages
from seal_env.tasks.knowledge.passage import published

if TYPE_CHECKING:
    from seal_env.agents.context import AgentContext


class ReplayOptions(Options):
    """Options of ReplayAgent."""

    replay_file: PathText | None = None
    """A file of passages with self-edits beside them; None is the task set, if it has any."""


class ReplayAgent(Agent):
    """Published self-edits of the task set, or from a file of passages."""

    options = ReplayOptions
    requires = frozenset({"passages", "plain_text"})

    def __init__(self, published: Mapping[str, Sequence[str]], name: str = "the file", seed: int = 0) -> None:
        """Of several texts for a passage it gives one after the other.

        Args:
            published: Texts by the passage that they were written for, as `info["task"]["text"]` has it: the title, a line
                break, the text. White space does not count.
            name: Where the texts come from, for error messages.
            seed: Which of several texts comes first; 0 is the first of the file.
        """
        self._published = {_key(shown): tuple(texts) for shown, texts in published.items() if texts}
        self._name = name
        self.seed(seed)

    @classmethod
    def build(cls, options: ReplayOptions, context: AgentContext) -> Self:
        """See Agent. Raises SettingError where neither a file nor the task set has a self-edit, TaskError for the file."""
        if options.replay_file is not None:
            return cls.load(options.replay_file, context.seed)
        taskset, domain = context.runtime.taskset, context.runtime.domain
        found = {domain.render(task.context): texts for task in taskset if (texts := published(task))}
        if not found:
            raise SettingError("replay_file", None, f"a file of passages with self-edits: {taskset.name!r} has none")
        return cls(found, taskset.name, context.seed)

    @classmethod
    def load(cls, path: str | os.PathLike[str], seed: int = 0) -> Self:
        """Read a file of passages with self-edits beside them; see `seal_env.tasks.knowledge.files` for its form.

        Raises:
            TaskError: For a file that is malformed, or has no self-edit.
        """
        tasks = tuple(read_passages(Path(path)))
        found = {f"{task.context.title}\n{task.context.text}": published(task) for task in tasks}
        if not any(found.values()):
            raise TaskError(f"{path}: none of its {len(found)} passages has a published self-edit")
        return cls(found, str(path), seed)

    def seed(self, seed: int) -> None:
        """Begin the sequences that belong to `seed`."""
        self._seed, self._given = seed, Counter[str]()

    def act(self, observation: str, info: Info) -> str:
        """Return a text for the passage.

        Raises:
            PolicyError: If there is none.
        """
        shown = str(info["task"]["text"])
        texts = self._published.get(key := _key(shown))
        if texts is None:
            title, _, text = shown.partition("\n")
            raise PolicyError(f"{self._name} has no self-edit for the passage {title!r} that begins {text[:60]!r}")
        index = (self._seed + self._given[key]) % len(texts)
        self._given[key] += 1
        return texts[index]


def _key(shown: str) -> str:
    return " ".join(shown.split())
