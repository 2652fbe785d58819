"""An action with one more call, which rehearses earlier tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.rehearse import REHEARSE
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit, ToolCall


def with_rehearsal(action: str, share: float, plain_text: bool = False, earlier: Sequence[str] = ()) -> str:
    """An action, in JSON, that also rehearses at least this share of the documents of all earlier tasks.

    What the self-edit rehearses more of stays. What does not close a self-edit, is a mistake or would have more calls than
    there may be stays as it is.

    Args:
        action: Tool calls or, if `plain_text`, texts.
        share: Of each task's documents, in [0, 1].
        plain_text: Whether plain text is an action too.
        earlier: The actions of the same self-edit before this one.
    """
    calls, *before = (_calls(each, plain_text) for each in (action, *earlier))
    if not calls or calls[-1].name != FINETUNE.name:
        return action
    own = [call for each in (*before, calls) for call in each if call.name == REHEARSE.name]
    others = [call for call in calls[:-1] if call.name != REHEARSE.name]
    every = {"name": REHEARSE.name, "arguments": {"share": share, "tasks": []}}
    raised = [{"name": call.name, "arguments": _raised(call.arguments, share)} for call in own]
    made = [*map(_as_data, others), every, *raised, _as_data(calls[-1])]
    return json.dumps(made) if len(made) <= MAX_CALLS else action


def _calls(action: str, plain_text: bool) -> tuple[ToolCall, ...]:
    """The calls of an action; none if it is a mistake."""
    calls = (parse_or_read if plain_text else parse)(action)
    return () if isinstance(calls, InvalidSelfEdit) else calls


def _as_data(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": dict(call.arguments)}


def _raised(arguments: Mapping[str, Any], least: float) -> dict[str, Any]:
    """Arguments of `rehearse` with at least this share; those that are not legal stay as they are."""
    share = arguments.get("share")
    if isinstance(share, bool) or not isinstance(share, int | float):
        return dict(arguments)
    return {**arguments, "share": max(share, least)}
