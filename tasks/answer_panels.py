"""The answers to a query, before and after an update, as panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seal_env.panels import Panel
from seal_env.types import Evaluation


def answer_panels(caption: str, index: int, evaluations: Mapping[str, Evaluation | None], gold: Any) -> list[Panel]:
    """The first attempt at a query of each evaluation, captioned `caption` and its name, then the gold answer."""
    panels = []
    for name, evaluation in evaluations.items():
        attempts = evaluation.predictions_Q[index] if evaluation else ()
        right = evaluation.correct_Q[index] if evaluation and evaluation.correct_Q else None
        panels.append(Panel(f"{caption} {name}", attempts[0] if attempts else None, right))
    return [*panels, Panel("gold", gold)]
