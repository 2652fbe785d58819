"""The queries of many jobs, answered by one packed model together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seal_env.inner_loop.batched.decode import QueryInSlot, WrongAnswer, decode, verify
from seal_env.inner_loop.batched.key_cache import ROOM
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.model.memory import free_bytes, in_halves
from seal_env.inner_loop.results import out_of_memory
from seal_env.types import Answer, UpdateJob, UpdateResult

STATES_SHARE = 0.2
"""Share of the free memory for keys and values while decoding: they are there once more whenever a row ends."""


@dataclass(frozen=True)
class QueryReply:
    """The answers to one job's queries.

    Attributes:
        answers_Q: The answers, in the order of the queries.
        seconds: The job's share of the time.
        failed: The result of a job for which memory ran out; None for the others.
    """

    answers_Q: tuple[Answer, ...]
    seconds: float
    failed: UpdateResult | None


def evaluate(
    model: PackedReader, stack: LoraStack | None, jobs: Mapping[int, tuple[UpdateJob, int]], tokens: int
) -> dict[int, QueryReply]:
    """Answer the queries of jobs.

    Args:
        model: The model that answers.
        stack: The jobs' adapters; None for the model as it is.
        jobs: By index, each job and the slot of its adapter.
        tokens: Limit on the tokens of a pass.

    Returns:
        A reply for each job, by index. A job for which memory ran out has a failed one.
    """
    began = time.perf_counter()
    queries = [
        QueryInSlot(query, model.base.encoder.query(query), slot, job.decode, index)
        for index, (job, slot) in jobs.items()
        for query in job.queries_Q
    ]
    answers: list[Answer | None] = [None] * len(queries)
    wrong: list[tuple[int, WrongAnswer]] = []
    failed: dict[int, UpdateResult] = {}

    def check(part: Sequence[int]) -> None:
        for index, (answer, to_decode) in zip(part, verify(model, stack, [queries[i] for i in part]), strict=True):
            answers[index] = answer
            if to_decode is not None:
                wrong.append((index, to_decode))

    def write(part: Sequence[tuple[int, WrongAnswer]]) -> None:
        for (index, _), text in zip(part, decode(model, stack, [each for _, each in part]), strict=True):
            answer = answers[index]
            assert answer is not None
            answers[index] = replace(answer, text=text)

    def give_up(index: int) -> None:
        reason = f"memory ran out with query {queries[index].query.query_id!r} alone"
        failed[queries[index].job] = out_of_memory(reason)

    for part in _parts(queries, tokens):
        in_halves(part, check, give_up)
    for rows in _parts_in_memory(wrong, free_bytes(model.base.device)):
        in_halves(rows, write, lambda item: give_up(item[0]))
    elapsed, total = time.perf_counter() - began, sum(each.tokens for each in queries)
    replies = {}
    for number in jobs:
        own = [index for index, each in enumerate(queries) if each.job == number]
        given = tuple(answer for index in own if (answer := answers[index]) is not None)
        seconds = elapsed * sum(queries[index].tokens for index in own) / max(1, total)
        replies[number] = QueryReply(given, seconds, failed.get(number))
    return replies


def _parts(queries: Sequence[QueryInSlot], tokens: int) -> list[list[int]]:
    """Indices of neighbouring queries in parts of at most so many tokens, or of one query."""
    parts: list[list[int]] = []
    room = 0
    for index, each in enumerate(queries):
        if not parts or each.tokens > room:
            parts.append([])
            room = tokens
        parts[-1].append(index)
        room -= each.tokens
    return parts


def _parts_in_memory(wrong: Sequence[tuple[int, WrongAnswer]], free: int) -> list[list[tuple[int, WrongAnswer]]]:
    """Neighbouring wrong answers in parts whose keys and values take at most their share of the free bytes, or of one."""
    parts: list[list[tuple[int, WrongAnswer]]] = []
    longest = 0
    for item in wrong:
        longest = max(longest, item[1].length + ROOM)
        if not parts or (len(parts[-1]) + 1) * longest * item[1].token_bytes > STATES_SHARE * free:
            parts.append([])
            longest = item[1].length + ROOM
        parts[-1].append(item)
    return parts
