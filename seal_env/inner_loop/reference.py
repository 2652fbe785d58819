"""The reference inner loop: PEFT, one job after another. The yardstick for correctness, not for speed.

Left out: sharing anything between jobs. Each job is what a careful person would write by hand, which is why its rewards can
be trusted as the ones that faster loops must reproduce.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

import torch

from seal_env.inner_loop.adapter import Adapter
from seal_env.inner_loop.answering import Answerer
from seal_env.inner_loop.base_model import BaseModel
from seal_env.inner_loop.encoding import ChatEncoder, EncodedExample
from seal_env.inner_loop.trainer import AdapterTrainer, TrainingLog
from seal_env.types import Answer, Example, Outcome, Recipe, UpdateJob, UpdateResult

CACHED_EXAMPLES = 20_000


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's and the CPU allocator's ways to say that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


class ReferenceInnerLoop:
    """Trains and asks one adapter at a time on one base model. Safe to call from several threads; they take turns."""

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._encoder = ChatEncoder(base.tokenizer, base.name)
        self._adapter = Adapter(base)
        self._encoded: dict[tuple[Example, Recipe], EncodedExample] = {}
        self._turn = RLock()

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Length of each example in tokens, template included."""
        with self._turn:
            return [len(self._encode(example, Recipe()).ids_T) for example in examples]

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. Memory that runs out, or a device that fails, is an outcome of that job alone."""
        with self._turn:
            return [self._run_job(job) for job in jobs]

    def _run_job(self, job: UpdateJob) -> UpdateResult:
        micro_batch = job.recipe.batch_size
        while True:
            try:
                return self._attempt(job, micro_batch)
            except (RuntimeError, MemoryError) as error:
                failure = error
            if isinstance(failure, torch.AcceleratorError) and not is_out_of_memory(failure):
                return UpdateResult(Outcome.ENGINE_ERROR, f"the device failed: {failure}", ())
            if not is_out_of_memory(failure):
                raise failure
            self._release_memory()
            if micro_batch == 1:
                return UpdateResult(Outcome.OUT_OF_MEMORY, "memory ran out with one example at a time", (), micro_batch=1)
            micro_batch //= 2

    def _release_memory(self) -> None:
        self._adapter.detach()
        if self.base.device.type == "cuda":
            torch.cuda.empty_cache()

    def _attempt(self, job: UpdateJob, micro_batch: int) -> UpdateResult:
        if not job.examples_E or job.training.num_train_epochs == 0:
            with self._adapter.base_only() as model:
                answers, seconds = _timed(lambda: self._answer(model, job))
            if job.save_to is not None:
                self._adapter.reset(job.lora, job.seed)
                self._adapter.save(job.save_to)
            return UpdateResult(Outcome.OK, "", answers, timings={"train_seconds": 0.0, "evaluate_seconds": seconds})
        model = self._adapter.reset(job.lora, job.seed)
        log, train_seconds = _timed(lambda: self._train(model, job, micro_batch))
        fields: dict[str, Any] = {
            "losses_S": tuple(round(loss, 6) for loss in log.losses_S),
            "tokens_trained": log.tokens,
            "micro_batch": micro_batch,
        }
        if log.diverged:
            reason = (
                f"the loss or a weight was not finite after optimizer step {len(log.losses_S)}; use a lower learning_rate"
            )
            return UpdateResult(Outcome.DIVERGED, reason, (), timings={"train_seconds": train_seconds}, **fields)
        answers, evaluate_seconds = _timed(lambda: self._answer(model, job))
        if job.save_to is not None:
            self._adapter.save(job.save_to)
        timings = {"train_seconds": train_seconds, "evaluate_seconds": evaluate_seconds}
        return UpdateResult(Outcome.OK, "", answers, timings=timings, **fields)

    def _train(self, model: Any, job: UpdateJob, micro_batch: int) -> TrainingLog:
        encoded = [self._encode(example, job.recipe) for example in job.examples_E]
        pad = int(self.base.tokenizer.pad_token_id)
        trainer = AdapterTrainer(model, self._adapter.parameters(), job.recipe, pad, micro_batch)
        return trainer.train(encoded, job.training, job.seed)

    def _answer(self, model: Any, job: UpdateJob) -> tuple[Answer, ...]:
        answerer = Answerer(model, self.base.tokenizer, self.base.device, self.base.max_tokens)
        return tuple(answerer.answer(query, self._encoder.encode_query(query), job.decode) for query in job.queries_Q)

    def _encode(self, example: Example, recipe: Recipe) -> EncodedExample:
        key = (example, recipe)
        if key not in self._encoded:
            if len(self._encoded) >= CACHED_EXAMPLES:
                self._encoded.clear()
            self._encoded[key] = self._encoder.encode_example(example, recipe)
        return self._encoded[key]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    value = work()
    return value, time.perf_counter() - began
