"""Self-edits per hour: `python -m benchmarks.inner_loop [--preset cpu] [--rows ...] [--rounds N] [--json FILE]`.

All rows get the same jobs, made by the environment from self-edits drawn from its action space with a seed, and do all of
each: train the adapter, answer the queries. In each round every row does its share, one after another. Rows:

    R0            the published recipe as it is: Trainer and PEFT, one job at a time, examples of a self-edit padded to one
                  length, loss on padding, logits everywhere, the adapter to disk and back, all prompts decoded at once
    R1            R0 with padding masked and to each batch's longest example
    R2            several R1 processes at once, each with its share of the threads
    reference     seal_env's loop `reference`: PEFT, one job at a time
    batched K=N   seal_env's loop `batched` with N jobs in a call

`--growth` measures self-edits per hour against jobs in a call, tokens per example and model size instead;
`python -m benchmarks.inner_loop.plot` draws it. docs/performance.md explains every column.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Document, make_parser, new_document, show, write
from benchmarks.inner_loop.growth import growth_table, measure_growth
from benchmarks.inner_loop.hardware import matmul_peak
from benchmarks.inner_loop.jobs import PRESETS, make_cases, model_of
from benchmarks.inner_loop.measure import make_rows, measure
from benchmarks.inner_loop.report import row_reports, table_of
from benchmarks.inner_loop.rows import ROWS
from seal_env.inner_loop import resolve_device


def run(given: argparse.Namespace, device: str, scratch: Path) -> Document:
    """Measure the rows of a preset."""
    preset = PRESETS[given.preset]
    preset = replace(preset, edits=given.edits or preset.edits, rounds=given.rounds or preset.rounds)
    peak = matmul_peak(device)
    model = model_of(preset, scratch / preset.name, device)
    cases = make_cases(preset, model, preset.edits, given.seed, **dict(given.set))
    rows = make_rows(preset, [ROWS[name] for name in given.rows], model, device, torch.get_num_threads(), cases)
    measure(rows, cases, preset)
    peak = max(peak, matmul_peak(device))
    return {
        "preset": preset.name,
        "settings": dict(given.set),
        "matmul_peak_flops": peak,
        "self_edits": len(cases),
        "rounds": preset.rounds,
        "examples_per_self_edit": sum(len(case.job.examples_E) for case in cases) / len(cases),
        "tokens_per_self_edit": sum(case.tokens for case in cases) / len(cases),
        "rows": row_reports(rows, cases, peak),
    }


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = make_parser(__doc__, "inner-loop")
    parser.add_argument("--preset", default="cpu", choices=PRESETS)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--edits", type=int, help="number of self-edits")
    parser.add_argument("--rounds", type=int, help="parts of the list of self-edits; in each every row has its turn")
    parser.add_argument("--set", nargs="+", type=_setting, default=[], metavar="NAME=VALUE", help="environment settings")
    parser.add_argument("--growth", action="store_true", help="measure growth instead of rows")
    given = parser.parse_args(arguments)
    device = resolve_device(PRESETS[given.preset].device)
    document = new_document(given, device)
    with tempfile.TemporaryDirectory(prefix="seal-inner-loop-") as scratch:
        if given.growth:
            document["growth"] = measure_growth(device, Path(scratch))
            table = growth_table(document["growth"])
        else:
            document |= run(given, device, Path(scratch))
            table = table_of(document)
    write(given.json, document)
    show(given.json, document, [table])


if __name__ == "__main__":
    main()
