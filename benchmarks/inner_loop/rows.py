"""The rows of the benchmark, and the published recipe that two of them measure.

R0 and R1 are `PublishedRecipe`: what the published code does for a self-edit, with the libraries that it uses. It differs
in two ways, both of which make it faster than the original: it decodes with transformers in the process that trains, all
prompts in one batch, where the original starts a model server; and an answer may take `max_answer_tokens` tokens, where the
original grants 8,192.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, default_data_collator
from transformers.trainer_callback import PrinterCallback

from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.reference.adapter import draw_adapter
from seal_env.inner_loop.tokens.chat_template import ChatEncoder, EncodedQuery
from seal_env.types import Answer, LoraSpec, Outcome, UpdateJob, UpdateResult

IGNORED = -100


@dataclass(frozen=True)
class RowSpec:
    """A row.

    Attributes:
        name: In the table.
        loop: An inner loop of seal_env, or "published".
        in_call: Jobs in a call.
        pad_loss: Its jobs follow the preset's published recipe, which trains on padding.
        parallel: Several processes at once.
    """

    name: str
    loop: str
    in_call: int = 1
    pad_loss: bool = False
    parallel: bool = False

    @property
    def ours(self) -> bool:
        """True if seal_env does the update."""
        return self.loop != "published"


def batched(in_call: int) -> RowSpec:
    """The batched loop with this many jobs in a call."""
    return RowSpec(f"batched K={in_call}", "batched", in_call)


_ROWS = (
    RowSpec("R0", "published", pad_loss=True),
    RowSpec("R1", "published"),
    RowSpec("R2", "published", parallel=True),
    RowSpec("reference", "reference"),
    *(batched(in_call) for in_call in (1, 8, 16, 32)),
)
ROWS = {row.name: row for row in _ROWS}


class PublishedRecipe:
    """The published recipe, one job after another; a job's own recipe says whether padding carries loss (R0) or not (R1).

    For each job: tokenize, a new Dataset and a new Trainer with logging at every step, logits at every position, the adapter
    and the tokenizer to disk, the adapter from disk into the PEFT model, greedy decoding of all prompts as one batch. The
    base model stays in memory and A starts from the same values each time, as published.

    Args:
        base: The model.
        pad_to: See Preset.
    """

    def __init__(self, base: FrozenLM, pad_to: int | None) -> None:
        self.base, self.pad_to = base, pad_to
        self._spec: LoraSpec | None = None
        self._peft: Any = None
        self._encoder = ChatEncoder(base.tokenizer, base.name)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """Results in the order of the jobs, with answers, losses and timings only."""
        return [self._run_job(job) for job in jobs]

    def _run_job(self, job: UpdateJob) -> UpdateResult:
        with tempfile.TemporaryDirectory(prefix="seal-published-") as name:
            began = time.perf_counter()
            model = self._fresh_adapter(job.lora, job.seed)
            losses = self._train(model, job, name)
            trained = time.perf_counter()
            model.save_pretrained(name, save_embedding_layers=False)
            self.base.tokenizer.save_pretrained(name)
            answers = self._answer(model, job, name)
            timings = {"train_seconds": trained - began, "evaluate_seconds": time.perf_counter() - trained}
        return UpdateResult(Outcome.OK, "", answers, losses, timings=timings)

    def _fresh_adapter(self, spec: LoraSpec, seed: int) -> Any:
        """PEFT's model with a fresh adapter: A drawn from the seed as the other rows draw it, B zero."""
        if spec != self._spec:
            config = LoraConfig(
                r=spec.rank, lora_alpha=spec.alpha, target_modules=list(spec.target_modules),  # type: ignore[arg-type]
                lora_dropout=0.0, bias="none", task_type=TaskType.CAUSAL_LM,
            )  # fmt: skip
            self._peft, self._spec = get_peft_model(share(self.base.model), config), spec
        draw_adapter(self._peft, seed)
        return self._peft

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
            ids, supervised = list(example.ids_T), example.supervised(job.training.strategy)
            labels = [token if loss else IGNORED for token, loss in zip(ids, supervised, strict=True)]
            padding = [pad] * (length - len(ids))
            mask = [1] * len(ids) + [0] * len(padding)
            rows.append({"input_ids": ids + padding, "labels": labels + padding, "attention_mask": mask})
        return rows

    @torch.no_grad()
    def _answer(self, model: Any, job: UpdateJob, folder: str) -> tuple[Answer, ...]:
        if not job.queries_Q:
            return ()
        tokenizer: Any = self.base.tokenizer
        model.load_adapter(folder, "trained")
        model.set_adapter("trained")
        model.eval()
        encoded = [self._encoder.encode_query(query) for query in job.queries_Q]
        tokenizer.padding_side = "left"
        prompts = tokenizer.pad({"input_ids": [list(query.prompt_T) for query in encoded]}, return_tensors="pt")
        prompts = prompts.to(self.base.device)
        length = int(prompts["input_ids"].shape[1])
        written = model.generate(
            **prompts, do_sample=False, pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(frozenset().union(*(query.stop_ids for query in encoded))),
            max_new_tokens=min(max(query.max_answer_tokens for query in job.queries_Q), self.base.max_tokens - length),
        )[:, length:].tolist()  # fmt: skip
        model.set_adapter("default")
        model.delete_adapter("trained")
        return tuple(
            self._read(query.query_id, tokens, question)
            for query, tokens, question in zip(job.queries_Q, written, encoded, strict=True)
        )

    def _read(self, query_id: str, tokens: list[int], query: EncodedQuery) -> Answer:
        """The tokens before the one that ends the turn, as an answer; the margin is not known."""
        end = next((index for index, token in enumerate(tokens) if token in query.stop_ids), len(tokens))
        answer = tokens[:end]
        text = str(self.base.tokenizer.decode(answer, skip_special_tokens=False))
        return Answer(query_id, end < len(tokens) and tuple(answer) == query.gold_T[:-1], text, 0.0)
