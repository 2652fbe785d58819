"""Agents by name. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from seal_env.agents.base import Agent
from seal_env.agents.baselines.simple import DEFAULT_SELF_EDITS, NO_UPDATES, PASSAGE_ONLY, FixedAgent, RandomAgent
from seal_env.agents.lm.policy_settings import PolicySettings
from seal_env.domains import arc
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.models.catalog import MODEL_NAME
from seal_env.tools.base import Tool


@dataclass(frozen=True)
class AgentSettings:
    """What an agent may be built from. self_edit: the action of the agent `fixed`; None is the domain's usual one.

    model: the environment's base model. policy: for agents that are language models. domain, tools: the environment's.
    replay_file: the file of the agent `replay`.
    """

    action_space: gymnasium.Space[str]
    seed: int = 0
    self_edit: str | None = None
    model: str = MODEL_NAME
    policy: PolicySettings = field(default_factory=PolicySettings)
    domain: str = "arc"
    tools: tuple[Tool[Any], ...] = arc.TOOLS
    replay_file: str | None = None

    @classmethod
    def of(cls, env: SealEnv, **chosen: Any) -> AgentSettings:
        """What the environment decides, and the fields that are chosen."""
        used = env.settings
        return cls(env.action_space, model=used.model, domain=used.domain, tools=env.runtime.tools, **chosen)


@dataclass(frozen=True)
class AgentEntry:
    """One line of help and how to build it.

    extra: the extra of seal-env that brings the packages it needs, if it needs any. learns: it chooses by earlier rewards.
    domains: where it works. limit: why nowhere else.
    """

    summary: str
    build: Callable[[AgentSettings], Agent]
    extra: str | None = None
    learns: bool = False
    domains: tuple[str, ...] = ("arc", "knowledge")
    limit: str = ""


# Agents that are more than a draw are imported when they are asked for: they bring torch, or packages of an extra.
def _local_hf(settings: AgentSettings) -> Agent:
    from seal_env.agents.lm.local_hf import LocalHFAgent

    return LocalHFAgent.load(settings.model, settings.policy, settings.seed, settings.domain, settings.tools)


def _openai_compatible(settings: AgentSettings) -> Agent:
    from seal_env.agents.lm.openai_compatible import OpenAICompatibleAgent

    return OpenAICompatibleAgent(settings.policy, settings.seed, settings.tools, domain=settings.domain)


def _search(settings: AgentSettings) -> Agent:
    from seal_env.agents.search.tpe import SearchAgent

    return SearchAgent(settings.action_space, settings.seed)


def _bandit(settings: AgentSettings) -> Agent:
    from seal_env.agents.search.bandit import BanditAgent

    return BanditAgent(settings.action_space, settings.seed)


def _replay(settings: AgentSettings) -> Agent:
    from seal_env.agents.baselines.replay import ReplayAgent

    if settings.replay_file is None:
        raise SettingError("replay_file", None, "a file of passages with self-edits, for agent='replay'")
    return ReplayAgent.load(settings.replay_file, settings.seed)


_NUMBERS_ONLY = "what it chooses from are numbers and switches, and it can word no texts"
_TEXTS_ONLY = "it writes texts about a passage"

AGENTS: Mapping[str, AgentEntry] = {
    "random": AgentEntry("a random valid self-edit", lambda s: RandomAgent(s.action_space, s.seed)),
    "fixed": AgentEntry(
        "the same self-edit for every task (--self-edit)",
        lambda s: FixedAgent(s.self_edit or DEFAULT_SELF_EDITS[s.domain]),
    ),
    "none": AgentEntry(
        "no update: in ARC in-context learning, in knowledge the bare model", lambda s: FixedAgent(NO_UPDATES[s.domain])
    ),
    "search": AgentEntry(
        "Optuna's TPE for each task by itself", _search, "search", learns=True, domains=("arc",), limit=_NUMBERS_ONLY
    ),
    "bandit": AgentEntry(
        "a contextual bandit over the tools' arguments",
        _bandit,
        "bandit",
        learns=True,
        domains=("arc",),
        limit=_NUMBERS_ONLY,
    ),
    "passage_only": AgentEntry(
        "nothing but the passage itself is learned",
        lambda s: FixedAgent(PASSAGE_ONLY),
        domains=("knowledge",),
        limit="ARC has no passage",
    ),
    "replay": AgentEntry(
        "published self-edits from a file (--replay-file)", _replay, domains=("knowledge",), limit=_TEXTS_ONLY
    ),
    "local_hf": AgentEntry("a language model through transformers, seal-tiny itself by default", _local_hf),
    "openai_compatible": AgentEntry("a language model behind an OpenAI-compatible server", _openai_compatible),
}


def agent_names(domain: str) -> tuple[str, ...]:
    """The agents that work in a domain."""
    return tuple(name for name, entry in AGENTS.items() if domain in entry.domains)


def make_agent(name: str, settings: AgentSettings) -> Agent:
    """The agent `name`.

    Raises SettingError for an unknown name, an agent of another domain, a self-edit or a file given to an agent that takes
    none, or a package that is missing; ModelError for a policy that does not load; TaskError for a file that does not.
    """
    _check(name, settings)
    entry = AGENTS[name]
    try:
        return entry.build(settings)
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise SettingError("agent", name, f"an installed {error.name}: pip install 'seal-env[{entry.extra}]'") from error


def _check(name: str, settings: AgentSettings) -> None:
    domain, known = settings.domain, agent_names(settings.domain)
    if not known:
        domains = dict.fromkeys(each for entry in AGENTS.values() for each in entry.domains)
        raise SettingError("domain", domain, " or ".join(map(repr, domains)))
    if name not in AGENTS:
        raise SettingError("agent", name, " or ".join(map(repr, known)))
    if name not in known:
        names = " or ".join(map(repr, known))
        raise SettingError("agent", name, f"{names} where domain={domain!r}: {AGENTS[name].limit}")
    for setting, agent in (("self_edit", "fixed"), ("replay_file", "replay")):
        if (value := getattr(settings, setting)) is not None and name != agent:
            raise SettingError(setting, value, f"nothing: the agent {name!r} takes none (agent={agent!r} does)")
