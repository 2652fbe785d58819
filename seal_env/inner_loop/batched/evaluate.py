"""The queries of many jobs, put to one packed model together: what each job's model says, or that memory ran out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seal_env.inner_loop.batched.decode import Asked, Wrong, decode, verify
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.model.memory import in_halves
from seal_env.inner_loop.results import out_of_memory
from seal_env.types import Answer, UpdateJob, UpdateResult


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


def ask(
    model: PackedReader, stack: LoraStack | None, jobs: Mapping[int, tuple[UpdateJob, int]], tokens: int
) -> dict[int, QueryReply]:
    """Ask each job's queries. jobs: number -> (job, slot of its adapter in `stack`). tokens: of a pass at most."""
    began = time.perf_counter()
    asked = [
        Asked(query, model.base.encoder.query(query), slot, job.decode, index)
        for index, (job, slot) in jobs.items()
        for query in job.queries_Q
    ]
    answers: list[Answer | None] = [None] * len(asked)
    wrong: list[tuple[int, Wrong]] = []
    failed: dict[int, UpdateResult] = {}

    def check(part: Sequence[int]) -> None:
        for place, (answer, to_decode) in zip(part, verify(model, stack, [asked[place] for place in part]), strict=True):
            answers[place] = answer
            if to_decode is not None:
                wrong.append((place, to_decode))

    def write(part: Sequence[tuple[int, Wrong]]) -> None:
        for (place, _), text in zip(part, decode(model, stack, [each for _, each in part]), strict=True):
            answer = answers[place]
            assert answer is not None
            answers[place] = replace(answer, text=text)

    def give_up(place: int) -> None:
        reason = f"memory ran out with query {asked[place].query.query_id!r} alone"
        failed[asked[place].job] = out_of_memory(reason)

    for part in _parts(asked, tokens):
        in_halves(part, check, give_up)
    in_halves(wrong, write, lambda item: give_up(item[0]))
    elapsed, total = time.perf_counter() - began, sum(each.tokens for each in asked)
    replies = {}
    for index in jobs:
        mine = [place for place, each in enumerate(asked) if each.job == index]
        said = tuple(answer for place in mine if (answer := answers[place]) is not None)
        seconds = elapsed * sum(asked[place].tokens for place in mine) / max(1, total)
        replies[index] = QueryReply(said, seconds, failed.get(index))
    return replies


def _parts(asked: Sequence[Asked], tokens: int) -> list[list[int]]:
    """Places of neighbouring queries in parts of at most so many tokens, or of one query."""
    parts: list[list[int]] = []
    room = 0
    for place, each in enumerate(asked):
        if not parts or each.tokens > room:
            parts.append([])
            room = tokens
        parts[-1].append(place)
        room -= each.tokens
    return parts
