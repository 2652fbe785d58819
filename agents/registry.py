"""Agents by name. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gymnasium

from seal_env.agents.base import Agent
from seal_env.agents.baselines import NO_UPDATE, USUAL_SELF_EDIT, FixedAgent, RandomAgent
from seal_env.errors import SettingError


@dataclass(frozen=True)
class AgentSettings:
    """What an agent may be built from. self_edit: the action of the agent `fixed`; None is the usual one."""

    action_space: gymnasium.Space[str]
    seed: int = 0
    self_edit: str | None = None


@dataclass(frozen=True)
class AgentEntry:
    """One line of help and how to build it."""

    summary: str
    build: Callable[[AgentSettings], Agent]


AGENTS: Mapping[str, AgentEntry] = {
    "random": AgentEntry("a random valid self-edit", lambda s: RandomAgent(s.action_space, s.seed)),
    "fixed": AgentEntry(
        "the same self-edit for every task (--self-edit)", lambda s: FixedAgent(s.self_edit or USUAL_SELF_EDIT)
    ),
    "none": AgentEntry("no update: in-context learning", lambda s: FixedAgent(NO_UPDATE)),
}


def make_agent(name: str, settings: AgentSettings) -> Agent:
    """The agent `name`. Raises SettingError for an unknown name, or a self-edit given to an agent that takes none."""
    if name not in AGENTS:
        raise SettingError("agent", name, " or ".join(map(repr, AGENTS)))
    if settings.self_edit is not None and name != "fixed":
        raise SettingError("self_edit", settings.self_edit, f"nothing: the agent {name!r} takes none (agent='fixed' does)")
    return AGENTS[name].build(settings)
