"""How many self-edits an hour: `python benchmarks/inner_loop.py [--preset cpu] [--rows ...] [--rounds N] [--json FILE]`.

All rows get the same jobs, made by the environment from self-edits that its action space draws from a seed, and do all of
each: train the adapter, answer the queries. One run; in each round every row does its share, one after another. Rows:

    R0               the published recipe as it is: Trainer and PEFT, one job at a time, one padded length for a self-edit's
                     examples, loss on padding, logits everywhere, the adapter to disk and back, all prompts decoded at once
    R1               R0 with padding masked and to each batch's longest
    R2               several R1 processes at once, each with its share of the threads
    reference        seal_env's loop `reference`: PEFT, one job at a time
    batched K=N      seal_env's loop `batched` with N jobs in a call
    batched K=16 cache   the same with a cache, on the list as sampled: some self-edits repeated, some that change nothing

`--growth` measures self-edits per hour against jobs in a call, tokens per example and model size instead; plot_inner_loop.py
draws it. docs/performance.md says what each column is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from inner_loop_growth import growth_table, measure_growth
from inner_loop_jobs import NO_OPS, PRESETS, REPEATED, as_sampled, make_cases, model_of
from inner_loop_measure import matmul_peak
from inner_loop_report import Report, check_published, row_reports, table_of
from inner_loop_rows import ROWS
from inner_loop_run import make_rows, measure
from rich.console import Console

import seal_env
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.model.device import describe_device


def machine_of(device: str) -> Report:
    """The hardware in words, and its matrix-product peak, measured now."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "matmul_peak_flops": matmul_peak(device),
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run(given: argparse.Namespace, scratch: Path) -> Report:
    """Measure the rows of a preset; the document that is written."""
    preset = PRESETS[given.preset]
    preset = replace(preset, edits=given.edits or preset.edits, rounds=given.rounds or preset.rounds)
    device = resolve_device(preset.device)
    machine = machine_of(device)
    model = model_of(preset, scratch / preset.name, device)
    cases = make_cases(preset, model, preset.edits, given.seed, **dict(given.set))
    rows = make_rows(preset, [ROWS[name] for name in given.rows], model, device, machine["threads"], cases)
    try:
        measure(rows, cases, preset, as_sampled(len(cases), given.seed))
        checked = check_published(rows, cases, preset)
    finally:
        for row in rows:
            row.stop()
    machine["matmul_peak_flops"] = max(machine["matmul_peak_flops"], matmul_peak(device))
    lengths = [case.tokens / (len(case.job.examples_E) * case.job.training.num_train_epochs) for case in cases]
    return {
        "machine": machine,
        "versions": package_versions(),
        "preset": preset.name,
        "settings": dict(given.set),
        "seed": given.seed,
        "self_edits": len(cases),
        "rounds": preset.rounds,
        "examples_per_self_edit": sum(len(case.job.examples_E) for case in cases) / len(cases),
        "tokens_per_self_edit": sum(case.tokens for case in cases) / len(cases),
        "tokens_per_example": sum(lengths) / len(lengths),
        "as_sampled": {"repeated": REPEATED, "no_ops": NO_OPS},
        "rows": row_reports(rows, cases, machine["matmul_peak_flops"], checked),
    }


def growth(given: argparse.Namespace, scratch: Path) -> Report:
    """Measure growth; the document that is written."""
    device = resolve_device(PRESETS[given.preset].device)
    return {"machine": machine_of(device), "versions": package_versions(), "growth": measure_growth(device, scratch)}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: NAME=VALUE is expected")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("runs/inner-loop.json"))
    parser.add_argument("--preset", default="cpu", choices=PRESETS)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--edits", type=int, help="self-edits in all")
    parser.add_argument("--rounds", type=int, help="parts of the list; in each every row has its turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", type=_setting, default=[], metavar="NAME=VALUE", help="environment settings")
    parser.add_argument("--growth", action="store_true", help="measure growth instead of rows")
    given = parser.parse_args(arguments)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seal-inner-loop-") as scratch:
        document = (growth if given.growth else run)(given, Path(scratch))
    given.json.write_text(json.dumps(document, indent=1))
    console, machine = Console(width=170), document["machine"]
    console.print(
        f"seal-env {seal_env.__version__}, preset {given.preset}; {machine['processor']}, {machine['device']}; "
        f"best matrix product {machine['matmul_peak_flops'] / 1e9:,.0f} GFLOP/s"
    )
    if given.growth:
        console.print(growth_table(document["growth"]))
    else:
        title = f"{document['self_edits']} self-edits, {document['tokens_per_self_edit']:,.0f} real tokens each"
        console.print(table_of(document["rows"], title))
    console.print(f"written   {given.json}")


if __name__ == "__main__":
    main()
