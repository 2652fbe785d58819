"""Optimizer steps of several jobs at once, outside the loop: their time, and a profile of a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from seal_env.inner_loop.batched.fetch import Fetched
from seal_env.inner_loop.batched.kernels import LEFT_OUT
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.memory import release_memory
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.types import UpdateJob

WARM, TIMED, PROFILED, TIMED_AGAIN = 4, 8, 3, 5
LISTED, SHOWN = 40, 12


class Steps:
    """Jobs in training, one step of each at a time, without the loop's limit on the tokens of a pass."""

    def __init__(self, base: FrozenLM, jobs: Sequence[UpdateJob], graphs: bool = False) -> None:
        epochs = WARM + TIMED + PROFILED  # a step each at least
        jobs = [replace(job, training=replace(job.training, num_train_epochs=epochs)) for job in jobs]
        model = PackedModel(base, jobs[0].lora, graphs=graphs)
        optimizer = make_optimizer(jobs[0].recipe.optimizer)
        self._slots = TrainingSlots(model, len(jobs), int(base.tokenizer.pad_token_id), optimizer)
        self._jobs = [
            self._slots.begin(slot, job, [base.encoder.example(example, job.recipe) for example in job.examples_E])
            for slot, job in enumerate(jobs)
        ]
        self.losses: list[list[float]] = []
        self._unread = Fetched(torch.empty(0))

    def take(self) -> int:
        """One step of each job, which has enough of them. Returns their tokens; the device may still be at work on it."""
        tokens = sum(job.tokens for job in self._jobs)
        unread, self._unread = self._unread, Fetched(self._slots.step(self._jobs))
        for job in self._jobs:
            job.take()
        self.losses.append(unread.tolist())
        return tokens


def measure_steps(base: FrozenLM, jobs: Sequence[UpdateJob], profile_to: Path) -> dict[str, Any]:
    """Milliseconds and tokens of a step of all jobs, and the figures of `profile`."""
    steps = Steps(base, jobs)
    seconds, tokens = take_steps(steps)
    figures = {
        "jobs": len(jobs),
        "milliseconds": [1000 * each for each in seconds],
        "median_milliseconds": 1000 * median(seconds),
        "tokens": tokens,
        "tokens_per_second": sum(tokens) / sum(seconds),
    }
    return figures | profile(steps.take, profile_to)


def milliseconds_without(base: FrozenLM, jobs: Sequence[UpdateJob], names: Sequence[str]) -> dict[str, float]:
    """Median milliseconds of a step without each of these kernels, without all, and with all.

    On a CPU, which others may use at the same time, all take a step in turn, and the process's CPU time counts.
    """
    ways = {"with all": (), **{f"without {name}": (name,) for name in names}, "without " + " ".join(names): tuple(names)}
    if base.device.type == "cpu":
        return _in_turn({way: _steps_without(base, jobs, left_out) for way, left_out in ways.items()})
    found = {}
    for way, left_out in ways.items():
        LEFT_OUT.update(left_out)
        try:
            steps = Steps(base, jobs)
            seconds, _ = take_steps(steps, TIMED_AGAIN)
        finally:
            LEFT_OUT.clear()
        found[way] = 1000 * median(seconds)
        del steps
        release_memory()
    return found


def _steps_without(base: FrozenLM, jobs: Sequence[UpdateJob], left_out: Sequence[str]) -> Steps:
    LEFT_OUT.update(left_out)
    try:
        return Steps(base, jobs)
    finally:
        LEFT_OUT.clear()


def _in_turn(ways: Mapping[str, Steps]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(WARM + TIMED):
        for way, steps in ways.items():
            began = time.process_time()
            steps.take()
            seconds[way].append(time.process_time() - began)
    return {way: 1000 * median(each[WARM:]) for way, each in seconds.items()}


def take_steps(steps: Steps, count: int = TIMED) -> tuple[list[float], list[int]]:
    """So many steps after a few that do not count: seconds and tokens of each."""
    seconds, tokens = [], []
    for _ in range(WARM + count):
        began = time.perf_counter()
        tokens.append(steps.take())
        seconds.append(time.perf_counter() - began)
    return seconds[WARM:], tokens[WARM:]


def profile(step: Callable[[], int], path: Path) -> dict[str, Any]:
    """A few more steps under torch's profiler; tables of operators and kernels go to `path`."""
    cuda = torch.cuda.is_available()
    activities = [torch.profiler.ProfilerActivity.CPU, *[torch.profiler.ProfilerActivity.CUDA] * cuda]
    with torch.profiler.profile(activities=activities, record_shapes=False) as profiler:
        began = time.perf_counter()
        for _ in range(PROFILED):
            step()
        wall = time.perf_counter() - began
    averages: Any = profiler.key_averages()
    tables = [
        averages.table(sort_by=by, row_limit=LISTED, max_name_column_width=100)
        for by in (["self_device_time_total"] if cuda else []) + ["self_cpu_time_total"]
    ]
    kernels = [each for each in averages if each.device_type.name != "CPU"]
    kernels.sort(key=lambda each: -each.self_device_time_total)
    lines = [f"{each.self_device_time_total / 1000:10.2f} ms {each.count:6d} {each.key[:150]}" for each in kernels]
    path.write_text("\n".join([f"kernels of {PROFILED} steps", *lines[:LISTED], "", *tables]))
    return {
        "profiled_steps": PROFILED,
        "profiled_milliseconds": 1000 * wall / PROFILED,
        "kernel_milliseconds": sum(each.self_device_time_total for each in kernels) / 1000 / PROFILED,
        "kernels": sum(each.count for each in kernels) / PROFILED,
        "top_kernels": lines[:SHOWN],
    }
