"""The reference inner loop: PEFT, one job after another. The yardstick for correctness, not for speed.

Left out: sharing anything between jobs. Each job is what a careful person would write by hand, which is why its rewards can
be trusted as the ones that faster loops must reproduce.
"""

from __future__ import annotations

import gc
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

CACHED_TOKENS = 4_000_000
OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
DEVICE_FAILURE = ("CUDA error", "cuDNN error", "CUDA driver error")


def is_out_of_memory(error: BaseException) -> bool:
    """True for the ways in which CUDA, its libraries and the CPU allocator say that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def is_device_failure(error: BaseException) -> bool:
    """True if the device failed for another reason; torch has a class for CUDA's own errors, none for its libraries'."""
    return isinstance(error, torch.AcceleratorError) or str(error).startswith(DEVICE_FAILURE)


class ReferenceInnerLoop:
    """Trains and asks one adapter at a time on one base model. Safe to call from several threads; they take turns."""

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._encoder = ChatEncoder(base.tokenizer, base.name)
        self._adapter = Adapter(base)
        self._encoded: dict[tuple[Example, Recipe], EncodedExample] = {}
        self._cached_tokens = 0
        self._turn = RLock()

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop."""
        with self._turn:
            return self.base.max_tokens - self._encoder.quirk_tokens(recipe)

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Length of each example in tokens, template included."""
        with self._turn:
            return [len(self._encode(example, Recipe()).ids_T) for example in examples]

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. Memory that runs out, or a device that fails, is an outcome of that job alone."""
        with self._turn:
            try:
                return [self._run_job(job) for job in jobs]
            finally:
                self._adapter.rest()

    def _run_job(self, job: UpdateJob) -> UpdateResult:
        micro_batch = job.recipe.batch_size
        while True:
            try:
                return self._attempt(job, micro_batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    if is_device_failure(error):
                        return UpdateResult(Outcome.ENGINE_ERROR, f"the device failed: {str(error).splitlines()[0]}", ())
                    raise
            self._release_memory()  # out here, where the error and the tensors of its frames are gone
            if micro_batch == 1:
                return UpdateResult(Outcome.OUT_OF_MEMORY, "memory ran out with one example at a time", (), micro_batch=1)
            micro_batch //= 2

    def _release_memory(self) -> None:
        self._adapter.detach()
        gc.collect()
        if self.base.device.type == "cuda":
            torch.cuda.empty_cache()

    def _attempt(self, job: UpdateJob, micro_batch: int) -> UpdateResult:
        if not job.examples_E or job.training.num_train_epochs == 0:
            self._adapter.rest()
            answers, seconds = _timed(lambda: self._answer(self.base.model, job))
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
            encoded = self._encoder.encode_example(example, recipe)
            self._cached_tokens += len(encoded.ids_T)
            if self._cached_tokens > CACHED_TOKENS:
                self._encoded.clear()
                self._cached_tokens = len(encoded.ids_T)
            self._encoded[key] = encoded
        return self._encoded[key]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    value = work()
    return value, time.perf_counter() - began
