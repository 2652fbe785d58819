"""A preset in minutes: `python -m benchmarks.inner_loop.quick --preset llama-1b --edits 16 --published-edits 2`.

One process draws the weights on the device, compares the kernels with fp64, profiles a few steps of all jobs, and measures
the rows on what fits into `--seconds`: the batched loop on many self-edits, the published recipe on a few of them. Every
figure is printed and written as soon as it is known; a part that fails is noted, and the others go on.

The ratios to R0 come in two forms: by real tokens per second, and by the time of those self-edits that R0 has done.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.common import make_parser, new_document, write
from benchmarks.inner_loop import kernels
from benchmarks.inner_loop.fused_kernels import fused_kernels
from benchmarks.inner_loop.hardware import matmul_peak, peak_memory
from benchmarks.inner_loop.jobs import PRESETS, Case, Preset, make_cases, model_of
from benchmarks.inner_loop.measure import job_of, small_job
from benchmarks.inner_loop.rows import ROWS, PublishedRecipe, RowSpec, batched
from benchmarks.inner_loop.shapes import draw_model
from benchmarks.inner_loop.steps import measure_steps, milliseconds_without
from seal_env.inner_loop.batched.kernels import SWITCHES
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.devices import choose_device
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.types import UpdateResult

TINY_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2048,
}
TINY_PAD, TINY_EXAMPLES = 160, 4
TIMINGS = ("train_seconds", "evaluate_seconds")
MARGIN = 1.3
"""A row begins only if this many times what it is expected to take is left."""


class Measurement:
    """A preset's model, cases and figures; the figures go to a file whenever one is added."""

    def __init__(self, preset: Preset, path: Path, given: argparse.Namespace) -> None:
        self.preset, self.path = preset, path
        self.device = choose_device("cpu" if preset.device == "cpu" else "auto")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.document = new_document(given, str(self.device)) | {"preset": preset.name, "rows": {}, "failures": {}}
        self.peak = math.nan
        self.ends = time.perf_counter() + given.seconds
        self.steps_only = given.steps_only

    @property
    def left(self) -> float:
        """Seconds."""
        return float(self.ends - time.perf_counter())

    def note(self, name: str, found: Any) -> None:
        """Add a figure."""
        self.document[name] = found
        self._show(name, found)

    def note_row(self, name: str, found: Mapping[str, Any]) -> None:
        """Add a row's figures."""
        self.document["rows"][name] = found
        self._show(name, {key: value for key, value in found.items() if key != "self_edits"})

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part whose failure is noted; the other parts go on."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.document["failures"][name] = f"{type(error).__name__}: {error}"
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self._show(f"{name}, seconds", time.perf_counter() - began)

    def _show(self, name: str, found: Any) -> None:
        write(self.path, self.document)
        print(f"{name}: {json.dumps(_rounded(found))}", flush=True)


def _rounded(found: Any) -> Any:
    """To four digits, for the eye."""
    if isinstance(found, float):
        return float(f"{found:.4g}")
    if isinstance(found, Mapping):
        return {name: _rounded(each) for name, each in found.items()}
    return [_rounded(each) for each in found] if isinstance(found, list) else found


def make_base(preset: Preset, folder: Path, measurement: Measurement) -> tuple[FrozenLM, str]:
    """The preset's model on the device, and its name or the folder where the making of jobs finds config and tokenizer."""
    if preset.shape is None:
        name = model_of(preset, folder, str(measurement.device))
        return load_base_model(name, str(measurement.device)), name
    model, tokenizer = draw_model(preset.shape, str(measurement.device), measurement.dtype)
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.requires_grad_(False).eval()
    longest = int(model.config.max_position_embeddings)
    return FrozenLM(preset.name, model, tokenizer, measurement.device, longest), str(folder)


def measure_kernels(measurement: Measurement) -> None:
    """The device: errors against fp64, seconds of new shapes, the best matrix product."""
    device, dtype = measurement.device, measurement.dtype
    for name, compute in (
        ("attention_errors", kernels.attention_errors),
        ("product_errors", kernels.product_errors),
        ("fused_kernels", fused_kernels),
        ("new_shape_seconds", kernels.new_shape_seconds),
    ):
        with measurement.part(name):
            measurement.note(name, compute(device, dtype))
    if device.type == "cuda" and not measurement.steps_only:
        with measurement.part("new_shape_seconds_of_cudnn"), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            measurement.note("new_shape_seconds_of_cudnn", kernels.new_shape_seconds(device, dtype))
    with measurement.part("matmul_peak_flops"):
        measurement.peak = matmul_peak(str(device))
        measurement.note("matmul_peak_flops", measurement.peak)


def measure_row(measurement: Measurement, spec: RowSpec, make: Callable[[], Any], cases: Mapping[int, Case]) -> None:
    """A row's calls one after another, as many as there is time for.

    Args:
        measurement: Where the figures go.
        spec: What is measured.
        make: Makes its loop.
        cases: Its self-edits by number.
    """
    done: dict[int, UpdateResult] = {}
    seconds: list[float] = []
    rows = measurement.document["rows"].items()
    known = [row.get("seconds_per_self_edit", 0.0) for name, row in rows if "batched" in name and spec.loop == "batched"]
    expected = spec.in_call * max(known, default=0.0)
    with measurement.part(spec.name):
        loop = make()
        jobs = {number: job_of(spec, case, measurement.preset) for number, case in cases.items()}
        loop.run([small_job(next(iter(jobs.values())))])
        if measurement.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        for numbers in [list(jobs)[start : start + spec.in_call] for start in range(0, len(jobs), spec.in_call)]:
            if measurement.left < MARGIN * max([expected, *seconds]):
                break
            began = time.perf_counter()
            results = loop.run([jobs[number] for number in numbers])
            kernels.wait_for(measurement.device)
            seconds.append(time.perf_counter() - began)
            done |= zip(numbers, results, strict=True)
            measurement.note_row(spec.name, row_figures(done, cases, sum(seconds), measurement))
        if not done:
            measurement.note_row(spec.name, {"missing": f"only {measurement.left:.0f} s are left"})


def row_figures(
    done: Mapping[int, UpdateResult], cases: Mapping[int, Case], seconds: float, measurement: Measurement
) -> dict[str, Any]:
    """A row's figures, from the results of its self-edits and the wall-clock time of all."""
    count = len(done)
    spent = {number: sum(result.timings.get(name, 0.0) for name in TIMINGS) for number, result in done.items()}
    train, evaluate = (sum(result.timings.get(name, 0.0) for result in done.values()) for name in TIMINGS)
    flops, tokens = (sum(getattr(cases[number], name) for number in done) for name in ("flops", "tokens"))
    return {
        "seconds_per_self_edit": seconds / count,
        "self_edits_per_hour": 3600 * count / seconds,
        "tokens_per_second": tokens / seconds,
        "train_seconds": train / count,
        "evaluate_seconds": evaluate / count,
        "other_seconds": (seconds - train - evaluate) / count,
        "share_of_peak": flops / seconds / measurement.peak,
        "share_of_peak_in_training": flops / train / measurement.peak if train else None,
        "peak_memory_gib": peak_memory(str(measurement.device)) / 2**30,
        "steps": sum(len(result.losses_S) for result in done.values()) / count,
        "outcomes": dict(Counter(f"{result.outcome} {result.reason}".strip() for result in done.values())),
        "self_edits": {
            number: {
                "tokens": cases[number].tokens,
                "seconds": seconds * spent[number] / (train + evaluate or 1.0),
                "first_losses": list(result.losses_S[:5]),
            }
            for number, result in done.items()
        },
    }


def ratios(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Each row against R0 by tokens per second and on R0's own self-edits, and how far its first losses are from R1's."""
    rows = {name: row for name, row in rows.items() if "missing" not in row}
    found: dict[str, dict[str, float]] = {}
    for name, row in rows.items():
        mine = found.setdefault(name, {})
        if "R0" in rows:
            mine["by_tokens"] = row["tokens_per_second"] / rows["R0"]["tokens_per_second"]
            both = row["self_edits"].keys() & rows["R0"]["self_edits"].keys()
            theirs, ours = (sum(each["self_edits"][number]["seconds"] for number in both) for each in (rows["R0"], row))
            if ours:
                mine["on_the_same_self_edits"] = theirs / ours
        if "R1" in rows and name not in ("R0", "R1"):
            pairs = [
                (a, b)
                for number in row["self_edits"].keys() & rows["R1"]["self_edits"].keys()
                for a, b in zip(*(each["self_edits"][number]["first_losses"] for each in (row, rows["R1"])), strict=False)
            ]
            if pairs:
                mine["largest_difference_of_first_losses"] = max(abs(a - b) for a, b in pairs)
    return found


def typical(cases: Sequence[Case], count: int) -> dict[int, Case]:
    """The cases whose number of tokens is nearest to the mean, by number."""
    mean = sum(case.tokens for case in cases) / len(cases)
    numbers = sorted(range(len(cases)), key=lambda number: abs(cases[number].tokens - mean))
    return {number: cases[number] for number in numbers[:count]}


def measure(measurement: Measurement, given: argparse.Namespace, folder: Path) -> None:
    """Everything, in the order of what matters most."""
    preset, device = measurement.preset, measurement.device
    measure_kernels(measurement)
    with measurement.part("model"):
        base, name = make_base(preset, folder, measurement)
        kernels.wait_for(device)
    with measurement.part("jobs"):
        cases = make_cases(preset, name, given.edits, given.seed)
        measurement.note("tokens_per_self_edit", [case.tokens for case in cases])
    with measurement.part("logit_errors"):
        measurement.note("logit_errors", kernels.logit_errors(base))
    with measurement.part("steps"):
        profile = measurement.path.with_name(f"{measurement.path.stem}-profile.txt")
        measurement.note("steps", measure_steps(base, [case.job for case in cases[: given.in_call[0]]], profile))
    with measurement.part("milliseconds_of_a_step"):
        jobs = [case.job for case in cases[: given.in_call[0]]]
        if given.without:
            measurement.note("milliseconds_of_a_step", milliseconds_without(base, jobs, given.without))
    if measurement.steps_only:
        return
    most, *fewer = given.in_call
    few = typical(cases, max(given.in_call))
    plan: list[tuple[RowSpec, dict[int, Case]]] = [(batched(most), dict(enumerate(cases)))]
    plan += [(ROWS["R0"], typical(cases, given.published_edits)), (ROWS["R1"], typical(cases, 1))]
    plan += [(batched(in_call), dict(list(few.items())[:in_call])) for in_call in fewer]
    makers: dict[str, Callable[[], Any]] = {
        "batched": lambda: BatchedInnerLoop(base),
        "published": lambda: PublishedRecipe(base, preset.pad_to),
    }
    for spec, chosen in plan:
        measure_row(measurement, spec, makers[spec.loop], chosen)
        measurement.note("ratios", ratios(measurement.document["rows"]))


def tiny(preset: Preset) -> Preset:
    """The preset with a very small model and few examples, which a CPU does in seconds."""
    settings = {**preset.settings, "max_examples": TINY_EXAMPLES}
    if preset.shape is None:
        return replace(preset, settings=settings)
    heads = {"head_dim": 16} if "head_dim" in preset.shape else {}
    return replace(
        preset, shape={**preset.shape, **TINY_SHAPE, **heads}, settings=settings, pad_to=preset.pad_to and TINY_PAD
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line. Exit status 1 if a part failed."""
    parser = make_parser(__doc__, "inner-loop-quick")
    parser.add_argument("--preset", default="llama-1b", choices=PRESETS)
    parser.add_argument("--edits", type=int, default=16, help="self-edits of the first row")
    parser.add_argument("--published-edits", type=int, default=2, help="self-edits of R0")
    parser.add_argument("--in-call", type=int, nargs="+", default=[16, 8, 1], metavar="N", help="rows of the batched loop")
    parser.add_argument("--seconds", type=float, default=230, help="time after which no row begins")
    parser.add_argument(
        "--without", nargs="*", choices=SWITCHES, help="measure steps without each of these, and without all"
    )
    parser.add_argument("--steps-only", action="store_true", help="no rows")
    parser.add_argument("--tiny", action="store_true", help="a very small model and few examples")
    given = parser.parse_args(arguments)
    preset = PRESETS[given.preset]
    measurement = Measurement(tiny(preset) if given.tiny else preset, given.json, given)
    with tempfile.TemporaryDirectory(prefix="seal-inner-loop-") as folder:
        measure(measurement, given, Path(folder))
    if measurement.document["failures"]:
        sys.exit(f"failed: {measurement.document['failures']}")


if __name__ == "__main__":
    main()
