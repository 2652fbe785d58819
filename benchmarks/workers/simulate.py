"""A SIMULATION of many workers: the dispatcher of the inner loop `ray` with simulated workers on a simulated clock.

Nothing is trained. How long a self-edit takes is what docs/gpu-h200.json recorded on an H200: 16 self-edits of a Llama of
1 B parameters on ARC tasks, 16 in a call; each simulated self-edit is one of them, drawn by the seed. A step with n jobs is
taken to cost n + FIXED parts, so that small batches cost more for each job than the recorded ones. FIXED is 6.0: it follows
from the seconds of steps with 16 and with 32 jobs in a call (`qwen-7b-knowledge` in the same document).

    python -m benchmarks.workers.simulate
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.common import make_parser, new_document, show, write
from benchmarks.workers.simulated import SimulatedTransport
from seal_env.inner_loop.workers.dispatcher import Dispatcher
from seal_env.inner_loop.workers.loop import STEP_TOKENS
from seal_env.inner_loop.workers.order import Load, Order
from seal_env.types import LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob

RECORDED = Path(__file__).parents[2] / "docs" / "gpu-h200.json"
STEPS = 200
"""Optimizer steps of a self-edit there, about."""
IN_CALL = 16
Document = dict[str, Any]


def fixed_part(document: Document) -> float:
    """What a step costs beside its jobs, in jobs: t(n) is proportional to n + this. From calls with 16 and with 32 jobs."""
    rows = document["qwen-7b-knowledge"]["rows"]
    small, large = (count * rows[f"batched K={count}"]["train_seconds"] for count in (16, 32))
    each = (large - small) / 16
    return float(small / each - 16)


def recorded(document: Document) -> list[tuple[int, float]]:
    """(tokens, seconds) of each self-edit."""
    return [
        (each["tokens"], each["seconds"]) for each in document["llama-1b"]["rows"]["batched K=16"]["self_edits"].values()
    ]


def simulate(
    given: argparse.Namespace, name: str, mean_life: float, place_seconds: Sequence[float], poison: bool
) -> Document:
    """One table row: `given.jobs` self-edits on `given.workers` workers."""
    document, rng = json.loads(RECORDED.read_text(encoding="utf-8")), random.Random(given.seed)
    drawn, fixed = [rng.choice(recorded(document)) for _ in range(given.jobs)], fixed_part(document)
    jobs = [UpdateJob((), TrainingConfig(), LoraSpec(), Recipe(), index, ()) for index in range(given.jobs)]

    def seconds(batch: Sequence[UpdateJob]) -> float:
        share = (len(batch) + fixed) / (IN_CALL + fixed) * IN_CALL / len(batch)
        return share * sum(drawn[job.seed][1] for job in batch)

    transport = SimulatedTransport(
        seconds,
        place_seconds,
        given.start_seconds,
        mean_life,
        poison=lambda job: poison and job.seed == given.jobs // 2,
        rng=rng,
    )
    order = Order(jobs, [Load(tokens // STEPS, tokens) for tokens, _ in drawn])
    began = time.perf_counter()
    results = transport.run(Dispatcher(transport, given.workers, STEP_TOKENS["cuda"]), order)
    failed = [result for result in results if result.outcome is not Outcome.OK]
    assert all(result.tokens_trained == job.seed for job, result in zip(jobs, results, strict=True) if result not in failed)
    return {
        "name": name,
        "minutes": transport.now / 60,
        "self_edits_per_hour": (len(jobs) - len(failed)) / transport.now * 3600,
        "one_worker_minutes": sum(each for _, each in drawn) / 60,
        "deaths": transport.deaths,
        "sent_again": sum(count - 1 for count in transport.sent.values()),
        "lost_worker_minutes": transport.lost / 60,
        "busy_share": transport.busy / (given.workers * transport.now),
        "failed": len(failed),
        "dispatcher_seconds": time.perf_counter() - began,
    }


def main() -> list[Document]:
    """Simulate, print and write the rows."""
    parser = make_parser(__doc__, "workers-simulated")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--start-seconds", type=float, default=60.0, help="to start a process and load the model")
    given = parser.parse_args()
    document = new_document(given) | {"simulation": True, "fixed_part": fixed_part(json.loads(RECORDED.read_text()))}
    count = given.workers
    at_once, slowly = [0.0] * count, [10.0 * worker for worker in range(count)]
    document["rows"] = [
        simulate(argparse.Namespace(**vars(given) | {"workers": 1}), "one worker, no failure", math.inf, [0.0], False),
        simulate(given, "64 workers, no failure", math.inf, at_once, False),
        simulate(given, "a job that ends its workers", math.inf, at_once, True),
        simulate(given, "each worker dies every hour", 3600, at_once, True),
        simulate(given, "each worker dies every 10 minutes", 600, at_once, True),
        simulate(given, "each worker dies every 2 minutes", 120, at_once, True),
        simulate(given, "one worker more every 10 seconds, each dies every 10 minutes", 600, slowly, True),
    ]
    rows: list[Document] = document["rows"]
    write(given.json, document)
    seconds = statistics.median(row["dispatcher_seconds"] for row in rows)
    show(given.json, document, [table(rows), f"the dispatcher itself: {seconds * 1000:.0f} ms (median)"])
    return rows


COLUMNS = ("simulated", "minutes", "self-edits/h", "deaths", "jobs sent again", "lost worker-minutes", "busy", "failed")


def cells(row: Document) -> list[str]:
    """A row as it is in docs/scaling.md."""
    return [
        row["name"],
        f"{row['minutes']:.1f}",
        f"{row['self_edits_per_hour']:,.0f}",
        str(row["deaths"]),
        str(row["sent_again"]),
        f"{row['lost_worker_minutes']:.1f}",
        f"{row['busy_share']:.0%}",
        str(row["failed"]),
    ]


def table(rows: Sequence[Document]) -> Table:
    """All rows."""
    shown = Table(title="SIMULATED workers")
    for name in COLUMNS:
        shown.add_column(name, justify="left" if name == COLUMNS[0] else "right")
    for row in rows:
        shown.add_row(*cells(row))
    return shown


if __name__ == "__main__":
    logging.disable()  # every death is a warning
    main()
