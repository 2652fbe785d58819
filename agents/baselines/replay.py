"""Self-edits that others wrote, from a file, for the passages that they were written for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from seal_env.agents.base import Agent, PolicyFailure
from seal_env.agents.lm.policy_chat import shown_task
from seal_env.errors import PolicyError, TaskError
from seal_env.tasks.knowledge.files import read_passages
from seal_env.tasks.knowledge.passage import published


class ReplayAgent(Agent):
    """Gives the published self-edit for the passage that an observation shows; of several, one after the other.

    published: texts by title and text of the passage, as the observation has them: "title, line break, text". Spaces and
    line breaks do not count. The seed decides with which of several texts it begins; 0 is the first.
    """

    reads_history = True

    def __init__(self, published: Mapping[str, Sequence[str]], name: str = "the file", seed: int = 0) -> None:
        """name: of where the texts are from, for errors."""
        self._published = {_key(shown): tuple(texts) for shown, texts in published.items() if texts}
        self._name = name
        self.seed(seed)

    @classmethod
    def load(cls, path: str, seed: int = 0) -> ReplayAgent:
        """From a file of passages with self-edits beside them, see `seal_env.tasks.knowledge.files`.

        Raises TaskError for a file that is malformed or has none.
        """
        tasks = tuple(read_passages(Path(path)))
        found = {f"{task.context.title}\n{task.context.text}": published(task) for task in tasks}
        if not any(found.values()):
            raise TaskError(f"{path}: none of its {len(found)} passages has a published self-edit")
        return cls(found, path, seed)

    def seed(self, seed: int) -> None:
        """Begin the sequences that belong to `seed`."""
        self._seed, self._given = seed, Counter[str]()

    def act(self, observation: str) -> str:
        """A text for the passage. Raises PolicyError if there is none."""
        action = self._next(observation)
        if isinstance(action, PolicyFailure):
            raise PolicyError(action.reason)
        return action

    def act_all(self, observations: Sequence[str]) -> list[str | PolicyFailure]:
        """See Agent. A passage without a text is a PolicyFailure that names it."""
        actions = [self._next(observation) for observation in observations]
        reasons = [action.reason for action in actions if isinstance(action, PolicyFailure)]
        if reasons and len(reasons) == len(actions):
            raise PolicyError(reasons[0])
        return actions

    def _next(self, observation: str) -> str | PolicyFailure:
        shown = shown_task(observation)
        texts = self._published.get(key := _key(shown))
        if texts is None:
            title, _, text = shown.partition("\n")
            return PolicyFailure(f"{self._name} has no self-edit for the passage {title!r} that begins {text[:60]!r}")
        place = (self._seed + self._given[key]) % len(texts)
        self._given[key] += 1
        return texts[place]


def _key(shown: str) -> str:
    return " ".join(shown.split())
