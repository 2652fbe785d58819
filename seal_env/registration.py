"""The environments' ids: a table made of the domains, and the one call that registers it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from seal_env.domains.base import DomainSpec
from seal_env.domains.registry import add_domain, domains

ENTRY_POINT = "seal_env.envs.env:SealEnv"
CONTINUAL_ENTRY_POINT = "seal_env.envs.continual_env:SealContinualEnv"
VECTOR_ENTRY_POINT = "seal_env.envs.vector_env:SealVectorEnv"


def environments() -> dict[str, Mapping[str, Any]]:
    """Each id with the settings that it stands for."""
    return {
        environment_id: {"domain": spec.name, **settings}
        for spec in domains().values()
        for environment_id, settings in spec.environments.items()
    }


def register_all() -> None:
    """Register every id with Gymnasium, those of domains registered since too.

    No time limit: `max_turns` ends an episode, and an end is not a truncation.
    """
    for environment_id, kwargs in environments().items():
        if environment_id in gymnasium.registry:
            continue
        together = None if "sequence" in kwargs else VECTOR_ENTRY_POINT  # each copy of a sequence has weights of its own
        entry_point = CONTINUAL_ENTRY_POINT if "sequence" in kwargs else ENTRY_POINT
        gymnasium.register(id=environment_id, entry_point=entry_point, vector_entry_point=together, kwargs=dict(kwargs))


def register_domain(spec: DomainSpec) -> None:
    """Make a domain from outside the package known, and register its environments with Gymnasium.

    Args:
        spec: Any domain; those in the entry point group `seal_env.domains` are registered by themselves.

    Raises:
        SettingError: If another domain has this name.
    """
    add_domain(spec)
    register_all()
