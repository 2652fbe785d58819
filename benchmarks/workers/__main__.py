"""Workers on this machine's CPU against one loop in this process, and what Ray costs a job.

    python -m benchmarks.workers

Each row runs the same jobs, self-edits on generated ARC tasks with `seal-tiny`; workers and the loop here use one thread
each. The time to start the workers is apart. Results are compared job by job. For the overhead the workers do nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.table import Table

from benchmarks.common import make_parser, new_document, show, write
from benchmarks.workers.no_work import NoWorkActor
from examples.ray_workers import SELF_EDIT
from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.runtime import Runtime
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.workers.actor import InnerLoopActor
from seal_env.inner_loop.workers.options import WorkerPlan
from seal_env.inner_loop.workers.ray_transport import RayTransport
from seal_env.settings import Settings
from seal_env.types import InnerLoop, UpdateJob, UpdateResult

IN_CALL = (1, 16, 320)
Row = dict[str, Any]


def make_jobs(count: int, examples: int) -> list[UpdateJob]:
    """The updates of a self-edit on so many tasks."""
    settings = Settings.resolve(subset=f"mini-train:{count}", domain="arc", max_examples=examples, device="cpu", cache="off")
    runtime, jobs = Runtime(settings), []
    runtime.load()
    for index, task_id in enumerate(runtime.taskset.task_ids):
        episode = Episode(runtime, runtime.taskset[task_id], index)
        update = episode.decide(SELF_EDIT)
        if isinstance(update, PendingUpdate) and (job := episode.job(update)) is not None:
            jobs.append(job)
    return jobs


def updates(jobs: Sequence[UpdateJob], rounds: int) -> list[Row]:
    """One row for each kind of inner loop; the best of the rounds, which take turns."""
    loops: dict[str, InnerLoop] = {"this process": make_inner_loop("batched", "seal-tiny", "cpu")}
    started = dict.fromkeys(loops, 0.0)
    for count in (1, 2):
        name = f"{count} worker{'s' * (count > 1)}"
        loops[name] = loop = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(count))
        began = time.perf_counter()
        while getattr(loop, "ready") < count:  # noqa: B009
            loop.run(jobs[:1])
        started[name] = time.perf_counter() - began
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    results: dict[str, list[UpdateResult]] = {}
    for _ in range(rounds):
        for name, loop in loops.items():
            began = time.perf_counter()
            found = loop.run(jobs)
            seconds[name].append(time.perf_counter() - began)
            results[name] = [replace(result, timings={}) for result in found]
    for loop in loops.values():
        getattr(loop, "close", bool)()
    return [
        {
            "name": name,
            "start_seconds": started[name],
            "seconds": seconds[name],
            "self_edits_per_hour": len(jobs) / min(seconds[name]) * 3600,
            "equal_results": sum(a == b for a, b in zip(results[name], results["this process"], strict=True)),
        }
        for name in loops
    ]


def overhead(jobs: Sequence[UpdateJob], rounds: int) -> list[Row]:
    """Milliseconds that a job costs with two workers that do nothing, by the number of jobs in a call."""
    RayTransport.actor = NoWorkActor
    loop: Any = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(2))
    loop.identity()
    rows = []
    for count in IN_CALL:
        many, calls, seconds = [jobs[index % len(jobs)] for index in range(count)], max(1, 320 // count), []
        for _ in range(rounds + 1):  # the first call encodes the jobs' texts
            began = time.perf_counter()
            for _ in range(calls):
                loop.run(many)
            seconds.append(time.perf_counter() - began)
        rows.append({"in_call": count, "milliseconds": min(seconds) / calls / count * 1000})
    loop.close()
    RayTransport.actor = InnerLoopActor
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = make_parser(__doc__, "workers")
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--examples", type=int, default=8, help="of each job")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    jobs = make_jobs(given.jobs, given.examples)
    document = new_document(given) | {"updates": updates(jobs, given.rounds), "overhead": overhead(jobs, given.rounds)}
    write(given.json, document)
    rows = Table("updates by", "start, s", "s (best)", "self-edits/h", "results equal")
    for row in document["updates"]:
        equal, best = f"{row['equal_results']} of {len(jobs)}", min(row["seconds"])
        rows.add_row(row["name"], f"{row['start_seconds']:.1f}", f"{best:.2f}", f"{row['self_edits_per_hour']:,.0f}", equal)
    costs = Table("jobs in a call", "overhead, ms a job")
    for row in document["overhead"]:
        costs.add_row(str(row["in_call"]), f"{row['milliseconds']:.2f}")
    show(given.json, document, [rows, costs])


if __name__ == "__main__":
    main()
