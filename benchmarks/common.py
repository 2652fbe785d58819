"""The command line, the JSON document and the statistics that the benchmarks share."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import seal_env
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop.model.device import describe_device
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.intervals import bootstrap
from seal_env.types import Message

SAMPLED_AT_ONCE = 16
Document = dict[str, Any]


def make_parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser that shows a module's docstring, with `--json` (default runs/NAME.json) and `--seed`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path(f"runs/{name}.json"), metavar="FILE", help="output document")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def new_document(given: argparse.Namespace, device: str = "cpu") -> Document:
    """What every document begins with: machine, versions and the command line. Says that the benchmark begins."""
    what = ", ".join(f"{name} {value}" for name, value in vars(given).items() if name != "json")
    where = getattr(given, "json", None) or getattr(given, "out", "runs")
    print(f"begin     benchmark with {what}; on {describe_device(device)}; results in {where}", flush=True)
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    machine = {"processor": processor, "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    arguments = {name: value if isinstance(value, (int, float, list)) else str(value) for name, value in vars(given).items()}
    return {
        "machine": {**machine, "device": describe_device(device)},
        "versions": package_versions(),
        "arguments": arguments,
    }


def write(path: Path, document: Document) -> None:
    """Write the document, and its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))


def show(path: Path, document: Mapping[str, Any], tables: Iterable[Table | str]) -> None:
    """Print what was measured, where it was measured and where it is stored."""
    console, machine = Console(width=170), document["machine"]
    console.print(f"seal-env {seal_env.__version__}; {machine['processor']}, {machine['device']}", highlight=False)
    for table in tables:
        console.print(table, markup=False, highlight=False) if isinstance(table, str) else console.print(table)
    console.print(f"written   {path}", highlight=False)


def percent(values: Iterable[float]) -> str:
    """Mean and its 95 % bootstrap interval, in per cent."""
    return bootstrap(list(values)).percent()


def chat_text(base: FrozenLM, messages: Sequence[Message]) -> str:
    """A chat with a generation prompt, as the model reads it."""
    chat = [{"role": message.role, "content": message.content} for message in messages]
    return str(base.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def sample(base: FrozenLM, chats: Sequence[Sequence[Message]], max_new_tokens: int, seed: int) -> list[str]:
    """One reply to each chat, sampled at temperature 1 from the whole vocabulary."""
    torch.manual_seed(seed)
    tokenizer: Any = base.tokenizer
    model: Any = base.model
    tokenizer.padding_side = "left"
    replies: list[str] = []
    for start in range(0, len(chats), SAMPLED_AT_ONCE):
        texts = [chat_text(base, chat) for chat in chats[start : start + SAMPLED_AT_ONCE]]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(base.device)
        inputs.pop("token_type_ids", None)
        output = model.generate(
            **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        replies += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    tokenizer.padding_side = "right"
    return replies
