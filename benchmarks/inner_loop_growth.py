"""How self-edits per hour grow: with jobs in a call, with tokens per example, with the size of the model.

Jobs are chats of random digits, so that each of the three moves alone: 16 examples once in batches of 2, and one query with
an answer of 16 tokens. What does not move is 16 jobs in a call, 128 tokens an example, and the second of the sizes (on a CPU
that of the bundled model). The reference, which takes one job at a time, stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from inner_loop_jobs import Entry, digit_job, text_encoder
from inner_loop_models import build_model, make_config
from inner_loop_rows import ROWS, Order, batched
from inner_loop_run import Row
from rich.table import Table
from transformers import AutoModelForCausalLM

from seal_env.types import LoraSpec, Recipe, TrainingConfig, UpdateJob

IN_CALL = (1, 2, 4, 8, 16, 32)
LENGTHS = (64, 128, 256, 512, 1024)
SIZES: Mapping[str, Sequence[tuple[int, int]]] = {
    "cpu": ((64, 4), (128, 6), (256, 8), (384, 12)),
    "cuda": ((512, 8), (1024, 12), (2048, 16), (3072, 24)),
}
"""Widths and numbers of blocks of the Llamas."""

USUAL_IN_CALL, USUAL_LENGTH, USUAL_SIZE = 16, 128, 1
EXAMPLES, ANSWER = 16, 16
LEAST_JOBS = 4
HOUR = 3600.0
Point = dict[str, Any]


def llama_shape(width: int, blocks: int) -> dict[str, Any]:
    """A Llama with heads of 32 and a vocabulary of 2,048, as the bundled model has."""
    return {
        "model_type": "llama",
        "vocab_size": 2048,
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": blocks,
        "num_attention_heads": width // 32,
        "num_key_value_heads": width // 32,
        "head_dim": 32,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }


def parameters_of(shape: Mapping[str, Any]) -> int:
    """How many weights a model of this shape has."""
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(make_config(shape))
    return sum(parameter.numel() for parameter in model.parameters())


def growth_jobs(model: str, count: int, length: int) -> list[UpdateJob]:
    """Jobs with examples of so many tokens."""
    encoder = text_encoder(model)
    training, lora = TrainingConfig("train_using_output_tokens", 1e-4, 1), LoraSpec(16, 16.0)
    lengths = [length] * EXAMPLES
    return [digit_job(encoder, seed, lengths, 0.15, training, lora, Recipe(), (1, ANSWER)) for seed in range(count)]


class Loops:
    """The two loops on one model, each in a process of its own."""

    def __init__(self, model: str, device: str) -> None:
        warm_up, threads = growth_jobs(model, 1, USUAL_LENGTH)[0], torch.get_num_threads()
        specs = (ROWS["reference"], batched(1))
        self.model = model
        self.rows = [Row(spec, Order(spec.loop, model, device, threads), warm_up) for spec in specs]

    def measure(self, length: int, in_call: int) -> Point:
        """Self-edits per hour of each loop, by its name; None where it cannot be measured, with the reason at "missing"."""
        point: Point = {}
        for row, most in zip(self.rows, (1, in_call), strict=True):
            row.spec = replace(row.spec, in_call=most)
            jobs = growth_jobs(self.model, max(most, LEAST_JOBS), length)
            row.take([(Entry(number), job) for number, job in enumerate(jobs)], last=True)
            point[row.spec.loop] = None if row.missing else HOUR * len(jobs) / row.turns[-1].seconds
            if row.missing:
                point["missing"] = row.missing
        return point

    def stop(self) -> None:
        """End the processes."""
        for row in self.rows:
            row.stop()


def measure_growth(device: str, scratch: Path) -> dict[str, list[Point]]:
    """Points {"x", "batched", "reference"} by what grows: jobs_in_call, tokens_per_example, parameters."""
    sizes = SIZES["cpu" if device == "cpu" else "cuda"]
    shapes = [llama_shape(*size) for size in sizes]
    found: dict[str, list[Point]] = {"jobs_in_call": [], "tokens_per_example": [], "parameters": []}
    for number, shape in enumerate(shapes):
        loops = Loops(build_model(shape, scratch / str(number), device), device)
        try:
            point = loops.measure(USUAL_LENGTH, USUAL_IN_CALL)
            found["parameters"].append({"x": parameters_of(shape), **point})
            if number == USUAL_SIZE:
                found["jobs_in_call"] = [{"x": count, **loops.measure(USUAL_LENGTH, count)} for count in IN_CALL]
                found["tokens_per_example"] = [{"x": length, **loops.measure(length, USUAL_IN_CALL)} for length in LENGTHS]
        finally:
            loops.stop()
    return found


def growth_table(growth: Mapping[str, Sequence[Point]]) -> Table:
    """All points as a table."""
    table = Table("what grows", "value", "reference /h", "batched /h", "ratio")
    for name, points in growth.items():
        for point in points:
            rates = [point.get(loop) for loop in ("reference", "batched")]
            words = ["" if rate is None else f"{rate:,.0f}" for rate in rates]
            ratio = "" if None in rates else f"{rates[1] / rates[0]:.2f}"  # type: ignore[operator]
            table.add_row(name.replace("_", " "), f"{point['x']:,}", *words, ratio)
    return table
