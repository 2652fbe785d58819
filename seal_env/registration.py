"""The environments' ids: a table, and the one call that registers it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

ENTRY_POINT = "seal_env.env:SealEnv"
VECTOR_ENTRY_POINT = "seal_env.vector_env:SealVectorEnv"
ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = {
    "SEAL-ARC-v0": {"subset": "seal-train"},
    "SEAL-ARC-Mini-v0": {"subset": "mini-train"},
}


def register_all() -> None:
    """Register every id with Gymnasium. No time limit: `max_turns` ends an episode, and an end is not a truncation."""
    for environment_id, kwargs in ENVIRONMENTS.items():
        gymnasium.register(
            id=environment_id, entry_point=ENTRY_POINT, vector_entry_point=VECTOR_ENTRY_POINT, kwargs=dict(kwargs)
        )
