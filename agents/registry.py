"""Agents by name. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import gymnasium

from seal_env.agents.base import Agent
from seal_env.agents.baselines import NO_UPDATE, USUAL_SELF_EDIT, FixedAgent, RandomAgent
from seal_env.agents.policy_settings import PolicySettings
from seal_env.embedded_model import MODEL_NAME
from seal_env.errors import SettingError


@dataclass(frozen=True)
class AgentSettings:
    """What an agent may be built from. self_edit: the action of the agent `fixed`; None is the usual one.

    model: the environment's base model. policy: for agents that are language models.
    """

    action_space: gymnasium.Space[str]
    seed: int = 0
    self_edit: str | None = None
    model: str = MODEL_NAME
    policy: PolicySettings = field(default_factory=PolicySettings)


@dataclass(frozen=True)
class AgentEntry:
    """One line of help and how to build it.

    extra: the extra of seal-env that brings the packages it needs, if it needs any. learns: it chooses by earlier rewards.
    """

    summary: str
    build: Callable[[AgentSettings], Agent]
    extra: str | None = None
    learns: bool = False


# Agents that are more than a draw are imported when they are asked for: they bring torch, or packages of an extra.
def _local_hf(settings: AgentSettings) -> Agent:
    from seal_env.agents.local_hf import LocalHFAgent

    return LocalHFAgent.load(settings.model, settings.policy, settings.seed)


def _openai_compatible(settings: AgentSettings) -> Agent:
    from seal_env.agents.openai_compatible import OpenAICompatibleAgent

    return OpenAICompatibleAgent(settings.policy, settings.seed)


def _search(settings: AgentSettings) -> Agent:
    from seal_env.agents.search import SearchAgent

    return SearchAgent(settings.action_space, settings.seed)


def _bandit(settings: AgentSettings) -> Agent:
    from seal_env.agents.bandit import BanditAgent

    return BanditAgent(settings.action_space, settings.seed)


AGENTS: Mapping[str, AgentEntry] = {
    "random": AgentEntry("a random valid self-edit", lambda s: RandomAgent(s.action_space, s.seed)),
    "fixed": AgentEntry(
        "the same self-edit for every task (--self-edit)", lambda s: FixedAgent(s.self_edit or USUAL_SELF_EDIT)
    ),
    "none": AgentEntry("no update: in-context learning", lambda s: FixedAgent(NO_UPDATE)),
    "search": AgentEntry("Optuna's TPE for each task by itself", _search, extra="search", learns=True),
    "bandit": AgentEntry("a contextual bandit over the tools' arguments", _bandit, extra="bandit", learns=True),
    "local_hf": AgentEntry("a language model through transformers, seal-tiny itself by default", _local_hf),
    "openai_compatible": AgentEntry("a language model behind an OpenAI-compatible server", _openai_compatible),
}


def make_agent(name: str, settings: AgentSettings) -> Agent:
    """The agent `name`.

    Raises SettingError for an unknown name, a self-edit given to an agent that takes none, or a package that is missing;
    ModelError for a policy that does not load.
    """
    if name not in AGENTS:
        raise SettingError("agent", name, " or ".join(map(repr, AGENTS)))
    if settings.self_edit is not None and name != "fixed":
        raise SettingError("self_edit", settings.self_edit, f"nothing: the agent {name!r} takes none (agent='fixed' does)")
    entry = AGENTS[name]
    try:
        return entry.build(settings)
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise SettingError("agent", name, f"an installed {error.name}: pip install 'seal-env[{entry.extra}]'") from error
