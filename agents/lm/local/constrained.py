"""Constrained decoding: of the tokens that could come next only those that lead to a valid self-edit are left.

The grammar is derived from the tools' JSON schemas: a list with one call of each tool, in order, so that it is closed by
finetune, written as `json.dumps` writes it. Every argument is one of finitely many texts (a real number has 3 significant
digits), so that an answer has an end. Left out: other forms of action, and drafts that are left open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from seal_env.errors import SettingError, needs_extra
from seal_env.tools.base import Tool
from seal_env.tools.registry import json_schemas
from seal_env.tools.schema import Schema

LARGEST_INTEGER = 999
EXPONENTS = range(-6, 3)
"""Powers of ten that begin a real number: from 1e-6 to 999."""


def pattern(schema: Schema) -> str:
    """A regular expression that the JSON texts of an argument match in full, as `json.dumps` writes them.

    Raises:
        SettingError: for free text, and for a list without a limit.
    """
    if "anyOf" in schema:
        return f"({'|'.join(map(pattern, schema['anyOf']))})"
    kind = schema.get("type")
    if kind == "object":
        fields = (f"{re.escape(json.dumps(name))}: {pattern(each)}" for name, each in schema["properties"].items())
        return re.escape("{") + ", ".join(fields) + re.escape("}")
    if kind == "array" and "maxItems" in schema:
        return _list_pattern(pattern(schema["items"]), schema.get("minItems", 0), schema["maxItems"])
    return f"({'|'.join(map(re.escape, legal_texts(schema)))})"


def _list_pattern(item: str, least: int, most: int) -> str:
    some = f"{item}(, {item}){{{max(least - 1, 0)},{most - 1}}}" if most else ""
    return re.escape("[") + (some if least else f"({some})?") + re.escape("]")


def legal_texts(schema: Schema) -> list[str]:
    """Every JSON text of a scalar argument that is offered to a model. Raises SettingError for anything else."""
    if "const" in schema:
        return [json.dumps(schema["const"])]
    if "enum" in schema:
        return [json.dumps(value) for value in schema["enum"]]
    if schema.get("type") in ("boolean", "null"):
        return ["true", "false"] if schema["type"] == "boolean" else ["null"]
    if schema.get("type") not in ("integer", "number"):
        raise SettingError("constrained", True, f"False: an argument is {json.dumps(schema)}, neither number nor choice")
    return [json.dumps(value) for value in _numbers(schema["type"]) if _within(value, schema)]


def _numbers(kind: str) -> Iterable[float]:
    if kind == "integer":
        return range(-LARGEST_INTEGER, LARGEST_INTEGER + 1)
    positive = [float(f"{digits}e{power - 2}") for power in EXPONENTS for digits in range(100, 1000)]
    return [*(-number for number in positive), 0.0, *positive]


def _within(value: float, schema: Schema) -> bool:
    return (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or value % schema["multipleOf"] == 0)
    )


def self_edit_pattern(tools: Sequence[Tool[Any]]) -> str:
    """A regular expression that whole self-edits match in full: one call of each tool, in this order."""
    calls = [
        re.escape(f'{{"name": {json.dumps(name)}, "arguments": ') + pattern(schema) + re.escape("}")
        for name, schema in json_schemas(tools).items()
    ]
    return re.escape("[") + ", ".join(calls) + re.escape("]")


class SelfEditGrammar:
    """The self-edits of a set of tools as a grammar over one tokenizer's tokens, by llguidance."""

    def __init__(self, tokenizer: Any, stop_ids: Sequence[int], tools: Sequence[Tool[Any]]) -> None:
        """stop_ids: tokens that may end an answer. Raises MissingExtraError without llguidance."""
        with needs_extra("constrained"):
            import llguidance
            from llguidance.hf import from_tokenizer
        grammar = llguidance.LLMatcher.grammar_from_regex(self_edit_pattern(tools))
        self._stop_ids = list(stop_ids)
        self._start = llguidance.LLMatcher(from_tokenizer(tokenizer, eos_token=self._stop_ids), grammar)
        assert not self._start.is_error(), self._start.get_error()

    def processor(self, rows: int) -> LogitsProcessor:
        """A processor for one call of `generate` with this many rows."""
        return _OnlyLegal([self._start.deep_copy() for _ in range(rows)], self._stop_ids)


class _OnlyLegal(LogitsProcessor):
    """Sets the logits of all other tokens to minus infinity. A row that is complete may only end."""

    def __init__(self, matchers_B: list[Any], stop_ids: list[int]) -> None:
        self._matchers, self._stop_ids = matchers_B, stop_ids
        self._begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids int64 [B, T], scores [B, vocabulary] -> scores."""
        legal = np.zeros(scores.shape, dtype=bool)  # a model may have more logits than its tokenizer has tokens
        for row, matcher in enumerate(self._matchers):
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(int(input_ids[row, -1]))
            assert not matcher.is_error(), matcher.get_error()
            if matcher.is_stopped():
                legal[row, self._stop_ids] = True
            else:
                known = np.frombuffer(matcher.compute_logit_bias(), np.uint8)
                legal[row, : len(known)] = known[: scores.shape[1]] > 0
        self._begun = True
        return scores.masked_fill(torch.from_numpy(~legal).to(scores.device), -torch.inf)
