"""Agents by name. A new agent is a module in this package and a line in `_KNOWN`.

Agents of other packages are named by `register_agent`, by an entry point in the group `seal_env.agents`, or as
"package.module:Class".
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from seal_env.agents.base import Agent
from seal_env.agents.baselines.fixed import FINETUNE_ONLY, FixedAgent
from seal_env.agents.baselines.oracle_texts import OracleTextsAgent
from seal_env.agents.baselines.random_agent import RandomAgent
from seal_env.agents.baselines.replay import ReplayAgent
from seal_env.agents.context import GRIDS, NO_UPDATE, NUMERIC_ACTIONS, PASSAGES, REQUIREMENTS, AgentContext
from seal_env.agents.lm.options import LocalPolicyOptions, ServedPolicyOptions
from seal_env.agents.rl.options import Sb3Options
from seal_env.errors import SettingError
from seal_env.options import Options, unknown_setting
from seal_env.printable import printable
from seal_env.redaction import redacted_message

ENTRY_POINTS: Final = "seal_env.agents"
"""The group in which other packages name an AgentSpec or a subclass of Agent."""


@dataclass(frozen=True)
class AgentSpec:
    """One agent: what help texts say of it, and how it is built.

    Attributes:
        name: The value of `--agent`.
        summary: One line for help texts.
        build: (options, context) -> agent.
        options: The agent's own settings.
        requires: What it needs of a domain: names in `seal_env.agents.context.REQUIREMENTS`.
        learns: Whether earlier rewards change what it does, as `Agent.learns` of what `build` makes.
    """

    name: str
    summary: str
    build: Callable[[Any, AgentContext], Agent]
    options: type[Options] = Options
    requires: frozenset[str] = frozenset()
    learns: bool = False

    @classmethod
    def of(cls, name: str, agent: type[Agent]) -> AgentSpec:
        """The spec of a class that declares its own options and requirements; the summary is its docstring's first line."""
        summary = (inspect.getdoc(agent) or name).partition("\n")[0].rstrip(".")
        return cls(name, summary, agent.build, agent.options, agent.requires, agent.learns)


def imported(target: str) -> Callable[[Any, AgentContext], Agent]:
    """`build` of the class "package.module:Class", which is imported when the first such agent is made."""

    def build(options: Any, context: AgentContext) -> Agent:
        module, _, name = target.partition(":")
        agent: type[Agent] = getattr(import_module(module), name)
        return agent.build(options, context)

    return build


_KNOWN: Final[dict[str, AgentSpec]] = {
    spec.name: spec
    for spec in (
        AgentSpec.of("random", RandomAgent),
        AgentSpec.of("fixed", FixedAgent),
        AgentSpec(
            "none",
            "No update: the base model as it is",
            lambda options, context: FixedAgent(context.no_update),
            requires=frozenset({NO_UPDATE}),
        ),
        AgentSpec(
            "search",
            "Optuna's TPE for each task by itself",
            imported("seal_env.agents.search.tpe:SearchAgent"),
            requires=frozenset({NUMERIC_ACTIONS}),
            learns=True,
        ),
        AgentSpec(
            "bandit",
            "A contextual bandit over the tools' arguments",
            imported("seal_env.agents.search.bandit:BanditAgent"),
            requires=frozenset({NUMERIC_ACTIONS}),
            learns=True,
        ),
        AgentSpec(
            "sb3",
            "A policy that Stable-Baselines3 trained",
            imported("seal_env.agents.rl.sb3_agent:Sb3Agent"),
            Sb3Options,
            frozenset({NUMERIC_ACTIONS, GRIDS}),
        ),
        AgentSpec(
            "passage_only",
            "Learns nothing but the passage itself",
            lambda options, context: FixedAgent(FINETUNE_ONLY),
            requires=frozenset({PASSAGES}),
        ),
        AgentSpec.of("oracle_texts", OracleTextsAgent),
        AgentSpec.of("replay", ReplayAgent),
        AgentSpec(
            "local_hf",
            "A language model through transformers, the environment's base model by default",
            imported("seal_env.agents.lm.local.local_hf:LocalHFAgent"),
            LocalPolicyOptions,
        ),
        AgentSpec(
            "openai_compatible",
            "A language model behind an OpenAI-compatible server",
            imported("seal_env.agents.lm.served.openai_compatible:OpenAICompatibleAgent"),
            ServedPolicyOptions,
        ),
    )
}


def register_agent(spec: AgentSpec) -> None:
    """Make an agent known by its name.

    Raises:
        SettingError: If another agent has this name.
    """
    if _KNOWN.setdefault(spec.name, spec) is not spec:
        raise SettingError("agent", spec.name, f"a name other than {', '.join(_KNOWN)}")


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        try:
            register_agent(_as_spec(point.name, point.load()))
        except Exception as error:
            found = f"the agent {point.name!r} of {point.value!r} cannot be loaded: {error!r}"
            warnings.warn(printable(redacted_message(found)), stacklevel=2)


def agents() -> Mapping[str, AgentSpec]:
    """All agents by name, those of other packages too."""
    _load_entry_points()
    return _KNOWN


def agent_options() -> Mapping[str, type[Options]]:
    """The settings that each agent has of its own, by agent. Fields of equal names mean the same for every agent."""
    return {name: spec.options for name, spec in agents().items()}


def get_agent(name: str) -> AgentSpec:
    """The agent `name`, which is also a class or an AgentSpec as "package.module:Class".

    Raises:
        SettingError: For an unknown name, and for what cannot be imported or is no agent.
    """
    if ":" in name:
        return _imported_spec(name)
    known = agents()
    if name not in known:
        raise SettingError("agent", name, f"{' or '.join(map(repr, known))}, or 'package.module:Class'")
    return known[name]


def agent_names(context: AgentContext) -> tuple[str, ...]:
    """The agents that work in an environment."""
    return tuple(name for name, spec in agents().items() if not _missing(spec, context))


def missing_requirement(name: str, context: AgentContext) -> str:
    """What an agent needs that an environment does not have, in words; empty if it works there. Raises SettingError."""
    missing = _missing(get_agent(name), context)
    return REQUIREMENTS[missing[0]].summary if missing else ""


def make_agent(name: str, context: AgentContext, **options: Any) -> Agent:
    """Build an agent for an environment.

    Args:
        name: A registered name, or "package.module:Class".
        context: The environment and the seed.
        options: The agent's own settings.

    Raises:
        SettingError: For an unknown agent, one that does not work in this domain, an option that is not legal or that
            this agent does not have.
        MissingExtraError: For an agent that needs a package of an extra which is not installed.
        ModelError: For a policy model that does not load.
        TaskError: For a file that does not.
    """
    spec = get_agent(name)
    if missing := missing_requirement(name, context):
        names = " or ".join(map(repr, agent_names(context)))
        raise SettingError("agent", name, f"{names} where domain={context.domain!r}: {missing}")
    return spec.build(check_options(spec, options), context)


def check_options(spec: AgentSpec, given: Mapping[str, Any]) -> Options:
    """The options of an agent, checked.

    Raises:
        SettingError: For a value that is not legal, and for an option that only other agents have, which it names.
    """
    for option in (each for each in given if each not in spec.options.model_fields):
        takers = [name for name, model in agent_options().items() if option in model.model_fields]
        if not takers:
            raise unknown_setting(option, given[option], spec.options.model_fields)
        legal = f"nothing: the agent {spec.name!r} has no such option ({' and '.join(map(repr, takers))} have)"
        raise SettingError(option, given[option], legal)
    return spec.options.checked(**given)


def _missing(spec: AgentSpec, context: AgentContext) -> list[str]:
    return [name for name in sorted(spec.requires) if not REQUIREMENTS[name].is_met(context)]


def _imported_spec(target: str) -> AgentSpec:
    module, _, name = target.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError("agent", target, f"'package.module:Class' that can be imported ({error})") from error
    return _as_spec(target, found)


def _as_spec(name: str, found: Any) -> AgentSpec:
    if isinstance(found, AgentSpec):
        return found
    if isinstance(found, type) and issubclass(found, Agent):
        return AgentSpec.of(name, found)
    if inspect.isfunction(found):
        return AgentSpec(name, name, lambda options, context: found(context))
    raise SettingError(
        "agent", name, "a subclass of seal_env.agents.base.Agent, an AgentSpec, or a function (context) -> agent"
    )
