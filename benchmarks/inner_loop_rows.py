"""The rows of benchmarks/inner_loop.py, and the work that their processes do.

R0 and R1 are `PublishedRecipe`: what the published code does for a self-edit, with the libraries that it uses. Where it
decodes with a model server in a process of its own, this decodes with transformers, all prompts in one batch; and an answer
may take `max_answer_tokens`, less than the 8,192 that it grants. Both make R0 faster than it is, not slower.
"""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from inner_loop_measure import peak_memory
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, default_data_collator
from transformers.trainer_callback import PrinterCallback

from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.reference.adapter import Adapter
from seal_env.inner_loop.tokens.chat_template import ChatEncoder, EncodedQuery
from seal_env.store import LOCATION
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult

IGNORED = -100


@dataclass(frozen=True)
class RowSpec:
    """What a row is: the inner loop, and how many jobs it gets in a call.

    published: its jobs follow the published recipe, which trains on padding. parallel: several processes at once. cached:
    with a cache, on the list of self-edits as sampled.
    """

    name: str
    loop: str
    in_call: int = 1
    published: bool = False
    parallel: bool = False
    cached: bool = False

    @property
    def ours(self) -> bool:
        """True if seal_env does the update."""
        return self.loop != "published"


def batched(in_call: int, cached: bool = False) -> RowSpec:
    """Our batched loop with so many jobs in a call."""
    return RowSpec(f"batched K={in_call}{' cache' if cached else ''}", "batched", in_call, cached=cached)


ROWS = {
    row.name: row
    for row in (
        RowSpec("R0", "published", published=True),
        RowSpec("R1", "published"),
        RowSpec("R2", "published", parallel=True),
        RowSpec("reference", "reference"),
        *(batched(in_call) for in_call in (1, 8, 16, 32)),
        batched(16, cached=True),
    )
}


class PublishedRecipe:
    """The published recipe, one job after another: its jobs' recipe says whether padding is trained on (R0) or not (R1).

    For each job: tokenize, a new Dataset and a new Trainer with logging at every step, logits at every position, the adapter
    and the tokenizer to disk, the adapter from disk into the PEFT model, greedy decoding of all prompts as one batch. The
    base model stays in memory and A starts from the same values each time, as published. pad_to: see Preset.
    """

    def __init__(self, base: FrozenLM, pad_to: int | None) -> None:
        self.base, self.pad_to = base, pad_to
        self._adapter = Adapter(base)
        self._encoder = ChatEncoder(base.tokenizer, base.name)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """Results in the order of the jobs; nothing but their answers, losses and timings is filled in."""
        return [self._run_job(job) for job in jobs]

    def _run_job(self, job: UpdateJob) -> UpdateResult:
        with tempfile.TemporaryDirectory(prefix="seal-published-") as name:
            began = time.perf_counter()
            model = self._adapter.reset(job.lora, job.seed)
            losses = self._train(model, job, name)
            trained = time.perf_counter()
            model.save_pretrained(name, save_embedding_layers=False)
            self.base.tokenizer.save_pretrained(name)
            answers = self._answer(model, job, name)
            timings = {"train_seconds": trained - began, "evaluate_seconds": time.perf_counter() - trained}
        return UpdateResult(Outcome.OK, "", answers, losses, timings=timings)

    def _train(self, model: Any, job: UpdateJob, folder: str) -> tuple[float, ...]:
        recipe, cuda = job.recipe, self.base.device.type == "cuda"
        tokenizer: Any = self.base.tokenizer
        tokenizer.padding_side = "right"
        arguments = TrainingArguments(
            output_dir=folder, seed=job.seed, num_train_epochs=job.training.num_train_epochs,
            per_device_train_batch_size=recipe.batch_size, learning_rate=job.training.learning_rate,
            lr_scheduler_type=recipe.schedule, warmup_steps=recipe.warmup_steps, weight_decay=recipe.weight_decay,
            adam_epsilon=recipe.adam_eps, max_grad_norm=recipe.max_grad_norm, bf16=cuda, use_cpu=not cuda,
            dataloader_pin_memory=cuda, logging_steps=1, report_to="none", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=self._rows(job),
            data_collator=default_data_collator if recipe.pad_loss else DataCollatorForSeq2Seq(tokenizer),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return tuple(float(line["loss"]) for line in trainer.state.log_history if "loss" in line)

    def _rows(self, job: UpdateJob) -> Any:
        """The Dataset: with padding to one length that carries loss, or without padding, which the collator then adds."""
        encoded = [self._encoder.encode_example(example, job.recipe) for example in job.examples_E]
        pad = int(self.base.tokenizer.pad_token_id)
        length = max(self.pad_to or 0, *(len(example.ids_T) for example in encoded)) if job.recipe.pad_loss else 0
        rows = []
        for example in encoded:
            ids, kept = list(example.ids_T), example.supervised(job.training.strategy)
            labels = [token if loss else IGNORED for token, loss in zip(ids, kept, strict=True)]
            padding = [pad] * (length - len(ids))
            mask = [1] * len(ids) + [0] * len(padding)
            rows.append({"input_ids": ids + padding, "labels": labels + padding, "attention_mask": mask})
        return rows

    @torch.no_grad()
    def _answer(self, model: Any, job: UpdateJob, folder: str) -> tuple[Answer, ...]:
        if not job.queries_Q:
            return ()
        tokenizer: Any = self.base.tokenizer
        model.load_adapter(folder, "asked")
        model.set_adapter("asked")
        model.eval()
        encoded = [self._encoder.encode_query(query) for query in job.queries_Q]
        tokenizer.padding_side = "left"
        prompts = tokenizer.pad({"input_ids": [list(query.prompt_T) for query in encoded]}, return_tensors="pt")
        prompts = prompts.to(self.base.device)
        asked = int(prompts["input_ids"].shape[1])
        written = model.generate(
            **prompts, do_sample=False, pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(frozenset().union(*(query.stop_ids for query in encoded))),
            max_new_tokens=min(max(query.max_answer_tokens for query in job.queries_Q), self.base.max_tokens - asked),
        )[:, asked:].tolist()  # fmt: skip
        model.set_adapter("default")
        model.delete_adapter("asked")
        return tuple(
            self._read(query.query_id, tokens, question)
            for query, tokens, question in zip(job.queries_Q, written, encoded, strict=True)
        )

    def _read(self, query_id: str, tokens: list[int], query: EncodedQuery) -> Answer:
        """The tokens before the one that ends the turn, as an answer; nothing is known of its margin."""
        end = next((place for place, token in enumerate(tokens) if token in query.stop_ids), len(tokens))
        answer = tokens[:end]
        opening = query.opening if tuple(answer[: query.opening]) == query.gold_T[: query.opening] else 0
        text = str(self.base.tokenizer.decode(answer[opening:], skip_special_tokens=False))
        return Answer(query_id, end < len(tokens) and tuple(answer) == query.gold_T[:-1], text, 0.0)


@dataclass(frozen=True)
class Order:
    """What a process works with for as long as it lives."""

    loop: str
    model: str
    device: str
    threads: int
    pad_to: int | None = None
    cached: bool = False


@dataclass
class Done:
    """What a process answers. peak: bytes of memory since before the model was loaded. failure: why there are no results."""

    results: list[UpdateResult] = field(default_factory=list)
    peak: int = 0
    failure: str = ""


@lru_cache(maxsize=1)
def _loop(order: Order) -> tuple[Any, int]:
    """The loop, and the memory that the process had taken before it."""
    before = 0 if torch.device(order.device).type == "cuda" else peak_memory(order.device)
    os.environ.pop(LOCATION, None)  # the cache begins empty, whatever other runs have left on the disk
    if order.loop == "published":
        return PublishedRecipe(load_base_model(order.model, order.device), order.pad_to), before
    return make_inner_loop(order.loop, order.model, order.device, cache="on" if order.cached else "off"), before


def work(order: Order, jobs: Sequence[UpdateJob]) -> Done:
    """Run jobs. Runs in a process of its own, one for each row, because an adapter sits among the model's modules."""
    torch.set_num_threads(order.threads)
    try:
        loop, before = _loop(order)
        results = loop.run(jobs)
    except Exception as error:
        traceback.print_exc()
        return Done(failure=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    return Done(results, peak_memory(order.device) - before)
