"""What grows: memory, threads, open files and temporary folders, over many environments and many episodes of one process."""

from __future__ import annotations

import gc
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gymnasium
import psutil  # type: ignore[import-untyped]

from benchmarks.faults.children import fork
from benchmarks.faults.records import Finding
from seal_env.agents.baselines.fixed import FINETUNE_ONLY, FixedAgent
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.inner_loop.tokens import token_cache
from seal_env.settings import Settings

MIB: Final = 2**20
MOST_MIB: Final = 30.0
"""Growth of memory that counts as none: of a process's own caches, which are bounded."""
WARM_SHARE: Final = 0.25
TOGETHER: Final = 100
CACHED_TOKENS: Final = 100_000
"""Of the soak's cache of tokens, so that it is full before memory is compared."""
LIMIT_SECONDS: Final = 3600.0
_FLAGS: Final = {f"use_{name}_augmentations": name == "basic" for name in ("basic", "size", "chain", "repeat")}
SELF_EDIT: Final = json.dumps([{"name": "augment", "arguments": _FLAGS}, {"name": "finetune", "arguments": {}}])
"""Trains with the settings' own epochs."""
ENVIRONMENTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("SEAL-ARC-Mini-v0", {"max_examples": 2, "default_num_epochs": 1}),
    ("SEAL-Knowledge-v0", {"subset": "synthetic-eval:4"}),
    ("SEAL-Continual-v0", {"subset": "synthetic-eval:4", "sequence": 2}),
)


def measure() -> dict[str, float]:
    """What this process has now."""
    gc.collect()
    process = psutil.Process()
    return {
        "MiB": process.memory_info().rss / MIB,
        "threads": threading.active_count(),
        "files": process.num_fds(),
        "temporary": len(os.listdir(tempfile.gettempdir())),
    }


def cycles(count: int) -> Iterator[dict[str, float]]:
    """Make, reset, step and close environments, of each kind in turn; what the process has after each."""
    for number in range(count):
        name, settings = ENVIRONMENTS[number % len(ENVIRONMENTS)]
        env: gymnasium.Env[str, str] = gymnasium.make(name, disable_env_checker=True, cache="off", **settings)
        env.reset(seed=number)
        env.step(SELF_EDIT if "ARC" in name else FINETUNE_ONLY)
        env.close()
        del env
        yield measure()


def soak(count: int) -> Iterator[dict[str, float]]:
    """Episodes of `mini`, TOGETHER at a time, each with an update of its own; what the process has after each batch."""
    token_cache.CACHED_TOKENS = CACHED_TOKENS
    small = {"max_examples": 2, "default_num_epochs": 1, "max_turns": 1}
    runtime = Runtime(Settings.resolve(subset="mini-train", cache="off", decode="never", **small))
    runtime.load()
    agent, ids, base = FixedAgent(SELF_EDIT), runtime.taskset.task_ids, BaseAnswerCache(TOGETHER)
    for first in range(0, count, TOGETHER):
        numbers = range(first, min(count, first + TOGETHER))
        starts = [Start(ids[number % len(ids)], number) for number in numbers]
        played = run_episodes(runtime, agent, starts, base)
        failed = sum(each.truncated or not each.info["optimizer_steps"] for each in played)
        yield {**measure(), "failed": float(failed), "lost": float(len(numbers) - len(played))}


def watch(name: str, work: Callable[[int], Iterator[dict[str, float]]], count: int, folder: Path) -> Finding:
    """Do work in a process of its own, and compare what it has at its end with what it had once it was warm."""
    temporary, report = folder / f"{name}-tmp", folder / f"{name}.json"
    temporary.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)

    def run() -> int:
        tempfile.tempdir = str(temporary)
        began, seen = time.monotonic(), []
        for found in work(count):
            seen.append(found)
            if time.monotonic() - began > LIMIT_SECONDS:
                break
        report.write_text(json.dumps({"seconds": time.monotonic() - began, "seen": seen}))
        return 0

    child = fork(run, folder / name)
    if child.wait(2 * LIMIT_SECONDS) is None:
        child.kill()
    if not report.exists():
        return Finding(name, 0, [f"exit code {child.code}: {child.said()[-300:]}"])
    document = json.loads(report.read_text())
    seen = document["seen"]
    warm, last = seen[min(len(seen) - 1, max(2 * len(ENVIRONMENTS), int(len(seen) * WARM_SHARE)))], seen[-1]
    problems = [f"{what} {warm[what]:g} -> {last[what]:g}" for what in ("threads", "files") if last[what] > warm[what]]
    if last["MiB"] > warm["MiB"] + MOST_MIB:
        problems.append(f"memory {warm['MiB']:.0f} -> {last['MiB']:.0f} MiB")
    if last["temporary"]:
        problems.append(f"{last['temporary']:g} temporary folders are left")
    problems += [f"{what} {bad:g}" for what in ("failed", "lost") if (bad := sum(each.get(what, 0) for each in seen))]
    detail = f"{warm['MiB']:.0f} -> {last['MiB']:.0f} MiB, {last['threads']:g} threads, {last['files']:g} files, "
    return Finding(name, count, problems, f"{detail}{document['seconds']:.0f} s")
