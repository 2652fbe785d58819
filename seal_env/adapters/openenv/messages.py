"""What goes over the wire: an action is a text, and so is what the agent reads."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from seal_env.errors import needs_extra
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS

with needs_extra("openenv"):
    from openenv.core.env_server.types import Action, Observation, State

BYTES_PER_CHARACTER: Final = 12  # of JSON, at most: a surrogate pair, escaped
MAX_MESSAGE_BYTES: Final = BYTES_PER_CHARACTER * (MAX_CHARACTERS + 1) + 65_536
"""Most bytes of a message to the server. An action that is one character too long to be read fits, and is an outcome."""


def _encodable(text: object) -> object:
    """A text without unpaired surrogates, which no message can hold."""
    return text.encode(errors="replace").decode() if isinstance(text, str) else text


class SealAction(Action):
    """One action: a self-edit, or a part of one, as a text."""

    text: Annotated[str, BeforeValidator(_encodable)] = Field(
        description="A self-edit: JSON tool calls, or plain texts where the domain reads them"
    )


class SealObservation(Observation):
    """What the agent reads. `reward` is None after `reset` and after an infrastructure failure, which says nothing about it.

    `metadata` has `outcome`, `reason`, `terminated` and `truncated`, and after `reset` the server's `limits`.
    """

    text: str = Field(default="", description="What the agent reads")
    info: dict[str, Any] = Field(default_factory=dict, description="Gymnasium's info, see seal_env.envs.env.SealEnv")


class SealState(State):
    """The episode of a session."""

    task_id: str | None = Field(default=None, description="The episode's task; None before the first reset")
    seed: int | None = Field(default=None, description="Seed of the episode's update")
    over: bool = Field(default=False, description="Whether no further action is possible")
