"""A worker that has nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seal_env.inner_loop.workers.actor import InnerLoopActor
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult

RESULT = UpdateResult(Outcome.OK, "", (Answer("q", True, "1", 1.0),), tuple([0.5] * 24), 1000, 2)


class NoWorkActor(InnerLoopActor):
    """Answers at once."""

    def load(self) -> dict[str, Any]:
        """Load nothing."""
        return {"model": "none"}

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """One result for all."""
        return [RESULT for _ in jobs]
