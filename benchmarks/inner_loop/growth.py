"""How self-edits per hour grow with jobs in a call, tokens per example and the size of the model.

Jobs are chats of random digits: 16 examples, one epoch, batches of 2, and one query with an answer of 16 tokens. One of the
three moves at a time; the others stay at 16 jobs in a call, 128 tokens an example and the second of the sizes (on a CPU that
of seal-tiny).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from transformers import AutoModelForCausalLM

from benchmarks.inner_loop.jobs import digit_job, text_encoder
from benchmarks.inner_loop.measure import Order, RowFailed, run_calls
from benchmarks.inner_loop.report import HOUR
from benchmarks.inner_loop.shapes import build_model, make_config
from seal_env.types import LoraSpec, Recipe, TrainingConfig, UpdateJob

IN_CALL = (1, 2, 4, 8, 16, 32)
LENGTHS = (64, 128, 256, 512, 1024)
SIZES: Mapping[str, Sequence[tuple[int, int]]] = {
    "cpu": ((64, 4), (128, 6), (256, 8), (384, 12)),
    "cuda": ((512, 8), (1024, 12), (2048, 16), (3072, 24)),
}
"""Widths and numbers of blocks of the Llamas."""

DEFAULT_IN_CALL, DEFAULT_LENGTH, DEFAULT_SIZE = 16, 128, 1
EXAMPLES, ANSWER, MIN_JOBS = 16, 16, 4
Point = dict[str, Any]


def llama_shape(width: int, blocks: int) -> dict[str, Any]:
    """A Llama with heads of 32 and a vocabulary of 2,048, as seal-tiny has them."""
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
    """Number of weights of a model of this shape."""
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(make_config(shape), trust_remote_code=False)
    return sum(parameter.numel() for parameter in model.parameters())


def growth_jobs(model: str, count: int, length: int) -> list[UpdateJob]:
    """Jobs with examples of `length` tokens."""
    encoder = text_encoder(model)
    training, lora = TrainingConfig("train_using_output_tokens", 1e-4, 1), LoraSpec(16, 16.0)
    lengths = [length] * EXAMPLES
    return [digit_job(encoder, seed, lengths, 0.15, training, lora, Recipe(), (1, ANSWER)) for seed in range(count)]


def measure_point(model: str, device: str, length: int, in_call: int) -> Point:
    """Self-edits per hour by loop; None where it cannot be measured, with the reason as "missing"."""
    point: Point = {}
    for loop, size in (("reference", 1), ("batched", in_call)):
        jobs = growth_jobs(model, max(size, MIN_JOBS), length)
        calls = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        try:
            (done,) = run_calls(Order(loop, model, device, torch.get_num_threads()), jobs[0], calls)
            point[loop] = HOUR * len(jobs) / sum(done.seconds)
        except RowFailed as error:
            point |= {loop: None, "missing": str(error)}
    return point


def measure_growth(device: str, scratch: Path) -> dict[str, list[Point]]:
    """Points {"x", "batched", "reference"} by what grows: jobs_in_call, tokens_per_example, parameters."""
    shapes = [llama_shape(*size) for size in SIZES["cpu" if device == "cpu" else "cuda"]]
    found: dict[str, list[Point]] = {"jobs_in_call": [], "tokens_per_example": [], "parameters": []}
    for number, shape in enumerate(shapes):
        point = partial(measure_point, build_model(shape, scratch / str(number), device), device)
        found["parameters"].append({"x": parameters_of(shape), **point(DEFAULT_LENGTH, DEFAULT_IN_CALL)})
        if number == DEFAULT_SIZE:
            found["jobs_in_call"] = [{"x": count, **point(DEFAULT_LENGTH, count)} for count in IN_CALL]
            found["tokens_per_example"] = [{"x": length, **point(length, DEFAULT_IN_CALL)} for length in LENGTHS]
    return found


def growth_table(growth: Mapping[str, Sequence[Point]]) -> Table:
    """All points as a table."""
    table = Table("what grows", "value", "reference /h", "batched /h", "ratio")
    for name, points in growth.items():
        for point in points:
            reference, batched_rate = point.get("reference"), point.get("batched")
            rates = ["" if rate is None else f"{rate:,.0f}" for rate in (reference, batched_rate)]
            ratio = f"{batched_rate / reference:.2f}" if reference and batched_rate else ""
            table.add_row(name.replace("_", " "), f"{point['x']:,}", *rates, ratio)
    return table
