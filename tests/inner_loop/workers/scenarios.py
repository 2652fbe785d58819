"""What happens on a real Ray, one thing after another, as a line of JSON. `test_ray.py` runs it on a network of its own."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import ray

from seal_env.episodes.episode import Episode, PendingUpdate
from seal_env.episodes.runtime import Runtime
from seal_env.errors import ModelError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.cache.key import JobKeys
from seal_env.inner_loop.cache.loop import CachedInnerLoop
from seal_env.inner_loop.cache.results import open_store
from seal_env.inner_loop.workers.loop import RayInnerLoop
from seal_env.inner_loop.workers.options import WorkerPlan
from seal_env.inner_loop.workers.ray_transport import RayTransport
from seal_env.settings import Settings
from seal_env.types import UpdateJob, UpdateResult
from tests.inner_loop.workers.stub_actors import POISON, BrokenActor, FragileActor

JOBS = 12
ROUNDING = 1e-4
AUGMENTED = dict.fromkeys(("size", "chain", "repeat"), False) | {"basic": True}
SELF_EDIT = json.dumps(
    [
        {"name": "augment", "arguments": {f"use_{name}_augmentations": used for name, used in AUGMENTED.items()}},
        {
            "name": "training",
            "arguments": {"strategy": "train_using_output_tokens", "learning_rate": 0.001, "num_train_epochs": 1},
        },
        {"name": "finetune", "arguments": {}},
    ]
)
Facts = dict[str, Any]


def make_jobs() -> list[UpdateJob]:
    """Updates, and a job of the base model at the end."""
    runtime = Runtime(Settings.resolve(subset=f"mini-train:{JOBS}", domain="arc", max_examples=8, device="cpu", cache="off"))
    runtime.load()
    episodes = [Episode(runtime, runtime.taskset[task_id], index) for index, task_id in enumerate(runtime.taskset.task_ids)]
    pending = [update for episode in episodes[1:] if isinstance(update := episode.decide(SELF_EDIT), PendingUpdate)]
    jobs = [episode.job(update) for episode, update in zip(episodes[1:], pending, strict=True)]
    return [*filter(None, jobs), episodes[0].base_job()]


def alike(results: Sequence[UpdateResult], expected: Sequence[UpdateResult]) -> bool:
    """Equal but for timings, and for rounding in losses and margins, which depends on the other jobs of a batch."""
    return len(results) == len(expected) and all(
        _exact(result) == _exact(other) and np.allclose(_rounded(result), _rounded(other), rtol=0, atol=ROUNDING)
        for result, other in zip(results, expected, strict=True)
    )


def _exact(result: UpdateResult) -> UpdateResult:
    answers_Q = tuple(replace(answer, margin=0.0) for answer in result.answers_Q)
    losses_S = (0.0,) * len(result.losses_S)
    return replace(result, timings={}, adapter=None, answers_Q=answers_Q, losses_S=losses_S)


def _rounded(result: UpdateResult) -> list[float]:
    return [*result.losses_S, *(answer.margin for answer in result.answers_Q)]


def pids(loop: RayInnerLoop) -> list[int]:
    transport: Any = loop._session._transport  # type: ignore[union-attr]
    return [ray.get(actor.process.remote()) for actor in transport._actors]


def ends(pid: int) -> bool:
    """Whether a process is gone within ten seconds."""
    with suppress(psutil.NoSuchProcess):
        process, end = psutil.Process(pid), time.monotonic() + 10
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
            time.sleep(0.1)
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def late(loop: RayInnerLoop, jobs: list[UpdateJob], ours: list[UpdateResult]) -> Facts:
    """One of two cores is taken until the first worker has answered."""
    holder = ray.remote(num_cpus=1)(FragileActor).remote(None, 1)
    ray.get(holder.process.remote())
    first = alike(loop.run(jobs[:2]), ours[:2])
    before = loop.ready
    ray.kill(holder)
    while loop.ready < 2:
        time.sleep(0.1)
    return {"late_before": before, "late_after": loop.ready, "late_equal": first and alike(loop.run(jobs), ours)}


def killed(loop: RayInnerLoop, jobs: list[UpdateJob], ours: list[UpdateResult]) -> Facts:
    """A worker is killed while it runs a batch."""
    victim, began = pids(loop)[0], time.monotonic()
    threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
    equal = alike(loop.run(jobs), ours)
    took = time.monotonic() - began
    while loop.ready < 2:
        time.sleep(0.1)
    return {"killed_equal": equal, "killed_again": victim not in pids(loop), "killed_seconds": took}


def idle(loop: RayInnerLoop, jobs: list[UpdateJob], ours: list[UpdateResult]) -> Facts:
    """A worker is killed while nothing runs."""
    os.kill(pids(loop)[1], signal.SIGKILL)
    while loop.ready == 2:
        time.sleep(0.05)
    return {"idle_equal": alike(loop.run(jobs), ours)}


def poisoned(loop: RayInnerLoop, jobs: list[UpdateJob], ours: list[UpdateResult]) -> Facts:
    """A job ends whoever runs it."""
    mixed = [*jobs[:2], replace(jobs[2], seed=POISON), *jobs[3:]]
    results = list(loop.run(mixed))
    bad = results.pop(2)
    return {"poison": [bad.outcome, bad.reason], "poison_others_equal": alike(results, [*ours[:2], *ours[3:]])}


def cached(loop: RayInnerLoop, jobs: list[UpdateJob], ours: list[UpdateResult], file: str) -> Facts:
    """The store is in this process, and a loop on this machine finds there what the workers found."""
    keys = JobKeys(loop.encoder, "batched", loop.identity)
    made = CachedInnerLoop(loop, keys.key, open_store(Path(file), writable=True))
    twice = [made.run([*jobs, *jobs[:2]]) for _ in range(2)]
    here = make_inner_loop("batched", "seal-tiny", "cpu", "read", file)
    assert isinstance(here, CachedInnerLoop)
    here.run(jobs)
    return {
        "cache_equal": [alike(results, [*ours, *ours[:2]]) for results in twice],
        "cache_counts": [[each.statistics.hits, each.statistics.shared, each.statistics.misses] for each in (made, here)],
    }


def saved(loop: RayInnerLoop, job: UpdateJob, folder: Path) -> Facts:
    """An adapter is written where it was asked for, once."""
    (result,) = loop.run([replace(job, save_to=folder / "adapter")])
    try:
        loop.run([replace(job, save_to=folder / "adapter")])
        again = "written twice"
    except FileExistsError:
        again = "refused"
    names = sorted(path.name for path in folder.rglob("*") if path.suffix != ".md")
    return {"saved": [str(result.adapter) == str(folder / "adapter"), names, again]}


def broken(job: UpdateJob) -> Facts:
    """No worker can load the model."""
    RayTransport.actor = BrokenActor
    loop: Any = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(1))
    try:
        loop.run([job])
    except ModelError as error:
        return {"broken": str(error)}
    return {}


def main() -> None:
    """All of it."""
    ray.init(address="local", num_cpus=2, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False)
    jobs = make_jobs()
    ours = make_inner_loop("batched", "seal-tiny", "cpu").run(jobs)
    RayTransport.actor = FragileActor
    loop = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(2))
    assert isinstance(loop, RayInnerLoop)
    facts: Facts = {}
    with tempfile.TemporaryDirectory() as folder:
        for work in (late, killed, idle, poisoned):
            facts |= work(loop, jobs, ours)
        facts |= saved(loop, jobs[0], Path(folder))
        facts |= cached(loop, jobs, ours, str(Path(folder) / "cache.sqlite"))
    gone = pids(loop)
    loop.close()
    facts["closed_twice"] = loop.close() is None and loop.ready == 0
    facts["workers_left"] = [pid for pid in gone if not ends(pid)]
    facts["still_connected"] = ray.is_initialized()
    facts |= broken(jobs[0])
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
