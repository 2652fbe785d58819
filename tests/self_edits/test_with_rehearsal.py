"""A self-edit is made to rehearse, and never to rehearse less than it does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seal_env.self_edits.with_rehearsal import with_rehearsal
from seal_env.tools.registry import MAX_CALLS

TEXTS: dict[str, Any] = {"name": "implications", "arguments": {}}
FINETUNE: dict[str, Any] = {"name": "finetune", "arguments": {}}


def rehearse(share: Any, *tasks: int) -> dict[str, Any]:
    return {"name": "rehearse", "arguments": {"share": share, "tasks": [*tasks]}}


@pytest.mark.parametrize(
    ("calls", "made"),
    [
        ([TEXTS, FINETUNE], [TEXTS, rehearse(0.25), FINETUNE]),
        ([rehearse(0.5), FINETUNE], [rehearse(0.25), rehearse(0.5), FINETUNE]),
        ([rehearse(0.1, 2), TEXTS, FINETUNE], [TEXTS, rehearse(0.25), rehearse(0.25, 2), FINETUNE]),
        ([rehearse("all"), FINETUNE], [rehearse(0.25), rehearse("all"), FINETUNE]),
        ([TEXTS], [TEXTS]),
        ([*[TEXTS] * (MAX_CALLS - 1), FINETUNE], [*[TEXTS] * (MAX_CALLS - 1), FINETUNE]),
    ],
)
def test_no_task_is_rehearsed_less_than_the_self_edit_says(calls: list[Any], made: list[Any]) -> None:
    assert json.loads(with_rehearsal(json.dumps(calls), 0.25)) == made


def test_what_an_earlier_turn_rehearses_counts() -> None:
    made = with_rehearsal(json.dumps([FINETUNE]), 0.25, earlier=[json.dumps([rehearse(1.0)]), "no call"])
    assert json.loads(made) == [rehearse(0.25), rehearse(1.0), FINETUNE]
