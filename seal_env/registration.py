"""The environments' ids: a table, and the one call that registers it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from seal_env.models.catalog import TEXT_MODEL_NAME

ENTRY_POINT = "seal_env.envs.env:SealEnv"
CONTINUAL_ENTRY_POINT = "seal_env.envs.continual_env:SealContinualEnv"
VECTOR_ENTRY_POINT = "seal_env.envs.vector_env:SealVectorEnv"
KNOWLEDGE: Mapping[str, Any] = {
    "domain": "knowledge",
    "subset": "synthetic-train",
    "model": TEXT_MODEL_NAME,
    "max_tokens": 2048,
    "max_steps": 1000,
}
ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = {
    "SEAL-ARC-v0": {"subset": "seal-train"},
    "SEAL-ARC-Mini-v0": {"subset": "mini-train"},
    "SEAL-Knowledge-v0": KNOWLEDGE,
    "SEAL-Continual-v0": {**KNOWLEDGE, "sequence": 8},
}
"""Each id with the settings that it stands for."""


def register_all() -> None:
    """Register every id with Gymnasium. No time limit: `max_turns` ends an episode, and an end is not a truncation."""
    for environment_id, kwargs in ENVIRONMENTS.items():
        together = None if "sequence" in kwargs else VECTOR_ENTRY_POINT  # each copy of a sequence has weights of its own
        entry_point = CONTINUAL_ENTRY_POINT if "sequence" in kwargs else ENTRY_POINT
        gymnasium.register(id=environment_id, entry_point=entry_point, vector_entry_point=together, kwargs=dict(kwargs))
