"""Small passes with CUDA graphs and without: `python -m benchmarks.inner_loop.graphs --preset qwen-7b-knowledge`.

Two measurements for each number of jobs: steps on examples of one length, which become one graph, and short jobs with
their answers by the loop itself, which records several. On a CPU there are no graphs, and both rows are the same.

Losses with graphs and without drift apart in bf16, because the passes are padded and use other kernels; those of the same
padded passes before they are recorded are equal, but for sums that a GPU takes in any order.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.common import make_parser
from benchmarks.inner_loop.jobs import PRESETS, make_cases
from benchmarks.inner_loop.kernels import wait_for
from benchmarks.inner_loop.measure import small_job
from benchmarks.inner_loop.quick import Measurement, make_base, tiny
from benchmarks.inner_loop.steps import Steps, take_steps
from seal_env.inner_loop.batched import graphs
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.memory import release_memory
from seal_env.types import UpdateJob

EPOCHS = 4


def measure_pair(base: FrozenLM, jobs: Sequence[UpdateJob]) -> dict[str, Any]:
    """Milliseconds of a step and seconds of a call, without graphs and with, and how far their losses are apart."""
    found: dict[str, Any] = {}
    losses: dict[str, list[Any]] = {"steps": [], "calls": []}
    short_jobs = [replace(job, examples_E=job.examples_E[:1] * 3) for job in jobs]
    for name, wanted in (("without", False), ("with", base.device.type == "cuda")):
        steps = Steps(base, short_jobs, wanted)
        seconds, tokens = take_steps(steps)
        losses["steps"].append(steps.losses[1:])
        del steps
        release_memory()
        loop = BatchedInnerLoop(base, graphs=wanted)
        loop.run([small_job(jobs[0])])
        began = time.perf_counter()
        results = loop.run([replace(job, training=replace(job.training, num_train_epochs=EPOCHS)) for job in jobs])
        wait_for(base.device)
        losses["calls"].append([list(result.losses_S) for result in results])
        timings = [sum(result.timings[key] for result in results) for key in ("train_seconds", "evaluate_seconds")]
        found[name] = {
            "milliseconds_of_a_step": 1000 * median(seconds),
            "tokens_of_a_step": tokens[0],
            "seconds_of_a_call": time.perf_counter() - began,
            "training_seconds": timings[0],
            "evaluation_seconds": timings[1],
            "steps_of_a_call": len(results[0].losses_S),
        }
        del loop
        release_memory()
    found["differences_of_losses_by_step"] = differences(*losses["steps"])
    with never_recorded():
        plain = Steps(base, short_jobs, base.device.type == "cuda")
        take_steps(plain)
    found["differences_from_the_same_passes_unrecorded"] = differences(losses["steps"][1], plain.losses[1:])
    found["differences_of_first_losses_in_calls"] = max(
        abs(theirs[0] - ours[0]) for theirs, ours in zip(*losses["calls"], strict=True)
    )
    return found


@contextmanager
def never_recorded() -> Iterator[None]:
    """Within the context, small passes are padded as for a graph and then run as they are."""
    before, graphs.PLAIN_RUNS = graphs.PLAIN_RUNS, sys.maxsize
    try:
        yield
    finally:
        graphs.PLAIN_RUNS = before


def differences(theirs: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]) -> list[float]:
    """The largest of each step's."""
    return [max(abs(a - b) for a, b in zip(one, other, strict=True)) for one, other in zip(theirs, ours, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = make_parser(__doc__, "inner-loop-graphs")
    parser.add_argument("--preset", default="qwen-7b-knowledge", choices=["qwen-7b-knowledge", "llama-1b"])
    parser.add_argument("--in-call", type=int, nargs="+", default=[16, 32], metavar="N", help="jobs in a call")
    parser.add_argument("--seconds", type=float, default=60, help="time after which no row begins")
    parser.add_argument("--tiny", action="store_true", help="a very small model and few examples")
    parser.set_defaults(steps_only=True)
    given = parser.parse_args(arguments)
    preset = PRESETS[given.preset]
    measurement = Measurement(tiny(preset) if given.tiny else preset, given.json, given)
    warnings.simplefilter("always", RuntimeWarning)
    with tempfile.TemporaryDirectory(prefix="seal-inner-loop-") as folder, measurement.part("all"):
        base, name = make_base(measurement.preset, Path(folder), measurement)
        cases = make_cases(measurement.preset, name, max(given.in_call), given.seed)
        for count in given.in_call:
            if measurement.left > 0:
                with measurement.part(f"K={count}"):
                    measurement.note(f"K={count}", measure_pair(base, [case.job for case in cases[:count]]))
    if torch.cuda.is_available():
        measurement.note("peak_memory_gib", torch.cuda.max_memory_allocated() / 2**30)


if __name__ == "__main__":
    main()
