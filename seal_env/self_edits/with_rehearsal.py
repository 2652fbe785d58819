"""An action with one more call, which rehearses earlier tasks."""

from __future__ import annotations

import json

from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.rehearse import REHEARSE
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit


def with_rehearsal(action: str, share: float, plain_text: bool = False) -> str:
    """An action, in JSON, that also rehearses this share of the documents of all earlier tasks.

    What does not close a self-edit, is a mistake or has as many calls as there may be stays as it is.

    Args:
        action: Tool calls or, if `plain_text`, texts.
        share: Of each task's documents, in [0, 1].
        plain_text: Whether plain text is an action too.
    """
    calls = (parse_or_read if plain_text else parse)(action)
    if isinstance(calls, InvalidSelfEdit) or calls[-1].name != FINETUNE.name or len(calls) >= MAX_CALLS:
        return action
    made = [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]
    return json.dumps([*made[:-1], {"name": REHEARSE.name, "arguments": {"share": share, "tasks": []}}, made[-1]])
