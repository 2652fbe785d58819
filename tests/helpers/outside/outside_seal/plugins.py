"""What the entry points name. Importing it registers what has no entry points of its own."""

from __future__ import annotations

from outside_seal import BATCH, SPEC, FirstLetter, LoudAgent  # type: ignore[import-not-found]
from seal_env.domains.rewards import register_reward
from seal_env.inner_loop.optim.registry import register_optimizer
from seal_env.tasks.knowledge.grading.registry import register_grader

__all__ = ["BATCH", "SPEC", "LoudAgent"]

register_grader("first-letter", FirstLetter)
register_reward("steady", lambda base, adapted: 0.25)
register_optimizer("sign", "outside_seal.optimizer:Sign")
