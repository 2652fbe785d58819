"""How results of update jobs are written to a store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from seal_env.store import Store, StoreFormat
from seal_env.types import Answer, Outcome, UpdateResult

LEFT_OUT: Final = ("timings", "adapter")
"""Fields of a result that belong to one run of a job."""


def encode_result(result: UpdateResult) -> str:
    """A result as JSON in ASCII, without timings and adapter; numbers that are not finite become strings: nan, inf, -inf."""
    fields = {name: value for name, value in asdict(result).items() if name not in LEFT_OUT}
    return json.dumps(_spell(fields), allow_nan=False)


def decode_result(text: str) -> UpdateResult:
    """What `encode_result` wrote. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    answers = tuple(Answer(**answer | {"margin": float(answer["margin"])}) for answer in fields.pop("answers_Q"))
    losses = tuple(float(loss) for loss in fields.pop("losses_S"))
    result = UpdateResult(Outcome(fields.pop("outcome")), answers_Q=answers, losses_S=losses, **fields)
    if encode_result(result) != text or not all(map(_is_answer, answers)) or result.outcome.is_infrastructure:
        raise ValueError("not written by encode_result")
    return result


def _is_answer(answer: Any) -> bool:
    return isinstance(answer.query_id, str) and isinstance(answer.exact, bool) and isinstance(answer.text, str | None)


def _spell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _spell(item) for name, item in value.items()}
    return [_spell(item) for item in value] if isinstance(value, tuple) else value


RESULTS: Final = StoreFormat(application=0x5EA1CACE, version=2, encode=encode_result, decode=decode_result)


@lru_cache(maxsize=64)
def open_store(path: Path | None, writable: bool) -> Store[UpdateResult]:
    """The one store of results of this process for this file, or for its memory."""
    return Store(path, RESULTS, writable)
