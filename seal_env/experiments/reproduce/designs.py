"""The designs by which `seal-env reproduce continual` retains what was learned, by the names that `--designs` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import gymnasium

from seal_env.agents.base import Agent
from seal_env.agents.baselines.rehearsing import RehearsingAgent
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.wrappers.replay_gate import ReplayGate
from seal_env.errors import SettingError

NONE: Final = "none"
MAX_REHEARSED: Final = 1024
"""The setting `max_rehearsed` where a design rehearses."""


Environment = gymnasium.Env[str, str]


@dataclass(frozen=True)
class Part:
    """One of the means of a design.

    Attributes:
        summary: One line for help texts; {} stands for its number.
        default: Its number, if none is given; None if it has none.
        legal: The numbers that are legal, in words.
        is_legal: Whether a number is.
        settings: number -> settings of the environment.
        agent: (agent, number, whether plain text is an action) -> the agent that acts.
        wrap: (environment, number) -> the environment, wrapped.
    """

    summary: str
    default: float | None = None
    legal: str = ""
    is_legal: Callable[[float], bool] = lambda number: True
    settings: Callable[[float], Mapping[str, Any]] = lambda number: {}
    agent: Callable[[Agent, float, bool], Agent] = lambda agent, number, plain_text: agent
    wrap: Callable[[Environment, float], Environment] = lambda env, number: env


def _consolidation(name: str) -> Callable[[float], Mapping[str, Any]]:
    return lambda number: {"consolidation": name}


def _rehearsal(summary: str, source: str) -> Part:
    """Rehearsal of a share of what there is of every earlier task. source: `Settings.rehearse_from`."""
    return Part(
        summary,
        default=0.25,
        legal="a share from 0 to 1",
        is_legal=lambda share: 0 <= share <= 1,
        settings=lambda share: {"max_rehearsed": MAX_REHEARSED, "rehearse_from": source},
        agent=RehearsingAgent,
    )


PARTS: Final[Mapping[str, Part]] = {
    NONE: Part("updates are merged and nothing protects what they overwrite"),
    "rehearse": _rehearsal("each update also learns the share {} of the documents of every earlier task", "documents"),
    "pseudo": _rehearsal(
        "as rehearse, with what the model itself writes when it is given the first half of each document", "samples"
    ),
    "regularise": Part(
        "a term of the loss, of weight {}, keeps each update near to the model before it",
        default=1.0,
        legal="a number, 0 or above",
        is_legal=lambda weight: 0 <= weight < math.inf,
        settings=lambda weight: {"regularise": weight},
    ),
    "gate": Part(
        "an update after which earlier tasks lose more than {} of their score is repeated with more rehearsal, up to all of "
        "it, and rejected if that does not help",
        default=0.1,
        legal="a number",
        settings=lambda limit: {"max_rehearsed": MAX_REHEARSED},
        wrap=lambda env, limit: ReplayGate(env, "exact_match", limit),
    ),
    "average": Part("updates begin from the base model, and their mean is added to it", settings=_consolidation("average")),
    "orthogonal": Part("each adapter reads inputs that no earlier one reads", settings=_consolidation("orthogonal")),
    "retrieval": Part("adapters stay apart, and a question picks its own by BM25", settings=_consolidation("retrieval")),
}


@dataclass(frozen=True)
class Design:
    """A way to retain what was learned: one of PARTS or several together.

    Attributes:
        name: Of all parts with their numbers: `rehearse:0.5`.
        parts: Its parts, each with its number.
    """

    name: str
    parts: tuple[tuple[Part, float], ...] = field(repr=False)

    @classmethod
    def of(cls, name: str) -> Design:
        """The design of a name: parts joined by "+", each with a number behind ":" if it should not be the default.

        Raises:
            SettingError: For an unknown part, a number that is not legal, and parts that exclude one another.
        """
        parts = {each: _part(name, each) for each in name.split("+")}
        _check_together(name, parts)
        kinds = ((each.partition(":")[0], part.default, number) for each, (part, number) in parts.items())
        full = "+".join(kind if default is None else f"{kind}:{number:g}" for kind, default, number in kinds)
        return cls(full, tuple(parts.values()))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the environment."""
        return {key: value for part, number in self.parts for key, value in part.settings(number).items()}

    def wrapped(self, env: Environment) -> Environment:
        """The environment with the wrappers of all parts."""
        for part, number in self.parts:
            env = part.wrap(env, number)
        return env

    def agent(self, agent: Agent, env: Environment) -> Agent:
        """The agent that acts where `agent` writes the self-edits."""
        seal = env.unwrapped
        assert isinstance(seal, SealContinualEnv)
        for part, number in self.parts:
            agent = part.agent(agent, number, seal.runtime.spec.reads_plain_text)
        return agent

    def row(self, agent: str) -> str:
        """Name of the row of an agent in the table, and of its files."""
        return agent if self.name == NONE else f"{agent}-{self.name.replace(':', '-')}"


def _check_together(name: str, parts: Mapping[str, tuple[Part, float]]) -> None:
    """Raise SettingError for a part that is named twice, and for parts of which one would undo the other's settings."""
    seen = set[str]()
    settings: dict[str, tuple[Any, str]] = {}
    for each, (part, number) in parts.items():
        kind = each.partition(":")[0]
        if kind in seen:
            raise SettingError("designs", name, f"{kind} once")
        seen.add(kind)
        for key, value in part.settings(number).items():
            known, other = settings.setdefault(key, (value, kind))
            if known != value:
                raise SettingError("designs", name, f"{other} or {kind}, which are two values of {key}")


def _part(name: str, given: str) -> tuple[Part, float]:
    kind, colon, number = given.partition(":")
    if kind not in PARTS or (colon and PARTS[kind].default is None):
        known = ", ".join(each if part.default is None else f"{each}[:NUMBER]" for each, part in PARTS.items())
        raise SettingError("designs", name, f"some of {known}, or several of them joined by +")
    part = PARTS[kind]
    try:
        value = float(number) if colon else part.default or 0.0
    except ValueError:
        value = math.nan
    if math.isnan(value) or not part.is_legal(value):
        raise SettingError("designs", name, f"{kind}:{part.legal}")
    return part, value
